//! What all process tables of a server share: its environment, its bounds, and the account of retained output.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use codex_exec_server_core::limits::Limits;

use crate::env::Environment;
use crate::sandbox::Sandbox;

/// See the module.
#[derive(Debug)]
pub struct ProcessHost {
    pub(super) environment: Environment,
    pub(super) limits: Limits,
    pub(super) sandbox: Sandbox,
    retained: AtomicU64,
    next_follow: AtomicU64,
}

impl ProcessHost {
    /// A host whose children may inherit from `environment`.
    #[must_use]
    pub fn new(environment: Environment, limits: Limits) -> Arc<Self> {
        Self::with_sandbox(environment, limits, Sandbox::unavailable())
    }

    /// The same, with what it takes to confine them.
    #[must_use]
    pub fn with_sandbox(environment: Environment, limits: Limits, sandbox: Sandbox) -> Arc<Self> {
        let (retained, next_follow) = (AtomicU64::new(0), AtomicU64::new(1));
        Arc::new(Self { environment, limits, sandbox, retained, next_follow })
    }

    /// Bytes of output that all logs hold.
    #[must_use]
    pub fn retained_bytes(&self) -> u64 {
        self.retained.load(Ordering::Relaxed)
    }

    /// Whether logs must hold less than usual.
    pub(super) fn is_crowded(&self) -> bool {
        self.retained_bytes() > self.limits.retained_output_total_bytes as u64
    }

    /// One log went from holding `before` bytes to holding `after`.
    pub(super) fn account(&self, before: u64, after: u64) {
        if after >= before {
            self.retained.fetch_add(after - before, Ordering::Relaxed);
        } else {
            self.retained.fetch_sub(before - after, Ordering::Relaxed);
        }
    }

    pub(super) fn next_follow_id(&self) -> u64 {
        self.next_follow.fetch_add(1, Ordering::Relaxed)
    }
}
