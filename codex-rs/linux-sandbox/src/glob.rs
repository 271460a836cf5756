//! Patterns that name files to be denied.
//!
//! `*` and `?` stay within one component, `[a-z]` and `[!a-z]` are classes, `**` as a whole component stands for any
//! number of them. A bracket that is never closed stands for itself. Patterns are bytes, as paths are. Looking for files
//! that match is for those who read directories.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A pattern that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    /// Not a pattern; says why.
    #[error("glob `{pattern}` is malformed: {reason}")]
    Malformed {
        /// The pattern.
        pattern: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// It starts at a home that nobody named.
    #[error("glob `{0}` starts at the user's home, which is not known")]
    NoHome(String),
}

/// A pattern: a plain path, and what is to be matched below it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Glob {
    /// Where files are looked for.
    #[serde(with = "as_bytes")]
    prefix: PathBuf,
    /// One pattern for each component below.
    rest: Vec<Part>,
}

/// What matches one component, or with [`Part::Any`] any number of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Part {
    Any,
    Name(Vec<u8>),
}

/// A path for the road: it need not be text.
mod as_bytes {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
    use std::path::{Path, PathBuf};

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        path.as_os_str().as_bytes().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        Vec::<u8>::deserialize(deserializer).map(|bytes| OsString::from_vec(bytes).into())
    }
}

impl Glob {
    /// `pattern` below `base`; of an absolute pattern `base` is the root.
    ///
    /// # Errors
    /// [`GlobError::Malformed`]
    pub fn new(base: &Path, pattern: &str) -> Result<Self, GlobError> {
        let malformed = |reason| GlobError::Malformed { pattern: pattern.to_owned(), reason };
        let mut prefix = base.to_owned();
        let mut rest = Vec::new();
        for name in pattern.split('/').filter(|name| !name.is_empty() && *name != ".") {
            if name == ".." {
                return Err(malformed("`..` says nothing about what it names"));
            }
            if name.contains('\0') {
                return Err(malformed("it holds a NUL"));
            }
            if name == "**" {
                rest.push(Part::Any);
                continue;
            }
            if name.contains("**") {
                return Err(malformed("`**` must stand alone between slashes"));
            }
            check_classes(name.as_bytes()).map_err(malformed)?;
            if rest.is_empty() && !name.contains(['*', '?', '[']) {
                prefix.push(name);
            } else {
                rest.push(Part::Name(name.as_bytes().to_vec()));
            }
        }
        Ok(Self { prefix, rest })
    }

    /// Where to look for files.
    #[must_use]
    pub fn prefix(&self) -> &Path {
        &self.prefix
    }

    /// Whether the pattern is a plain path.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.rest.is_empty()
    }

    /// How many levels below the prefix a match may lie; `None` for any.
    #[must_use]
    pub fn depth(&self) -> Option<usize> {
        (!self.rest.contains(&Part::Any)).then_some(self.rest.len())
    }

    /// Whether `path` matches as a whole.
    #[must_use]
    pub fn matches(&self, path: &Path) -> bool {
        let Ok(below) = path.strip_prefix(&self.prefix) else { return false };
        let names: Vec<&[u8]> = below.components().map(|name| name.as_os_str().as_bytes()).collect();
        matches_parts(&self.rest, &names)
    }
}

/// Time grows with the product of the lengths: which suffixes match is worked out once for each pair.
fn matches_parts(parts: &[Part], names: &[&[u8]]) -> bool {
    // `row[at]`: whether the parts behind the present one match `names[at..]`.
    let mut row: Vec<bool> = (0..=names.len()).map(|at| at == names.len()).collect();
    for part in parts.iter().rev() {
        let mut next = vec![false; names.len() + 1];
        for at in (0..=names.len()).rev() {
            next[at] = match part {
                Part::Any => row[at] || next.get(at + 1).copied().unwrap_or(false),
                Part::Name(pattern) => at < names.len() && matches_name(pattern, names[at]) && row[at + 1],
            };
        }
        row = next;
    }
    row[0]
}

/// One token of a name's pattern and how many bytes it takes.
enum Token<'a> {
    Star,
    One,
    Class { negated: bool, body: &'a [u8] },
    Byte(u8),
}

fn token(pattern: &[u8]) -> Option<(Token<'_>, &[u8])> {
    let (&first, rest) = pattern.split_first()?;
    Some(match first {
        b'*' => (Token::Star, rest),
        b'?' => (Token::One, rest),
        b'[' => match class(rest) {
            Some((negated, body, rest)) => (Token::Class { negated, body }, rest),
            None => (Token::Byte(b'['), rest),
        },
        byte => (Token::Byte(byte), rest),
    })
}

/// What follows an opening bracket, if it is ever closed. A closing bracket that comes first is a member.
fn class(after: &[u8]) -> Option<(bool, &[u8], &[u8])> {
    let negated = matches!(after.first(), Some(b'!' | b'^'));
    let body = if negated { &after[1..] } else { after };
    let close = body.iter().skip(1).position(|&byte| byte == b']')? + 1;
    Some((negated, &body[..close], &body[close + 1..]))
}

fn check_classes(mut pattern: &[u8]) -> Result<(), &'static str> {
    while let Some((token, rest)) = token(pattern) {
        if let Token::Class { body, .. } = token
            && body.windows(3).any(|range| range[1] == b'-' && range[0] > range[2])
        {
            return Err("a range ends before it begins");
        }
        pattern = rest;
    }
    Ok(())
}

fn in_class(mut body: &[u8], byte: u8) -> bool {
    while let Some((&first, rest)) = body.split_first() {
        if let [b'-', last, rest @ ..] = rest {
            if (first..=*last).contains(&byte) {
                return true;
            }
            body = rest;
        } else {
            if first == byte {
                return true;
            }
            body = rest;
        }
    }
    false
}

/// As for whole paths: each suffix of the name is looked at once for each token.
fn matches_name(mut pattern: &[u8], name: &[u8]) -> bool {
    let mut tokens = Vec::new();
    while let Some((token, rest)) = token(pattern) {
        tokens.push(token);
        pattern = rest;
    }
    let mut row: Vec<bool> = (0..=name.len()).map(|at| at == name.len()).collect();
    for token in tokens.iter().rev() {
        let mut next = vec![false; name.len() + 1];
        for at in (0..=name.len()).rev() {
            let one = |fits: bool| fits && at < name.len() && row[at + 1];
            next[at] = match token {
                Token::Star => row[at] || next.get(at + 1).copied().unwrap_or(false),
                Token::One => one(/*fits*/ true),
                Token::Byte(byte) => one(name.get(at) == Some(byte)),
                Token::Class { negated, body } => {
                    one(name.get(at).is_some_and(|&byte| in_class(body, byte) != *negated))
                }
            };
        }
        row = next;
    }
    row[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Glob::new(Path::new("/w"), pattern).expect("a pattern").matches(Path::new(path))
    }

    #[test]
    fn stars_stay_within_a_component_and_two_of_them_cross_any_number() {
        assert!(matches("*.pem", "/w/a.pem") && !matches("*.pem", "/w/b/a.pem"));
        assert!(matches("**/*.pem", "/w/a.pem") && matches("**/*.pem", "/w/b/c/a.pem"));
        assert!(matches("b/**/k?y", "/w/b/key") && !matches("b/**/k?y", "/w/c/key"));
        assert!(matches("a*b*c", "/w/axxbxbc") && !matches("a*b*c", "/w/axxbxb"));
    }

    #[test]
    fn classes_match_and_an_unclosed_bracket_stands_for_itself() {
        assert!(matches("[a-c]x", "/w/bx") && !matches("[!a-c]x", "/w/bx") && matches("[]]", "/w/]"));
        assert!(matches("[ab", "/w/[ab") && !matches("[ab", "/w/a"));
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_its_reason() {
        for (pattern, reason) in [
            ("[z-a]", "a range ends before it begins"),
            ("a**", "`**` must stand alone between slashes"),
            ("../x*", "`..` says nothing about what it names"),
        ] {
            let malformed = GlobError::Malformed { pattern: pattern.into(), reason };
            assert_eq!(Glob::new(Path::new("/w"), pattern), Err(malformed));
        }
    }

    #[test]
    fn a_pattern_with_many_stars_takes_no_time() {
        let pattern = "*a".repeat(60);
        assert!(!matches(&pattern, &format!("/w/{}", "a".repeat(59))));
        assert!(matches(&pattern, &format!("/w/{}", "a".repeat(200))));
    }
}
