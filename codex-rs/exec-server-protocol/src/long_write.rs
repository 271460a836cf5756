//! The one request that may be as long as a message can be, `fs/writeFile`, taken apart without going over its text again and
//! again.
//!
//! A parser looks for the end of a text as part of the message, again as part of the parameters, and once more for what is in
//! it; then the content takes new memory. Here the content is decoded where it lies. What a message says stays the business of
//! the ordinary parser: it is given the same message with a short text in the place of the long one. Whatever is unusual in any
//! way is left as it came, for the parser to understand, or to refuse in its own words.

use bytes::BytesMut;
use memchr::memmem;

use crate::bytes::Base64Bytes;
use crate::fs::FsWriteFileParams;
use crate::methods::ClientRequest;
use crate::rpc::{Incoming, RequestId};

/// A message below this is no trouble for the parser.
pub const LONG_MESSAGE_BYTES: usize = 1 << 20;

/// How far from either end of a message the content may begin and end: everything else of the request is short.
const EDGE_BYTES: usize = 64 << 10;

/// Stands for the content while the parser looks at the rest.
const STAND_IN: &[u8] = b"c3RhbmQtaW4h";

/// How much text is decoded at a time: so little that it is still at hand when it is put into its place.
const PIECE_BYTES: usize = 32 << 10;

/// Takes `message` apart, or gives it back unchanged if it is anything but a long and ordinary `fs/writeFile`.
///
/// # Errors
/// The message, for the ordinary parser.
pub fn take(mut message: BytesMut) -> Result<(RequestId, FsWriteFileParams), BytesMut> {
    let Some((id, mut params, text)) = look(&message) else { return Err(message) };
    let Some(len) = decode_in_place(&mut message[text.clone()], PIECE_BYTES) else { return Err(message) };
    let content = message.freeze().slice(text.start..text.start + len);
    params.data_base64 = Ok(Base64Bytes(content));
    Ok((id, params))
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

/// Decodes `text` into its own beginning, and tells how long that is; leaves it alone if it is not base64.
fn decode_in_place(text: &mut [u8], piece_bytes: usize) -> Option<usize> {
    let mut piece = Vec::with_capacity(piece_bytes);
    let (mut from, mut to) = (0, 0);
    while from < text.len() {
        let end = text.len().min(from + piece_bytes);
        piece.clear();
        // Only the last piece may be filled up with padding.
        let is_whole = end == text.len() || text[end - 1] != b'=';
        if !is_whole || base64_simd::STANDARD.decode_append(&text[from..end], &mut piece).is_err() {
            encode_in_place(text, from, piece_bytes);
            return None;
        }
        text[to..to + piece.len()].copy_from_slice(&piece);
        (from, to) = (end, to + piece.len());
    }
    Some(to)
}

/// Undoes [`decode_in_place`] for the first `len` bytes of the text: there is one spelling of each content. From behind, so that
/// nothing is written over that is still to be read.
fn encode_in_place(text: &mut [u8], len: usize, piece_bytes: usize) {
    let decoded_bytes = piece_bytes / 4 * 3;
    for at in (0..len / piece_bytes).rev() {
        let piece =
            base64_simd::STANDARD.encode_to_string(&text[at * decoded_bytes..(at + 1) * decoded_bytes]);
        text[at * piece_bytes..(at + 1) * piece_bytes].copy_from_slice(piece.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rpc::encode_request;

    /// A message whose content is so long that it is long itself.
    fn message(params: &str, text: &str) -> BytesMut {
        let params = params.replace("TEXT", text);
        format!(r#"{{"id":7,"method":"fs/writeFile","params":{params}}}"#).as_bytes().into()
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
            assert_eq!(take(message).ok(), expected, "{params}");
        }
        let id = RequestId::String("seven".into());
        let (_, params) = parsed(&message(r#"{"path":"file:///f","dataBase64":"TEXT"}"#, &text)).unwrap();
        let encoded = encode_request(&id, "fs/writeFile", &params);
        assert_eq!(take(encoded.as_bytes().into()).ok(), Some((id, params)));
    }

    #[test]
    fn whatever_is_unusual_is_given_back_as_it_came() {
        let text = long_text();
        let bad = format!("{text}!");
        let early_end = format!("{}={}", &text[..PIECE_BYTES - 1], &text[PIECE_BYTES..]);
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
            let before = message.clone();
            assert_eq!(take(message), Err(before), "{params}");
        }
    }

    #[test]
    fn another_method_with_such_a_member_is_given_back() {
        let text = long_text();
        let message: BytesMut = format!(
            r#"{{"id":7,"method":"fs/append","params":{{"path":"file:///f","dataBase64":"{text}"}}}}"#
        )
        .as_bytes()
        .into();
        assert_eq!(take(message.clone()), Err(message));
    }

    proptest! {
        #[test]
        fn any_text_is_decoded_as_at_once_or_left_alone(bytes: Vec<u8>, fault in proptest::option::of((any::<usize>(), any::<u8>()))) {
            let mut text = base64_simd::STANDARD.encode_to_string(&bytes).into_bytes();
            if let Some((at, byte)) = fault && !text.is_empty() {
                let at = at % text.len();
                text[at] = byte;
            }
            let before = text.clone();
            let expected = base64_simd::STANDARD.decode_to_vec(&text).ok();
            let len = decode_in_place(&mut text, /*piece_bytes*/ 8);
            prop_assert_eq!(len.map(|len| text[..len].to_vec()), expected);
            if len.is_none() {
                prop_assert_eq!(text, before);
            }
        }
    }
}
