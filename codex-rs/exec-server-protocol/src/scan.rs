//! Bounds of one JSON message, checked in a single pass before anything is decoded: how many values it holds, how
//! deep they nest, and whether an object repeats a key. Grammar is left to the JSON parser that runs afterwards.
//!
//! The pass exists because the parser alone would accept a message that costs far more memory than its length, and
//! would let the last of two equal keys win in silence.

use std::borrow::Cow;
use std::collections::HashSet;

use smallvec::SmallVec;

/// JSON values per message, counting every object, array and scalar: the reference peer's bound.
pub const MAX_VALUES: usize = 262_144;
/// Containers that may be open at once: the depth at which the reference peer's parser gives up.
pub const MAX_DEPTH: usize = 127;

/// Up to this many keys of one object are compared one by one; beyond it they are hashed.
const LINEAR_KEYS: usize = 16;
/// Most objects have no more keys, and most messages are no deeper: no memory is asked for.
const FEW_KEYS: usize = 4;
const LITTLE_DEPTH: usize = 3;

/// A message that is refused before it is decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// More than [`MAX_VALUES`] values.
    #[error("JSON-RPC message exceeds the limit of {MAX_VALUES} JSON values")]
    TooManyValues,
    /// More than [`MAX_DEPTH`] containers inside each other.
    #[error("recursion limit exceeded: message nests deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// One object names a key twice, however it is spelled. Holds the key.
    #[error("duplicate JSON object key `{0}`")]
    DuplicateKey(String),
    /// A string has an escape that stands for no character. Holds the JSON parser's words.
    #[error("{0}")]
    Escape(String),
}

/// Keys that one open object has shown so far.
enum Keys<'a> {
    Few(SmallVec<[Cow<'a, [u8]>; FEW_KEYS]>),
    Many(HashSet<Cow<'a, [u8]>>),
}

impl<'a> Keys<'a> {
    fn insert(&mut self, key: Cow<'a, [u8]>) -> bool {
        match self {
            Self::Few(keys) => {
                if keys.contains(&key) {
                    return false;
                }
                keys.push(key);
                if keys.len() > LINEAR_KEYS {
                    *self = Self::Many(keys.drain(..).collect());
                }
                true
            }
            Self::Many(keys) => keys.insert(key),
        }
    }
}

/// Checks the bounds of `message`. Input that is not JSON may pass: the parser that follows refuses it.
///
/// Strings with `\u` escapes are decoded here, because the parser does not look into members that nobody reads.
pub fn scan(message: &[u8]) -> Result<(), ScanError> {
    let mut open: SmallVec<[Option<Keys<'_>>; LITTLE_DEPTH]> = SmallVec::new();
    let mut values = 0_usize;
    let mut at = 0;
    while let Some(&byte) = message.get(at) {
        match byte {
            b'{' | b'[' => {
                values += 1;
                if open.len() == MAX_DEPTH {
                    return Err(ScanError::TooDeep);
                }
                open.push((byte == b'{').then(|| Keys::Few(SmallVec::new())));
                at += 1;
            }
            b'}' | b']' => {
                open.pop();
                at += 1;
            }
            b'"' => {
                let Text { end, escaped } = end_of_string(message, at + 1);
                let decoded = escaped.then(|| decode(&message[at..end])).transpose()?;
                let after = end + message.get(end..).map_or(0, leading_space);
                if message.get(after) == Some(&b':') {
                    let spelled = message.get(at + 1..end - 1).unwrap_or_default();
                    let key = decoded.map_or(Cow::Borrowed(spelled), |text| Cow::Owned(text.into_bytes()));
                    if let Some(Some(keys)) = open.last_mut()
                        && !keys.insert(key.clone())
                    {
                        return Err(ScanError::DuplicateKey(String::from_utf8_lossy(&key).into_owned()));
                    }
                } else {
                    values += 1;
                }
                at = after;
            }
            b',' | b':' | b' ' | b'\t' | b'\r' | b'\n' => at += 1,
            _ => {
                values += 1;
                at += message[at..]
                    .iter()
                    .position(|b| b",:{}[]\" \t\r\n".contains(b))
                    .unwrap_or(message.len() - at);
            }
        }
        if values > MAX_VALUES {
            return Err(ScanError::TooManyValues);
        }
    }
    Ok(())
}

/// A string in a message.
struct Text {
    /// The index after its closing quote; the message's end if there is none.
    end: usize,
    /// Whether it has `\u` escapes.
    escaped: bool,
}

/// Finds the end of the string whose first byte is at `from`.
fn end_of_string(message: &[u8], mut from: usize) -> Text {
    let mut escaped = false;
    while let Some(found) = message.get(from..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        from += found;
        if message[from] == b'"' {
            return Text { end: from + 1, escaped };
        }
        escaped |= message.get(from + 1) == Some(&b'u');
        from += 2; // A backslash and what it escapes; the digits of \uXXXX hold neither quote nor backslash.
    }
    Text { end: message.len(), escaped }
}

fn decode(text: &[u8]) -> Result<String, ScanError> {
    serde_json::from_slice(text).map_err(|error| ScanError::Escape(error.to_string()))
}

fn leading_space(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_key_may_return_in_another_object_but_not_in_its_own() {
        assert_eq!(scan(br#"{"a":{"a":[{"a":1},{"a":2}]}}"#), Ok(()));
        assert_eq!(scan(br#"{"x":{"a":1,"b":"a","a" : 2}}"#), Err(ScanError::DuplicateKey("a".into())));
        assert_eq!(scan(br#"{"a":1,"\u0061":2}"#), Err(ScanError::DuplicateKey("a".into())));
        let many: String = (0..100).map(|n| format!("\"k{n}\":0,")).collect();
        assert_eq!(scan(format!("{{{many}\"z\":1}}").as_bytes()), Ok(()));
        assert_eq!(scan(format!("{{{many}\"k7\":1}}").as_bytes()), Err(ScanError::DuplicateKey("k7".into())));
    }

    #[test]
    fn the_bounds_hold_exactly() {
        let list = |n: usize| format!("[{}]", vec!["0"; n - 1].join(","));
        assert_eq!(scan(list(MAX_VALUES).as_bytes()), Ok(()));
        assert_eq!(scan(list(MAX_VALUES + 1).as_bytes()), Err(ScanError::TooManyValues));
        let nest = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert_eq!(scan(nest(MAX_DEPTH).as_bytes()), Ok(()));
        assert_eq!(scan(nest(MAX_DEPTH + 1).as_bytes()), Err(ScanError::TooDeep));
        assert_eq!(scan("[".repeat(100_000).as_bytes()), Err(ScanError::TooDeep));
    }

    #[test]
    fn an_escape_that_stands_for_nothing_is_refused_wherever_it_is() {
        assert!(matches!(scan(br#"{"ignored":"\ud800"}"#), Err(ScanError::Escape(_))));
        assert_eq!(scan(br#"{"fine":"\ud83d\ude00"}"#), Ok(()));
    }

    fn count(value: &Value) -> usize {
        1 + match value {
            Value::Array(items) => items.iter().map(count).sum(),
            Value::Object(members) => members.values().map(count).sum(),
            _ => 0,
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "(?s).{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 64, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::hash_map("(?s).{0,6}", inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        // Each case fills a message up to the bound, twice.
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn any_json_passes_and_is_counted_as_the_parser_would(value in json(), pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            prop_assert_eq!(scan(text.as_bytes()), Ok(()));
            // Padding up to the bound turns the count into something the public function reveals.
            let room = MAX_VALUES - 1 - count(&value);
            let padded = |n: usize| format!("[{text}{}]", ",0".repeat(n));
            prop_assert_eq!(scan(padded(room).as_bytes()), Ok(()));
            prop_assert_eq!(scan(padded(room + 1).as_bytes()), Err(ScanError::TooManyValues));
        }

    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'"'), Just(b'\\'), Just(b'{')], 0..64)) {
            let _ = scan(&bytes);
        }
    }
}
