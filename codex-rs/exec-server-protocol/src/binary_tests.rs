use proptest::prelude::*;

use super::*;

fn message(head: &Head<'_>, payload: &[u8]) -> Bytes {
    let mut message = head.encode(payload.len()).expect("it fits");
    message.extend_from_slice(payload);
    message.into()
}

fn output(process_id: &ProcessId, payload: &[u8]) -> Bytes {
    let (seq, stream) = (Seq(7), OutputStream::Stderr);
    message(&Head::Output { process_id, seq, stream, offset: 1 << 40 }, payload)
}

#[test]
fn the_header_is_laid_out_as_documented() {
    let bytes = output(&"p-1".into(), b"hi");
    let expected = [
        &[1, 1][..],               // Output, stderr.
        &[3, 0],                   // Length of the name.
        &[2, 0, 0, 0],             // Length of the payload.
        &[7, 0, 0, 0, 0, 0, 0, 0], // Seq.
        &[0, 0, 0, 0, 0, 1, 0, 0], // Offset.
        b"p-1hi",
    ];
    assert_eq!(bytes, expected.concat());
}

#[test]
fn a_message_cut_short_anywhere_is_noticed() {
    let whole = output(&"process".into(), b"payload");
    for bytes in 0..whole.len() {
        let error = BinaryMessage::decode(&whole.slice(..bytes)).expect_err("it is cut short");
        let expected = if bytes < HEADER_BYTES {
            BinaryError::Header { bytes }
        } else {
            BinaryError::Length { bytes, announced: whole.len() as u64 }
        };
        assert_eq!(error, expected);
    }
    let longer = Bytes::from([&whole[..], b"x"].concat());
    let (bytes, announced) = (whole.len() + 1, whole.len() as u64);
    assert_eq!(BinaryMessage::decode(&longer), Err(BinaryError::Length { bytes, announced }));
}

#[test]
fn the_largest_announced_payload_of_a_short_message_is_no_reason_to_overflow() {
    let mut bytes = vec![1; HEADER_BYTES];
    bytes[2..].fill(0xff);
    let announced = (HEADER_BYTES + 0xffff) as u64 + u64::from(u32::MAX);
    let error = BinaryError::Length { bytes: HEADER_BYTES, announced };
    assert_eq!(BinaryMessage::decode(&bytes.into()), Err(error));
}

#[test]
fn what_the_header_has_no_room_for_goes_otherwise() {
    let long = ProcessId::from("x".repeat(1 << 16));
    let head = Head::Output { process_id: &long, seq: Seq(1), stream: OutputStream::Pty, offset: 0 };
    assert_eq!(head.encode(/*payload_bytes*/ 1), None);
    let id = RequestId::Integer(1);
    let head = Head::Block { id: &id, offset: 0, eof: false };
    assert_eq!(head.encode(u32::MAX as usize + 1), None);
}

#[test]
fn no_kind_can_be_mistaken_for_json() {
    assert!(BinaryMessage::is_one(&output(&"p".into(), b"")));
    for json in ["{}", " {}", "\t{}", "\r\n{}", "\n{}", "[]", ""] {
        assert!(!BinaryMessage::is_one(json.as_bytes()), "{json:?}");
    }
}

fn request_id() -> impl Strategy<Value = RequestId> {
    prop_oneof![any::<i64>().prop_map(RequestId::Integer), any::<String>().prop_map(RequestId::String)]
}

proptest! {
    #[test]
    fn any_output_comes_out_as_it_went_in(
        name in any::<String>(),
        seq: u64,
        stream in prop_oneof![Just(OutputStream::Stdout), Just(OutputStream::Stderr), Just(OutputStream::Pty)],
        offset: u64,
        payload: Vec<u8>,
    ) {
        let process_id = ProcessId::from(name);
        let bytes = message(&Head::Output { process_id: &process_id, seq: Seq(seq), stream, offset }, &payload);
        prop_assert!(BinaryMessage::is_one(&bytes));
        let (seq, chunk, offset) = (Seq(seq), payload.into(), Some(offset));
        let expected = ProcessOutputNotification { process_id, seq, stream, chunk, offset };
        prop_assert_eq!(BinaryMessage::decode(&bytes), Ok(BinaryMessage::Output(expected)));
    }

    #[test]
    fn any_piece_of_a_body_comes_out_as_it_went_in(
        name: String, seq: u64, offset: u64, done: bool, payload: Vec<u8>,
    ) {
        let request_id = HttpRequestId(name);
        let bytes = message(&Head::Body { request_id: &request_id, seq, offset, done }, &payload);
        let delta_base64 = payload.into();
        let delta = HttpBodyDeltaNotification { request_id, seq, delta_base64, done, error: None, cause: None };
        prop_assert_eq!(BinaryMessage::decode(&bytes), Ok(BinaryMessage::Body { offset, delta }));
    }

    #[test]
    fn any_block_comes_out_as_it_went_in(id in request_id(), offset: u64, eof: bool, payload: Vec<u8>) {
        let bytes = message(&Head::Block { id: &id, offset, eof }, &payload);
        let response = FsReadBlockResponse { chunk: payload.into(), eof };
        prop_assert_eq!(BinaryMessage::decode(&bytes), Ok(BinaryMessage::Block { id, offset, response }));
    }

    #[test]
    fn any_range_comes_out_as_it_went_in(
        id in request_id(), offset: u64, eof: bool, size: u64, etag: String, payload: Vec<u8>,
    ) {
        let bytes = message(&Head::Range { id: &id, offset, eof, size, etag: &etag }, &payload);
        let response = FsReadRangeResponse { data_base64: payload.into(), eof, size, etag };
        prop_assert_eq!(BinaryMessage::decode(&bytes), Ok(BinaryMessage::Range { id, offset, response }));
    }

    #[test]
    fn whatever_comes_is_understood_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Some(kind) = bytes.first_mut() {
            *kind %= 7;
        }
        let _ = BinaryMessage::decode(&bytes.into());
    }
}
