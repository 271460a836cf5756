//! Frames in every cut and size, against literal bytes.

use super::*;

/// An unmasked frame as a server sends it.
fn server_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..126 => frame.push(short as u8),
        medium @ 126..=0xffff => {
            frame.push(126);
            frame.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            frame.push(127);
            frame.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

/// Feeds `bytes` in pieces of at most `piece` and collects every frame.
fn receive(bytes: &[u8], piece: usize) -> Vec<(Opcode, Vec<u8>)> {
    let mut inbox = Inbox::new();
    let mut seen = Vec::new();
    for mut part in bytes.chunks(piece) {
        while !part.is_empty() {
            let room = inbox.room();
            let count = part.len().min(room.len());
            room[..count].copy_from_slice(&part[..count]);
            inbox.filled(count);
            part = &part[count..];
            while let Some(opcode) = inbox.take_frame().expect("the frames are well formed") {
                seen.push((opcode, inbox.payload().to_vec()));
            }
        }
    }
    seen
}

#[test]
fn frames_of_every_length_form_survive_every_cut() {
    let sizes = [0, 1, 125, 126, 65_535, 65_536, 300_000, 700_000];
    let payloads: Vec<Vec<u8>> = sizes.iter().map(|&size| vec![b'x'; size]).collect();
    let bytes: Vec<u8> = payloads.iter().flat_map(|payload| server_frame(/*first*/ 0x81, payload)).collect();
    let expected: Vec<_> = payloads.into_iter().map(|payload| (Opcode::Data, payload)).collect();
    for piece in [7, 4_096, 100_003, usize::MAX] {
        assert!(receive(&bytes, piece) == expected, "pieces of {piece} bytes");
    }
}

#[test]
fn fragments_become_one_message_and_a_ping_may_stand_between_them() {
    let bytes = [
        server_frame(/*first*/ 0x01, b"ab"),
        server_frame(/*first*/ 0x89, b"ping"),
        server_frame(/*first*/ 0x00, b"cd"),
        server_frame(/*first*/ 0x80, b"ef"),
        server_frame(/*first*/ 0x81, b"next"),
    ]
    .concat();
    let expected = [(Opcode::Ping, "ping"), (Opcode::Data, "abcdef"), (Opcode::Data, "next")];
    let seen = receive(&bytes, /*piece*/ 1);
    assert_eq!(seen, expected.map(|(opcode, text)| (opcode, text.as_bytes().to_vec())));
}

#[test]
fn an_empty_message_after_a_fragmented_one_is_empty() {
    let bytes = [
        server_frame(/*first*/ 0x01, b"a"),
        server_frame(/*first*/ 0x80, b"b"),
        server_frame(/*first*/ 0x81, b""),
    ]
    .concat();
    assert_eq!(receive(&bytes, usize::MAX), [(Opcode::Data, b"ab".to_vec()), (Opcode::Data, Vec::new())]);
}

#[test]
fn an_empty_ping_between_fragments_carries_no_payload() {
    let bytes = [
        server_frame(/*first*/ 0x01, b"a"),
        server_frame(/*first*/ 0x89, b""),
        server_frame(/*first*/ 0x80, b"b"),
    ]
    .concat();
    assert_eq!(receive(&bytes, usize::MAX), [(Opcode::Ping, Vec::new()), (Opcode::Data, b"ab".to_vec())]);
}

#[test]
fn a_masked_or_oversized_or_unknown_frame_is_an_error() {
    for bytes in [&[0x81, 0x80, 0, 0, 0, 0][..], &[0x81, 127, 0xff, 0, 0, 0, 0, 0, 0, 0], &[0x83, 0]] {
        let mut inbox = Inbox::new();
        inbox.room()[..bytes.len()].copy_from_slice(bytes);
        inbox.filled(bytes.len());
        assert!(matches!(inbox.take_frame(), Err(BenchError::Protocol(_))), "{bytes:?}");
    }
}

#[test]
fn a_written_frame_is_masked_and_carries_its_length() {
    let mut out = Vec::new();
    push_frame(&mut out, Opcode::Data, b"Hello");
    assert_eq!(out, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    out.clear();
    push_frame(&mut out, Opcode::Data, &[0; 200]);
    assert_eq!((out.len(), &out[..4]), (208, &[0x81, 0xfe, 0, 200][..]));
    out.clear();
    push_frame(&mut out, Opcode::Data, &[0; 70_000]);
    assert_eq!((out.len(), &out[..4]), (70_014, &[0x81, 0xff, 0, 0][..]));
}
