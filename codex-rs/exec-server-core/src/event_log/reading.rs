//! How a log is read: by readers that hold a place in it, and page by page.

use std::collections::VecDeque;

use bytes::Bytes;
use codex_exec_server_protocol::ids::Seq;

use super::{Chunk, Event, EventLog};
use crate::spool::Segment;

/// One reader's place in a log: all that a reader is. One that reads from the file holds a piece of it for a while.
#[derive(Debug, Default)]
pub struct Place {
    after: Seq,
    fetched: VecDeque<Chunk>,
}

/// What is next for a reader.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// This.
    Event(Event),
    /// Something in the file. It is to be fetched, and the log asked again.
    Filed(Segment),
    /// Nothing yet, or nothing ever.
    Nothing,
}

impl Place {
    /// Of a reader that has everything through `after`.
    #[must_use]
    pub const fn new(after: Seq) -> Self {
        Self { after, fetched: VecDeque::new() }
    }

    /// The last position that the reader has.
    #[must_use]
    pub const fn after(&self) -> Seq {
        self.after
    }

    /// The reader has everything through `seq`.
    pub fn advance(&mut self, seq: Seq) {
        self.after = self.after.max(seq);
        while self.fetched.front().is_some_and(|chunk| chunk.seq <= self.after) {
            self.fetched.pop_front();
        }
        if self.fetched.is_empty() {
            // Its memory, too.
            self.fetched = VecDeque::new();
        }
    }

    /// Takes what was read from the file for `segment`. If that is not what was written there, the segment is lost.
    pub fn fetch(&mut self, log: &mut EventLog, segment: &Segment, stored: Option<Bytes>) {
        // Dropped meanwhile, its place may have been used again.
        if !log.holds(segment) {
            return;
        }
        match stored.and_then(|stored| segment.decode(stored)) {
            Some(chunks) => {
                self.fetched = chunks;
                self.advance(self.after);
            }
            None => log.lose(segment),
        }
    }
}

/// What a read returns.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// Retained output after the position asked for.
    pub chunks: Vec<Chunk>,
    /// The reader's next position plus one.
    pub next: Seq,
}

/// A page on its way.
#[derive(Debug)]
pub struct PageReader {
    place: Place,
    max_bytes: Option<u64>,
    chunks: Vec<Chunk>,
    bytes: u64,
    is_cut: bool,
}

impl PageReader {
    /// Of output after `after`: at least one chunk if there is one, then as many as fit in `max_bytes` and in what the log
    /// gives at once.
    #[must_use]
    pub const fn new(after: Seq, max_bytes: Option<u64>) -> Self {
        Self { place: Place::new(after), max_bytes, chunks: Vec::new(), bytes: 0, is_cut: false }
    }

    /// Reads on, up to what has to be fetched first; `None` when all is read.
    pub fn read(&mut self, log: &mut EventLog) -> Option<Segment> {
        let limit = self.max_bytes.unwrap_or(u64::MAX).min(log.limits.read_bytes as u64);
        loop {
            match log.next(&mut self.place) {
                Next::Event(Event::Output(chunk)) => {
                    let bytes = self.bytes + chunk.bytes.len() as u64;
                    self.is_cut = !self.chunks.is_empty()
                        && (bytes > limit || self.chunks.len() >= log.limits.read_chunks);
                    if self.is_cut {
                        return None;
                    }
                    self.bytes = bytes;
                    self.place.advance(chunk.seq);
                    self.chunks.push(chunk);
                }
                Next::Event(Event::Exited(seq, _) | Event::Closed(seq, _)) => self.place.advance(seq),
                Next::Filed(segment) => return Some(segment),
                Next::Nothing => return None,
            }
        }
    }

    /// Takes what was fetched.
    pub fn fetch(&mut self, log: &mut EventLog, segment: &Segment, stored: Option<Bytes>) {
        self.place.fetch(log, segment, stored);
    }

    /// Gives what was read, when all was: once.
    #[must_use]
    pub fn page(&mut self, log: &EventLog) -> Page {
        let next = match self.chunks.last() {
            Some(chunk) if self.is_cut || self.max_bytes.is_some() => chunk.seq.next(),
            _ => log.last().next(),
        };
        Page { chunks: std::mem::take(&mut self.chunks), next }
    }
}

impl EventLog {
    /// The newest output: what is in memory of it. Seeing it settles its extent.
    #[must_use]
    pub fn newest(&mut self) -> &VecDeque<Chunk> {
        self.seal();
        &self.chunks
    }

    /// How far the answer to one read without a bound is sure to reach, for somebody who was sent everything through
    /// `sent` and may have lost the last of it.
    #[must_use]
    pub fn reach_of_one_read(&self, sent: Seq) -> Seq {
        let sent = sent.max(self.dropped.through_seq);
        let bytes = self.limits.read_bytes.saturating_sub(self.limits.in_flight_bytes) as u64;
        let end = self.offset_after(sent) + bytes;
        // Half of the chunks for what was lost, half for what was not sent.
        let last = Seq(sent.0.saturating_add(self.limits.read_chunks as u64 / 2));
        let filed =
            self.filed.segments().find(|segment| segment.offset + segment.bytes > end || segment.last > last);
        if let Some(segment) = filed {
            return sent.max(Seq(segment.first.0 - 1));
        }
        let from = self.chunks.partition_point(|chunk| chunk.seq <= sent);
        let beyond = |chunk: &&Chunk| chunk.offset + chunk.bytes.len() as u64 > end || chunk.seq > last;
        match self.chunks.range(from..).find(beyond) {
            Some(chunk) => sent.max(Seq(chunk.seq.0 - 1)),
            None => self.last,
        }
    }

    /// The exit or the close, whichever comes first behind `after`.
    #[must_use]
    pub fn next_ending(&self, after: Seq) -> Option<Event> {
        let exit = self.exit.as_ref().filter(|(seq, _)| *seq > after);
        let exit = exit.map(|(seq, exit)| Event::Exited(*seq, exit.clone()));
        let closed = || self.closed.filter(|(seq, _)| *seq > after);
        exit.or_else(|| closed().map(|(seq, totals)| Event::Closed(seq, totals)))
    }

    /// The first retained event for a reader. Seeing it settles its extent: it will not grow any more. The reader stays
    /// where it is until it is told to advance.
    pub fn next(&mut self, place: &mut Place) -> Next {
        self.seal();
        let after = place.after;
        let exit = self.exit.as_ref().filter(|(seq, _)| *seq > after);
        let exit_before = |seq: Seq| exit.filter(|(exit, _)| *exit < seq).cloned();
        if let Some(chunk) = place.fetched.front() {
            return match exit_before(chunk.seq) {
                Some((seq, exit)) => Next::Event(Event::Exited(seq, exit)),
                None => Next::Event(Event::Output(chunk.clone())),
            };
        }
        if let Some(segment) = self.filed.behind(after) {
            return match exit_before(segment.first) {
                Some((seq, exit)) => Next::Event(Event::Exited(seq, exit)),
                None => Next::Filed(*segment),
            };
        }
        match self.chunks.get(self.chunks.partition_point(|chunk| chunk.seq <= after)) {
            Some(chunk) => match exit_before(chunk.seq) {
                Some((seq, exit)) => Next::Event(Event::Exited(seq, exit)),
                None => Next::Event(Event::Output(chunk.clone())),
            },
            None => match (exit.cloned(), self.closed.filter(|(seq, _)| *seq > after)) {
                (Some((seq, exit)), _) => Next::Event(Event::Exited(seq, exit)),
                (None, Some((seq, totals))) => Next::Event(Event::Closed(seq, totals)),
                (None, None) => Next::Nothing,
            },
        }
    }
}
