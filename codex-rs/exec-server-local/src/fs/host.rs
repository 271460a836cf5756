//! What all file services of a server share: the threads that may wait for a disk, and what is known of its devices.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_core::limits::FileLimits;
use codex_exec_server_protocol::path_uri::PathUri;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::quick::Devices;

/// Locks that keep writers of one file apart. Two files may share one; then one of them waits a little.
const WRITE_LOCKS: usize = 64;

/// See the module.
#[derive(Debug)]
pub struct FsHost {
    pub(super) limits: FileLimits,
    pub(super) devices: Devices,
    threads: Arc<Semaphore>,
    /// Room for whole files, in KiB.
    room: Arc<Semaphore>,
    room_kib: u32,
    writing: [Mutex<()>; WRITE_LOCKS],
}

impl FsHost {
    /// With these bounds.
    #[must_use]
    pub fn new(limits: FileLimits) -> Arc<Self> {
        let threads = Arc::new(Semaphore::new(limits.threads.clamp(1, Semaphore::MAX_PERMITS)));
        let room_kib = u32::try_from(limits.whole_file_bytes >> 10).unwrap_or(u32::MAX >> 4).max(1);
        Arc::new(Self {
            limits,
            devices: Devices::default(),
            threads,
            room: Arc::new(Semaphore::new(room_kib as usize)),
            room_kib,
            writing: std::array::from_fn(|_| Mutex::new(())),
        })
    }

    /// Runs `work`, which may wait for a disk, on a thread of its own as soon as one is free. Once begun it runs to its
    /// end, whether or not somebody still waits for it. `path` is what it is about.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        path: &PathUri,
        work: impl FnOnce() -> Result<T, FsFault> + Send + 'static,
    ) -> Result<T, FsFault> {
        let permit = Arc::clone(&self.threads).acquire_owned().await.expect("it is never closed");
        let running = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        match running.await {
            Ok(outcome) => outcome,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime is being shut down.
            Err(_) => Err(FsFault::GivenUp(path.clone())),
        }
    }

    /// Waits for room for `bytes` of a whole file, and takes it until the permit is dropped. One that is larger than all
    /// there is has it for itself.
    pub(super) async fn room(&self, bytes: usize) -> OwnedSemaphorePermit {
        let kib = u32::try_from(bytes >> 10).unwrap_or(u32::MAX).clamp(1, self.room_kib);
        let room = Arc::clone(&self.room).acquire_many_owned(kib).await;
        room.expect("it is never closed")
    }

    /// Keeps other writers of this server away from the file with this number while the guard lives.
    pub(super) fn writing(&self, device: u64, inode: u64) -> MutexGuard<'_, ()> {
        let index = usize::try_from((device ^ inode.rotate_left(7)) % WRITE_LOCKS as u64).unwrap_or(0);
        // The lock guards nothing in memory.
        self.writing[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells work on a thread that nobody waits for it any more.
#[derive(Debug, Clone, Default)]
pub(super) struct Interest(Arc<AtomicBool>);

/// Whoever waits. Dropping it ends the interest.
pub(super) struct Interested(Arc<AtomicBool>);

impl Interest {
    /// An interest, and what keeps it up.
    pub(super) fn new() -> (Self, Interested) {
        let gone = Arc::new(AtomicBool::new(false));
        (Self(Arc::clone(&gone)), Interested(gone))
    }

    /// Fails if nobody waits any more.
    pub(super) fn check(&self, path: &PathUri) -> Result<(), FsFault> {
        if self.0.load(Ordering::Relaxed) { Err(FsFault::GivenUp(path.clone())) } else { Ok(()) }
    }
}

impl Drop for Interested {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
