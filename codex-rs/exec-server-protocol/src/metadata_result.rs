//! The answer to `fs/getMetadata`, put together member by member: editors and build tools ask it thousands of times, and to
//! serialize it in the general way takes longer than the kernel takes to answer.

use crate::fs::FsGetMetadataResponse;
use crate::rpc::{RequestId, begin_result, to_json};

/// More than one usually has.
const USUAL_BYTES: usize = 384;

/// The same bytes as [`encode_result`](crate::rpc::encode_result) makes of `found`.
#[must_use]
pub fn encode_metadata_result(id: &RequestId, found: &FsGetMetadataResponse) -> String {
    let FsGetMetadataResponse {
        is_directory,
        is_file,
        is_symlink,
        size,
        created_at_ms,
        modified_at_ms,
        mode,
        uid,
        gid,
        inode,
        etag,
    } = found;
    let mut text = String::with_capacity(USUAL_BYTES);
    begin_result(&mut text, id);
    text.push_str(r#"{"isDirectory":"#);
    text.push_str(boolean(*is_directory));
    text.push_str(r#","isFile":"#);
    text.push_str(boolean(*is_file));
    text.push_str(r#","isSymlink":"#);
    text.push_str(boolean(*is_symlink));
    push_number(&mut text, r#","size":"#, *size);
    push_number(&mut text, r#","createdAtMs":"#, *created_at_ms);
    push_number(&mut text, r#","modifiedAtMs":"#, *modified_at_ms);
    for (name, number) in [(r#","mode":"#, mode), (r#","uid":"#, uid), (r#","gid":"#, gid)] {
        if let Some(number) = number {
            push_number(&mut text, name, *number);
        }
    }
    for (name, told) in [(r#","inode":"#, inode), (r#","etag":"#, etag)] {
        if let Some(told) = told {
            text.push_str(name);
            push_text(&mut text, told);
        }
    }
    text.push_str("}}");
    text
}

const fn boolean(is: bool) -> &'static str {
    if is { "true" } else { "false" }
}

fn push_number(text: &mut String, name: &str, number: impl itoa::Integer) {
    text.push_str(name);
    text.push_str(itoa::Buffer::new().format(number));
}

/// As JSON, which what our own server tells is as it stands.
fn push_text(text: &mut String, told: &str) {
    let bytes = told.as_bytes();
    let is_plain = memchr::memchr2(b'"', b'\\', bytes).is_none() && bytes.iter().all(|byte| *byte >= b' ');
    if is_plain {
        text.push('"');
        text.push_str(told);
        text.push('"');
    } else {
        text.push_str(&to_json(&told));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rpc::encode_result;

    fn id() -> impl Strategy<Value = RequestId> {
        prop_oneof![any::<i64>().prop_map(RequestId::Integer), any::<String>().prop_map(RequestId::String)]
    }

    fn told() -> impl Strategy<Value = Option<String>> {
        prop_oneof![
            Just(None),
            any::<String>().prop_map(Some),
            "[0-9a-f]{1,16}[-:.][0-9a-f]{0,16}".prop_map(Some),
        ]
    }

    proptest! {
        #[test]
        fn it_is_what_serializing_gives(
            id in id(),
            kinds in any::<(bool, bool, bool)>(),
            size in any::<u64>(),
            times in any::<(i64, i64)>(),
            numbers in any::<(Option<u32>, Option<u32>, Option<u32>)>(),
            inode in told(),
            etag in told(),
        ) {
            let found = FsGetMetadataResponse {
                is_directory: kinds.0,
                is_file: kinds.1,
                is_symlink: kinds.2,
                size,
                created_at_ms: times.0,
                modified_at_ms: times.1,
                mode: numbers.0,
                uid: numbers.1,
                gid: numbers.2,
                inode,
                etag,
            };
            prop_assert_eq!(encode_metadata_result(&id, &found), encode_result(&id, &found));
        }
    }
}
