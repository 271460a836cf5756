//! What is new of a transcript, within a bound: its beginning and its end, and how much is not here in between.
//!
//! Positions are bytes from the transcript's start. What is not held is counted: it can be read again from the process's
//! log, unless it was lost there too.

use std::collections::VecDeque;

use crate::joiner::is_continuation;

/// See the module.
#[derive(Debug)]
pub(crate) struct Window {
    /// Bytes held at each end.
    half: usize,
    start: u64,
    head: Vec<u8>,
    /// Whether the head is complete: what comes is no continuation of it any more.
    head_ended: bool,
    missing: Missing,
    tail: VecDeque<u8>,
}

/// Output between head and tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Missing {
    /// Bytes, those that are lost included.
    pub(crate) bytes: u64,
    /// Bytes that nobody holds any more.
    pub(crate) lost: u64,
    /// Whether more was lost than anybody counted.
    pub(crate) uncounted: bool,
}

impl Missing {
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// What a window held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Position of the first byte.
    pub(crate) start: u64,
    pub(crate) head: Vec<u8>,
    pub(crate) missing: Missing,
    pub(crate) tail: Vec<u8>,
}

impl Window {
    /// An empty one at the start, that holds `bytes` at most.
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            half: bytes / 2,
            start: 0,
            head: Vec::new(),
            head_ended: false,
            missing: Missing::default(),
            tail: VecDeque::new(),
        }
    }

    /// More of the transcript, which ends between characters.
    pub(crate) fn push(&mut self, mut piece: &[u8]) {
        if !self.head_ended {
            let room = self.half - self.head.len();
            let fits = if piece.len() <= room { piece.len() } else { char_start_before(piece, room) };
            self.head.extend_from_slice(&piece[..fits]);
            piece = &piece[fits..];
            self.head_ended = !piece.is_empty();
        }
        self.tail.extend(piece);
        let over = self.tail.len().saturating_sub(self.half);
        if over > 0 {
            self.tail.drain(..over);
            self.missing.bytes += over as u64;
            // The character that was cut goes as a whole.
            for _ in 0..3 {
                if self.tail.front().is_some_and(|byte| is_continuation(*byte)) {
                    self.tail.pop_front();
                    self.missing.bytes += 1;
                }
            }
        }
    }

    /// Output that nobody holds: so many bytes, if anybody counted them.
    pub(crate) fn lose(&mut self, bytes: Option<u64>) {
        self.head_ended = true;
        self.missing.bytes += self.tail.len() as u64 + bytes.unwrap_or(0);
        self.missing.lost += bytes.unwrap_or(0);
        self.missing.uncounted |= bytes.is_none();
        self.tail.clear();
    }

    /// Position behind the last byte.
    pub(crate) fn end(&self) -> u64 {
        self.start + (self.head.len() + self.tail.len()) as u64 + self.missing.bytes
    }

    /// Bytes that were not taken yet, here or not.
    pub(crate) fn unread(&self) -> u64 {
        self.end() - self.start
    }

    /// Takes what there is; from now on what comes behind it is new.
    pub(crate) fn take(&mut self) -> Taken {
        let empty = Self { start: self.end(), ..Self::new(self.half * 2) };
        let Self { start, head, missing, tail, .. } = std::mem::replace(self, empty);
        Taken { start, head, missing, tail: tail.into() }
    }
}

/// The last place at or before `at`, which is within `bytes`, where a character may begin.
fn char_start_before(bytes: &[u8], at: usize) -> usize {
    let from = at.saturating_sub(3);
    (from..=at).rev().find(|at| !is_continuation(bytes[*at])).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn beginning_and_end_stay_and_the_rest_is_counted() {
        let mut window = Window::new(/*bytes*/ 8);
        window.push(b"abc");
        window.push(b"defghij");
        assert_eq!((window.unread(), window.end()), (10, 10));
        let missing = Missing { bytes: 2, ..Missing::default() };
        let taken = Taken { start: 0, head: b"abcd".to_vec(), missing, tail: b"ghij".to_vec() };
        assert_eq!(window.take(), taken);
        window.push(b"k");
        let taken = Taken { start: 10, head: b"k".to_vec(), missing: Missing::default(), tail: Vec::new() };
        assert_eq!(window.take(), taken);
    }

    #[test]
    fn what_is_lost_stands_between_what_came_before_and_what_comes_after() {
        let mut window = Window::new(/*bytes*/ 8);
        window.push(b"ab");
        window.lose(Some(100));
        window.push(b"cd");
        let missing = Missing { bytes: 100, lost: 100, uncounted: false };
        let taken = Taken { start: 0, head: b"ab".to_vec(), missing, tail: b"cd".to_vec() };
        assert_eq!(window.take(), taken);
        window.lose(/*bytes*/ None);
        window.push(b"ef");
        assert!(window.take().missing.uncounted);
        assert_eq!(window.end(), 106);
    }

    proptest! {
        #[test]
        fn no_end_cuts_a_character_and_every_byte_is_held_or_counted(
            pieces in proptest::collection::vec("\\PC{0,8}", 0..30),
            bytes in 8..64_usize,
        ) {
            let mut window = Window::new(bytes);
            for piece in &pieces {
                window.push(piece.as_bytes());
            }
            let all = pieces.concat();
            let Taken { head, missing, tail, .. } = window.take();
            prop_assert!(head.len() + tail.len() <= bytes);
            prop_assert_eq!(head.len() + tail.len() + usize::try_from(missing.bytes).expect("small"), all.len());
            prop_assert!(all.starts_with(&String::from_utf8(head).expect("whole characters")));
            prop_assert!(all.ends_with(&String::from_utf8(tail).expect("whole characters")));
        }
    }
}
