//! Paths on the wire: absolute `file:` URIs that carry any path of any host, byte for byte.
//!
//! Owns parsing, the one canonical spelling, and the way to and from native path bytes. Whether a path exists, where
//! its links lead and who may touch it is for those who open it; nothing here asks the machine.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};
use schemars::JsonSchema;
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use ts_rs::TS;
use url::Url;

/// What a path segment must escape: what ends or splits a URI path, what a URI parser would drop or rewrite, and
/// `%` itself. Bytes beyond ASCII are always escaped.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'`')
    .add(b'{')
    .add(b'}');

/// What stands before the base64url text of a path that has no plain spelling. No real path begins like this, since
/// none holds a NUL.
const OPAQUE: &str = "/%00/bad/path/";

/// Readings after which a URI is what it stays, with one to spare: none is known that takes more than two.
const SETTLES_WITHIN: usize = 3;

/// An absolute path as a `file:` URI, for example `file:///tmp/a%20b`.
///
/// Parsing resolves `.` and `..` by text alone, drops `localhost`, and reduces escapes to the needed ones in upper
/// case, so that equal paths have equal texts. A URI made for another kind of host (`file:///C:/x`,
/// `file://server/share`) parses everywhere and is refused only by [`to_host_path_bytes`](Self::to_host_path_bytes), so
/// that it can be passed on.
///
/// A few native paths have no plain spelling: those with a `..` component, which every parser would resolve without
/// asking where links lead, and those whose first component looks like a drive (`/C:`). They travel as
/// `file:///%00/bad/path/` and the base64url text of their bytes. Such a value names itself alone: its text tells
/// nothing about what lies above or below it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, TS)]
#[ts(type = "string")]
pub struct PathUri {
    text: String,
    shape: Shape,
}

/// Whose path a URI spells. Follows from the text, kept so that it is worked out once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Shape {
    /// `file:///usr/bin`
    Unix,
    /// `file:///%00/bad/path/…`, whose bytes are a path of a Unix host.
    OpaqueUnix,
    /// `file:///%00/bad/path/…` with anything else.
    OpaqueForeign,
    /// `file:///C:/Users`
    Drive,
    /// `file://server/share`
    Server,
}

/// The kind of machine a path is meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HostOs {
    /// Linux, and every Unix without a name of its own here.
    Linux,
    /// macOS.
    MacOs,
    /// Windows.
    Windows,
}

impl HostOs {
    /// The kind this program was built for.
    pub const CURRENT: Self = if cfg!(windows) {
        Self::Windows
    } else if cfg!(target_os = "macos") {
        Self::MacOs
    } else {
        Self::Linux
    };
}

impl fmt::Display for HostOs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Linux => "linux",
            Self::MacOs => "macos",
            Self::Windows => "windows",
        })
    }
}

/// Why a text is no path URI, or why bytes can't become one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathUriError {
    /// Not a URI at all; bare paths end here.
    #[error("invalid URI: {0}")]
    Syntax(#[from] url::ParseError),
    /// A URI, but not a `file:` one. Holds the scheme in lower case.
    #[error("unsupported path URI scheme `{0}`")]
    Scheme(String),
    /// A `?`, which must be spelled `%3F` in a path.
    #[error("query parameters are not allowed in path URIs")]
    Query,
    /// A `#`, which must be spelled `%23` in a path.
    #[error("fragments are not allowed in path URIs")]
    Fragment,
    /// A NUL byte, which no path of any host may hold. Holds the URI.
    #[error("'{0}' is invalid on '{os}'", os = HostOs::CURRENT)]
    Nul(String),
    /// Bytes that do not begin with `/`, or that hold a NUL.
    #[error("path `{0}` is not absolute, or holds a NUL byte")]
    NotAPath(String),
}

/// A path URI whose shape belongs to another kind of host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{uri}' is invalid on '{os}'")]
pub struct ForeignPath {
    /// The path.
    pub uri: PathUri,
    /// The host it does not fit.
    pub os: HostOs,
}

impl ForeignPath {
    /// The same refusal with the parameter's name, as peers know it: ``cwd URI `…` is not valid on this exec-server
    /// host: '…' is invalid on 'linux'``.
    #[must_use]
    pub fn in_field(&self, field: &str) -> String {
        format!("{field} URI `{uri}` is not valid on this exec-server host: {self}", uri = self.uri)
    }
}

impl PathUri {
    /// The path with these bytes on a Unix host. They come back as they are, save that `.` components and surplus
    /// leading slashes, which mean nothing, are gone.
    ///
    /// # Errors
    /// [`PathUriError::NotAPath`] if the bytes do not begin with `/` or hold a NUL.
    pub fn from_path_bytes(path: &[u8]) -> Result<Self, PathUriError> {
        if !is_unix_path(path) {
            return Err(PathUriError::NotAPath(path.escape_ascii().to_string()));
        }
        Ok(Self::from_unix(path))
    }

    /// The native path: on Unix the plain bytes, on Windows `C:\x` or `\\server\share\x`.
    ///
    /// # Errors
    /// [`ForeignPath`] if the URI has the shape of another kind of host.
    pub fn to_host_path_bytes(&self, os: HostOs) -> Result<Cow<'_, [u8]>, ForeignPath> {
        let windows = os == HostOs::Windows;
        match self.shape {
            Shape::Unix if !windows && !self.has_escapes() => Ok(self.uri_path().as_bytes().into()),
            Shape::Unix if !windows => Ok(percent_decode_str(self.uri_path()).into()),
            Shape::OpaqueUnix if !windows => Ok(decode_opaque(self.uri_path()).unwrap_or_default().into()),
            Shape::Drive if windows => Ok(backslashed(&self.uri_path()[1..]).into()),
            Shape::Server if windows => Ok(backslashed(&self.text["file:".len()..]).into()),
            _ => Err(ForeignPath { uri: self.clone(), os }),
        }
    }

    /// The URI.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the bytes are hidden behind base64url, so that nothing can be concluded from the text.
    #[must_use]
    pub fn is_opaque(&self) -> bool {
        matches!(self.shape, Shape::OpaqueUnix | Shape::OpaqueForeign)
    }

    /// Whether a component was spelled with `%2F` inside. The host sees two components there, a reader of the URI only
    /// one; whoever decides by prefix should refuse such a path.
    #[must_use]
    pub fn has_encoded_separator(&self) -> bool {
        self.has_escapes() && self.text.contains("%2F")
    }

    fn has_escapes(&self) -> bool {
        memchr::memchr(b'%', self.text.as_bytes()).is_some()
    }

    /// What follows scheme and host; always begins with `/`.
    fn uri_path(&self) -> &str {
        let after_scheme = &self.text["file://".len()..];
        after_scheme.find('/').map_or("/", |at| &after_scheme[at..])
    }

    fn from_unix(path: &[u8]) -> Self {
        let components = tidy(path.split(|&byte| byte == b'/').skip(1).map(Cow::Borrowed));
        if has_plain_spelling(&components) {
            return Self::from_components(&components);
        }
        let path = [b"/", &components.join(&b'/')[..]].concat();
        let hidden = base64_simd::URL_SAFE_NO_PAD.encode_to_string(path);
        Self { text: format!("file://{OPAQUE}{hidden}"), shape: Shape::OpaqueUnix }
    }

    /// The plain spelling. A `/` inside a component is kept apart from those between them.
    fn from_components(components: &[Cow<'_, [u8]>]) -> Self {
        let mut text = String::from("file://");
        for (at, component) in components.iter().enumerate() {
            text.push('/');
            match &**component {
                // Many parsers read `C|` as the drive `C:`, but only when it is spelled with a bare bar.
                [letter, b'|'] if at == 0 && letter.is_ascii_alphabetic() => {
                    text.push(char::from(*letter));
                    text.push_str("%7C");
                }
                plain => text.extend(percent_encode(plain, ESCAPED)),
            }
        }
        Self { text, shape: Shape::Unix }
    }
}

impl FromStr for PathUri {
    type Err = PathUriError;

    fn from_str(text: &str) -> Result<Self, PathUriError> {
        if is_plain(text) {
            return Ok(Self { text: text.to_owned(), shape: Shape::Unix });
        }
        Self::through_parser(text)
    }
}

impl PathUri {
    /// What a URI parser makes of `text`.
    fn through_parser(text: &str) -> Result<Self, PathUriError> {
        let url = settled(Url::parse(text)?)?;
        if url.scheme() != "file" {
            return Err(PathUriError::Scheme(url.scheme().to_owned()));
        }
        if url.query().is_some() {
            return Err(PathUriError::Query);
        }
        if url.fragment().is_some() {
            return Err(PathUriError::Fragment);
        }
        let path = url.path();
        if path.starts_with(OPAQUE) && url.host_str().is_none() {
            let Some(bytes) = decode_opaque(path) else { return Err(PathUriError::Nul(url.into())) };
            // One path has one spelling: what could have been written plainly is not accepted in disguise.
            let honest = is_unix_path(&bytes) && Self::from_unix(&bytes).text == url.as_str();
            let shape = if honest { Shape::OpaqueUnix } else { Shape::OpaqueForeign };
            return Ok(Self { text: url.into(), shape });
        }
        if percent_decode_str(path).any(|byte| byte == 0) {
            return Err(PathUriError::Nul(url.into()));
        }
        if url.host_str().is_some() {
            return Ok(Self { text: url.into(), shape: Shape::Server });
        }
        if path.split('/').nth(1).is_some_and(is_drive) {
            return Ok(Self { text: with_upper_case_drive(url.into()), shape: Shape::Drive });
        }
        let components = tidy(path.split('/').skip(1).map(|part| percent_decode_str(part).into()));
        if has_plain_spelling(&components) {
            return Ok(Self::from_components(&components));
        }
        // An escaped letter (`%43:`) hides a drive from the test above, but not from whoever reads our spelling.
        Ok(Self::from_unix(&[b"/", &components.join(&b'/')[..]].concat()))
    }
}

/// `url` as the parser reads its own words again: of drives and hosts it makes something else the first time, when `..` brings a
/// drive to the front, behind a host, or when a drive has no slash behind it.
fn settled(mut url: Url) -> Result<Url, url::ParseError> {
    for _ in 0..SETTLES_WITHIN {
        let is_of_windows = url.host_str().is_some() || url.path().split('/').nth(1).is_some_and(is_drive);
        if !is_of_windows {
            break;
        }
        let again = Url::parse(url.as_str())?;
        if again == url {
            break;
        }
        url = again;
    }
    Ok(url)
}

/// Whether `text` is the canonical spelling of a Unix path at sight, as nearly every text is that a program made: nothing in
/// it means anything to a URI parser, or is spelled in two ways. For a small request the parser takes longer than the kernel.
fn is_plain(text: &str) -> bool {
    let Some(path) = text.strip_prefix("file:///") else { return false };
    let bytes = path.as_bytes();
    let mut start = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte == b'/' {
            if matches!(bytes[start..at], [] | [b'.'] | [b'.', b'.']) {
                return false;
            }
            start = at + 1;
        } else if !(byte.is_ascii_alphanumeric() || b"._-+~,=@".contains(&byte)) {
            return false;
        }
    }
    !matches!(bytes[start..], [b'.'] | [b'.', b'.'])
}

/// Whether these are the bytes of an absolute path on Unix.
fn is_unix_path(path: &[u8]) -> bool {
    path.first() == Some(&b'/') && !path.contains(&0)
}

/// Drops what says nothing and what a URI parser would drop as well: `.`, and all but one of the leading slashes. The
/// path names the same place as before.
fn tidy<'a>(components: impl Iterator<Item = Cow<'a, [u8]>>) -> Vec<Cow<'a, [u8]>> {
    let mut components: Vec<_> = components.collect();
    if let Some(last) = components.last_mut()
        && **last == *b"."
    {
        *last = Cow::Borrowed(b"");
    }
    components.retain(|component| **component != *b".");
    let leading = components.iter().take_while(|component| component.is_empty()).count();
    components.drain(..leading.min(components.len().saturating_sub(1)));
    components
}

/// Whether a URI parser gives back the same components.
fn has_plain_spelling(components: &[Cow<'_, [u8]>]) -> bool {
    let drive = components
        .first()
        .is_some_and(|first| matches!(**first, [letter, b':'] if letter.is_ascii_alphabetic()));
    !drive && components.iter().all(|component| **component != *b"..")
}

/// `file:///c:/x` as `file:///C:/x`.
fn with_upper_case_drive(mut uri: String) -> String {
    if let Some(drive) = uri.get_mut("file:///".len().."file:///c:".len())
        && drive.ends_with(':')
    {
        drive.make_ascii_uppercase();
    }
    uri
}

/// Whether the first component of a URI's path is a drive: `C:`, or `C%3A` in either case.
fn is_drive(component: &str) -> bool {
    let (letter, rest) = component.split_at_checked(1).unwrap_or_default();
    letter.as_bytes().first().is_some_and(u8::is_ascii_alphabetic)
        && (rest == ":" || rest.eq_ignore_ascii_case("%3a"))
}

/// The bytes behind an opaque URI path; `None` if they are no base64url, or hold a NUL after all.
fn decode_opaque(uri_path: &str) -> Option<Vec<u8>> {
    let bytes = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(uri_path.strip_prefix(OPAQUE)?).ok()?;
    (!bytes.is_empty() && !bytes.contains(&0)).then_some(bytes)
}

/// A URI path in the way Windows writes it.
fn backslashed(uri_path: &str) -> Vec<u8> {
    uri_path
        .split('/')
        .map(|part| Cow::<[u8]>::from(percent_decode_str(part)))
        .collect::<Vec<_>>()
        .join(&b'\\')
}

impl fmt::Display for PathUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for PathUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for PathUri {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for PathUri {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = PathUri;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<PathUri, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text)
    }
}

impl JsonSchema for PathUri {
    fn schema_name() -> Cow<'static, str> {
        "PathUri".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "format": "uri",
            "pattern": "^[Ff][Ii][Ll][Ee]:",
            "description": "An absolute path as a percent-encoded `file:` URI.",
        })
    }
}

#[cfg(unix)]
mod unix {
    //! Native paths are bytes here, so nothing is lost in either direction.

    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::path::{Path, PathBuf};

    use super::{ForeignPath, HostOs, PathUri, PathUriError};

    impl PathUri {
        /// The native path.
        ///
        /// # Errors
        /// [`ForeignPath`] if the URI has the shape of another kind of host.
        pub fn to_path(&self) -> Result<PathBuf, ForeignPath> {
            let bytes = self.to_host_path_bytes(HostOs::CURRENT)?;
            Ok(PathBuf::from(OsStr::from_bytes(&bytes)))
        }
    }

    impl TryFrom<&Path> for PathUri {
        type Error = PathUriError;

        fn try_from(path: &Path) -> Result<Self, PathUriError> {
            Self::from_path_bytes(path.as_os_str().as_bytes())
        }
    }
}

#[cfg(test)]
#[path = "path_uri_tests.rs"]
mod tests;
