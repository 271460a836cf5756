//! How much bulk may be under way to a reader while somebody else speaks on the same connection.
//!
//! Whatever the kernels of both sides hold of a flood stands before the next keystroke's echo, and they hold megabytes. So
//! marks go into the stream, which come back once the reader has got there, and bulk waits while more than a window of it
//! is under way. The window follows the time that a mark takes: it grows while that stays near the least, so that a long
//! fast line is made use of, and shrinks when bulk piles up before the reader. All this only while somebody has lately said
//! something little beside the bulk: a flood alone pays nothing for it.
//!
//! Knows no clock and no socket. Positions count the bytes of bulk that were ever sent.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Bounds of what is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BacklogLimits {
    /// The window is never smaller, in bytes.
    pub least_bytes: u64,
    /// Nor larger.
    pub most_bytes: u64,
    /// A mark follows so much bulk.
    pub mark_bytes: u64,
    /// How much longer than the least a mark may take before bulk counts as piling up; half of the least if that is more.
    pub slack: Duration,
    /// How long bulk is bounded behind something little.
    pub attention: Duration,
    /// A reader that has not sent its first mark back by then is taken for one that sends none back.
    pub patience: Duration,
    /// The least time of a mark is learned anew after this long.
    pub memory: Duration,
}

/// Whether bulk may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clearance {
    /// It may.
    Go,
    /// Not before a mark has come back, or until then.
    WaitUntil(Instant),
}

/// What is known of the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// Nothing yet.
    New,
    /// It sends marks back.
    Answers,
    /// It does not, so nothing can be said about it.
    Silent,
}

/// A mark that is under way.
#[derive(Debug, Clone, Copy)]
struct Mark {
    position: u64,
    sent_at: Instant,
}

/// See the module.
#[derive(Debug)]
pub struct Backlog {
    limits: BacklogLimits,
    reader: Reader,
    /// Bulk that was sent.
    sent: u64,
    /// Bulk that is known to have been read.
    read: u64,
    /// Oldest first, at most a window of them.
    marks: VecDeque<Mark>,
    window: u64,
    /// The window is looked at again when everything through here was read, which is about once in the time of a mark.
    round_end: u64,
    /// Whether bulk had to wait in this round.
    was_full: bool,
    /// The least time that a mark took, and since when that is known.
    least: Option<(Duration, Instant)>,
    bounded_until: Option<Instant>,
}

impl Backlog {
    /// Nothing was sent yet.
    #[must_use]
    pub const fn new(limits: BacklogLimits) -> Self {
        Self {
            window: limits.least_bytes,
            limits,
            reader: Reader::New,
            sent: 0,
            read: 0,
            marks: VecDeque::new(),
            round_end: 0,
            was_full: false,
            least: None,
            bounded_until: None,
        }
    }

    /// There are no marks on this connection.
    pub const fn give_up(&mut self) {
        self.reader = Reader::Silent;
    }

    /// Something little was said while there was bulk to be said as well.
    pub fn spoke_beside_bulk(&mut self, now: Instant) {
        self.bounded_until = Some(now + self.limits.attention);
    }

    /// Whether something little was lately said beside bulk.
    #[must_use]
    pub fn is_attentive(&self, now: Instant) -> bool {
        self.bounded_until.is_some_and(|until| now < until)
    }

    /// So much bulk was sent.
    pub const fn sent(&mut self, bytes: u64) {
        self.sent += bytes;
    }

    /// The mark that is to follow what was sent, if one is due.
    pub fn mark(&mut self, now: Instant) -> Option<u64> {
        let marked = self.marks.back().map_or(self.read, |mark| mark.position);
        let unmarked = self.sent - marked;
        let is_due = unmarked >= self.limits.mark_bytes || (unmarked > 0 && self.is_full());
        (self.is_bounded(now) && is_due).then(|| {
            self.marks.push_back(Mark { position: self.sent, sent_at: now });
            self.sent
        })
    }

    /// The reader has sent this mark back; the same one may be told again and again.
    pub fn came_back(&mut self, mark: u64, now: Instant) {
        let mut latest = None;
        while let Some(front) = self.marks.front().copied().filter(|front| front.position <= mark) {
            self.marks.pop_front();
            latest = Some(front);
        }
        let Some(Mark { position, sent_at }) = latest else { return };
        self.reader = Reader::Answers;
        self.read = position;
        let taken = now.saturating_duration_since(sent_at);
        let least = match self.least {
            Some((least, since)) if least <= taken && now < since + self.limits.memory => least,
            _ => {
                self.least = Some((taken, now));
                taken
            }
        };
        if position < self.round_end {
            return;
        }
        if taken > least + self.limits.slack.max(least / 2) {
            self.window = (self.window - self.window / 4).max(self.limits.least_bytes);
        } else if self.was_full {
            self.window = (self.window + self.window / 2).min(self.limits.most_bytes);
        }
        (self.round_end, self.was_full) = (self.sent, false);
    }

    /// Whether bulk may go now.
    pub fn clearance(&mut self, now: Instant) -> Clearance {
        let Some(until) = self.bounded_until.filter(|_| self.is_bounded(now)) else { return Clearance::Go };
        if !self.is_full() {
            return Clearance::Go;
        }
        self.was_full = true;
        match (self.reader, self.marks.front()) {
            (Reader::New, Some(mark)) => {
                let patient_until = mark.sent_at + self.limits.patience;
                if now >= patient_until {
                    self.give_up();
                    return Clearance::Go;
                }
                Clearance::WaitUntil(until.min(patient_until))
            }
            _ => Clearance::WaitUntil(until),
        }
    }

    fn is_bounded(&self, now: Instant) -> bool {
        self.reader != Reader::Silent && self.is_attentive(now)
    }

    const fn is_full(&self) -> bool {
        self.sent - self.read >= self.window
    }
}

#[cfg(test)]
#[path = "backlog_tests.rs"]
mod tests;
