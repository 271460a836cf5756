//! The writing side of a WebSocket.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use super::outbox::{Outbox, Side};
use super::reader::drain;
use crate::close::CloseReason;
use crate::error::WriteError;
use crate::express::Express;
use crate::limits::Leeway;
use crate::message::Message;
use crate::presence::Presence;

pub(crate) struct WsWriter {
    outbox: Arc<Outbox>,
    /// Of binary messages, whose payloads are not copied.
    leeway: Leeway,
    close_timeout: Duration,
}

impl WsWriter {
    pub(super) fn new(outbox: Arc<Outbox>, close_timeout: Duration) -> Self {
        Self { outbox, leeway: Leeway::Usual, close_timeout }
    }

    pub(crate) fn presence(&self) -> Presence {
        Presence::of_websocket(Arc::downgrade(&self.outbox))
    }

    pub(crate) fn express(&self) -> Express {
        Express::of_websocket(Arc::downgrade(&self.outbox))
    }

    pub(crate) const fn set_leeway(&mut self, leeway: Leeway) {
        self.leeway = leeway;
    }

    pub(crate) async fn feed(&mut self, message: Message) -> Result<(), WriteError> {
        poll_fn(|cx| self.outbox.poll_ready(cx)).await?;
        self.outbox.queue(message)
    }

    pub(crate) async fn feed_text(
        &mut self,
        len: usize,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), WriteError> {
        poll_fn(|cx| self.outbox.poll_ready(cx)).await?;
        self.outbox.queue_text(len, write)
    }

    pub(crate) async fn feed_known_text(&mut self, pieces: Vec<Bytes>) -> Result<(), WriteError> {
        poll_fn(|cx| self.outbox.poll_ready(cx)).await?;
        self.outbox.queue_known_text(pieces)
    }

    pub(crate) async fn feed_binary(&mut self, head: &[u8], payload: Bytes) -> Result<(), WriteError> {
        poll_fn(|cx| self.outbox.poll_ready_by(self.leeway, cx)).await?;
        self.outbox.queue_binary(head, payload)
    }

    pub(crate) async fn feed_mark(&mut self, mark: u64) -> Result<(), WriteError> {
        poll_fn(|cx| self.outbox.poll_ready(cx)).await?;
        self.outbox.queue_mark(mark)
    }

    pub(crate) fn returned(&self) -> u64 {
        self.outbox.returned()
    }

    pub(crate) async fn returns_after(&mut self, mark: u64) {
        self.outbox.returns_after(mark).await;
    }

    pub(crate) async fn flush(&mut self) -> Result<(), WriteError> {
        poll_fn(|cx| self.outbox.poll_flush(Side::Writer, cx)).await
    }

    pub(crate) async fn close(&mut self, reason: &CloseReason) {
        let deadline = Instant::now() + self.close_timeout;
        self.outbox.start_close(reason, self.close_timeout);
        let told = timeout_at(deadline, poll_fn(|cx| self.outbox.poll_shutdown(Side::Writer, cx))).await;
        if matches!(told, Ok(Ok(())))
            && let Some(mut half) = self.outbox.take_orphan()
        {
            // Nobody reads any more. Bytes left unread would make the kernel answer with a reset, which may
            // overtake the close frame, so they are read and thrown away here.
            drain(&mut half, deadline).await;
        }
    }
}
