//! Two connected ends in one process, for a server that is embedded and for tests. Messages are handed over
//! whole.

use std::sync::{Arc, OnceLock};

use tokio::sync::mpsc;

use crate::close::CloseReason;
use crate::connection::{Connection, MessageReader, MessageWriter};
use crate::error::{ReadError, WriteError};
use crate::limits::WireLimits;
use crate::message::{Message, Received};
use crate::peer::Peer;

/// Two ends of a connection with the default limits: what one writes, the other reads.
///
/// Each direction holds up to [`WireLimits::memory_messages`] messages; beyond that the writer waits. The
/// size of a message is not limited: sender and receiver share the memory.
pub fn pair() -> (Connection, Connection) {
    pair_with(&WireLimits::default())
}

/// As [`pair`], with limits of the caller's choice.
pub fn pair_with(limits: &WireLimits) -> (Connection, Connection) {
    let (to_right, from_left) = direction(limits);
    let (to_left, from_right) = direction(limits);
    let end = |reader, writer| Connection {
        reader: MessageReader::memory(reader),
        writer: MessageWriter::memory(writer),
        peer: Peer::Memory,
    };
    (end(from_right, to_right), end(from_left, to_left))
}

fn direction(limits: &WireLimits) -> (MemoryWriter, MemoryReader) {
    // When full, the sender waits; the receiver's pace is the sender's pace.
    let (sender, receiver) = mpsc::channel(limits.memory_messages.max(1));
    let goodbye = Arc::new(OnceLock::new());
    let writer = MemoryWriter { sender: Some(sender), goodbye: Arc::clone(&goodbye) };
    (writer, MemoryReader { receiver, goodbye, ended: false })
}

pub(crate) struct MemoryReader {
    receiver: mpsc::Receiver<Message>,
    /// Set by a writer that closed rather than just vanished.
    goodbye: Arc<OnceLock<CloseReason>>,
    ended: bool,
}

impl MemoryReader {
    pub(crate) async fn next(&mut self) -> Option<Result<Received, ReadError>> {
        if self.ended {
            return None;
        }
        if let Some(message) = self.receiver.recv().await {
            let (kind, bytes) = message.into_parts();
            return Some(Ok(Received { kind, bytes }));
        }
        self.ended = true;
        if self.goodbye.get().is_some() { None } else { Some(Err(ReadError::Disconnected)) }
    }

    pub(crate) fn close_reason(&self) -> Option<&CloseReason> {
        if self.ended { self.goodbye.get() } else { None }
    }
}

pub(crate) struct MemoryWriter {
    sender: Option<mpsc::Sender<Message>>,
    goodbye: Arc<OnceLock<CloseReason>>,
}

impl MemoryWriter {
    pub(crate) async fn feed(&mut self, message: Message) -> Result<(), WriteError> {
        let Some(sender) = &self.sender else { return Err(WriteError::Closed) };
        sender.send(message).await.map_err(|_| WriteError::Closed)
    }

    pub(crate) async fn feed_text(
        &mut self,
        len: usize,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), WriteError> {
        let mut text = Vec::with_capacity(len);
        write(&mut text);
        let text = String::from_utf8(text).expect("a text message is UTF-8");
        self.feed(Message::text(text)).await
    }

    pub(crate) async fn feed_binary(&mut self, head: &[u8], payload: &[u8]) -> Result<(), WriteError> {
        self.feed(Message::binary([head, payload].concat())).await
    }

    pub(crate) fn flush(&mut self) -> Result<(), WriteError> {
        match &self.sender {
            Some(sender) if !sender.is_closed() => Ok(()),
            _ => Err(WriteError::Closed),
        }
    }

    pub(crate) fn close(&mut self, reason: CloseReason) {
        if self.sender.is_some() {
            let _ = self.goodbye.set(reason);
            self.sender = None;
        }
    }
}
