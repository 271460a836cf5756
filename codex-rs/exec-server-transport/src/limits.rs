//! Every bound and delay of the wire, in one value that callers pass in.
//!
//! Bounds on what a message *means* (JSON values per message, requests in flight) belong to the layers above.

use std::time::Duration;

/// 1 MiB in bytes; the sizes below are easier to check in this unit.
const MIB: usize = 1024 * 1024;

/// Bounds and delays of one connection.
///
/// [`WireLimits::default`] has the inbound sizes of the reference server, so that whatever its clients may send
/// arrives here too. [`WireLimits::for_server`] takes larger files in one message. [`WireLimits::for_client`] lifts the
/// inbound sizes, because a server may answer with one very large message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireLimits {
    /// Largest payload of one inbound WebSocket frame, in bytes. One byte more closes the connection with
    /// 1009. Default 16 777 216, as the reference server accepts.
    pub frame_bytes: usize,
    /// Largest inbound message that arrives in several WebSocket frames, in bytes. One byte more closes the
    /// connection with 1009. Default 64 MiB, as the reference server accepts.
    pub message_bytes: usize,
    /// Longest inbound line on stdio, in bytes without its newline. A longer line is reported and skipped;
    /// the connection stays. Default 64 MiB, the same as for a message.
    pub line_bytes: usize,
    /// How much a writer may hold back before [`MessageWriter::feed`](crate::MessageWriter::feed) waits for
    /// the socket, in bytes. One message may go beyond it, so the most that is ever buffered is this plus one
    /// message. Default 128 KiB: enough to fill a socket in one system call, and little enough that a small
    /// message never waits long behind it.
    pub write_buffer_bytes: usize,
    /// How many messages one direction of a memory connection holds before the sender waits. Default 128, the
    /// same number of messages that a reference connection queues.
    pub memory_messages: usize,
    /// Largest HTTP request head (start line and headers) before the upgrade, in bytes; more is answered with
    /// 431. Default 16 KiB, which leaves room for a generous bearer token. The HTTP parser needs at least 8
    /// KiB.
    pub http_head_bytes: usize,
    /// How long a peer may take from connecting to the end of its upgrade request. Default 10 s, the time
    /// that clients of the reference wait for a connection.
    pub handshake_timeout: Duration,
    /// How many connections may be in that state at once; more wait in the kernel's backlog. Default 1 024.
    pub pending_handshakes: usize,
    /// How long closing may take: sending what is queued with the close frame, and reading on until the peer
    /// has seen it. Default 2 s, within which the reference server is gone after SIGTERM.
    pub close_timeout: Duration,
    /// When to send pings and when to give up on a silent peer; `None` never does either. stdio and memory
    /// have none.
    pub liveness: Option<Liveness>,
}

/// How much of [`WireLimits::write_buffer_bytes`] a writer makes use of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leeway {
    /// Just that.
    Usual,
    /// Twice that: for a flood that nobody's word may have to wait behind. It leaves in half as many calls, each of which may
    /// have to wake the peer.
    Flood,
}

impl Leeway {
    pub(crate) const fn of(self, write_buffer_bytes: usize) -> usize {
        match self {
            Self::Usual => write_buffer_bytes,
            Self::Flood => write_buffer_bytes.saturating_mul(2),
        }
    }
}

impl WireLimits {
    /// Limits for the side that listens: a message or line of 96 MiB, in one frame or many, so that a file of 64 MiB
    /// fits into one as base64.
    pub fn for_server() -> Self {
        Self { frame_bytes: 96 * MIB, message_bytes: 96 * MIB, line_bytes: 96 * MIB, ..Self::default() }
    }

    /// Limits for the side that connects: one inbound message or line may be up to 1 GiB, in one frame or
    /// many.
    ///
    /// A server answers with messages of any size; 716 MB in one frame have been seen.
    pub fn for_client() -> Self {
        Self { frame_bytes: 1024 * MIB, message_bytes: 1024 * MIB, line_bytes: 1024 * MIB, ..Self::default() }
    }
}

impl Default for WireLimits {
    fn default() -> Self {
        Self {
            frame_bytes: 16 * MIB,
            message_bytes: 64 * MIB,
            line_bytes: 64 * MIB,
            write_buffer_bytes: 128 * 1024,
            memory_messages: 128,
            http_head_bytes: 16 * 1024,
            handshake_timeout: Duration::from_secs(10),
            pending_handshakes: 1024,
            close_timeout: Duration::from_secs(2),
            liveness: Some(Liveness::default()),
        }
    }
}

/// When a WebSocket peer counts as gone.
///
/// The defaults find a half-open connection within 20 s, which is less than the 45 s for which clients of the
/// reference try to resume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Liveness {
    /// Time between pings. Default 5 s.
    pub ping_interval: Duration,
    /// Without a single inbound byte for this long, the peer is judged. Default 15 s, so three pings went
    /// unanswered.
    pub silence_limit: Duration,
}

impl Default for Liveness {
    fn default() -> Self {
        Self { ping_interval: Duration::from_secs(5), silence_limit: Duration::from_secs(15) }
    }
}
