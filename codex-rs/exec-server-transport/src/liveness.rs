//! When to ping, and when to ask whether a silent peer is still there. Rules only: time arrives as an
//! argument.
//!
//! Any byte that comes in is a sign of life, also one in the middle of a frame.

use std::time::Duration;

use tokio::time::Instant;

use crate::limits::Liveness;

/// What is due now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Nothing yet.
    Nothing,
    /// Send a ping.
    Ping,
    /// The peer has been silent for this long: look for other evidence, then give up or call
    /// [`Clock::spare`].
    Judge(Duration),
}

/// The state of one connection's pings.
#[derive(Debug)]
pub(crate) struct Clock {
    config: Liveness,
    /// When the last byte came in, or when the peer was last given another chance.
    heard_at: Instant,
    /// When silence is looked at next; never before `heard_at + silence_limit`.
    judge_at: Instant,
    next_ping: Instant,
}

impl Clock {
    pub(crate) fn new(config: Liveness, now: Instant) -> Self {
        Self {
            heard_at: now,
            judge_at: now + config.silence_limit,
            next_ping: now + config.ping_interval,
            config,
        }
    }

    /// Bytes came in.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.heard_at = now;
        self.judge_at = now + self.config.silence_limit;
    }

    /// There is other evidence that the silent peer lives: ask again one ping later.
    pub(crate) fn spare(&mut self, now: Instant) {
        self.judge_at = now + self.config.ping_interval;
    }

    /// When [`Clock::handle_timeout`] next has something to say.
    pub(crate) fn poll_timeout(&self) -> Instant {
        self.next_ping.min(self.judge_at)
    }

    /// Tells what is due at `now`. Call it only after everything that had already arrived was read.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Due {
        // If nobody looked at this clock for a whole interval, it was us who slept: the process was stopped,
        // or its owner did not read. No pings went out and no pongs could be noticed, so the silence proves
        // nothing.
        if now > self.poll_timeout() + self.config.ping_interval {
            self.heard(now);
            self.next_ping = now;
        }
        if now >= self.judge_at {
            return Due::Judge(now - self.heard_at);
        }
        if now >= self.next_ping {
            self.next_ping = now + self.config.ping_interval;
            return Due::Ping;
        }
        Due::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// What a clock asks for at each of its own deadlines, in seconds, while `heard` says when bytes come in.
    fn run(heard: &[u64], until: u64) -> Vec<(u64, Due)> {
        let start = Instant::now();
        let mut clock = Clock::new(Liveness::default(), start);
        let mut heard = heard.iter().copied().peekable();
        let mut log = Vec::new();
        loop {
            let due_at = (clock.poll_timeout() - start).as_secs();
            if let Some(second) = heard.next_if(|second| *second <= due_at) {
                clock.heard(start + SECOND * second as u32);
                continue;
            }
            if due_at > until {
                return log;
            }
            let due = clock.handle_timeout(clock.poll_timeout());
            log.push((due_at, due));
            if matches!(due, Due::Judge(_)) {
                return log;
            }
        }
    }

    #[tokio::test]
    async fn a_peer_that_never_answers_is_judged_after_three_pings() {
        assert_eq!(run(&[], /*until*/ 60), [(5, Due::Ping), (10, Due::Ping), (15, Due::Judge(15 * SECOND))]);
    }

    #[tokio::test]
    async fn a_peer_that_falls_silent_is_judged_within_twenty_seconds() {
        let log = run(&[5, 10, 11], /*until*/ 60);
        assert_eq!(log.last(), Some(&(26, Due::Judge(15 * SECOND))));
    }

    #[tokio::test]
    async fn a_peer_that_answers_is_pinged_forever_and_never_judged() {
        let log = run(&(1..=60).collect::<Vec<_>>(), /*until*/ 60);
        assert_eq!(log, (1..=12).map(|n| (n * 5, Due::Ping)).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_spared_peer_is_judged_again_one_ping_later() {
        let start = Instant::now();
        let mut clock = Clock::new(Liveness::default(), start);
        for second in [5, 10] {
            assert_eq!(clock.handle_timeout(start + second * SECOND), Due::Ping);
        }
        assert_eq!(clock.handle_timeout(start + 15 * SECOND), Due::Judge(15 * SECOND));
        clock.spare(start + 15 * SECOND);
        assert_eq!(clock.handle_timeout(start + 15 * SECOND), Due::Ping);
        assert_eq!(clock.poll_timeout(), start + 20 * SECOND);
        assert_eq!(clock.handle_timeout(start + 20 * SECOND), Due::Judge(20 * SECOND));
    }

    #[tokio::test]
    async fn a_clock_that_nobody_looked_at_blames_nobody() {
        let start = Instant::now();
        let mut clock = Clock::new(Liveness::default(), start);
        assert_eq!(clock.handle_timeout(start + 500 * SECOND), Due::Ping);
        assert_eq!(clock.poll_timeout(), start + 505 * SECOND);
    }
}
