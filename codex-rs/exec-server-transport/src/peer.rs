//! Who is at the other end, for error texts and logs.

use std::fmt;
use std::net::SocketAddr;

/// The other end of a connection. Displays as `127.0.0.1:5555`, `unix`, `stdio` or `memory`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// A WebSocket over TCP.
    Tcp(SocketAddr),
    /// A WebSocket over a Unix socket.
    Unix,
    /// Lines over a pair of pipes.
    Stdio,
    /// The same process, without a socket.
    Memory,
}

/// What kind of framing a peer speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerKind {
    /// WebSocket messages.
    WebSocket,
    /// Newline-delimited text.
    Lines,
    /// Whole messages, handed over in memory.
    Memory,
}

impl Peer {
    /// The framing between us and this peer.
    pub fn kind(&self) -> PeerKind {
        match self {
            Self::Tcp(_) | Self::Unix => PeerKind::WebSocket,
            Self::Stdio => PeerKind::Lines,
            Self::Memory => PeerKind::Memory,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix => f.write_str("unix"),
            Self::Stdio => f.write_str("stdio"),
            Self::Memory => f.write_str("memory"),
        }
    }
}
