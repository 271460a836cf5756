//! One process's events in order: what was pushed, what was read again, what is missing, and whether it is all.
//!
//! Rules only; the buffer around it is [`crate::inbox`]'s. Position by position every number is accounted for: it was
//! delivered, it is parked, or it became part of a gap.

use bytes::Bytes;
use codex_exec_server_core::sequencer::Sequencer;
use codex_exec_server_protocol::ids::{ProcessId, Seq};
use codex_exec_server_protocol::process::{DroppedOutput, OutputStream, ProcessReadResponse};

use crate::config::ProcessLimits;
use crate::error::ProcessError;
use crate::event::{Event, Exit, Proof};

/// An event as it comes from the server, without its position.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Entry {
    /// `offset`: bytes of output before it, where the server tells.
    Output {
        stream: OutputStream,
        bytes: Bytes,
        offset: Option<u64>,
    },
    Exited(Exit),
    /// The server's own account of all output, where it keeps one.
    Closed {
        output_bytes: Option<u64>,
        crc32c: Option<String>,
    },
}

impl Entry {
    fn len(&self) -> usize {
        match self {
            Self::Output { bytes, .. } => bytes.len(),
            Self::Exited(_) | Self::Closed { .. } => 0,
        }
    }
}

#[derive(Debug)]
struct Numbered {
    seq: Seq,
    entry: Entry,
}

/// What came of taking something in.
#[derive(Debug, Default)]
pub(crate) struct Step {
    /// To be delivered, in order.
    pub(crate) events: Vec<Event>,
    /// Something is missing that has to be read.
    pub(crate) missing: bool,
    /// Nothing can be delivered any more.
    pub(crate) fault: Option<ProcessError>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Timeline {
    process_id: ProcessId,
    limits: ProcessLimits,
    sequencer: Sequencer<Numbered>,
    /// At least the bytes in parked events; exact whenever nothing is parked.
    parked_bytes: usize,
    /// The highest position that was ever pushed.
    pushed: Seq,
    /// What that was when the last read was asked for: its answer must reach as far.
    pushed_before_read: Seq,
    /// Bytes delivered, plus those of gaps where they are known.
    bytes: u64,
    /// Whether `bytes` counts the gaps, too.
    bytes_known: bool,
    crc32c: u32,
    has_gaps: bool,
    /// The exit was delivered or is parked.
    exit_seen: bool,
    closed: bool,
}

impl Timeline {
    pub(crate) const fn new(process_id: ProcessId, limits: ProcessLimits) -> Self {
        Self {
            process_id,
            sequencer: Sequencer::new(limits.parked_events),
            limits,
            parked_bytes: 0,
            pushed: Seq::START,
            pushed_before_read: Seq::START,
            bytes: 0,
            bytes_known: true,
            crc32c: 0,
            has_gaps: false,
            exit_seen: false,
            closed: false,
        }
    }

    /// The last position that was delivered.
    pub(crate) const fn delivered(&self) -> Seq {
        self.sequencer.delivered()
    }

    /// Whether the last event was delivered.
    pub(crate) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Takes a pushed event.
    pub(crate) fn push(&mut self, seq: Seq, entry: Entry) -> Step {
        let mut step = Step::default();
        self.pushed = self.pushed.max(seq);
        if seq <= self.delivered() || self.closed {
            return step;
        }
        let early = seq > self.delivered().next();
        if early && self.parked_bytes + entry.len() > self.limits.parked_bytes {
            step.missing = true;
            return step;
        }
        self.accept(seq, entry, &mut step);
        step.missing |= self.sequencer.has_gap();
        step
    }

    /// A push was dropped by the caller, who will ask for what is missing.
    pub(crate) fn overlook(&mut self, seq: Seq) {
        self.pushed = self.pushed.max(seq);
    }

    /// A `process/read` is about to be sent; returns its `afterSeq`.
    pub(crate) fn begin_read(&mut self) -> Seq {
        self.pushed_before_read = self.pushed;
        self.delivered()
    }

    /// Takes the answer to a `process/read` without `maxBytes`: all that the server has after some position that was
    /// delivered then, and so an account of every number up to the last one.
    pub(crate) fn catch_up(&mut self, response: ProcessReadResponse) -> Step {
        let mut step = Step::default();
        if self.closed {
            return step;
        }
        let tip = Seq(response.next_seq.0.saturating_sub(1));
        eprintln!("CATCH tip {tip} first {:?} last {:?} n {} exited {} closed {} dropped {:?} delivered {} before {}", response.chunks.first().map(|c|c.seq), response.chunks.last().map(|c|c.seq), response.chunks.len(), response.exited, response.closed, response.dropped, self.delivered(), self.pushed_before_read);
        if tip < self.pushed_before_read {
            step.fault = Some(ProcessError::Inconsistent {
                process_id: self.process_id.clone(),
                pushed: self.pushed_before_read.0,
                tip: tip.0,
            });
            return step;
        }
        let dropped = response.dropped;
        let mut entries: Vec<Numbered> = Vec::with_capacity(response.chunks.len() + 2);
        for chunk in response.chunks {
            let bytes = chunk.chunk.into_bytes();
            let entry = Entry::Output { stream: chunk.stream, bytes, offset: chunk.offset };
            entries.push(Numbered { seq: chunk.seq, entry });
        }
        if response.closed {
            let entry = Entry::Closed { output_bytes: response.output_bytes, crc32c: None };
            entries.push(Numbered { seq: tip, entry });
        }
        let mut lost_exit = None;
        if let (true, Some(code)) = (response.exited && !self.exit_seen, response.exit_code) {
            let sandbox_denied = response.sandbox_denied;
            let exit = Exit { code, sandbox_denied, reason: None, signal: None, usage: None };
            let floor = dropped.map_or(Seq::START, |dropped| dropped.through_seq);
            match self.place_of_exit(&entries, floor, tip) {
                Some((at, seq)) => entries.insert(at, Numbered { seq, entry: Entry::Exited(exit) }),
                None => lost_exit = Some(exit),
            }
        }
        for Numbered { seq, entry } in entries {
            if seq > self.delivered().next() {
                self.skip(Seq(seq.0 - 1), dropped, &mut lost_exit, &mut step);
            }
            if step.fault.is_none() {
                self.accept(seq, entry, &mut step);
            }
        }
        if step.fault.is_none() {
            self.skip(tip, dropped, &mut lost_exit, &mut step);
        }
        // What was pushed meanwhile may have left holes of its own.
        step.missing |= self.sequencer.has_gap();
        step
    }

    /// Where in `entries`, and at which position, the exit stands that was not seen yet. The exit is the one number that
    /// a read accounts for by leaving it out; beyond `floor` nothing else is left out, and servers that do not tell a floor
    /// drop from the front. `None` when it can't be told from dropped output around it.
    fn place_of_exit(&self, entries: &[Numbered], floor: Seq, tip: Seq) -> Option<(usize, Seq)> {
        let mut before = self.delivered().max(floor);
        let mut place = None;
        for (at, next) in entries.iter().map(|entry| entry.seq).chain([tip.next()]).enumerate() {
            if next > before.next() {
                place = (next.0 - before.0 == 2).then_some((at, before.next()));
            }
            before = before.max(next);
        }
        place
    }

    fn accept(&mut self, seq: Seq, entry: Entry, step: &mut Step) {
        let bytes = entry.len();
        let is_exit = matches!(entry, Entry::Exited(_));
        match self.sequencer.accept(seq, Numbered { seq, entry }) {
            Ok(events) => {
                self.exit_seen |= is_exit;
                self.parked_bytes += bytes;
                self.release(events, step);
            }
            Err(_) => step.missing = true,
        }
    }

    /// Goes on behind `through`, of which the server has nothing any more that is not here.
    fn skip(&mut self, through: Seq, dropped: Option<DroppedOutput>, lost_exit: &mut Option<Exit>, step: &mut Step) {
        let mut expected = self.delivered().next();
        let events = self.sequencer.skip_through(through);
        for event in events {
            if event.seq > expected {
                let offset = match &event.entry {
                    Entry::Output { offset, .. } => *offset,
                    Entry::Exited(_) | Entry::Closed { .. } => None,
                };
                self.gap(Seq(event.seq.0 - 1), offset, lost_exit, step);
            }
            expected = event.seq.next();
            self.release(vec![event], step);
        }
        if through >= expected {
            let end = dropped.filter(|dropped| dropped.through_seq == through).map(|dropped| dropped.bytes);
            self.gap(through, end, lost_exit, step);
        }
    }

    /// `end`: bytes of output through the end of the gap.
    fn gap(&mut self, through: Seq, end: Option<u64>, lost_exit: &mut Option<Exit>, step: &mut Step) {
        let bytes = end.filter(|_| self.bytes_known).and_then(|end| end.checked_sub(self.bytes));
        match bytes {
            Some(bytes) => self.bytes += bytes,
            None => self.bytes_known = false,
        }
        // A number without a byte is that of an exit that nobody could place.
        if bytes != Some(0) {
            eprintln!("GAP through {through} end {end:?} self.bytes {} delivered {} exit_seen {} lost_exit {lost_exit:?}", self.bytes, self.delivered(), self.exit_seen);
        self.has_gaps = true;
            step.events.push(Event::Gap { through, bytes });
        }
        if let Some(exit) = lost_exit.take() {
            // It happened somewhere in what is gone.
            self.exit_seen = true;
            step.events.push(Event::Exited(exit));
        }
    }

    fn release(&mut self, events: Vec<Numbered>, step: &mut Step) {
        for Numbered { entry, .. } in events {
            self.parked_bytes = self.parked_bytes.saturating_sub(entry.len());
            if self.closed || step.fault.is_some() {
                continue;
            }
            match entry {
                Entry::Output { stream, bytes, .. } => {
                    self.bytes += bytes.len() as u64;
                    self.crc32c = crc32c::crc32c_append(self.crc32c, &bytes);
                    if !bytes.is_empty() {
                        step.events.push(Event::Output { stream, bytes });
                    }
                }
                Entry::Exited(exit) => step.events.push(Event::Exited(exit)),
                Entry::Closed { output_bytes, crc32c } => match self.prove(output_bytes, crc32c) {
                    Ok(proof) => {
                        self.closed = true;
                        step.events.push(Event::Closed(proof));
                    }
                    Err(fault) => step.fault = Some(fault),
                },
            }
        }
        if !self.sequencer.has_gap() {
            self.parked_bytes = 0;
        }
    }

    /// Compares what was delivered with the server's account.
    fn prove(&self, output_bytes: Option<u64>, crc32c: Option<String>) -> Result<Proof, ProcessError> {
        let incomplete = |what, expected, found| Err(ProcessError::Incomplete { what, expected, found });
        if let Some(expected) = output_bytes.filter(|_| self.bytes_known)
            && expected != self.bytes
        {
            return incomplete("length", expected.to_string(), self.bytes.to_string());
        }
        if self.has_gaps {
            return Ok(Proof::Gap);
        }
        let found = format!("{:08x}", self.crc32c);
        match crc32c {
            Some(expected) if !expected.eq_ignore_ascii_case(&found) => incomplete("crc32c", expected, found),
            Some(_) => Ok(Proof::Checksum),
            None if output_bytes.is_some() => Ok(Proof::Length),
            None => Ok(Proof::Numbering),
        }
    }
}

#[cfg(test)]
#[path = "timeline_tests.rs"]
mod tests;
