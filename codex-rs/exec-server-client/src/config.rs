//! What a client is told when it is made: its name, its patience, and every bound on what it holds.

use std::time::Duration;

/// A client's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientConfig {
    /// Names the client in the server's log. Default `codex-exec-server-client`.
    pub client_name: String,
    /// How long making one connection may take. Default 10 s.
    pub connect_timeout: Duration,
    /// How long the server may take to answer `initialize`. Default 10 s.
    pub initialize_timeout: Duration,
    /// How long a lost connection is tried again before the client gives up. Default 45 s, well below the 80 s for
    /// which servers keep a session.
    pub recovery_deadline: Duration,
    /// Pause between two attempts. The first one follows the loss at once. Default 100 ms.
    pub recovery_pause: Duration,
    /// How long the server is asked to keep the session while no connection holds it; `None` leaves it at what it is.
    /// Servers without the flag `sessionLifetime` ignore it, others grant as much as they may:
    /// [`Peer::detached_lifetime`](crate::Peer::detached_lifetime). Default `None`.
    pub detached_lifetime: Option<Duration>,
    /// Whether the server may send output as it is, without base64 around it, where it can and the connection carries it.
    /// Default true.
    pub binary_output: bool,
    /// How long the server may gather small pieces of output, to send several in one message, where it can and
    /// `binary_output` is wanted: what a process says after a pause comes at once, what follows up to so much later. For those
    /// to whom a message costs more than its bytes, as to a browser behind this. Servers without the flag `outputPacking`
    /// ignore it, others wait 100 ms at most. Default `None`: each comes by itself, as soon as it can.
    pub output_packing: Option<Duration>,
    /// Bounds of each connection.
    pub link: LinkLimits,
    /// Bounds of each process.
    pub process: ProcessLimits,
    /// Bytes of each streamed HTTP body that may wait for its reader. A server with the flag `httpBodyCredit` then waits; of
    /// another one, more ends the body. Default 16 MiB.
    pub http_body_bytes: usize,
}

/// Bounds on what one connection holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkLimits {
    /// Calls that may wait for their answers; one more waits for its turn. Default 1 024.
    pub calls_in_flight: usize,
    /// Messages that may wait to be written; one more waits for room. Default 64.
    pub queued_messages: usize,
}

/// Bounds on what one process's events may take up between the connection and the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessLimits {
    /// Events that are kept for subscribers to come, whoever took them already. Default 256.
    pub history_events: usize,
    /// Bytes of output in such events. Default 1 MiB.
    pub history_bytes: usize,
    /// Bytes of output that may wait for a subscriber. What happens beyond is said by [`Lag`](crate::Lag). What was
    /// missed and is read again may go beyond it once, by what the server retains. A server with the flag `outputWindow`
    /// sends no more than three quarters of it ahead of the furthest subscriber, and keeps the rest. Default 4 MiB.
    pub ready_bytes: usize,
    /// Events that may wait for a subscriber. What comes beyond makes it read the oldest from the server. Default 16 384.
    pub ready_events: usize,
    /// Events that may wait for an earlier one that is being read again; what comes beyond is dropped and read again as
    /// well. Default 4 096.
    pub parked_events: usize,
    /// Bytes of output in such events. Default 16 MiB: what a kernel with ordinary settings may hold of a connection,
    /// several times over, as all of that comes before the answer to a read.
    pub parked_bytes: usize,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            client_name: "codex-exec-server-client".into(),
            connect_timeout: Duration::from_secs(10),
            initialize_timeout: Duration::from_secs(10),
            recovery_deadline: Duration::from_secs(45),
            recovery_pause: Duration::from_millis(100),
            detached_lifetime: None,
            binary_output: true,
            output_packing: None,
            link: LinkLimits { calls_in_flight: 1024, queued_messages: 64 },
            process: ProcessLimits::default(),
            http_body_bytes: 16 << 20,
        }
    }
}

impl Default for ProcessLimits {
    fn default() -> Self {
        Self {
            history_events: 256,
            history_bytes: 1 << 20,
            ready_bytes: 4 << 20,
            ready_events: 16_384,
            parked_events: 4096,
            parked_bytes: 16 << 20,
        }
    }
}

impl ProcessLimits {
    /// How far a server may push ahead of what was acknowledged: what finds room here, and a chunk less.
    pub(crate) const fn window_bytes(&self) -> u64 {
        self.ready_bytes as u64 / 4 * 3
    }
}
