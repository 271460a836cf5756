//! WebSocket messages over a byte stream whose HTTP upgrade is already done.
//!
//! The header format, the close codes and the handshake key come from tungstenite. The loop around them is
//! our own, because a connection here has to do what that library's stream does not: read and write from two
//! tasks without a common lock around the reads, send a message of any size without copying or shifting it,
//! tell the peer why it is cut off, and count every inbound byte as a sign of life.

mod decoder;
mod mask;
mod outbox;
mod reader;
mod writer;

use std::sync::Arc;

use bytes::BytesMut;

pub(crate) use self::reader::WsReader;
pub(crate) use self::writer::WsWriter;

use self::mask::Masker;
use self::outbox::Outbox;
use crate::limits::WireLimits;
use crate::stream::Stream;

/// Which side of a WebSocket this process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Receives masked frames, sends plain ones.
    Server,
    /// Sends masked frames, receives plain ones.
    Client,
}

/// Starts the WebSocket on `stream`; `leftover` is what was read from it beyond the upgrade.
pub(crate) fn open(stream: Stream, leftover: &[u8], role: Role, limits: &WireLimits) -> (WsReader, WsWriter) {
    let (read, write) = stream.into_split();
    let outbox = Arc::new(Outbox::new(write, role, limits.write_buffer_bytes));
    let reader = WsReader::new(read, BytesMut::from(leftover), role, Arc::clone(&outbox), limits);
    (reader, WsWriter::new(outbox, limits.close_timeout))
}
