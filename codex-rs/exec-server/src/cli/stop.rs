//! Signals that ask a command to end which stands in for a program on another program's pipes.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Exit code after signal n, as shells say it.
const SIGNALLED: i32 = 128;

/// See the module. Signals that arrive are kept until they are asked for.
pub(super) struct Stop {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Stop {
    /// From now on these signals are ours to handle.
    pub(super) fn catch() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one, and returns the exit code that it stands for. Cancel-safe.
    pub(super) async fn signalled(&mut self) -> i32 {
        let kind = tokio::select! {
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.hangup.recv() => SignalKind::hangup(),
        };
        SIGNALLED + kind.as_raw_value()
    }
}
