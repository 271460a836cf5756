//! How a caller wants to follow a process.

/// What happens when a process says more than a subscriber takes, so that
/// [`ClientConfig::process`](crate::ClientConfig::process)`.ready_bytes` are waiting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Lag {
    /// The oldest is dropped here and read from the server when the subscriber gets there. Nothing else on the
    /// connection waits for this process. A subscriber who falls behind by more than the server retains sees a gap.
    #[default]
    ReadLater,
    /// The connection is not read until the subscriber has made room, so that in the end the process itself waits and
    /// nothing is ever dropped. Everything else on the connection waits as well: meant for one with a single process.
    HoldConnection,
}

/// What becomes of a subscription when the server no longer holds what comes next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnGap {
    /// It goes on behind an [`ExecProcessEvent::Gap`](codex_exec_server_core::process_event::ExecProcessEvent::Gap).
    #[default]
    Tell,
    /// It fails, alone, with [`ProcessError::Gap`](crate::ProcessError::Gap).
    Fail,
}

/// How to follow a process; usually made from a [`Lag`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Follow {
    /// When the caller is slower than the process.
    pub lag: Lag,
    /// When something is gone.
    pub on_gap: OnGap,
}

impl From<Lag> for Follow {
    fn from(lag: Lag) -> Self {
        Self { lag, ..Self::default() }
    }
}
