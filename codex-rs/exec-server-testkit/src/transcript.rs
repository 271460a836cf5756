//! What a client knows of one process: the events it was pushed, put together and checked.

use codex_exec_server_protocol::process::{
    OutputStream, ProcessClosedNotification, ProcessExitedNotification, ProcessOutputNotification,
    ProcessReadResponse,
};
use serde_json::Value;

/// A jump in the sequence numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The number that should have come.
    pub expected: u64,
    /// The one that came.
    pub found: u64,
}

/// Everything that one client saw of one process.
#[derive(Debug, Clone, Default)]
pub struct Transcript {
    /// All output in order, over all streams.
    pub output: Vec<u8>,
    /// The part that came from stdout.
    pub stdout: Vec<u8>,
    /// The part that came from stderr.
    pub stderr: Vec<u8>,
    /// The part that came from a terminal.
    pub pty: Vec<u8>,
    /// Kinds of events in order: `stdout`, `stderr`, `pty`, `exited`, `closed`.
    pub order: Vec<&'static str>,
    /// The last number seen, 0 before all.
    pub last_seq: u64,
    /// Jumps in the numbering.
    pub gaps: Vec<Gap>,
    /// Jumps in `offset`: where output should have gone on, and where it did.
    pub holes: Vec<(u64, u64)>,
    /// The exit.
    pub exited: Option<ProcessExitedNotification>,
    /// The close.
    pub closed: Option<ProcessClosedNotification>,
    first_offset: Option<u64>,
    next_offset: u64,
}

impl Transcript {
    /// Takes a notification; `false` if it is none of a process.
    pub(crate) fn absorb(&mut self, method: &str, params: &Value) -> bool {
        let fits = "notifications decode as the protocol says";
        match method {
            "process/output" => {
                let event: ProcessOutputNotification = serde_json::from_value(params.clone()).expect(fits);
                self.output(event.seq.0, event.stream, event.offset, &event.chunk);
            }
            "process/exited" => {
                let event: ProcessExitedNotification = serde_json::from_value(params.clone()).expect(fits);
                assert!(self.exited.is_none(), "{}: exited twice", event.process_id);
                self.number(event.seq.0, "exited");
                self.exited = Some(event);
            }
            "process/closed" => {
                let event: ProcessClosedNotification = serde_json::from_value(params.clone()).expect(fits);
                self.number(event.seq.0, "closed");
                self.closed = Some(event);
            }
            _ => return false,
        }
        true
    }

    /// Takes the output of a `process/read` answer.
    pub(crate) fn absorb_read(&mut self, page: &ProcessReadResponse) {
        for chunk in &page.chunks {
            self.output(chunk.seq.0, chunk.stream, chunk.offset, &chunk.chunk);
        }
    }

    fn number(&mut self, seq: u64, kind: &'static str) {
        assert!(seq > self.last_seq, "event {seq} ({kind}) came after {}", self.last_seq);
        assert!(self.closed.is_none(), "event {seq} ({kind}) came after the close");
        if seq != self.last_seq + 1 {
            self.gaps.push(Gap { expected: self.last_seq + 1, found: seq });
        }
        self.last_seq = seq;
        self.order.push(kind);
    }

    fn output(&mut self, seq: u64, stream: OutputStream, offset: Option<u64>, bytes: &[u8]) {
        assert!(!bytes.is_empty(), "output {seq} is empty");
        self.number(seq, stream.as_str());
        let offset = offset.expect("the server tells offsets");
        if offset != self.next_offset {
            self.holes.push((self.next_offset, offset));
        }
        self.first_offset.get_or_insert(offset);
        self.next_offset = offset + bytes.len() as u64;
        self.output.extend_from_slice(bytes);
        match stream {
            OutputStream::Stdout => self.stdout.extend_from_slice(bytes),
            OutputStream::Stderr => self.stderr.extend_from_slice(bytes),
            OutputStream::Pty => self.pty.extend_from_slice(bytes),
        }
    }

    /// Output bytes of the process before the first that is in here; `None` while there is none.
    #[must_use]
    pub fn first_offset(&self) -> Option<u64> {
        self.first_offset
    }

    /// Whether the output so far holds `text`.
    #[must_use]
    pub fn shows(&self, text: &str) -> bool {
        self.output.windows(text.len()).any(|window| window == text.as_bytes())
    }

    /// All output as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }

    /// The exit code.
    ///
    /// # Panics
    /// When the process has not exited.
    #[must_use]
    pub fn exit_code(&self) -> i32 {
        self.exited.as_ref().expect("the process has exited").exit_code
    }

    /// Checks that this is the whole story: every number from 1 on, every byte, and the totals that the close states.
    ///
    /// # Panics
    /// When something is missing.
    pub fn assert_complete(&self) {
        assert_eq!((&self.gaps[..], &self.holes[..]), (&[][..], &[][..]), "events are missing");
        let closed = self.closed.as_ref().expect("the process has closed");
        assert!(self.exited.is_some(), "the process has exited");
        assert_eq!(closed.output_bytes, Some(self.output.len() as u64), "bytes stated at the close");
        let crc = format!("{:08x}", crc32c::crc32c(&self.output));
        assert_eq!(closed.crc32c.as_deref(), Some(&*crc), "checksum stated at the close");
    }
}
