//! Descriptors that the runtime watches. The one place that promises the runtime they stay open.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::os::Child;

/// Watches one end of a pipe or terminal.
pub(super) fn watch(fd: Arc<OwnedFd>, interest: Interest) -> io::Result<AsyncFd<Arc<OwnedFd>>> {
    // SAFETY: an `OwnedFd` is open and always names the same descriptor, and the `AsyncFd` shares its ownership until
    // that is dropped; nothing takes it out or exchanges it, since it is behind an `Arc`.
    Ok(unsafe { AsyncFd::register_with_interest(fd, interest) }?)
}

/// Watches a child, which becomes readable when it has ended.
pub(super) fn watch_child(child: Arc<Child>) -> io::Result<AsyncFd<Arc<Child>>> {
    // SAFETY: a `Child` owns its pidfd for as long as it lives, never exchanges it, and the `AsyncFd` holds on to it.
    Ok(unsafe { AsyncFd::register_with_interest(child, Interest::READABLE) }?)
}
