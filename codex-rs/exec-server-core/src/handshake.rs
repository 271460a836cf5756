//! What a connection may do: first `initialize`, then `initialized`, then everything else.

use codex_exec_server_protocol::methods::Family;

/// How far a connection is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Handshake {
    /// Nothing was agreed on. A failed `initialize` leaves a connection here, so it may try again.
    #[default]
    Fresh,
    /// `initialize` succeeded.
    Initialized,
    /// `initialized` arrived.
    Ready,
}

/// Why something is refused in the present state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// A request came before `initialize`.
    #[error("client must call initialize before using {} methods", family_name(*.0))]
    NotInitialized(Family),
    /// A request came between `initialize` and `initialized`.
    #[error("client must send initialized before using {} methods", family_name(*.0))]
    NotReady(Family),
    /// A second `initialize` after one that succeeded.
    #[error("initialize may only be sent once per connection")]
    Repeated,
    /// `initialized` before `initialize`: the one mistake here that ends the connection.
    #[error("initialized was sent before initialize")]
    Premature,
}

const fn family_name(family: Family) -> &'static str {
    match family {
        Family::Session => "session",
        Family::Process => "exec",
        Family::Filesystem => "filesystem",
        Family::Http => "http",
        Family::EnvironmentInfo => "environment info",
        Family::EnvironmentStatus => "environment status",
        Family::EnvironmentConfig => "environment config",
        Family::CapabilityDiscovery => "capability discovery",
        Family::Network => "network",
    }
}

impl Handshake {
    /// Whether `initialize` may be tried.
    pub const fn may_initialize(self) -> Result<(), HandshakeError> {
        match self {
            Self::Fresh => Ok(()),
            Self::Initialized | Self::Ready => Err(HandshakeError::Repeated),
        }
    }

    /// `initialize` succeeded.
    pub const fn initialize_succeeded(&mut self) {
        *self = Self::Initialized;
    }

    /// `initialized` arrived.
    pub const fn initialized(&mut self) -> Result<(), HandshakeError> {
        match self {
            Self::Fresh => Err(HandshakeError::Premature),
            Self::Initialized | Self::Ready => {
                *self = Self::Ready;
                Ok(())
            }
        }
    }

    /// Whether a method of `family` may be used.
    pub const fn may_use(self, family: Family) -> Result<(), HandshakeError> {
        match self {
            Self::Fresh => Err(HandshakeError::NotInitialized(family)),
            Self::Initialized => Err(HandshakeError::NotReady(family)),
            Self::Ready => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_wait_for_both_steps() {
        let mut handshake = Handshake::default();
        let refused = |handshake: Handshake| handshake.may_use(Family::Process).unwrap_err().to_string();
        assert_eq!(refused(handshake), "client must call initialize before using exec methods");
        handshake.initialize_succeeded();
        assert_eq!(refused(handshake), "client must send initialized before using exec methods");
        handshake.initialized().unwrap();
        handshake.initialized().unwrap();
        assert_eq!(handshake.may_use(Family::Process), Ok(()));
    }

    #[test]
    fn a_failed_initialize_may_be_repeated_and_a_successful_one_not() {
        let mut handshake = Handshake::default();
        assert_eq!(handshake.may_initialize(), Ok(()));
        assert_eq!(handshake.may_initialize(), Ok(()));
        handshake.initialize_succeeded();
        assert_eq!(handshake.may_initialize(), Err(HandshakeError::Repeated));
    }

    #[test]
    fn initialized_before_initialize_is_a_mistake() {
        assert_eq!(Handshake::default().initialized(), Err(HandshakeError::Premature));
    }
}
