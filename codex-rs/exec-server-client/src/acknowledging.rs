//! When a server is told how far the subscribers to a process are: seldom enough to cost nothing, and before it waits.
//!
//! Rules only. What is said is what [`History::progress`](crate::history::History::progress) tells.

use codex_exec_server_protocol::ids::Seq;

use crate::history::{At, Progress};

/// See the module.
#[derive(Debug)]
pub(crate) struct Acknowledging {
    /// After how much; `None` if the server does not want to know.
    every: Option<u64>,
    /// What was said last; `None` if anything is to be said, since the server knows nothing of us.
    said: Option<Progress>,
}

impl Acknowledging {
    /// Of a process that begins here, as its server knows.
    pub(crate) const fn from_start() -> Self {
        let start = At { seq: Seq::START, cost: Some(0) };
        Self { every: None, said: Some(Progress { slowest: start, furthest: start }) }
    }

    /// To whom it is said from now on, and how often.
    pub(crate) const fn set_every(&mut self, every: Option<u64>) {
        self.every = every;
    }

    /// The server knows nothing of what was said.
    pub(crate) const fn begin_again(&mut self) {
        self.said = None;
    }

    /// Whether the server waits for a first word.
    pub(crate) const fn must_begin(&self) -> bool {
        self.every.is_some() && self.said.is_none()
    }

    /// Whether it is time to say how far they are.
    pub(crate) fn is_due(&self, now: &Progress) -> bool {
        let (Some(every), Some(said)) = (self.every, &self.said) else { return self.every.is_some() };
        let moved = |before: At, now: At| {
            // Where the distance is not known, a page or more was read elsewhere.
            let is_far =
                now.cost.zip(before.cost).is_none_or(|(now, before)| now >= before.saturating_add(every));
            now.seq > before.seq && is_far
        };
        moved(said.slowest, now.slowest) || moved(said.furthest, now.furthest)
    }

    /// It is being said.
    pub(crate) const fn say(&mut self, now: Progress) {
        self.said = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seq: u64, cost: Option<u64>) -> At {
        At { seq: Seq(seq), cost }
    }

    fn progress(slowest: At, furthest: At) -> Progress {
        Progress { slowest, furthest }
    }

    #[test]
    fn nothing_is_said_to_a_server_that_does_not_want_to_know() {
        let mut acknowledging = Acknowledging::from_start();
        let far = at(/*seq*/ 1_000, Some(1 << 30));
        assert!(!acknowledging.is_due(&progress(far, far)));
        acknowledging.begin_again();
        assert!(!acknowledging.is_due(&progress(far, far)));
    }

    #[test]
    fn it_is_said_after_enough_by_whichever_reader_and_at_once_to_a_server_that_knows_nothing() {
        let mut acknowledging = Acknowledging::from_start();
        acknowledging.set_every(Some(1_000));
        let (start, near, far) =
            (at(/*seq*/ 0, Some(0)), at(/*seq*/ 3, Some(999)), at(/*seq*/ 4, Some(1_000)));
        for (slowest, furthest, due) in [
            (start, start, false),
            (near, near, false),
            (start, near, false),
            (start, far, true),
            (far, far, true),
        ] {
            assert_eq!(acknowledging.is_due(&progress(slowest, furthest)), due, "{slowest:?} {furthest:?}");
        }
        acknowledging.say(progress(start, far));
        assert!(!acknowledging.is_due(&progress(near, far)));
        assert!(acknowledging.is_due(&progress(far, far)));
        acknowledging.begin_again();
        assert!(acknowledging.is_due(&progress(start, start)));
    }

    #[test]
    fn a_reader_that_reads_elsewhere_is_spoken_of_whenever_it_has_moved() {
        let mut acknowledging = Acknowledging::from_start();
        acknowledging.set_every(Some(1_000));
        let (elsewhere, tip) = (at(/*seq*/ 5, /*cost*/ None), at(/*seq*/ 90, Some(10)));
        assert!(acknowledging.is_due(&progress(elsewhere, tip)));
        acknowledging.say(progress(elsewhere, tip));
        assert!(!acknowledging.is_due(&progress(elsewhere, tip)));
        assert!(acknowledging.is_due(&progress(at(/*seq*/ 6, /*cost*/ None), tip)));
        assert!(acknowledging.is_due(&progress(at(/*seq*/ 80, Some(5)), tip)));
    }
}
