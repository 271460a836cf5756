//! How bytes travel inside JSON: standard base64 with padding, and nothing else.
//!
//! Owns the one type that payload fields use and the in-place encoder for frames that are written by hand. What a
//! field means, and how long its bytes may be, is said where the field stands.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use ts_rs::TS;

/// Bytes that are written as standard base64 (RFC 4648 section 4, padded) in one JSON string.
///
/// Decoding accepts exactly one spelling of each byte string: no line breaks, no missing or surplus padding, no
/// stray bits in the last symbol.
// Cloning is cheap: the bytes are shared.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, TS)]
#[ts(as = "String")]
pub struct Base64Bytes(pub Bytes);

impl Base64Bytes {
    /// Decodes standard padded base64.
    ///
    /// # Errors
    /// Says what is wrong and where; see [`Base64Error`].
    pub fn decode(text: &str) -> Result<Self, Base64Error> {
        match base64_simd::STANDARD.decode_to_vec(text) {
            Ok(bytes) => Ok(Self(Bytes::from(bytes))),
            // The fast decoder reports only that it failed, so the fault is looked up at leisure.
            Err(_) => Err(Base64Error::locate(text.as_bytes())),
        }
    }

    /// The base64 text.
    #[must_use]
    pub fn encode(&self) -> String {
        base64_simd::STANDARD.encode_to_string(&self.0)
    }

    /// How many bytes there are (not how long their text is).
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives the bytes away without copying them.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

/// Standard base64 that is known to decode, still as text: of a long one, content and text together would take more memory than
/// they are worth.
#[derive(Clone, PartialEq, Eq)]
pub struct Base64Text(Bytes);

impl Base64Text {
    /// So much text is decoded at a time: what comes of it is still in the processor's cache when it is used. Whole groups.
    const PIECE_BYTES: usize = 256 << 10;

    /// Checks `text`.
    #[must_use]
    pub fn new(text: Bytes) -> Option<Self> {
        base64_simd::STANDARD.check(&text).is_ok().then_some(Self(text))
    }

    /// Shows all of the bytes to `each`, piece by piece, until it fails.
    ///
    /// # Errors
    /// Those of `each`.
    pub fn decode_each<E>(&self, mut each: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut bytes = Vec::new();
        for text in self.0.chunks(Self::PIECE_BYTES) {
            bytes.clear();
            base64_simd::STANDARD.decode_append(text, &mut bytes).expect("it was checked");
            each(&bytes)?;
        }
        Ok(())
    }

    /// How many bytes there are (not how long their text is).
    #[must_use]
    pub fn len(&self) -> usize {
        let padding = self.0.iter().rev().take(2).take_while(|&&byte| byte == b'=').count();
        self.0.len() / 4 * 3 - padding
    }

    /// Whether there are no bytes at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of the bytes at once.
    #[must_use]
    pub fn decode(&self) -> Base64Bytes {
        Base64Bytes(base64_simd::STANDARD.decode_to_vec(&self.0).expect("it was checked").into())
    }
}

impl fmt::Debug for Base64Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "base64 of {} bytes", self.len())
    }
}

/// Appends the base64 text of `bytes` to `out`.
///
/// This is for output frames, whose JSON is put together by hand in a buffer that is used again and again; nothing is
/// allocated once that buffer has grown to its usual size.
pub fn encode_into(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(encoded_len(bytes.len()));
    base64_simd::STANDARD.encode_append(bytes, out);
}

/// How long the base64 text of `len` bytes is.
#[must_use]
pub const fn encoded_len(len: usize) -> usize {
    len.div_ceil(3).saturating_mul(4)
}

/// Why a string is not base64. Offsets count bytes of the text from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Base64Error {
    /// A byte outside the alphabet, or padding where none belongs.
    #[error("Invalid symbol {symbol}, offset {offset}.")]
    Symbol {
        /// The byte, as a number.
        symbol: u8,
        /// Where it stands.
        offset: usize,
    },
    /// The last symbol carries bits that no byte uses.
    #[error("Invalid last symbol {symbol}, offset {offset}.")]
    LastSymbol {
        /// The symbol, as a number.
        symbol: u8,
        /// Where it stands.
        offset: usize,
    },
    /// One symbol is left over after the groups of four.
    #[error("Invalid input length: {0}")]
    Length(usize),
    /// The text ends where one or two `=` are due.
    #[error("Invalid padding")]
    Padding,
}

impl Base64Error {
    /// Names the fault of a text that is known not to decode: the first one from the left, except that a stray last
    /// byte (mostly a line break) is named before anything else.
    fn locate(text: &[u8]) -> Self {
        if let (1, Some(&symbol)) = (text.len() % 4, text.last())
            && symbol != b'='
            && !is_symbol(symbol)
        {
            return Self::Symbol { symbol, offset: text.len() - 1 };
        }
        let symbols = text.iter().position(|&byte| !is_symbol(byte)).unwrap_or(text.len());
        if let Some(&symbol) = text.get(symbols) {
            // Padding stands only behind the second or third symbol of a group, and only at the very end.
            let padding = &text[symbols..];
            let due = 4 - symbols % 4;
            if due > 2 || padding.len() > due || padding.iter().any(|&byte| byte != b'=') {
                return Self::Symbol { symbol, offset: symbols };
            }
        }
        match (text.len() % 4, symbols.checked_sub(1)) {
            (1, _) => Self::Length(text.len()),
            (0, Some(offset)) => Self::LastSymbol { symbol: text[offset], offset },
            _ => Self::Padding,
        }
    }
}

/// Whether a byte belongs to the alphabet.
fn is_symbol(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

impl Serialize for Base64Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.encode())
    }
}

impl<'de> Deserialize<'de> for Base64Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text)?.map_err(de::Error::custom)
    }
}

/// Decodes straight from the parser's own view of the string, borrowed or not.
struct Text;

impl Visitor<'_> for Text {
    type Value = Result<Base64Bytes, Base64Error>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Base64Bytes::decode(text))
    }
}

/// For a field whose bad base64 is the method's to report, not the decoder's: `#[serde(with = "late")]` on a
/// `Result<Base64Bytes, Base64Error>`.
pub mod late {
    use serde::de::Deserializer;
    use serde::ser::{Error as _, Serialize as _, Serializer};

    use super::{Base64Bytes, Base64Error, Text};

    /// Takes any string.
    ///
    /// # Errors
    /// Only if it is no string at all.
    pub fn deserialize<'de, D>(deserializer: D) -> Result<Result<Base64Bytes, Base64Error>, D::Error>
    where
        D: Deserializer<'de>,
    {
        deserializer.deserialize_str(Text)
    }

    /// Writes the bytes.
    ///
    /// # Errors
    /// If there are none, which only happens to values that were decoded before.
    pub fn serialize<S>(data: &Result<Base64Bytes, Base64Error>, serializer: S) -> Result<S::Ok, S::Error>
    where
        S: Serializer,
    {
        data.as_ref().map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl JsonSchema for Base64Bytes {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Base64Bytes".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "contentEncoding": "base64" })
    }
}

/// Long payloads would drown a log line, so only their beginning is shown.
impl fmt::Debug for Base64Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 64;
        let head = &self.0[..self.0.len().min(SHOWN)];
        write!(f, "b\"{}\"", head.escape_ascii())?;
        match self.0.len() - head.len() {
            0 => Ok(()),
            more => write!(f, "+{more} bytes"),
        }
    }
}

impl Deref for Base64Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Base64Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Bytes> for Base64Bytes {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl From<Vec<u8>> for Base64Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Bytes::from(bytes))
    }
}

impl From<&'static [u8]> for Base64Bytes {
    fn from(bytes: &'static [u8]) -> Self {
        Self(Bytes::from_static(bytes))
    }
}

impl From<Base64Bytes> for Bytes {
    fn from(bytes: Base64Bytes) -> Self {
        bytes.0
    }
}

#[cfg(test)]
#[path = "bytes_tests.rs"]
mod tests;
