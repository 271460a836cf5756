//! Watching: what changes below a path, as the kernel tells it (`inotify`).
//!
//! ```text
//! kernel → Watched (directories by number) → Batch (coalesced) → a bounded channel → LocalWatch
//! ```
//!
//! A watch has a thread and an inotify instance of its own. When its reader is slow the thread waits, the kernel's queue
//! fills, and what does not fit there the kernel reports as lost: so there is one bound and one mark for all of it.

mod batch;
mod missing;
mod watched;

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_core::service::{Changes, FileWatch, FsError, ServiceFuture};
use codex_exec_server_core::watch_fault::WatchFault;
use codex_exec_server_protocol::fs::FsWatchParams;
use codex_exec_server_protocol::path_uri::PathUri;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

pub use self::missing::MissingWatch;
use self::watched::Watched;
use super::globs::Globs;
use super::host::FsHost;

/// What changes in quick succession is told together: so much later at most.
const GATHER: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// Batches that wait for the reader before the thread does.
const WAITING: usize = 4;

/// The watches of a server.
#[derive(Debug)]
pub(super) struct Watches {
    standing: Arc<Semaphore>,
    limit: usize,
}

impl Watches {
    pub(super) fn new(limit: usize) -> Self {
        Self { standing: Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS))), limit }
    }

    fn enter(&self) -> Result<OwnedSemaphorePermit, WatchFault> {
        Arc::clone(&self.standing).try_acquire_owned().map_err(|_| WatchFault::TooMany(self.limit))
    }
}

/// A watch on this machine's files. Dropping it ends it.
pub struct LocalWatch {
    path: PathUri,
    changes: mpsc::Receiver<Changes>,
    /// Wakes the thread when this is dropped.
    stop: Arc<OwnedFd>,
}

impl fmt::Debug for LocalWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalWatch").field("path", &self.path).finish_non_exhaustive()
    }
}

impl LocalWatch {
    /// `fs/watch`: from its return on nothing is missed without notice. May wait for a disk.
    pub(super) fn set(host: &FsHost, params: &FsWatchParams) -> Result<Self, FsFault> {
        let standing = host.watches.enter()?;
        let exclude = Globs::new(&params.exclude)?;
        let fault = |error: std::io::Error| FsFault::io(&params.path, error);
        let watched = Watched::set(params, exclude, host.limits.watched_directories)?;
        let path = PathUri::try_from(watched.root())
            .map_err(|error| fault(std::io::Error::new(std::io::ErrorKind::InvalidData, error)))?;
        let stop = eventfd(0, EventfdFlags::CLOEXEC).map_err(|error| fault(error.into()))?;
        let stop = Arc::new(stop);
        let (tell, changes) = mpsc::channel(WAITING);
        let stopped = Arc::clone(&stop);
        let run = move || {
            let _standing = standing;
            follow(watched, &stopped, &tell);
        };
        // It owns all that it uses, and ends when its reader has gone.
        std::thread::Builder::new().name("fs-watch".into()).spawn(run).map_err(fault)?;
        Ok(Self { path, changes, stop })
    }

    /// As [`FileWatch::next`]; here nothing fails.
    pub async fn next_changes(&mut self) -> Option<Changes> {
        self.changes.recv().await
    }

    /// As [`FileWatch::path`].
    #[must_use]
    pub const fn stands_at(&self) -> &PathUri {
        &self.path
    }
}

impl Drop for LocalWatch {
    fn drop(&mut self) {
        self.changes.close();
        // It can't fail: the counter has room for far more than one.
        let _ = rustix::io::write(&*self.stop, &1_u64.to_ne_bytes());
    }
}

impl FileWatch for LocalWatch {
    fn path(&self) -> &PathUri {
        self.stands_at()
    }

    fn next(&mut self) -> ServiceFuture<'_, Option<Result<Changes, FsError>>> {
        Box::pin(async move { self.next_changes().await.map(Ok) })
    }
}

/// Tells what changes until the watch ends or nobody wants to know.
fn follow(mut watched: Watched, stop: &OwnedFd, tell: &mpsc::Sender<Changes>) {
    loop {
        let mut either = [PollFd::new(&watched, PollFlags::IN), PollFd::new(stop, PollFlags::IN)];
        if poll(&mut either, /*timeout*/ None).is_err() {
            continue;
        }
        // The rest of what happens now is told with it.
        let mut stopped = [PollFd::new(stop, PollFlags::IN)];
        if poll(&mut stopped, Some(&GATHER)).is_ok_and(|ready| ready > 0) {
            return;
        }
        let changes = watched.changes();
        let is_silent = changes.changes.is_empty() && !changes.resync && !changes.ended;
        let ended = changes.ended;
        if (!is_silent && tell.blocking_send(changes).is_err()) || ended {
            return;
        }
    }
}
