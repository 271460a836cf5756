//! One reader's way through an event log: every event once, in order, what is gone as an explicit gap, and at the end
//! how far it is proven that nothing is missing.
//!
//! Owns where the reader is and what it was given. What the log still holds is [`crate::event_log`]'s matter, and how
//! the reader is woken is its caller's.

use bytes::Bytes;
use codex_exec_server_protocol::ids::Seq;

use crate::event_log::{Event, EventLog, Exit, Next, Place, Totals};
use crate::process_event::{self, ExecProcessEvent, Proof};
use crate::service::ExecError;
use crate::spool::Segment;

/// What a cursor gives.
#[derive(Debug)]
pub enum Given {
    /// What is next. An error is the last thing that is given.
    Event(Result<ExecProcessEvent, ExecError>),
    /// What is next is in the file. It is to be fetched first; see [`LogCursor::fetch`].
    Filed(Segment),
    /// Nothing yet, or, once it has ended, nothing ever.
    Nothing,
}

/// See the module.
#[derive(Debug)]
pub struct LogCursor {
    /// Everything before here was given.
    place: Place,
    /// Bytes of output through `after`; `None` while that is not known, because reading began in the middle.
    bytes: Option<u64>,
    /// Checksum of all output so far; `None` when not all of it was given.
    crc32c: Option<u32>,
    has_gap: bool,
    ended: bool,
}

impl LogCursor {
    /// A reader that has everything through `after`: [`Seq::START`] for one that has nothing.
    pub fn new(after: Seq, log: &mut EventLog) -> Self {
        // The last chunk must not grow any more, or what is added to it would count as given.
        log.seal();
        let from_start = after == Seq::START;
        Self {
            place: Place::new(after),
            bytes: from_start.then_some(0),
            crc32c: from_start.then_some(0),
            has_gap: false,
            ended: false,
        }
    }

    /// The last position that was given.
    #[must_use]
    pub const fn position(&self) -> Seq {
        self.place.after()
    }

    /// Whether nothing will follow.
    #[must_use]
    pub const fn is_ended(&self) -> bool {
        self.ended
    }

    /// What is next, if the log has it.
    pub fn next(&mut self, log: &mut EventLog) -> Given {
        if self.ended {
            return Given::Nothing;
        }
        let event = match log.next(&mut self.place) {
            Next::Event(event) => event,
            Next::Filed(segment) => return Given::Filed(segment),
            Next::Nothing => {
                // Somebody who was told of the close, or of positions that never came to be, has nothing to wait for.
                self.ended = log.is_closed();
                return Given::Nothing;
            }
        };
        let seq = event.seq();
        let before = log.offset_of(&event);
        if seq > self.position().next() {
            // Only output is dropped, so nothing but output can be missing up to the next thing that is there.
            return Given::Event(Ok(self.gap(Seq(seq.0 - 1), before)));
        }
        self.place.advance(seq);
        self.bytes.get_or_insert(before);
        Given::Event(match event {
            Event::Output(chunk) => {
                self.bytes = self.bytes.map(|bytes| bytes + chunk.bytes.len() as u64);
                self.crc32c = self.crc32c.map(|crc32c| crc32c::crc32c_append(crc32c, &chunk.bytes));
                Ok(ExecProcessEvent::Output { seq, stream: chunk.stream, bytes: chunk.bytes })
            }
            Event::Exited(_, exit) => Ok(ExecProcessEvent::Exited { seq, exit: exit.into() }),
            Event::Closed(_, totals) => {
                self.ended = true;
                self.prove(totals).map(|proof| ExecProcessEvent::Closed { seq, proof })
            }
        })
    }

    /// Takes what was read from the file for `segment`; `None` if it can't be read, and is lost.
    pub fn fetch(&mut self, log: &mut EventLog, segment: &Segment, stored: Option<Bytes>) {
        self.place.fetch(log, segment, stored);
    }

    /// `end`: bytes of output through the end of the gap.
    fn gap(&mut self, through: Seq, end: u64) -> ExecProcessEvent {
        let bytes = self.bytes.map(|bytes| end - bytes);
        self.place.advance(through);
        self.bytes = Some(end);
        self.crc32c = None;
        self.has_gap = true;
        ExecProcessEvent::Gap { through, bytes }
    }

    /// Compares what was given with the log's own account.
    fn prove(&self, totals: Totals) -> Result<Proof, ExecError> {
        let differs = |what: &str, expected: String, found: String| {
            let text = format!("{what} of the output is {found}, but the process's log counted {expected}");
            Err(ExecError::Inconsistent(text.into()))
        };
        if let Some(bytes) = self.bytes.filter(|bytes| *bytes != totals.output_bytes) {
            return differs("length", totals.output_bytes.to_string(), bytes.to_string());
        }
        match self.crc32c {
            Some(crc32c) if crc32c != totals.crc32c => {
                differs("crc32c", format!("{:08x}", totals.crc32c), format!("{crc32c:08x}"))
            }
            Some(_) => Ok(Proof::Checksum),
            None if self.has_gap => Ok(Proof::Gap),
            None => Ok(Proof::Numbering),
        }
    }
}

impl From<Exit> for process_event::Exit {
    fn from(exit: Exit) -> Self {
        Self {
            code: exit.code,
            sandbox_denied: Some(exit.sandbox_denied),
            reason: Some(exit.reason),
            signal: exit.signal,
            usage: Some(exit.usage),
            denials: exit.denials,
        }
    }
}

#[cfg(test)]
#[path = "log_cursor_tests.rs"]
mod tests;
