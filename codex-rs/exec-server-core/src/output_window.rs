//! How far output may be sent ahead of what its reader has acknowledged.
//!
//! What is sent costs its bytes, and each event a little more, so that neither many bytes nor many small events pile up at
//! a reader that stands still. What was acknowledged is known to a sixty-fourth of the window, for which a few positions
//! are remembered, however much is on its way.

use std::collections::VecDeque;

use codex_exec_server_protocol::ids::Seq;

/// What an event costs besides its bytes of output. A client's list entry for it takes about as much.
pub const EVENT_COST: u64 = 256;
/// Positions that are remembered of what is on its way.
const MARKS: u64 = 64;

/// What sending an event with so much output costs.
#[must_use]
pub const fn cost(output_bytes: u64) -> u64 {
    output_bytes.saturating_add(EVENT_COST)
}

/// After how much a reader acknowledges at the latest. It leaves room for what is on its way meanwhile, and for what the
/// sender does not know exactly; so a reader that took everything is never waited for.
#[must_use]
pub const fn acknowledge_every(window_bytes: u64) -> u64 {
    window_bytes / 4
}

/// See the module.
#[derive(Debug)]
pub struct OutputWindow {
    bytes: u64,
    /// Cost of everything that was sent.
    sent: u64,
    /// Cost of what was sent and acknowledged, as far as it is known.
    settled: u64,
    marks: VecDeque<Mark>,
}

/// Everything through a position was sent, and what that cost.
#[derive(Debug, Clone, Copy)]
struct Mark {
    through: Seq,
    sent: u64,
}

impl OutputWindow {
    /// Of a reader to whom nothing was sent. Even the smallest window lets one event through.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        Self { bytes: bytes.max(1), sent: 0, settled: 0, marks: VecDeque::new() }
    }

    /// Its size.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether something may be sent.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.sent - self.settled < self.bytes
    }

    /// Event `seq`, with so much output, was sent. It comes after all that were sent before.
    pub fn send(&mut self, seq: Seq, output_bytes: u64) {
        self.sent += cost(output_bytes);
        if self.sent - self.marks.back().map_or(self.settled, |mark| mark.sent) >= self.bytes / MARKS {
            self.marks.push_back(Mark { through: seq, sent: self.sent });
        }
    }

    /// The reader has everything through `seq`. Less than it said before changes nothing.
    pub fn acknowledge(&mut self, seq: Seq) {
        while let Some(mark) = self.marks.pop_front_if(|mark| mark.through <= seq) {
            self.settled = mark.sent;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_closes_when_it_is_full_and_opens_with_what_is_acknowledged() {
        let mut window = OutputWindow::new(/*bytes*/ 1_000);
        for seq in 1..=4 {
            assert!(window.is_open(), "before event {seq}");
            window.send(Seq(seq), /*output_bytes*/ 0);
        }
        assert!(!window.is_open());
        window.acknowledge(Seq(1));
        assert!(window.is_open());
        window.send(Seq(5), /*output_bytes*/ 0);
        assert!(!window.is_open());
        // Late words change nothing.
        window.acknowledge(Seq::START);
        assert!(!window.is_open());
        window.acknowledge(Seq(5));
        assert!(window.is_open());
    }

    #[test]
    fn the_smallest_window_lets_one_event_through_at_a_time() {
        let mut window = OutputWindow::new(/*bytes*/ 0);
        for seq in 1..=3 {
            assert!(window.is_open());
            window.send(Seq(seq), /*output_bytes*/ 64 << 10);
            assert!(!window.is_open());
            window.acknowledge(Seq(seq));
        }
    }

    proptest! {
        #[test]
        fn a_reader_that_acknowledges_a_quarter_is_never_stuck_and_never_gets_too_much(
            window_bytes in 1..5_000_000_u64,
            outputs in proptest::collection::vec(prop_oneof![Just(1_u64), 1..300_u64, Just(64 << 10)], 1..3_000),
        ) {
            let mut window = OutputWindow::new(window_bytes);
            let (mut unsaid, mut unread) = (0, 0);
            let mut on_its_way = VecDeque::new();
            for (seq, output_bytes) in (1..).zip(outputs) {
                while !window.is_open() {
                    // Nothing more comes, so the reader takes what there is, one by one, and says so now and then.
                    let (event, cost) = on_its_way.pop_front().expect("a reader that has everything is not waited for");
                    unread -= cost;
                    unsaid += cost;
                    if unsaid >= acknowledge_every(window_bytes) {
                        window.acknowledge(Seq(event));
                        unsaid = 0;
                    }
                }
                window.send(Seq(seq), output_bytes);
                on_its_way.push_back((seq, cost(output_bytes)));
                unread += cost(output_bytes);
                prop_assert!(unread < window_bytes + cost(64 << 10));
                prop_assert!(window.marks.len() as u64 <= MARKS + 1);
            }
        }
    }
}
