//! What a process did, as its followers are told.

use std::sync::Arc;

use bytes::Bytes;
use codex_exec_server_protocol::ids::Seq;
use codex_exec_server_protocol::process::{ExitReason, OutputStream, ProcessUsage, SandboxDenial};

/// One thing that happened to a process. They come in order, each once; the last is [`ExecProcessEvent::Closed`].
#[derive(Debug, Clone, PartialEq)]
pub enum ExecProcessEvent {
    /// Output; never empty.
    Output {
        /// Its position.
        seq: Seq,
        /// Where it came from.
        stream: OutputStream,
        /// The bytes.
        bytes: Bytes,
    },
    /// Output between the event before and the event after is gone: nobody holds it any more.
    Gap {
        /// The last position that is missing.
        through: Seq,
        /// How many bytes are missing; `None` where the server does not count them.
        bytes: Option<u64>,
    },
    /// The process itself ended; output may still follow.
    Exited {
        /// Its position; that of the gap before it where only the fact of the exit was told.
        seq: Seq,
        /// How.
        exit: Exit,
    },
    /// All streams ended. Nothing follows.
    Closed {
        /// Its position.
        seq: Seq,
        /// How far it is proven that everything was delivered.
        proof: Proof,
    },
}

impl ExecProcessEvent {
    /// The position behind which a subscription goes on after this event.
    #[must_use]
    pub const fn seq(&self) -> Seq {
        match self {
            Self::Output { seq, .. } | Self::Exited { seq, .. } | Self::Closed { seq, .. } => *seq,
            Self::Gap { through, .. } => *through,
        }
    }

    /// Bytes of output it holds.
    #[must_use]
    pub fn output_len(&self) -> usize {
        match self {
            Self::Output { bytes, .. } => bytes.len(),
            Self::Gap { .. } | Self::Exited { .. } | Self::Closed { .. } => 0,
        }
    }
}

/// How a process ended. What the server did not tell, or told only while nobody was connected, is `None`.
#[derive(Debug, Clone, PartialEq)]
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
    /// What a sandbox refused.
    pub denials: Option<Arc<[SandboxDenial]>>,
}

/// How far it is proven that everything was delivered. What is proven to be wrong is no event but
/// [`ExecError::Inconsistent`](crate::service::ExecError::Inconsistent).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Number and checksum of all bytes are those that the server counted.
    Checksum,
    /// Their number is; the checksum was told while nobody was connected.
    Length,
    /// Only the numbering of events vouches for it: the server does not count, or the subscription began in the middle.
    Numbering,
    /// There was an [`ExecProcessEvent::Gap`]; the bytes around it are as many as the server counted, where it counts.
    Gap,
}
