//! From places in a transcript to positions in the process's log, well enough to begin reading near any place.

use codex_exec_server_protocol::ids::Seq;

/// Bytes between two marks, at first.
const EVERY_BYTES: u64 = 16 << 10;
/// Marks kept. At the bound every other one goes, and they come half as often.
const MOST_MARKS: usize = 4_096;

/// Everything through `seq` makes the transcript's first `offset` bytes, with no character held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) seq: Seq,
    pub(crate) offset: u64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Index {
    every: u64,
    marks: Vec<Mark>,
}

impl Index {
    pub(crate) fn new() -> Self {
        Self { every: EVERY_BYTES, marks: vec![Mark { seq: Seq::START, offset: 0 }] }
    }

    /// The transcript has come to `mark`.
    pub(crate) fn note(&mut self, mark: Mark) {
        let last = self.marks.last().map_or(0, |last| last.offset);
        if mark.offset >= last + self.every {
            self.marks.push(mark);
            if self.marks.len() > MOST_MARKS {
                let mut nth = 0;
                self.marks.retain(|_| {
                    nth += 1;
                    nth % 2 == 1
                });
                self.every *= 2;
            }
        }
    }

    /// The last mark at or before `offset`.
    pub(crate) fn before(&self, offset: u64) -> Mark {
        self.marks[self.marks.partition_point(|mark| mark.offset <= offset) - 1]
    }

    /// The first mark at or behind position `seq`.
    pub(crate) fn from(&self, seq: Seq) -> Option<Mark> {
        self.marks.get(self.marks.partition_point(|mark| mark.seq < seq)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(n: u64) -> Mark {
        Mark { seq: Seq(n), offset: n * EVERY_BYTES }
    }

    #[test]
    fn any_place_has_a_mark_at_or_before_it() {
        let mut index = Index::new();
        index.note(mark(1));
        index.note(Mark { seq: Seq(2), offset: EVERY_BYTES + 1 });
        index.note(mark(3));
        assert_eq!(index.before(/*offset*/ 0), mark(0));
        assert_eq!(index.before(EVERY_BYTES - 1), mark(0));
        assert_eq!(index.before(EVERY_BYTES * 3 - 1), mark(1));
        assert_eq!(index.before(u64::MAX), mark(3));
        assert_eq!(
            (index.from(Seq(2)), index.from(Seq(3)), index.from(Seq(4))),
            (Some(mark(3)), Some(mark(3)), None)
        );
    }

    #[test]
    fn marks_are_bounded_and_stay_spread_over_the_whole() {
        let mut index = Index::new();
        for n in 1..=(MOST_MARKS as u64 * 5) {
            index.note(mark(n));
        }
        assert!(index.marks.len() <= MOST_MARKS);
        let widest = index.marks.windows(2).map(|pair| pair[1].offset - pair[0].offset).max();
        assert_eq!(widest, Some(index.every));
        assert_eq!(index.before(/*offset*/ 0), mark(0));
    }
}
