//! What a log keeps, where, and when the process must wait.
//!
//! Three questions in this order. What must stay, since the process waits rather than lose it? What does somebody still
//! want, so that it goes to the file when memory is full? And what is left may go when memory is full.

use std::time::Instant;

use codex_exec_server_protocol::ids::Seq;

use super::EventLog;
use crate::pace::{Pace, PaceLimits, Progress};
use crate::spool::{Filing, Segment, Spill};

/// Who has what still to read, taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interest {
    /// Nothing behind this is ever dropped: at the budget the process waits. `None`: it never waits for the budget, and
    /// the oldest output goes.
    pub keep: Option<Seq>,
    /// What is behind this, somebody has still to read: it is kept within the budget, in the file if need be.
    pub wanted: Seq,
    /// What is behind this, somebody reads next. It is not before `wanted`, except for what was sent and not acknowledged.
    pub unread: Seq,
    /// The position through which everything was sent to somebody who may still lose what was sent last.
    pub sent: Option<Seq>,
    /// The position of the reader that sets the process's pace.
    pub pacer: Option<Seq>,
}

impl Interest {
    /// Of somebody who may come, and shall have everything.
    pub const EVERYTHING: Self =
        Self { keep: Some(Seq::START), wanted: Seq::START, unread: Seq::START, sent: None, pacer: None };
    /// Of nobody: nothing will ever be read.
    pub const NOTHING: Self =
        Self { keep: None, wanted: Seq(u64::MAX), unread: Seq(u64::MAX), sent: None, pacer: None };
}

/// What the server as a whole lets a log have right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Means {
    /// Whether there is so much in memory that each log is to have less there.
    pub is_crowded: bool,
    /// How much more may be filed.
    pub filing: Filing,
}

/// Whether a process may write on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// It may.
    Open,
    /// Not before something was read, or is in the file.
    Full,
    /// Not before something was read, or this time has come.
    Until(Instant),
}

impl EventLog {
    /// Changes who wants what. Takes effect at the next [`Self::trim`].
    pub const fn set_interest(&mut self, interest: Interest) {
        self.interest = interest;
    }

    /// Who wants what.
    #[must_use]
    pub const fn interest(&self) -> &Interest {
        &self.interest
    }

    /// Output in memory.
    #[must_use]
    pub const fn memory_bytes(&self) -> u64 {
        self.retained_bytes() - self.filed.bytes()
    }

    /// What the file takes, or is about to.
    #[must_use]
    pub const fn file_bytes(&self) -> u64 {
        self.filed.file_bytes()
    }

    /// Drops what the bounds have no room for, as far as anybody's interest allows, and what nobody wants from the file.
    pub fn trim(&mut self, means: Means) {
        let kept_from = if self.filed.is_empty() { 0 } else { self.kept_from() };
        let is_unwanted = |front: &Segment| front.offset + front.bytes <= kept_from;
        while self.filed.front().is_some_and(is_unwanted) {
            self.drop_front();
            if !self.filed.front().is_some_and(is_unwanted) {
                // Unlike what is dropped below, which makes room for what comes.
                self.filed.shrink();
            }
        }
        while self.retained_bytes() > self.limits.retain_bytes as u64 && self.may_drop_front() {
            self.drop_front();
        }
        while self.is_over(self.memory_bound(means)) {
            let goes_to_file = self.filed.in_flight().is_some()
                || (self.filed.has_room(means.filing)
                    && self
                        .chunks
                        .front()
                        .is_some_and(|front| self.is_wanted(front.offset + front.bytes.len() as u64)));
            if goes_to_file || !self.may_drop_front() {
                break;
            }
            self.drop_front();
        }
    }

    /// Whether the process may write more, as of `now`. To be asked again when that may have changed.
    pub fn room(&mut self, now: Instant, means: Means) -> Room {
        let bound = self.memory_bound(means);
        let can_file = self.can_file(means);
        // What is on its way to the file still takes memory, and so does what will fill the next slot.
        let on_its_way = self.limits.unread_bytes.max(2 * self.filed.slot_bytes());
        let bound = if can_file { bound + on_its_way as u64 } else { bound };
        let must_stay = |log: &Self| can_file || !log.may_drop_front();
        let is_spent = |keep| self.bytes_after(keep) >= self.limits.retain_bytes as u64;
        if (self.is_at(bound) && must_stay(self)) || self.interest.keep.is_some_and(is_spent) {
            return Room::Full;
        }
        let Some(pacer) = self.interest.pacer else {
            self.pace = None;
            return Room::Open;
        };
        let at = Progress {
            written: self.output_bytes,
            taken: self.offset_after(pacer),
            is_filed: self.filed.behind(pacer).is_some(),
        };
        if !can_file
            && self.interest.keep.is_some()
            && self.bytes_after(pacer) >= self.limits.unread_bytes as u64
        {
            // There is nowhere to leave a reader that does not keep up, and what was sent last needs its room.
            return Room::Full;
        }
        let limits = PaceLimits { window: self.limits.unread_bytes as u64, within: self.limits.pace };
        let pace = self.pace.get_or_insert(Pace::new(now, at));
        pace.wait(now, limits, at).map_or(Room::Open, Room::Until)
    }

    /// What is to be written to the file next, if anything is. [`Self::finish_spill`] follows.
    pub fn begin_spill(&mut self, means: Means) -> Option<Spill> {
        if !self.is_over(self.memory_bound(means)) {
            return None;
        }
        let front = self.chunks.front()?;
        if !self.is_wanted(front.offset + front.bytes.len() as u64) {
            return None;
        }
        // Of very small chunks there may be too many before they fill a slot.
        let urgent = self.chunks.len() > self.limits.memory_chunks;
        self.filed.begin(self.chunks.iter(), means.filing, urgent)
    }

    /// What [`Self::begin_spill`] gave was written, or was not.
    pub fn finish_spill(&mut self, written: bool) {
        if let Some(segment) = self.filed.finish(written) {
            self.chunks.drain(..self.chunks.partition_point(|chunk| chunk.seq <= segment.last));
        }
    }

    /// Whether `segment` is still this log's: what was read of its place is what was written there.
    #[must_use]
    pub fn holds(&self, segment: &Segment) -> bool {
        self.filed.holds(segment)
    }

    /// `segment` can't be read any more: it is gone, and with it what is older, since only the oldest ever goes.
    pub fn lose(&mut self, segment: &Segment) {
        if self.filed.holds(segment) {
            while self.filed.front().is_some_and(|front| front.first <= segment.first) {
                self.drop_front();
            }
        }
    }

    /// Output before this is wanted by nobody.
    fn kept_from(&self) -> u64 {
        let wanted = self.offset_after(self.wanted_from());
        match self.interest.sent {
            Some(sent) => {
                wanted.min(self.offset_after(sent).saturating_sub(self.limits.in_flight_bytes as u64))
            }
            None => wanted,
        }
    }

    /// The position through which somebody has everything for certain who was sent everything through `sent` and is gone.
    #[must_use]
    pub fn certain(&self, sent: Seq) -> Seq {
        self.through(self.offset_after(sent).saturating_sub(self.limits.in_flight_bytes as u64))
    }

    /// What must stay for somebody who was sent everything through `sent`, has acknowledged `acknowledged`, and says
    /// more after `step` bytes: all that was not acknowledged. Where there is hardly room for that, what may have been had
    /// without a word may go, or the process would wait for words that are not due yet.
    #[must_use]
    pub fn owed(&self, acknowledged: Seq, sent: Seq, step: u64, means: Means) -> Seq {
        let room =
            if self.can_file(means) { self.limits.retain_bytes as u64 } else { self.memory_bound(means) };
        if room / 2 >= step {
            return acknowledged;
        }
        self.through(self.offset_after(acknowledged).saturating_add(step))
            .clamp(acknowledged, sent.max(acknowledged))
    }

    /// The last position of which all output, and all before it, ends at `had` at the latest.
    fn through(&self, had: u64) -> Seq {
        let count = self.chunks.partition_point(|chunk| chunk.offset + chunk.bytes.len() as u64 <= had);
        let in_memory = count.checked_sub(1).and_then(|last| self.chunks.get(last)).map(|chunk| chunk.seq);
        in_memory.or_else(|| self.filed.through(had)).unwrap_or(self.dropped.through_seq)
    }

    /// Whether somebody wants output that ends at `end`.
    fn is_wanted(&self, end: u64) -> bool {
        end > self.kept_from()
    }

    /// Whether more can go to the file.
    fn can_file(&self, means: Means) -> bool {
        self.filed.in_flight().is_some() || self.filed.has_room(means.filing)
    }

    fn wanted_from(&self) -> Seq {
        self.interest.keep.map_or(self.interest.wanted, |keep| keep.min(self.interest.wanted))
    }

    fn memory_bound(&self, means: Means) -> u64 {
        let limits = &self.limits;
        let is_spooling =
            self.filed.in_flight().is_some() || self.filed.behind(self.interest.unread).is_some();
        let bytes = if is_spooling { limits.spooled_memory_bytes } else { limits.memory_bytes };
        let bytes = if means.is_crowded { bytes.min(limits.crowded_memory_bytes) } else { bytes };
        bytes.min(limits.retain_bytes) as u64
    }

    fn is_over(&self, memory_bytes: u64) -> bool {
        self.memory_bytes() > memory_bytes || self.chunks.len() > self.limits.memory_chunks
    }

    fn is_at(&self, memory_bytes: u64) -> bool {
        self.memory_bytes() >= memory_bytes || self.chunks.len() > self.limits.memory_chunks
    }

    fn may_drop_front(&self) -> bool {
        let last = match (self.filed.front(), self.chunks.front()) {
            (Some(segment), _) => segment.last,
            // What is on its way to the file is needed there.
            (None, Some(chunk)) if self.filed.in_flight().is_none() => chunk.seq,
            (None, _) => return false,
        };
        self.interest.keep.is_none_or(|keep| last <= keep)
    }

    fn drop_front(&mut self) {
        if let Some(segment) = self.filed.drop_front() {
            self.dropped.through_seq = segment.last;
            self.dropped.bytes += segment.bytes;
        } else if let Some(chunk) = self.chunks.pop_front() {
            self.dropped.through_seq = chunk.seq;
            self.dropped.bytes += chunk.bytes.len() as u64;
        }
    }
}
