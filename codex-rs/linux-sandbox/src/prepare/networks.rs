//! Private networks that nobody has used, kept for the next sandbox; see `launch::zygote`.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// More than that are never kept: as many as launchers stand by.
const MOST: usize = 3;

/// Networks of one zygote: only what it makes has rights over them.
#[derive(Debug, Default)]
pub(super) struct Networks(Mutex<Vec<OwnedFd>>);

impl Networks {
    /// One for the next sandbox, if there is one.
    pub(super) fn take(&self) -> Option<OwnedFd> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn keep(&self, network: OwnedFd) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < MOST {
            kept.push(network);
        }
    }
}

/// The network of one sandbox. When this is dropped, it ends, or is kept if it was declared unused.
#[derive(Debug)]
pub(super) struct Lent {
    network: Option<OwnedFd>,
    networks: Arc<Networks>,
    is_unused: AtomicBool,
}

impl Lent {
    pub(super) fn new(network: OwnedFd, networks: Arc<Networks>) -> Self {
        Self { network: Some(network), networks, is_unused: AtomicBool::new(false) }
    }

    /// Whoever watched says that nobody inside ever had a socket.
    pub(super) fn declare_unused(&self) {
        self.is_unused.store(true, Ordering::Relaxed);
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(network) = self.network.take().filter(|_| *self.is_unused.get_mut()) {
            self.networks.keep(network);
        }
    }
}
