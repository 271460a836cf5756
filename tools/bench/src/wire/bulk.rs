//! Reads an output notification without building JSON: where the chunk is, how many bytes it stands for, its
//! number. At gigabytes a second a JSON tree on this side would be what is measured. In binary form all of that stands in a
//! header.

use memchr::{memchr, memmem};

/// The chunk begins within this many bytes of a notification; ids and names before it are short.
const HEAD_BYTES: usize = 4096;

/// One `process/output`, as far as counting needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutputChunk {
    pub(crate) seq: u64,
    /// Bytes after decoding.
    pub(crate) bytes: u64,
}

/// Length of the header of a binary message, and the kind that is output.
const BINARY_HEADER_BYTES: usize = 24;
const BINARY_OUTPUT: u8 = 1;

/// `None` for any other message, and for output in an unusual spelling (such as blanks between members),
/// which the caller can still decode in full.
pub(crate) fn scan_output(payload: &[u8]) -> Option<OutputChunk> {
    // No JSON begins with this byte.
    if payload.first() == Some(&BINARY_OUTPUT) {
        return scan_binary(payload);
    }
    const MARK: &[u8] = br#""chunk":""#;
    let start = memmem::find(&payload[..payload.len().min(HEAD_BYTES)], MARK)? + MARK.len();
    // Base64 holds neither a quote nor an escape, so the first quote ends it.
    let end = start + memchr(b'"', &payload[start..])?;
    let (head, chunk, tail) = (&payload[..start], &payload[start..end], &payload[end..]);
    let method = br#""method":"process/output""#;
    if memmem::find(head, method).or_else(|| memmem::find(tail, method)).is_none() || chunk.len() % 4 != 0 {
        return None;
    }
    let padding = chunk.iter().rev().take(2).take_while(|&&byte| byte == b'=').count();
    let bytes = (chunk.len() / 4 * 3).checked_sub(padding)?;
    Some(OutputChunk { seq: seq(head).or_else(|| seq(tail))?, bytes: bytes as u64 })
}

/// Little-endian: kind, detail, length of the name (2 bytes), of the output (4), number (8), offset (8); name; output.
fn scan_binary(message: &[u8]) -> Option<OutputChunk> {
    let name = u16::from_le_bytes(*message.get(2..)?.first_chunk()?);
    let bytes = u32::from_le_bytes(*message.get(4..)?.first_chunk()?);
    let seq = u64::from_le_bytes(*message.get(8..)?.first_chunk()?);
    let whole = BINARY_HEADER_BYTES + usize::from(name) + bytes as usize == message.len();
    whole.then_some(OutputChunk { seq, bytes: u64::from(bytes) })
}

/// Whether a notification is about `process`: its id is looked for where notifications have it, before anything long.
pub(crate) fn is_about(payload: &[u8], process: &str) -> bool {
    let mark = format!(r#""processId":"{process}""#);
    memmem::find(&payload[..payload.len().min(HEAD_BYTES)], mark.as_bytes()).is_some()
}

fn seq(members: &[u8]) -> Option<u64> {
    const MARK: &[u8] = br#""seq":"#;
    let start = memmem::find(members, MARK)? + MARK.len();
    let digits = members[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&members[start..start + digits]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_count_the_same_before_and_after_the_chunk() {
        let usual = br#"{"method":"process/output","params":{"processId":"p","seq":12,"stream":"stdout","chunk":"YWJj"}}"#;
        let other =
            br#"{"params":{"chunk":"YWJj","offset":7,"seq":12,"stream":"stdout"},"method":"process/output"}"#;
        for payload in [&usual[..], other] {
            assert_eq!(scan_output(payload), Some(OutputChunk { seq: 12, bytes: 3 }));
        }
    }

    #[test]
    fn a_notification_is_about_the_process_that_it_names() {
        let payload = br#"{"method":"process/output","params":{"processId":"p","seq":12,"chunk":"cXE="}}"#;
        assert!(is_about(payload, "p"));
        assert!(!is_about(payload, "q"));
    }

    #[test]
    fn binary_output_counts_what_its_header_says() {
        let mut message = vec![1, 0, 3, 0, 3, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        message.extend_from_slice(b"p-1hi\n");
        assert_eq!(scan_output(&message), Some(OutputChunk { seq: 513, bytes: 3 }));
        // Cut short, or longer than it says.
        assert_eq!(scan_output(&message[..message.len() - 1]), None);
        message.push(b'!');
        assert_eq!(scan_output(&message), None);
        assert_eq!(scan_output(&message[..5]), None);
    }

    #[test]
    fn padding_is_not_counted() {
        for (chunk, bytes) in [("", 0), ("YQ==", 1), ("YWI=", 2), ("YWJj", 3), ("YWJjZA==", 4)] {
            let payload = format!(r#"{{"method":"process/output","params":{{"seq":1,"chunk":"{chunk}"}}}}"#);
            assert_eq!(scan_output(payload.as_bytes()), Some(OutputChunk { seq: 1, bytes }), "{chunk}");
        }
    }

    #[test]
    fn other_messages_are_left_to_the_full_decoder() {
        for payload in [
            &br#"{"method":"process/closed","params":{"processId":"p","seq":3}}"#[..],
            br#"{"id":1,"result":{"chunks":[{"seq":1,"stream":"stdout","chunk":"YWJj"}]}}"#,
            br#"{"method":"process/output","params":{"seq":1,"chunk":"YWJ"}}"#,
            br#"{"method":"process/output","params":{"seq":1,"chunk":"YWJj"#,
            b"",
        ] {
            assert_eq!(scan_output(payload), None, "{}", String::from_utf8_lossy(payload));
        }
    }
}
