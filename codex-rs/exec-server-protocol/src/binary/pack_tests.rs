use proptest::prelude::*;

use super::super::Head;
use super::*;
use crate::ids::Seq;
use crate::process::OutputStream;

fn put(pack: &mut Pack, output: &ProcessOutputNotification) {
    let (process_id, seq, stream) = (&output.process_id, output.seq, output.stream);
    let head = Head::Output { process_id, seq, stream, offset: output.offset.expect("it is told") };
    pack.push(&head.encode(output.chunk.len()).expect("it fits"), &output.chunk);
}

fn outputs() -> impl Strategy<Value = Vec<ProcessOutputNotification>> {
    let stream = prop_oneof![Just(OutputStream::Stdout), Just(OutputStream::Stderr), Just(OutputStream::Pty)];
    let output = (any::<String>(), any::<u64>(), stream, any::<u64>(), any::<Vec<u8>>()).prop_map(
        |(name, seq, stream, offset, chunk)| ProcessOutputNotification {
            process_id: name.into(),
            seq: Seq(seq),
            stream,
            chunk: chunk.into(),
            offset: Some(offset),
        },
    );
    prop::collection::vec(output, 2..12)
}

fn packed(outputs: &[ProcessOutputNotification]) -> Bytes {
    let mut pack = Pack::default();
    outputs.iter().for_each(|output| put(&mut pack, output));
    pack.take().expect("there is something in it")
}

#[test]
fn one_piece_goes_as_what_it_is_and_none_is_no_message() {
    let output = ProcessOutputNotification {
        process_id: "p".into(),
        seq: Seq(1),
        stream: OutputStream::Pty,
        chunk: b"x".to_vec().into(),
        offset: Some(0),
    };
    let mut pack = Pack::default();
    assert_eq!((pack.take(), pack.len(), pack.is_empty()), (None, 0, true));
    put(&mut pack, &output);
    assert_eq!((pack.len(), pack.is_empty()), (HEADER_BYTES + 2, false));
    let message = pack.take().expect("there is something in it");
    assert_eq!(BinaryMessage::decode(&message), Ok(BinaryMessage::Output(output)));
    assert_eq!((pack.take(), pack.len(), pack.is_empty()), (None, 0, true));
}

proptest! {
    #[test]
    fn any_pieces_come_out_as_they_went_in(outputs in outputs()) {
        let message = packed(&outputs);
        prop_assert!(BinaryMessage::is_one(&message));
        prop_assert_eq!(BinaryMessage::decode(&message), Ok(BinaryMessage::Pack(outputs)));
    }

    #[test]
    fn a_pack_cut_short_anywhere_is_noticed(outputs in outputs(), cut: prop::sample::Index) {
        let message = packed(&outputs);
        let cut = cut.index(message.len());
        prop_assert!(BinaryMessage::decode(&message.slice(..cut)).is_err());
        // And so is one of which only the header knows that it was.
        if let Some(payload_bytes) = cut.checked_sub(HEADER_BYTES) {
            let mut shorter = message[..cut].to_vec();
            shorter[4..8].copy_from_slice(&u32::try_from(payload_bytes).expect("it is small").to_le_bytes());
            match BinaryMessage::decode(&shorter.into()) {
                Ok(BinaryMessage::Pack(fewer)) => prop_assert_eq!(&fewer[..], &outputs[..fewer.len()]),
                other => prop_assert!(other.is_err()),
            }
        }
    }
}
