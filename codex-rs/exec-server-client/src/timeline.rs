//! One process's events in order: what was pushed, what was read again, what is missing.
//!
//! Rules only; what becomes of the records is [`crate::feed`]'s to say. Position by position every number is accounted
//! for: it was delivered, it is parked, or it became part of a gap.

use bytes::Bytes;
use codex_exec_server_core::process_event::Exit;
use codex_exec_server_core::sequencer::Sequencer;
use codex_exec_server_protocol::ids::{ProcessId, Seq};
use codex_exec_server_protocol::process::{DroppedOutput, OutputStream, ProcessReadResponse};

use crate::config::ProcessLimits;
use crate::error::ProcessError;
use crate::record::{Account, Record};

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
    Closed(Account),
}

impl Entry {
    fn len(&self) -> usize {
        match self {
            Self::Output { bytes, .. } => bytes.len(),
            Self::Exited(_) | Self::Closed(_) => 0,
        }
    }

    /// Bytes of output before it, where it says.
    const fn offset(&self) -> Option<u64> {
        match self {
            Self::Output { offset, .. } => *offset,
            Self::Closed(account) => account.output_bytes,
            Self::Exited(_) => None,
        }
    }
}

/// Bytes of output through `through`, if that is how far the server says that it dropped.
fn dropped_through(dropped: Option<DroppedOutput>, through: Seq) -> Option<u64> {
    dropped.filter(|dropped| dropped.through_seq == through).map(|dropped| dropped.bytes)
}

#[derive(Debug)]
struct Numbered {
    seq: Seq,
    entry: Entry,
}

/// What came of taking something in.
#[derive(Debug, Default)]
pub(crate) struct Step {
    /// What comes next, in order.
    pub(crate) records: Vec<Record>,
    /// Nothing can be delivered any more.
    pub(crate) fault: Option<ProcessError>,
    /// The exit was among what is gone, and has to be told behind the last gap.
    exit_is_gone: bool,
}

/// How far an answer reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// To the end of the log.
    End,
    /// Through this position; there may be more.
    Page(Seq),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Timeline {
    process_id: ProcessId,
    limits: ProcessLimits,
    /// Everything through here is for somebody else.
    start: Seq,
    sequencer: Sequencer<Numbered>,
    /// At least the bytes in parked events; exact whenever nothing is parked.
    parked_bytes: usize,
    /// The highest position that was ever pushed.
    pushed: Seq,
    read: Read,
    /// All output so far, gaps included; `None` while their size is not known.
    bytes: Option<u64>,
    /// How the process ended, as an answer told.
    exit: Option<Exit>,
    /// An exit that was pushed by a server that did not tell whether a sandbox refused something. An answer does.
    unfinished_exit: Option<(Seq, Exit)>,
    /// The exit was delivered or is parked.
    exit_seen: bool,
    /// Some numbers were given up.
    has_gaps: bool,
    closed: bool,
}

/// What was known when the last read was asked for.
#[derive(Debug)]
struct Read {
    after: Seq,
    /// The highest position that had been pushed.
    pushed: Seq,
}

impl Timeline {
    /// What comes behind `after`.
    pub(crate) fn new(process_id: ProcessId, limits: ProcessLimits, after: Seq) -> Self {
        let mut sequencer = Sequencer::new(limits.parked_events);
        sequencer.skip_through(after);
        Self {
            process_id,
            start: after,
            sequencer,
            limits,
            parked_bytes: 0,
            pushed: Seq::START,
            read: Read { after, pushed: Seq::START },
            bytes: (after == Seq::START).then_some(0),
            exit: None,
            unfinished_exit: None,
            exit_seen: false,
            has_gaps: false,
            closed: false,
        }
    }

    /// As [`Self::new`], where it is known how much output came through `after`.
    pub(crate) fn counting(self, bytes: Option<u64>) -> Self {
        Self { bytes: self.bytes.or(bytes), ..self }
    }

    /// The last position that was delivered.
    pub(crate) const fn delivered(&self) -> Seq {
        self.sequencer.delivered()
    }

    /// How the process ended, as an answer told.
    pub(crate) fn exit(&self) -> Option<Exit> {
        self.exit.clone()
    }

    /// The highest position that was ever pushed.
    pub(crate) const fn pushed(&self) -> Seq {
        self.pushed
    }

    /// Whether everything that was ever pushed was delivered. If not, something before it is missing.
    pub(crate) fn is_up_to_date(&self) -> bool {
        self.pushed <= self.delivered()
    }

    /// Whether nothing was delivered yet.
    pub(crate) fn is_untouched(&self) -> bool {
        self.delivered() == self.start
    }

    /// Whether the last event was delivered, or came before this began.
    pub(crate) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Takes a pushed event.
    pub(crate) fn push(&mut self, seq: Seq, entry: Entry) -> Step {
        let mut step = Step::default();
        self.pushed = self.pushed.max(seq);
        if seq <= self.delivered() || self.closed {
            self.overtake(seq, &entry);
            return step;
        }
        if let Entry::Exited(exit) = &entry
            && exit.sandbox_denied.is_none()
        {
            // It stays missing until an answer completes it.
            self.unfinished_exit = Some((seq, exit.clone()));
            return step;
        }
        let early = seq > self.delivered().next();
        if !early || self.parked_bytes + entry.len() <= self.limits.parked_bytes {
            self.accept(seq, entry, &mut step);
        }
        step
    }

    /// There is something at `seq` that is not told here but has to be read.
    pub(crate) fn overlook(&mut self, seq: Seq) {
        self.pushed = self.pushed.max(seq);
    }

    /// A `process/read` is about to be sent; returns its `afterSeq`.
    pub(crate) fn begin_read(&mut self) -> Seq {
        self.read = Read { after: self.delivered(), pushed: self.pushed };
        self.read.after
    }

    /// The answer to a `process/read` that asked for no output: how far the log goes. `Err`: not as far as it did.
    pub(crate) fn confirm(&self, response: &ProcessReadResponse) -> Result<(), ProcessError> {
        let tip = Seq(response.next_seq.0.saturating_sub(1));
        let seen = self.read.pushed.max(self.read.after);
        if tip < seen {
            return Err(ProcessError::Inconsistent { process_id: self.process_id.clone(), seen, tip });
        }
        Ok(())
    }

    /// Takes the answer to a `process/read`, and tells how far it reached. `whole`: it was asked for without `maxBytes`.
    ///
    /// An answer accounts for every number up to its last chunk: what it leaves out was dropped, or is the exit. One that
    /// is whole or holds no chunk accounts for all numbers that there are.
    pub(crate) fn catch_up(&mut self, response: ProcessReadResponse, whole: bool) -> (Step, Reach) {
        let mut step = Step::default();
        let whole = whole || response.chunks.is_empty();
        let tip = Seq(response.next_seq.0.saturating_sub(1));
        let end = match response.chunks.last() {
            Some(last) if !whole => last.seq,
            _ => tip,
        };
        let reach = if whole { Reach::End } else { Reach::Page(end) };
        if self.closed {
            return (step, reach);
        }
        // Either would make us ask for ever: an end before what was pushed, or a page that leads nowhere.
        if (whole && end < self.read.pushed) || (!whole && end <= self.read.after) {
            let (process_id, seen) = (self.process_id.clone(), self.read.pushed.max(self.read.after));
            step.fault = Some(ProcessError::Inconsistent { process_id, seen, tip: end });
            return (step, reach);
        }
        let mut told = None;
        if let Some((seq, exit)) = self.unfinished_exit.take() {
            let sandbox_denied = exit.sandbox_denied.or(response.sandbox_denied);
            told = Some((seq, Exit { sandbox_denied, ..exit }));
        } else if let (true, None, Some(code)) = (response.exited, &self.exit, response.exit_code) {
            let sandbox_denied = response.sandbox_denied;
            self.exit =
                Some(Exit { code, sandbox_denied, reason: None, signal: None, usage: None, denials: None });
        }
        let dropped = response.dropped;
        let mut entries: Vec<Numbered> = Vec::with_capacity(response.chunks.len() + 2);
        for chunk in response.chunks {
            let bytes = chunk.chunk.into_bytes();
            let entry = Entry::Output { stream: chunk.stream, bytes, offset: chunk.offset };
            entries.push(Numbered { seq: chunk.seq, entry });
        }
        if whole && response.closed {
            let entry = Entry::Closed(Account { output_bytes: response.output_bytes, crc32c: None });
            entries.push(Numbered { seq: tip, entry });
        }
        if let Some((seq, exit)) = told {
            self.accept(seq, Entry::Exited(exit), &mut step);
        }
        if let (Some(exit), false) = (self.exit.clone(), self.exit_seen) {
            match self.place_of_exit(&entries, dropped, end) {
                Some((at, seq)) => entries.insert(at, Numbered { seq, entry: Entry::Exited(exit) }),
                None => step.exit_is_gone = whole,
            }
        }
        for Numbered { seq, entry } in entries {
            if seq > self.delivered().next() {
                let through = Seq(seq.0 - 1);
                self.skip(through, entry.offset(), dropped, &mut step);
            }
            self.accept(seq, entry, &mut step);
        }
        self.skip(end, /*end*/ None, dropped, &mut step);
        if step.exit_is_gone {
            self.release_exit(self.delivered(), &mut step);
        }
        (step, reach)
    }

    /// Where in `entries`, and at which position, the exit stands that was not seen yet. The exit is the one number that
    /// an answer leaves out although it was not dropped. Servers drop from the front, but not all of them tell how far.
    /// `None` when it can't be told from dropped output, or is not within this answer.
    fn place_of_exit(
        &self,
        entries: &[Numbered],
        dropped: Option<DroppedOutput>,
        end: Seq,
    ) -> Option<(usize, Seq)> {
        let mut before = self.delivered();
        if let Some(dropped) = dropped {
            // Some of it may be in this answer, and behind that nothing is missing.
            let first =
                entries.first().map_or(dropped.through_seq, |first| Seq(first.seq.0.saturating_sub(1)));
            before = before.max(dropped.through_seq.min(first));
        }
        let mut place = None;
        for (at, next) in entries.iter().map(|entry| entry.seq).chain([end.next()]).enumerate() {
            if next > before.next() {
                place = (next.0 - before.0 == 2).then_some((at, before.next()));
            }
            before = before.max(next);
        }
        place
    }

    /// What happened before this began is not told here; but an exit is not to be looked for any more, and behind a close
    /// there is nothing to wait for.
    fn overtake(&mut self, seq: Seq, entry: &Entry) {
        if seq <= self.start {
            self.exit_seen |= matches!(entry, Entry::Exited(_));
            self.closed |= matches!(entry, Entry::Closed(_));
        }
    }

    fn accept(&mut self, seq: Seq, entry: Entry, step: &mut Step) {
        self.overtake(seq, &entry);
        let bytes = entry.len();
        let is_exit = matches!(entry, Entry::Exited(_));
        // One that comes too early is dropped, and read again with what it would have waited for.
        if let Ok(events) = self.sequencer.accept(seq, Numbered { seq, entry }) {
            self.exit_seen |= is_exit;
            self.parked_bytes += bytes;
            self.release(events, step);
        }
    }

    /// Goes on behind `through`, of which the server has nothing any more that is not here. `end`: bytes of output through
    /// there, where what follows says it.
    fn skip(&mut self, through: Seq, end: Option<u64>, dropped: Option<DroppedOutput>, step: &mut Step) {
        // The server may have dropped more since it took this picture; where the next chunk begins is exact.
        let end_of_gap = |at: Seq, next: Option<u64>| {
            next.or(end.filter(|_| at == through)).or_else(|| dropped_through(dropped, at))
        };
        let mut expected = self.delivered().next();
        let events = self.sequencer.skip_through(through);
        for event in events {
            if event.seq > expected {
                let at = Seq(event.seq.0 - 1);
                self.gap(at, end_of_gap(at, event.entry.offset()), step);
            }
            expected = event.seq.next();
            self.release(vec![event], step);
        }
        if through >= expected {
            self.gap(through, end_of_gap(through, /*next*/ None), step);
        }
    }

    /// `end`: bytes of output through the end of the gap.
    fn gap(&mut self, through: Seq, end: Option<u64>, step: &mut Step) {
        if self.closed || step.fault.is_some() {
            return;
        }
        let bytes = end.zip(self.bytes).and_then(|(end, before)| end.checked_sub(before));
        self.bytes = end;
        self.has_gaps = true;
        if bytes != Some(0) {
            step.records.push(Record::Gap { through, bytes });
        } else {
            // A number without a byte is that of an exit that nobody could place.
            step.exit_is_gone = false;
            self.release_exit(through, step);
        }
    }

    /// Delivers an exit that was told, and happened somewhere in what is gone; at `seq`, or behind the last gap of an answer
    /// that leaves no other place for it. Where nothing is gone, it happened before this began.
    fn release_exit(&mut self, seq: Seq, step: &mut Step) {
        let is_here = self.has_gaps || self.start == Seq::START;
        if let (Some(exit), false, true) = (self.exit.clone(), self.exit_seen, is_here) {
            self.exit_seen = true;
            let is_gap = |record: &Record| matches!(record, Record::Gap { .. });
            match step.records.iter().rposition(is_gap).filter(|_| step.exit_is_gone) {
                Some(gap) => {
                    let seq = step.records[gap].seq();
                    step.records.insert(gap + 1, Record::Exited { seq, exit });
                }
                None => step.records.push(Record::Exited { seq, exit }),
            }
        }
        step.exit_is_gone = false;
    }

    fn release(&mut self, numbered: Vec<Numbered>, step: &mut Step) {
        for Numbered { seq, entry } in numbered {
            self.parked_bytes = self.parked_bytes.saturating_sub(entry.len());
            if self.closed || step.fault.is_some() {
                continue;
            }
            match entry {
                Entry::Output { offset: Some(offset), .. }
                    if self.bytes.is_some_and(|bytes| bytes != offset) =>
                {
                    let (process_id, expected) = (self.process_id.clone(), self.bytes.unwrap_or_default());
                    step.fault = Some(ProcessError::Misplaced { process_id, seq, expected, offset });
                }
                Entry::Output { stream, bytes, offset } => {
                    self.bytes = self.bytes.or(offset).map(|before| before + bytes.len() as u64);
                    if !bytes.is_empty() {
                        step.records.push(Record::Output { seq, stream, bytes });
                    }
                }
                Entry::Exited(exit) => step.records.push(Record::Exited { seq, exit }),
                Entry::Closed(account) => {
                    self.release_exit(Seq(seq.0.saturating_sub(1)), step);
                    self.closed = true;
                    step.records.push(Record::Closed { seq, account });
                }
            }
        }
        if !self.sequencer.has_gap() {
            self.parked_bytes = 0;
        }
    }
}

#[cfg(test)]
#[path = "timeline_tests.rs"]
mod tests;
