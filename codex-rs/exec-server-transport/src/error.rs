//! What can go wrong while reading and writing messages, on any transport.

use std::io;
use std::time::Duration;

use tokio_tungstenite::tungstenite::error::ProtocolError;

use crate::close::{CloseReason, close_code};

/// Why no message could be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The peer announced a WebSocket frame that is too big. It has been told so with close code 1009.
    #[error("websocket frame of {frame_bytes} bytes exceeds the limit of {limit_bytes} bytes")]
    FrameTooBig {
        /// The payload size that the frame announced.
        frame_bytes: u64,
        /// [`WireLimits::frame_bytes`](crate::WireLimits::frame_bytes).
        limit_bytes: usize,
    },
    /// The fragments of one WebSocket message add up to too much. The peer has been told so with close code
    /// 1009.
    #[error("websocket message exceeds the limit of {limit_bytes} bytes")]
    MessageTooBig {
        /// [`WireLimits::message_bytes`](crate::WireLimits::message_bytes).
        limit_bytes: usize,
    },
    /// A line was too long and has been skipped. The only error after which reading goes on.
    #[error("line exceeds the limit of {limit_bytes} bytes")]
    LineTooLong {
        /// [`WireLimits::line_bytes`](crate::WireLimits::line_bytes).
        limit_bytes: usize,
    },
    /// The peer broke the WebSocket protocol. It has been told so with close code 1002 or 1007.
    #[error("websocket protocol violation: {0}")]
    Protocol(Violation),
    /// Nothing was heard from the peer for too long and there is no sign that it still lives.
    #[error("peer is gone: nothing received for {} ms", silent_for.as_millis())]
    PeerGone {
        /// How long ago the last byte came in.
        silent_for: Duration,
    },
    /// The connection ended without a word of farewell.
    #[error("connection ended without a closing handshake")]
    Disconnected,
    /// The operating system failed the read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl ReadError {
    /// Whether this was the last thing the connection had to say.
    pub fn is_fatal(&self) -> bool {
        !matches!(self, Self::LineTooLong { .. })
    }

    /// What to tell the peer before hanging up, if there is still someone to tell.
    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        let code = match self {
            Self::FrameTooBig { .. } | Self::MessageTooBig { .. } => close_code::TOO_BIG,
            Self::Protocol(Violation::CloseReasonNotUtf8) => close_code::INVALID_DATA,
            Self::Protocol(_) => close_code::PROTOCOL_ERROR,
            Self::LineTooLong { .. } | Self::PeerGone { .. } | Self::Disconnected | Self::Io(_) => {
                return None;
            }
        };
        Some(CloseReason { code, reason: self.to_string() })
    }
}

/// A rule of RFC 6455 that a peer broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The frame header cannot be read, for example because its opcode is reserved.
    #[error("bad frame header ({0})")]
    Header(ProtocolError),
    /// A reserved bit is set although no extension was agreed on.
    #[error("reserved bits are set")]
    ReservedBits,
    /// A client sent a frame without a mask.
    #[error("client frame is not masked")]
    Unmasked,
    /// A server sent a frame with a mask.
    #[error("server frame is masked")]
    Masked,
    /// A control frame was fragmented.
    #[error("control frame is fragmented")]
    FragmentedControl,
    /// A control frame carries more than 125 bytes.
    #[error("control frame exceeds 125 bytes")]
    ControlTooBig,
    /// A continuation frame came while no message was under way.
    #[error("continuation frame without a message to continue")]
    UnexpectedContinuation,
    /// A new message began before the last fragment of the previous one.
    #[error("new message inside a fragmented message")]
    InterruptedMessage,
    /// A close frame holds one byte, or a code that must not be sent.
    #[error("close frame with an invalid code")]
    CloseCode,
    /// The reason in a close frame is not UTF-8.
    #[error("close reason is not utf-8")]
    CloseReasonNotUtf8,
}

/// Why a message could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The connection is closed, by either side, or its peer was found to be gone.
    #[error("connection is closed")]
    Closed,
    /// The operating system failed the write. The connection is of no more use.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A text with a newline in it cannot be one line. The connection stays usable.
    #[error("message holds a newline and cannot be sent as one line")]
    NewlineInLine,
    /// stdio carries text only. The connection stays usable.
    #[error("binary message cannot be sent as a line")]
    BinaryOnLines,
}
