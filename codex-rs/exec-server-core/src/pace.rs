//! Whether a process waits for its reader, or goes on and leaves the reader to the spool.
//!
//! A process that writes faster than its reader takes goes at the reader's pace, and no byte is kept twice: memory is
//! enough. A reader that does not keep up, since it stands still or its line is slow, is not waited for. What decides
//! is how long the reader takes for one window of output.

use std::time::{Duration, Instant};

/// What a reader must do to be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaceLimits {
    /// Bytes of output that it takes.
    pub window: u64,
    /// In which time.
    pub within: Duration,
}

/// Where a log and its reader are: bytes of output since the process started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// By the process.
    pub written: u64,
    /// By the reader.
    pub taken: u64,
    /// Whether the reader is so far behind that it reads from the file.
    pub is_filed: bool,
}

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    since: Instant,
    from: Progress,
    /// Whether the reader took too long for the last window, or for this one already.
    is_slow: bool,
}

impl Pace {
    /// A reader of which nothing is known yet.
    #[must_use]
    pub const fn new(now: Instant, at: Progress) -> Self {
        Self { since: now, from: at, is_slow: false }
    }

    /// Until when the process has to wait for its reader before it writes more, if it has to. Asking again before that
    /// is fine, and right when the reader has taken something.
    pub fn wait(&mut self, now: Instant, limits: PaceLimits, at: Progress) -> Option<Instant> {
        let PaceLimits { window, within } = limits;
        let unread = at.written.saturating_sub(at.taken);
        if unread < window / 2 {
            // It has nothing to be measured by.
            *self = Self::new(now, at);
            return None;
        }
        let took = now.saturating_duration_since(self.since);
        if at.taken.saturating_sub(self.from.taken) >= window {
            *self = Self { since: now, from: at, is_slow: took > within };
        } else if took > within {
            self.is_slow = true;
        }
        // Who is behind catches up with a flood that goes at half of its pace. A process that writes little does not
        // notice.
        let is_ahead = !at.is_filed || at.written.saturating_sub(self.from.written) >= window / 2;
        (!self.is_slow && unread >= window && is_ahead).then(|| self.since + within + Duration::from_nanos(1))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;
    const LIMITS: PaceLimits = PaceLimits { window: MIB, within: Duration::from_millis(25) };

    /// Lets a process write as fast as it may, `writes` bytes a millisecond at most, and a reader take `takes` bytes a
    /// millisecond, from the given backlog on. What is unread at the end, and what the process wrote meanwhile.
    fn simulate(backlog: u64, writes: u64, takes: impl Fn(u64) -> u64, millis: u64) -> (u64, u64) {
        let begin = Instant::now();
        let (mut written, mut taken) = (backlog, 0);
        let progress = |written, taken| Progress { written, taken, is_filed: written - taken > 6 * MIB };
        let mut pace = Pace::new(begin, progress(written, taken));
        for millisecond in 0..millis {
            let now = begin + Duration::from_millis(millisecond);
            for _ in 0..16 {
                if pace.wait(now, LIMITS, progress(written, taken)).is_none() {
                    written += writes / 16;
                }
            }
            taken = written.min(taken + takes(millisecond));
        }
        (written - taken, written - backlog)
    }

    #[test]
    fn a_flood_goes_at_the_pace_of_a_reader_that_keeps_up_and_never_reaches_the_file() {
        for takes in [64 << 10, MIB / 4, MIB * 3 / 4] {
            let (unread, written) =
                simulate(/*backlog*/ 0, /*writes*/ 3 * MIB, |_| takes, /*millis*/ 2_000);
            assert!(unread <= MIB + 3 * MIB / 16, "{takes}: {unread} bytes are unread");
            assert!(written >= takes * 1_900, "{takes}: it wrote {written} bytes");
        }
    }

    #[test]
    fn a_reader_that_stands_still_or_is_slow_is_not_waited_for() {
        for takes in [0, 1, 20_000] {
            let (_, written) =
                simulate(/*backlog*/ 0, /*writes*/ MIB, |_| takes, /*millis*/ 1_000);
            assert!(written >= MIB * 970, "{takes}: it wrote {written} bytes");
        }
    }

    #[test]
    fn a_reader_that_was_slow_and_is_quick_catches_up_with_a_flood() {
        let takes = |millisecond| if millisecond < 100 { 0 } else { MIB };
        let (unread, written) =
            simulate(/*backlog*/ 0, /*writes*/ 3 * MIB, takes, /*millis*/ 1_500);
        assert!(unread <= 2 * MIB, "{unread} bytes are unread");
        assert!(written > 1_300 * MIB / 2);
    }

    #[test]
    fn a_process_that_writes_little_does_not_wait_for_a_reader_that_is_far_behind() {
        let (_, written) = simulate(
            /*backlog*/ 200 * MIB,
            /*writes*/ 16 * 1_024,
            |_| 64 << 10,
            /*millis*/ 2_000,
        );
        assert_eq!(written, 2_000 * 16 * 1_024);
    }

    proptest! {
        #[test]
        fn nobody_waits_longer_than_the_reader_may_take(
            steps in proptest::collection::vec((0..40_u64, 0..3 * MIB, 0..3 * MIB), 1..100),
        ) {
            let begin = Instant::now();
            let mut at = Progress { written: 0, taken: 0, is_filed: false };
            let mut pace = Pace::new(begin, at);
            let mut now = begin;
            for (passes, writes, takes) in steps {
                now += Duration::from_millis(passes);
                at.taken = at.written.min(at.taken + takes);
                if let Some(until) = pace.wait(now, LIMITS, at) {
                    prop_assert!(until > now && until <= now + LIMITS.within + Duration::from_nanos(1));
                    // Were nothing taken until then, the process would go on.
                    let mut later = pace;
                    prop_assert_eq!(later.wait(until, LIMITS, at), None);
                } else {
                    at.written += writes;
                }
            }
        }
    }
}
