//! Answers whose bulk is bytes, put together as JSON text without a second copy of them.
//!
//! The base64 member comes first and the others follow. Equal, byte for byte, to what
//! [`encode_result`](crate::rpc::encode_result) makes of the same answer.

use serde::Serialize;

use base64_simd::STANDARD;
use smallvec::SmallVec;

use crate::bytes::encoded_len;
use crate::rpc::{RequestId, begin_result};

/// What stands for one group of base64.
const GROUP_BYTES: usize = 3;

/// An answer that is being put together. Its bytes may come in pieces of any length.
#[derive(Debug)]
pub struct BytesResult {
    text: String,
    /// Bytes that do not fill a group yet.
    rest: SmallVec<[u8; GROUP_BYTES]>,
}

impl BytesResult {
    /// The answer to `id`, whose first member is called `member` and has about `expected` bytes.
    #[must_use]
    pub fn begin(id: &RequestId, member: &'static str, expected: usize) -> Self {
        Self::begin_in(Vec::new(), id, member, expected)
    }

    /// The same, in `memory`, whose content is forgotten.
    #[must_use]
    pub fn begin_in(mut memory: Vec<u8>, id: &RequestId, member: &'static str, expected: usize) -> Self {
        memory.clear();
        let mut text = String::from_utf8(memory).expect("it is empty");
        text.reserve_exact(member.len() + encoded_len(expected) + 96);
        begin_result(&mut text, id);
        for part in [r#"{""#, member, r#"":""#] {
            text.push_str(part);
        }
        Self { text, rest: SmallVec::new() }
    }

    /// Adds bytes.
    pub fn push(&mut self, mut bytes: &[u8]) {
        if !self.rest.is_empty() {
            let missing = (GROUP_BYTES - self.rest.len()).min(bytes.len());
            self.rest.extend_from_slice(&bytes[..missing]);
            bytes = &bytes[missing..];
            if self.rest.len() == GROUP_BYTES {
                STANDARD.encode_append(&self.rest, &mut self.text);
                self.rest.clear();
            }
        }
        let whole = bytes.len() - bytes.len() % GROUP_BYTES;
        STANDARD.encode_append(&bytes[..whole], &mut self.text);
        self.rest.extend_from_slice(&bytes[whole..]);
    }

    /// The whole message, with further members of the result, each with its name.
    #[must_use]
    pub fn finish(mut self, members: &[(&'static str, &dyn Json)]) -> String {
        STANDARD.encode_append(&self.rest, &mut self.text);
        self.text.push('"');
        for (name, value) in members {
            for part in [r#",""#, name, r#"":"#, &value.json()] {
                self.text.push_str(part);
            }
        }
        self.text.push_str("}}");
        self.text
    }
}

/// What can be written as JSON: so that values of different types stand in one list.
pub trait Json {
    /// The value as JSON text.
    fn json(&self) -> String;
}

impl<T: Serialize> Json for T {
    fn json(&self) -> String {
        serde_json::to_string(self).expect("wire types always serialize")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fs::{FsReadBlockResponse, FsReadFileResponse, FsReadRangeResponse};
    use crate::rpc::encode_result;

    proptest! {
        #[test]
        fn any_pieces_make_the_text_that_the_whole_would(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..9), 0..6)) {
            let id = RequestId::String("a\"b".into());
            let whole = pieces.concat();
            let mut result = BytesResult::begin(&id, "dataBase64", /*expected*/ 0);
            for piece in &pieces {
                result.push(piece);
            }
            let answer = FsReadFileResponse { data_base64: whole.into() };
            prop_assert_eq!(result.finish(&[]), encode_result(&id, &answer));
        }
    }

    #[test]
    fn other_members_follow_as_they_do_in_the_type() {
        let id = RequestId::Integer(7);
        let block = FsReadBlockResponse { chunk: b"abcd".to_vec().into(), eof: true };
        let mut result = BytesResult::begin(&id, "chunk", block.chunk.len());
        result.push(&block.chunk);
        assert_eq!(result.finish(&[("eof", &block.eof)]), encode_result(&id, &block));

        let range =
            FsReadRangeResponse { data_base64: b"a".to_vec().into(), eof: false, size: 9, etag: "\"".into() };
        let mut result = BytesResult::begin(&id, "dataBase64", range.data_base64.len());
        result.push(&range.data_base64);
        let text = result.finish(&[("eof", &range.eof), ("size", &range.size), ("etag", &range.etag)]);
        assert_eq!(text, encode_result(&id, &range));
    }
}
