//! The decoder against another implementation's encoder, and against peers that break the rules.

use proptest::prelude::*;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;

use super::*;
use crate::limits::WireLimits;

fn limits(frame_bytes: usize, message_bytes: usize) -> WireLimits {
    WireLimits { frame_bytes, message_bytes, ..WireLimits::default() }
}

/// A frame as a client would send it, encoded by the library.
fn frame(opcode: OpCode, is_final: bool, payload: &[u8]) -> Vec<u8> {
    let header =
        FrameHeader { opcode, is_final, mask: Some([0x11, 0x22, 0x33, 0x44]), ..FrameHeader::default() };
    let mut bytes = Vec::new();
    Frame::from_payload(header, Bytes::copy_from_slice(payload)).format(&mut bytes).unwrap();
    bytes
}

fn text(payload: &str) -> Vec<u8> {
    frame(OpCode::Data(Data::Text), /*is_final*/ true, payload.as_bytes())
}

/// Everything that comes out of `bytes` when they arrive at once.
fn decode(bytes: &[u8], limits: &WireLimits) -> Result<Vec<Incoming>, ReadError> {
    decode_pieces(&[bytes], limits)
}

fn decode_pieces(pieces: &[&[u8]], limits: &WireLimits) -> Result<Vec<Incoming>, ReadError> {
    let mut decoder = Decoder::new(Role::Server, limits);
    let mut buffer = BytesMut::new();
    let mut all = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        while let Some(incoming) = decoder.decode(&mut buffer)? {
            all.push(incoming);
        }
    }
    Ok(all)
}

fn message(kind: MessageKind, bytes: &[u8]) -> Incoming {
    Incoming::Message(Received { kind, bytes: Bytes::copy_from_slice(bytes) })
}

/// A message in fragments, with pings in between.
fn any_message() -> impl Strategy<Value = (bool, Vec<Vec<u8>>)> {
    let fragment = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..20),
        prop::collection::vec(any::<u8>(), 120..130),
        (65_530..65_540_usize).prop_map(|size| vec![b'x'; size]),
    ];
    (any::<bool>(), prop::collection::vec(fragment, 1..4))
}

proptest! {
    #[test]
    fn any_split_of_the_byte_stream_yields_the_same_messages(
        messages in prop::collection::vec(any_message(), 0..4),
        mut cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        for (is_text, fragments) in &messages {
            let (kind, data) =
                if *is_text { (MessageKind::Text, Data::Text) } else { (MessageKind::Binary, Data::Binary) };
            for (at, fragment) in fragments.iter().enumerate() {
                if at > 0 {
                    bytes.extend(frame(OpCode::Control(Control::Ping), /*is_final*/ true, b"between"));
                    expected.push(Incoming::Ping(Bytes::from_static(b"between")));
                }
                let opcode = OpCode::Data(if at == 0 { data } else { Data::Continue });
                bytes.extend(frame(opcode, at + 1 == fragments.len(), fragment));
            }
            expected.push(message(kind, &fragments.concat()));
        }
        cuts.sort_by_key(|cut| cut.index(bytes.len() + 1));
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in &cuts {
            let to = cut.index(bytes.len() + 1);
            pieces.push(&bytes[from..to]);
            from = to;
        }
        pieces.push(&bytes[from..]);
        prop_assert!(decode_pieces(&pieces, &WireLimits::default()).unwrap() == expected);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        let _ = decode(&bytes, &WireLimits::default());
    }
}

#[test]
fn text_that_is_not_utf_8_arrives_as_it_is() {
    let bytes = frame(OpCode::Data(Data::Text), /*is_final*/ true, b"\xff\xfe");
    assert_eq!(decode(&bytes, &WireLimits::default()).unwrap(), [message(MessageKind::Text, b"\xff\xfe")]);
}

#[test]
fn a_frame_of_the_limit_passes_and_one_byte_more_is_refused_by_its_header_alone() {
    let limits = limits(/*frame_bytes*/ 1000, /*message_bytes*/ 5000);
    let fits = frame(OpCode::Data(Data::Binary), /*is_final*/ true, &[7; 1000]);
    assert_eq!(decode(&fits, &limits).unwrap(), [message(MessageKind::Binary, &[7; 1000])]);
    let too_big = frame(OpCode::Data(Data::Binary), /*is_final*/ true, &[7; 1001]);
    let error = decode(&too_big[..8], &limits).unwrap_err();
    assert!(matches!(error, ReadError::FrameTooBig { frame_bytes: 1001, limit_bytes: 1000 }), "{error}");
    let reason = error.close_reason().unwrap();
    assert_eq!(reason.code, 1009);
    assert!(reason.reason.contains("the limit of 1000 bytes"), "{}", reason.reason);
}

#[test]
fn fragments_of_the_limit_pass_and_one_byte_more_is_refused() {
    let limits = limits(/*frame_bytes*/ 1000, /*message_bytes*/ 1500);
    let first = frame(OpCode::Data(Data::Binary), /*is_final*/ false, &[1; 1000]);
    let rest = frame(OpCode::Data(Data::Continue), /*is_final*/ true, &[2; 500]);
    let fits = [first.clone(), rest].concat();
    assert_eq!(
        decode(&fits, &limits).unwrap(),
        [message(MessageKind::Binary, &[vec![1; 1000], vec![2; 500]].concat())]
    );
    let too_big = [first, frame(OpCode::Data(Data::Continue), /*is_final*/ true, &[2; 501])].concat();
    let error = decode(&too_big, &limits).unwrap_err();
    assert!(matches!(error, ReadError::MessageTooBig { limit_bytes: 1500 }), "{error}");
}

#[test]
fn every_broken_rule_has_its_name_and_its_close_code() {
    let header = |first: u8, second: u8| vec![first, second, 0, 0, 0, 0];
    let start = frame(OpCode::Data(Data::Text), /*is_final*/ false, b"a");
    let cases: Vec<(Vec<u8>, Violation, u16)> = vec![
        (header(/*first*/ 0x83, /*second*/ 0x80), Violation::Header(invalid_opcode(/*code*/ 3)), 1002),
        (header(/*first*/ 0x8b, /*second*/ 0x80), Violation::Header(invalid_opcode(/*code*/ 11)), 1002),
        (header(/*first*/ 0xc1, /*second*/ 0x80), Violation::ReservedBits, 1002),
        (header(/*first*/ 0x81, /*second*/ 0x00), Violation::Unmasked, 1002),
        (header(/*first*/ 0x09, /*second*/ 0x80), Violation::FragmentedControl, 1002),
        (frame(OpCode::Control(Control::Ping), /*is_final*/ true, &[0; 126]), Violation::ControlTooBig, 1002),
        (
            frame(OpCode::Data(Data::Continue), /*is_final*/ true, b"a"),
            Violation::UnexpectedContinuation,
            1002,
        ),
        ([start, text("b")].concat(), Violation::InterruptedMessage, 1002),
        (frame(OpCode::Control(Control::Close), /*is_final*/ true, b"\x03"), Violation::CloseCode, 1002),
        (frame(OpCode::Control(Control::Close), /*is_final*/ true, b"\x03\xed"), Violation::CloseCode, 1002),
        (
            frame(OpCode::Control(Control::Close), /*is_final*/ true, b"\x03\xe8\xff"),
            Violation::CloseReasonNotUtf8,
            1007,
        ),
    ];
    for (bytes, expected, code) in cases {
        let error = decode(&bytes, &WireLimits::default()).unwrap_err();
        assert_eq!(error.close_reason().unwrap().code, code, "{error}");
        match error {
            ReadError::Protocol(violation) => assert_eq!(violation, expected),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_client_refuses_masked_frames() {
    let mut decoder = Decoder::new(Role::Client, &WireLimits::default());
    let error = decoder.decode(&mut BytesMut::from(&text("a")[..])).unwrap_err();
    assert!(matches!(error, ReadError::Protocol(Violation::Masked)), "{error}");
}

#[test]
fn room_is_made_as_the_payload_arrives_not_as_it_is_announced() {
    let mut decoder = Decoder::new(Role::Server, &WireLimits::default());
    let announced = frame(OpCode::Data(Data::Binary), /*is_final*/ true, &vec![0; 10 * 1024 * 1024]);
    let mut buffer = BytesMut::from(&announced[..14]);
    assert_eq!(decoder.decode(&mut buffer).unwrap(), None);
    assert_eq!(decoder.wants(&buffer), RESERVE_BYTES);
    buffer.extend_from_slice(&announced[14..14 + 4 * 1024 * 1024]);
    assert_eq!(decoder.wants(&buffer), 4 * 1024 * 1024);
}

fn invalid_opcode(code: u8) -> tungstenite::error::ProtocolError {
    tungstenite::error::ProtocolError::InvalidOpcode(code)
}
