//! What a process did, as a caller is told.

use bytes::Bytes;
use codex_exec_server_protocol::ids::Seq;
use codex_exec_server_protocol::process::{ExitReason, OutputStream, ProcessUsage};

/// One thing that happened to a process. They come in order, each once; the last is [`Event::Closed`].
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Output; never empty.
    Output {
        /// Where it came from.
        stream: OutputStream,
        /// The bytes.
        bytes: Bytes,
    },
    /// Output between the event before and the event after is gone: the server no longer held it.
    Gap {
        /// The last position that is missing.
        through: Seq,
        /// How many bytes are missing; `None` where the server does not count them.
        bytes: Option<u64>,
    },
    /// The process itself ended; output may still follow.
    Exited(Exit),
    /// All streams ended. Nothing follows.
    Closed(Proof),
}

impl Event {
    /// Bytes of output it holds.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Output { bytes, .. } => bytes.len(),
            Self::Gap { .. } | Self::Exited(_) | Self::Closed(_) => 0,
        }
    }
}

/// How a process ended. What the server did not tell, or told only while nobody was connected, is `None`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exit {
    /// Exit code, or 128 + n after signal n.
    pub code: i32,
    /// Whether a sandbox refused something.
    pub sandbox_denied: Option<bool>,
    /// Why it ended.
    pub reason: Option<ExitReason>,
    /// Number of the signal that ended it.
    pub signal: Option<i32>,
    /// What it used.
    pub usage: Option<ProcessUsage>,
}

/// How far it is proven that everything was delivered. What is proven to be wrong is no event but
/// [`ProcessError::Incomplete`](crate::ProcessError::Incomplete).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Number and checksum of all bytes are those that the server counted.
    Checksum,
    /// Their number is; the checksum was told while nobody was connected.
    Length,
    /// The server does not count, so only the numbering of events vouches for it.
    Numbering,
    /// There was an [`Event::Gap`]; the bytes around it are as many as the server counted, where it counts.
    Gap,
}
