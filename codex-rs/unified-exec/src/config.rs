//! The bounds of a [`UnifiedExec`](crate::UnifiedExec).

use std::time::Duration;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnifiedExecConfig {
    /// Processes known at once. Of those that ended, the one asked for least recently makes room for a new one; a running
    /// process is never ended for that, the new one is refused.
    pub max_processes: usize,
    /// Output that is held for each process until the next report; what is beyond stays in the process's log.
    pub held_output_bytes: usize,
    /// Largest limit that may be asked for.
    pub max_output_bytes: usize,
    /// Longest yield time that may be asked for.
    pub max_yield_time: Duration,
    /// How long a report waits, after a process ended, for the rest of its output if something that it started holds
    /// that open.
    pub linger: Duration,
    /// How long input may wait for a process to read, however short the yield time.
    pub least_write_time: Duration,
}

impl Default for UnifiedExecConfig {
    fn default() -> Self {
        Self {
            max_processes: 64,
            held_output_bytes: 1 << 20,
            max_output_bytes: 1 << 20,
            max_yield_time: Duration::from_secs(600),
            linger: Duration::from_millis(250),
            least_write_time: Duration::from_secs(1),
        }
    }
}
