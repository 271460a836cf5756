//! WebSocket messages over a byte stream whose HTTP upgrade is already done.
//!
//! The header format, the close codes and the handshake key come from tungstenite. The loop around them is
//! our own, because a connection here has to do what that library's stream does not: read and write from two
//! tasks without a common lock around the reads, send a message of any size without copying or shifting it,
//! tell the peer why it is cut off, and count every inbound byte as a sign of life.

mod decoder;
mod mask;
mod optimism;
mod outbox;
mod reader;
mod writer;

use std::sync::Arc;

use bytes::BytesMut;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

pub(crate) use self::reader::WsReader;
pub(crate) use self::writer::WsWriter;

use self::mask::Masker;
pub(crate) use self::outbox::Outbox;
use crate::limits::WireLimits;
use crate::message::{Message, MessageKind};
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

/// The frames of `messages`, for a stream on which nothing was sent yet.
pub(crate) fn frames(messages: Vec<Message>, role: Role) -> Vec<u8> {
    let mut masker = (role == Role::Client).then(Masker::default);
    let mut bytes = Vec::new();
    for message in messages {
        let (kind, payload) = message.into_parts();
        let opcode = match kind {
            MessageKind::Text => Data::Text,
            MessageKind::Binary => Data::Binary,
        };
        let key = masker.as_mut().map(Masker::next_mask);
        let header = FrameHeader { opcode: OpCode::Data(opcode), mask: key, ..FrameHeader::default() };
        header.format(payload.len() as u64, &mut bytes).expect("writing to memory never fails");
        let start = bytes.len();
        bytes.extend_from_slice(&payload);
        if let Some(key) = key {
            mask::apply(&mut bytes[start..], key);
        }
    }
    bytes
}
