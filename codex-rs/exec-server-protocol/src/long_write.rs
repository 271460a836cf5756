//! The one request that may be as long as a message can be, `fs/writeFile`, taken apart without going over its text again and
//! again.
//!
//! A parser looks for the end of a text as part of the message, again as part of the parameters, and once more for what is in
//! it; then the content takes as much memory again. Here the text is checked in one pass, and decoded where it is written. What a
//! message says stays the business of the ordinary parser: it is given the same message with a short text in the place of the
//! long one. Whatever is unusual in any way is left to it as a whole, to understand it or to refuse it in its own words.

use bytes::Bytes;
use memchr::memmem;

use crate::bytes::{Base64Bytes, Base64Text};
use crate::fs::FsWriteFileParams;
use crate::methods::ClientRequest;
use crate::rpc::{Incoming, RequestId};

/// A message below this is no trouble for the parser.
pub const LONG_MESSAGE_BYTES: usize = 1 << 20;

/// How far from either end of a message the content may begin and end: everything else of the request is short.
const EDGE_BYTES: usize = 64 << 10;

/// Stands for the content while the parser looks at the rest.
const STAND_IN: &[u8] = b"c3RhbmQtaW4h";

/// A request whose content is apart from it.
#[derive(Debug, Clone, PartialEq)]
pub struct LongWrite {
    /// Id of the request.
    pub id: RequestId,
    /// Its parameters, without the content.
    pub params: FsWriteFileParams,
    /// The content.
    pub text: Base64Text,
}

/// Takes `message` apart; `None` if it is anything but a long and ordinary `fs/writeFile`.
#[must_use]
pub fn take(message: &Bytes) -> Option<LongWrite> {
    let (id, mut params, text) = look(message)?;
    let text = Base64Text::new(message.slice(text))?;
    params.data_base64 = Ok(Base64Bytes::default());
    Some(LongWrite { id, params, text })
}

/// The request around the content, and where the base64 of that is. What is in there is not looked at.
fn look(message: &[u8]) -> Option<(RequestId, FsWriteFileParams, std::ops::Range<usize>)> {
    const KEY: &[u8] = br#""dataBase64""#;
    if message.len() < LONG_MESSAGE_BYTES {
        return None;
    }
    let key = memmem::find(&message[..EDGE_BYTES], KEY)?;
    let mut start = key + KEY.len();
    for mark in [b':', b'"'] {
        start +=
            message[start..].iter().take(EDGE_BYTES).take_while(|byte| byte.is_ascii_whitespace()).count();
        (*message.get(start)? == mark).then_some(())?;
        start += 1;
    }
    let tail = message.len() - EDGE_BYTES;
    (start < tail).then_some(())?;
    // No quote belongs to base64: if what is between is that, then this is its end.
    let end = tail + memchr::memchr(b'"', &message[tail..])?;
    let (before, after) = (&message[..start], &message[end..]);
    // Nothing else may be what stands in, however it is spelled.
    for rest in [before, after] {
        if memchr::memchr(b'\\', rest).is_some() || memmem::find(rest, STAND_IN).is_some() {
            return None;
        }
    }
    let short = [before, STAND_IN, after].concat();
    let Ok(Incoming::Request { id, method, params, .. }) = Incoming::parse(&short) else { return None };
    let Ok(ClientRequest::FsWriteFile(params)) = ClientRequest::decode(&method, params) else { return None };
    let stood_in = Base64Bytes::decode(str::from_utf8(STAND_IN).ok()?).ok()?;
    (params.data_base64 == Ok(stood_in)).then_some((id, params, start..end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::encode_request;

    /// A message whose content is so long that it is long itself.
    fn message(params: &str, text: &str) -> Bytes {
        let params = params.replace("TEXT", text);
        format!(r#"{{"id":7,"method":"fs/writeFile","params":{params}}}"#).into()
    }

    fn long_text() -> String {
        base64_simd::STANDARD.encode_to_string(vec![b'x'; LONG_MESSAGE_BYTES])
    }

    /// What the ordinary parser makes of it.
    fn parsed(message: &[u8]) -> Option<(RequestId, FsWriteFileParams)> {
        let Ok(Incoming::Request { id, method, params, .. }) = Incoming::parse(message) else { return None };
        match ClientRequest::decode(&method, params) {
            Ok(ClientRequest::FsWriteFile(params)) => Some((id, params)),
            _ => None,
        }
    }

    /// With its content in its place.
    fn whole(write: LongWrite) -> (RequestId, FsWriteFileParams) {
        let LongWrite { id, params, text } = write;
        (id, FsWriteFileParams { data_base64: Ok(text.decode()), ..params })
    }

    #[test]
    fn a_long_write_is_what_the_parser_would_make_of_it() {
        let text = long_text();
        for params in [
            r#"{"path":"file:///f","dataBase64":"TEXT"}"#,
            r#"{"dataBase64" : "TEXT", "path" : "file:///f", "mode": 384, "ifMatch": ""}"#,
        ] {
            let message = message(params, &text);
            let expected = parsed(&message);
            assert!(expected.is_some(), "{params}");
            assert_eq!(take(&message).map(whole), expected, "{params}");
        }
        let id = RequestId::String("seven".into());
        let (_, params) = parsed(&message(r#"{"path":"file:///f","dataBase64":"TEXT"}"#, &text)).unwrap();
        let encoded = encode_request(&id, "fs/writeFile", &params);
        assert_eq!(take(&encoded.into()).map(whole), Some((id, params)));
    }

    #[test]
    fn whatever_is_unusual_is_left_to_the_parser() {
        let text = long_text();
        let bad = format!("{text}!");
        let early_end = format!("{}={}", &text[..1023], &text[1024..]);
        let line = format!("{text}\n");
        for (params, text) in [
            // Short.
            (r#"{"path":"file:///f","dataBase64":"TEXT"}"#, "eHh4"),
            // No base64, or not only.
            (r#"{"path":"file:///f","dataBase64":"TEXT"}"#, bad.as_str()),
            (r#"{"path":"file:///f","dataBase64":"TEXT"}"#, early_end.as_str()),
            (r#"{"path":"file:///f","dataBase64":"TEXT"}"#, line.as_str()),
            // Elsewhere, with something else in its place.
            (r#"{"x":{"dataBase64":"TEXT"},"path":"file:///f","dataBase64":""}"#, text.as_str()),
            (r#"{"x":{"dataBase64":"TEXT"},"path":"file:///f","dataBase64":"c3RhbmQtaW4h"}"#, text.as_str()),
            (
                r#"{"x":{"dataBase64":"TEXT"},"path":"file:///f","dataBase64":"\u00633RhbmQtaW4h"}"#,
                text.as_str(),
            ),
            (r#"{"x\"dataBase64":"TEXT","path":"file:///f","dataBase64":"c3RhbmQtaW4h"}"#, text.as_str()),
            // Twice, or not whole.
            (r#"{"path":"file:///f","dataBase64":"TEXT","dataBase64":"TEXT"}"#, text.as_str()),
            (r#"{"path":"file:///f","dataBase64":"TEXT""#, text.as_str()),
            (r#"{"dataBase64":"TEXT"}"#, text.as_str()),
        ] {
            let message = message(params, text);
            assert_eq!(take(&message), None, "{params}");
        }
    }

    #[test]
    fn another_method_with_such_a_member_is_left_to_the_parser() {
        let message = message(r#"{"path":"file:///f","dataBase64":"TEXT"}"#, &long_text());
        let text = str::from_utf8(&message).unwrap().replace("fs/writeFile", "fs/append");
        assert_eq!(take(&text.into()), None);
    }
}
