//! Everything one process said, numbered from 1 and trimmed from the front.
//!
//! Output, exit and close share one numbering, so the last [`Seq`] a reader saw is all it needs to go on. Only output
//! is ever dropped, and only from the front; the exit and the close stay until the log itself goes. What was dropped is
//! accounted for exactly.
//!
//! The newest output is in memory. What somebody has still to read and memory has no room for goes to a file: which part
//! that is, is decided in [`keeping`](self::Interest) and [`crate::spool`]; the caller writes and reads it. Who reads, and
//! how anybody is woken, is not the log's matter either.

mod keeping;
mod reading;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use codex_exec_server_protocol::ids::Seq;
use codex_exec_server_protocol::process::{
    DroppedOutput, ExitReason, OutputStream, ProcessUsage, SandboxDenial,
};

pub use self::keeping::{Interest, Means, Room};
pub use self::reading::{Next, Page, PageReader, Place};
use crate::limits::LogLimits;
use crate::pace::Pace;
use crate::spool::Filed;

/// How a process ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Exit {
    /// Exit code, or 128 + n after signal n.
    pub code: i32,
    /// Why it ended.
    pub reason: ExitReason,
    /// Number of the signal that ended it.
    pub signal: Option<i32>,
    /// What it used.
    pub usage: ProcessUsage,
    /// Whether a sandbox refused something.
    pub sandbox_denied: bool,
    /// What it refused, if that is known.
    pub denials: Option<Arc<[SandboxDenial]>>,
}

/// What a whole log amounts to, known at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Bytes of output, dropped ones included.
    pub output_bytes: u64,
    /// CRC-32C (Castagnoli) of all output in log order.
    pub crc32c: u32,
}

/// One stretch of one stream's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Its position.
    pub seq: Seq,
    /// Where it came from.
    pub stream: OutputStream,
    /// Output bytes of the process before it, over all streams.
    pub offset: u64,
    /// The bytes; never none.
    pub bytes: Bytes,
}

/// One entry of the log.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Output.
    Output(Chunk),
    /// The process itself ended; output may still follow.
    Exited(Seq, Exit),
    /// All streams ended; nothing follows.
    Closed(Seq, Totals),
}

impl Event {
    /// Its position.
    #[must_use]
    pub const fn seq(&self) -> Seq {
        match self {
            Self::Output(chunk) => chunk.seq,
            Self::Exited(seq, _) | Self::Closed(seq, _) => *seq,
        }
    }
}

/// The part of the newest chunk that may still grow, because nobody has seen it.
#[derive(Debug)]
struct Open {
    seq: Seq,
    stream: OutputStream,
    offset: u64,
    bytes: Vec<u8>,
}

/// See the module.
#[derive(Debug)]
pub struct EventLog {
    limits: LogLimits,
    /// The oldest part: what is in the file.
    filed: Filed,
    /// What follows it: in memory.
    chunks: VecDeque<Chunk>,
    open: Option<Open>,
    last: Seq,
    output_bytes: u64,
    crc32c: u32,
    dropped: DroppedOutput,
    interest: Interest,
    pace: Option<Pace>,
    exit: Option<(Seq, Exit)>,
    /// Bytes of output before the exit.
    exit_offset: u64,
    closed: Option<(Seq, Totals)>,
}

impl EventLog {
    /// An empty log that keeps everything it can.
    #[must_use]
    pub fn new(limits: LogLimits) -> Self {
        Self {
            filed: Filed::new(limits.filed_bytes(), limits.chunk_bytes),
            limits,
            chunks: VecDeque::new(),
            open: None,
            last: Seq::START,
            output_bytes: 0,
            crc32c: 0,
            dropped: DroppedOutput { through_seq: Seq::START, bytes: 0 },
            interest: Interest::EVERYTHING,
            pace: None,
            exit: None,
            exit_offset: 0,
            closed: None,
        }
    }

    /// Appends output. Adjacent output of one stream that nobody has seen yet becomes one chunk, and more than a chunk
    /// may hold becomes several. Empty output is nothing. Output after the close is refused by ignoring it: the
    /// numbering has ended.
    ///
    /// `bytes` may have room to spare: a chunk that grows makes use of it, and gives it back at its end.
    pub fn push_output(&mut self, stream: OutputStream, bytes: Vec<u8>) {
        if bytes.len() <= self.limits.chunk_bytes {
            return self.push_piece(stream, bytes);
        }
        for piece in bytes.chunks(self.limits.chunk_bytes.max(1)) {
            self.push_piece(stream, piece.to_vec());
        }
    }

    fn push_piece(&mut self, stream: OutputStream, bytes: Vec<u8>) {
        if bytes.is_empty() || self.closed.is_some() {
            return;
        }
        self.crc32c = crc32c::crc32c_append(self.crc32c, &bytes);
        let offset = self.output_bytes;
        self.output_bytes += bytes.len() as u64;
        match &mut self.open {
            Some(open)
                if open.stream == stream && open.bytes.len() + bytes.len() <= self.limits.chunk_bytes =>
            {
                open.bytes.extend_from_slice(&bytes);
            }
            _ => {
                self.seal();
                self.last = self.last.next();
                self.open = Some(Open { seq: self.last, stream, offset, bytes });
            }
        }
    }

    /// Appends the exit. A second one is ignored.
    pub fn push_exited(&mut self, exit: Exit) {
        if self.exit.is_none() && self.closed.is_none() {
            self.seal();
            self.last = self.last.next();
            self.exit = Some((self.last, exit));
            self.exit_offset = self.output_bytes;
        }
    }

    /// Appends the close, after which nothing is appended. A second one is ignored.
    pub fn push_closed(&mut self) {
        if self.closed.is_none() {
            self.seal();
            self.last = self.last.next();
            self.closed = Some((self.last, self.totals()));
        }
    }

    /// The last position used; [`Seq::START`] for an empty log.
    #[must_use]
    pub const fn last(&self) -> Seq {
        self.last
    }

    /// The exit, once it is there.
    #[must_use]
    pub const fn exit(&self) -> Option<&Exit> {
        match &self.exit {
            Some((_, exit)) => Some(exit),
            None => None,
        }
    }

    /// Whether the close is there.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// Bytes and checksum so far.
    #[must_use]
    pub const fn totals(&self) -> Totals {
        Totals { output_bytes: self.output_bytes, crc32c: self.crc32c }
    }

    /// What can't be read any more, if anything.
    #[must_use]
    pub fn dropped(&self) -> Option<DroppedOutput> {
        (self.dropped.bytes > 0).then_some(self.dropped)
    }

    /// Bytes of output that the log holds.
    #[must_use]
    pub const fn retained_bytes(&self) -> u64 {
        self.output_bytes - self.dropped.bytes
    }

    /// Whether a reader at `after` would see something new, or would never see anything again.
    #[must_use]
    pub const fn is_ready(&self, after: Seq) -> bool {
        self.last.0 > after.0 || self.closed.is_some()
    }

    /// Bytes of output before `event`, which is one of this log's.
    #[must_use]
    pub const fn offset_of(&self, event: &Event) -> u64 {
        match event {
            Event::Output(chunk) => chunk.offset,
            Event::Exited(..) => self.exit_offset,
            Event::Closed(_, totals) => totals.output_bytes,
        }
    }

    /// Bytes of output through `after`, or a few less where that is in the middle of what is filed. What was dropped
    /// counts.
    fn offset_after(&self, after: Seq) -> u64 {
        let filed = self.filed.behind(after).map(|segment| segment.offset);
        let chunk = || {
            let chunk = self.chunks.get(self.chunks.partition_point(|chunk| chunk.seq <= after));
            chunk.map(|chunk| chunk.offset)
        };
        let open = || self.open.as_ref().filter(|open| open.seq > after).map(|open| open.offset);
        filed.or_else(chunk).or_else(open).unwrap_or(self.output_bytes)
    }

    /// Bytes of output after `after` that are retained.
    #[must_use]
    pub fn bytes_after(&self, after: Seq) -> u64 {
        self.output_bytes - self.offset_after(after)
    }

    /// Settles the extent of what is there: what comes next gets a position of its own.
    pub fn seal(&mut self) {
        if let Some(Open { seq, stream, offset, mut bytes }) = self.open.take() {
            // What is kept takes no more memory than is accounted for.
            bytes.shrink_to_fit();
            self.chunks.push_back(Chunk { seq, stream, offset, bytes: Bytes::from(bytes) });
        }
    }
}

#[cfg(test)]
#[path = "event_log_tests.rs"]
mod tests;
