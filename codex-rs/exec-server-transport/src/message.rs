//! What travels: one opaque message, as text or as bytes.

use bytes::Bytes;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// One message, the same on every transport. Cloning shares the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// UTF-8 text; a text message on a WebSocket, a line on stdio.
    Text(Utf8Bytes),
    /// Any bytes; a binary message on a WebSocket. stdio has no way to carry these.
    Binary(Bytes),
}

impl Message {
    /// A text message; a `String` is taken over without a copy.
    pub fn text(text: impl Into<Utf8Bytes>) -> Self {
        Self::Text(text.into())
    }

    /// A binary message; `Bytes` and `Vec<u8>` are taken over without a copy.
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self::Binary(bytes.into())
    }

    /// Size of the payload in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.as_str().len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether the payload is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Which of the two this is, and its payload.
    pub(crate) fn into_parts(self) -> (MessageKind, Bytes) {
        match self {
            Self::Text(text) => (MessageKind::Text, text.into()),
            Self::Binary(bytes) => (MessageKind::Binary, bytes),
        }
    }
}

/// How the sender marked a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// The sender calls it text. Nothing here has checked that it is UTF-8: a parser that reads it has to
    /// look anyway.
    Text,
    /// The sender calls it binary.
    Binary,
}

/// One message as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// How the sender marked it.
    pub kind: MessageKind,
    /// The payload. It shares a read buffer with its neighbours: copy it to keep a small one for long.
    pub bytes: Bytes,
}
