//! In which form answers and pieces of bodies are written: as JSON text, or as binary messages where that is agreed.

use bytes::Bytes;
use codex_exec_server_protocol::binary::Head;
use codex_exec_server_protocol::http::HttpBodyDeltaNotification;
use codex_exec_server_protocol::methods::ServerNotification;
use codex_exec_server_transport::{Message, MessageWriter, WriteError};

/// How bytes travel on a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Form {
    /// As base64 in JSON text, which every peer takes.
    #[default]
    Text,
    /// As binary messages: the client takes them, and the transport can carry them.
    Binary,
}

/// An answer as it travels.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// JSON.
    Text(String),
    /// JSON in memory that somebody wants back.
    Lent(Bytes),
    /// JSON that was made in pieces.
    Pieces(Vec<String>),
    /// See [`codex_exec_server_protocol::binary`]; only where the form is [`Form::Binary`].
    Binary { head: Vec<u8>, payload: Bytes },
}

impl From<String> for Reply {
    fn from(json: String) -> Self {
        Self::Text(json)
    }
}

impl Reply {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Text(json) => json.len(),
            Self::Lent(json) => json.len(),
            Self::Pieces(pieces) => pieces.iter().map(String::len).sum(),
            Self::Binary { head, payload } => head.len() + payload.len(),
        }
    }
}

/// Writes an answer.
pub(super) async fn feed_reply(writer: &mut MessageWriter, reply: Reply) -> Result<(), WriteError> {
    match reply {
        Reply::Text(json) => writer.feed(Message::text(json)).await,
        Reply::Lent(json) => writer.feed_known_text(vec![json]).await,
        Reply::Pieces(pieces) => writer.feed_known_text(pieces.into_iter().map(Bytes::from).collect()).await,
        Reply::Binary { head, payload } => writer.feed_binary(&head, payload).await,
    }
}

/// Writes a piece of a body behind `offset` bytes of it.
pub(super) async fn feed_piece(
    writer: &mut MessageWriter,
    form: Form,
    piece: HttpBodyDeltaNotification,
    offset: u64,
) -> Result<(), WriteError> {
    if form == Form::Binary && piece.error.is_none() {
        let HttpBodyDeltaNotification { ref request_id, seq, done, .. } = piece;
        let head = Head::Body { request_id, seq, offset, done }.encode(piece.delta_base64.len());
        if let Some(head) = head {
            return writer.feed_binary(&head, piece.delta_base64.into_bytes()).await;
        }
    }
    writer.feed(Message::text(ServerNotification::HttpBodyDelta(piece).encode())).await
}
