//! Whether whoever is at the other end of a connection has hung up, as the kernel knows it: earlier than those who read
//! from it.

use std::fmt;
use std::sync::Weak;

use crate::websocket::Outbox;

/// Tells of a connection, which it does not keep open.
#[derive(Clone)]
pub struct Presence(Kind);

#[derive(Clone)]
enum Kind {
    WebSocket(Weak<Outbox>),
    /// Only reading tells.
    Unknown,
}

impl Presence {
    pub(crate) fn of_websocket(outbox: Weak<Outbox>) -> Self {
        Self(Kind::WebSocket(outbox))
    }

    pub(crate) const fn unknown() -> Self {
        Self(Kind::Unknown)
    }

    /// Whether the peer is certain to be gone: its kernel said that nothing more will come, or the connection is no more.
    /// What came before that may still be there to be read.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        match &self.0 {
            Kind::WebSocket(outbox) => outbox.upgrade().is_none_or(|outbox| outbox.peer_has_hung_up()),
            Kind::Unknown => false,
        }
    }
}

impl fmt::Debug for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presence").finish_non_exhaustive()
    }
}
