//! What all process tables of a server share: its environment, its bounds, and the account of retained output.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use codex_exec_server_core::event_log::{EventLog, Means};
use codex_exec_server_core::limits::Limits;

use super::spool::SpoolSpace;
use crate::env::Environment;
use crate::sandbox::Sandbox;

/// See the module.
#[derive(Debug)]
pub struct ProcessHost {
    pub(super) environment: Environment,
    pub(super) limits: Limits,
    pub(super) sandbox: Sandbox,
    pub(super) spool: SpoolSpace,
    in_memory: AtomicU64,
    next_follow: AtomicU64,
}

/// What one log holds, of which the host keeps account.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Holding {
    memory_bytes: u64,
    file_bytes: u64,
}

impl Holding {
    pub(super) const fn of(log: &EventLog) -> Self {
        Self { memory_bytes: log.memory_bytes(), file_bytes: log.file_bytes() }
    }
}

impl ProcessHost {
    /// A host whose children may inherit from `environment`. Output that memory has no room for goes to files in
    /// `state_directory`; without one, memory is all there is.
    #[must_use]
    pub fn new(environment: Environment, limits: Limits, state_directory: Option<PathBuf>) -> Arc<Self> {
        Self::with_sandbox(environment, limits, state_directory, Sandbox::unavailable())
    }

    /// The same, with what it takes to confine them.
    #[must_use]
    pub fn with_sandbox(
        environment: Environment,
        limits: Limits,
        state_directory: Option<PathBuf>,
        sandbox: Sandbox,
    ) -> Arc<Self> {
        let spool = SpoolSpace::new(state_directory, limits.retained_output_total_bytes);
        let (in_memory, next_follow) = (AtomicU64::new(0), AtomicU64::new(1));
        Arc::new(Self { environment, limits, sandbox, spool, in_memory, next_follow })
    }

    /// Bytes of output that all logs hold in memory.
    #[must_use]
    pub fn output_memory_bytes(&self) -> u64 {
        self.in_memory.load(Ordering::Relaxed)
    }

    /// What the files of all logs take.
    #[must_use]
    pub fn spooled_bytes(&self) -> u64 {
        self.spool.used_bytes()
    }

    /// What a log may have.
    pub(super) fn means(&self) -> Means {
        let is_crowded = self.output_memory_bytes() > self.limits.output_memory_total_bytes as u64;
        Means { is_crowded, filing: self.spool.filing() }
    }

    /// Whether any output can go beyond memory, by what came of the last try.
    pub(super) fn can_file(&self) -> bool {
        self.spool.works()
    }

    /// One log's holding has changed.
    pub(super) fn account(&self, before: Holding, after: Holding) {
        if after.memory_bytes >= before.memory_bytes {
            self.in_memory.fetch_add(after.memory_bytes - before.memory_bytes, Ordering::Relaxed);
        } else {
            self.in_memory.fetch_sub(before.memory_bytes - after.memory_bytes, Ordering::Relaxed);
        }
        if after.file_bytes != before.file_bytes {
            self.spool.account(before.file_bytes, after.file_bytes);
        }
    }

    pub(super) fn next_follow_id(&self) -> u64 {
        self.next_follow.fetch_add(1, Ordering::Relaxed)
    }
}
