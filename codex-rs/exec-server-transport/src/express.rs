//! A way past the writer, for one message that nothing is before: who has just read a request can answer it without
//! waking another task.

use std::fmt;
use std::sync::Weak;

use crate::websocket::Outbox;

/// Sends on a connection, which it does not keep open, whenever its writer has nothing to do.
#[derive(Clone)]
pub struct Express(Kind);

#[derive(Clone)]
enum Kind {
    WebSocket(Weak<Outbox>),
    /// Every message goes by the writer.
    None,
}

/// What became of a message that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// The kernel has all of it.
    Whole,
    /// Some of it is still to leave, or can't any more: the writer has to flush, which sends it or says why not.
    Partly,
}

impl Express {
    pub(crate) fn of_websocket(outbox: Weak<Outbox>) -> Self {
        Self(Kind::WebSocket(outbox))
    }

    /// Of a connection that has no such way, and refuses every message.
    pub const fn none() -> Self {
        Self(Kind::None)
    }

    /// Sends `text` now, without waiting. Does nothing if something else is to leave before it, if the connection is over, and
    /// where there is no such way, as over stdio and in memory.
    #[must_use]
    pub fn send(&self, text: &str) -> Option<Sent> {
        match &self.0 {
            Kind::WebSocket(outbox) => outbox.upgrade()?.send_at_once(text),
            Kind::None => None,
        }
    }
}

impl fmt::Debug for Express {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Express").finish_non_exhaustive()
    }
}
