//! Puts a process's streams together into one transcript without cutting a character.
//!
//! Output comes in pieces, and a piece may end in the middle of a character whose rest comes later, perhaps behind a
//! piece of the other stream. Such a beginning is held back until its rest is there, so every position between two
//! pieces of the transcript is a place where text may be cut.

use codex_exec_server_protocol::process::OutputStream;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Joiner {
    /// The beginning of a character, for each stream: at most three bytes.
    held: [Vec<u8>; 3],
}

impl Joiner {
    /// The part of the transcript that `bytes` of `stream` complete.
    pub(crate) fn push(&mut self, stream: OutputStream, bytes: &[u8]) -> Vec<u8> {
        let held = &mut self.held[stream as usize];
        let mut piece = std::mem::take(held);
        piece.extend_from_slice(bytes);
        *held = piece.split_off(piece.len() - incomplete_suffix(&piece));
        piece
    }

    /// What was held back and won't be completed any more.
    pub(crate) fn flush(&mut self) -> Vec<u8> {
        self.held.iter_mut().flat_map(std::mem::take).collect()
    }

    /// Whether nothing is held back.
    pub(crate) fn is_even(&self) -> bool {
        self.held.iter().all(Vec::is_empty)
    }
}

/// How many bytes at the end are the beginning of a character that may yet be completed.
fn incomplete_suffix(bytes: &[u8]) -> usize {
    let from = bytes.len().saturating_sub(3);
    for at in (from..bytes.len()).rev() {
        if !is_continuation(bytes[at]) {
            return match std::str::from_utf8(&bytes[at..]) {
                Err(error) if error.valid_up_to() == 0 && error.error_len().is_none() => bytes.len() - at,
                _ => 0,
            };
        }
    }
    0
}

/// Whether a character can't begin with this byte, which may be part of one.
pub(crate) const fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_character_that_another_stream_interrupts_stays_whole() {
        let mut joiner = Joiner::default();
        assert_eq!(joiner.push(OutputStream::Stdout, b"a\xe2\x82"), b"a");
        assert!(!joiner.is_even());
        assert_eq!(joiner.push(OutputStream::Stderr, b"err"), b"err");
        assert_eq!(joiner.push(OutputStream::Stdout, b"\xacb"), "€b".as_bytes());
        assert!(joiner.is_even());
    }

    #[test]
    fn what_can_not_become_a_character_is_not_held_back() {
        for bytes in [&b"\xff"[..], b"\x80\x80\x80\x80", b"\xe2\x28", b"\xc0", b"\xf5\x80"] {
            assert_eq!(Joiner::default().push(OutputStream::Pty, bytes), bytes, "{bytes:?}");
        }
        let mut joiner = Joiner::default();
        assert_eq!(joiner.push(OutputStream::Pty, b"\xf0\x9f\x98"), b"");
        assert_eq!(joiner.flush(), b"\xf0\x9f\x98");
    }

    proptest! {
        #[test]
        fn however_text_is_cut_into_pieces_no_piece_of_the_transcript_cuts_a_character(
            text in "\\PC{0,40}",
            cuts in proptest::collection::vec(0..200_usize, 0..20),
        ) {
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let mut joiner = Joiner::default();
            let mut joined = String::new();
            for piece in cuts.windows(2) {
                let piece = joiner.push(OutputStream::Stdout, &text.as_bytes()[piece[0]..piece[1]]);
                joined.push_str(&String::from_utf8(piece).expect("whole characters"));
            }
            prop_assert!(joiner.is_even());
            prop_assert_eq!(joined, text);
        }

        #[test]
        fn no_byte_is_lost_or_doubled(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..9), 0..20)) {
            let mut joiner = Joiner::default();
            let mut joined: Vec<u8> =
                pieces.iter().flat_map(|piece| joiner.push(OutputStream::Stdout, piece)).collect();
            joined.extend(joiner.flush());
            prop_assert_eq!(joined, pieces.concat());
        }
    }
}
