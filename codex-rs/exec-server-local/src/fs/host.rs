//! What all file services of a server share: the threads that may wait for a disk, and what is known of its devices.

use std::fs::File;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_core::limits::FileLimits;
use codex_exec_server_protocol::path_uri::PathUri;
use nix::fcntl::{FcntlArg, fcntl};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::net::{Shutdown, shutdown};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::confined::Helpers;
use super::quick::Devices;
use super::search::Searches;
use super::watch::Watches;
use crate::sandbox::Sandbox;

/// Locks that keep writers of one file apart. Two files may share one; then one of them waits a little.
const WRITE_LOCKS: usize = 64;

/// See the module.
#[derive(Debug)]
pub struct FsHost {
    pub(super) limits: FileLimits,
    pub(super) devices: Devices,
    pub(super) searches: Searches,
    pub(super) watches: Watches,
    threads: Arc<Semaphore>,
    /// Room for whole files, in KiB.
    room: Arc<Semaphore>,
    room_kib: u32,
    /// Each with its own opening of the file below, once there is one: a process has only one lock on a byte otherwise.
    writing: [Mutex<Option<File>>; WRITE_LOCKS],
    /// A file in memory whose bytes are locked by writers, here and in helpers. `None` where the system has none to give:
    /// then no helper is started.
    turns: Option<OwnedFd>,
    pub(super) helpers: Arc<Helpers>,
}

impl FsHost {
    /// With these bounds.
    #[must_use]
    pub fn new(limits: FileLimits) -> Arc<Self> {
        Self::with_sandbox(limits, Sandbox::unavailable())
    }

    /// The same, with what it takes to do operations under a policy. Without it, they are refused.
    #[must_use]
    pub fn with_sandbox(limits: FileLimits, sandbox: Sandbox) -> Arc<Self> {
        let turns = memfd_create("file-turns", MemfdFlags::CLOEXEC).ok();
        Self::with(limits, sandbox, turns)
    }

    /// A host within a helper, whose writers take turns with those of the server.
    pub(super) fn inside(limits: FileLimits, turns: OwnedFd) -> Arc<Self> {
        Self::with(limits, Sandbox::unavailable(), Some(turns))
    }

    fn with(limits: FileLimits, sandbox: Sandbox, turns: Option<OwnedFd>) -> Arc<Self> {
        let threads = Arc::new(Semaphore::new(limits.threads.clamp(1, Semaphore::MAX_PERMITS)));
        let room_kib = u32::try_from(limits.whole_file_bytes >> 10).unwrap_or(u32::MAX >> 4).max(1);
        Arc::new(Self {
            limits,
            devices: Devices::default(),
            searches: Searches::new(limits.searches),
            watches: Watches::new(limits.watches),
            threads,
            room: Arc::new(Semaphore::new(room_kib as usize)),
            room_kib,
            writing: std::array::from_fn(|_| Mutex::new(None)),
            turns,
            helpers: Helpers::new(sandbox, limits),
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

    /// The right to one of the threads that may wait for a disk, if one of them has nothing to do.
    pub(super) fn spare_thread(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.threads).try_acquire_owned().ok()
    }

    pub(super) const fn limits(&self) -> &FileLimits {
        &self.limits
    }

    /// Waits for room for `bytes` of a whole file, and takes it until the permit is dropped. One that is larger than all
    /// there is has it for itself.
    pub(super) async fn room(&self, bytes: usize) -> OwnedSemaphorePermit {
        let kib = u32::try_from(bytes >> 10).unwrap_or(u32::MAX).clamp(1, self.room_kib);
        let room = Arc::clone(&self.room).acquire_many_owned(kib).await;
        room.expect("it is never closed")
    }

    /// Keeps other writers of this server, its helpers among them, away from the file with this number while the turn lives.
    pub(super) fn writing(&self, device: u64, inode: u64) -> WriteTurn<'_> {
        let index = usize::try_from((device ^ inode.rotate_left(7)) % WRITE_LOCKS as u64).unwrap_or(0);
        // It guards an opening, which is there or not.
        let mut here = self.writing[index].lock().unwrap_or_else(PoisonError::into_inner);
        if here.is_none() {
            *here = self.turns.as_ref().and_then(open_again);
        }
        if let Some(file) = &*here {
            // Where that is impossible, writers of other processes are not waited for.
            let _ = lock_byte(file, index, libc::F_WRLCK);
        }
        WriteTurn { here, index }
    }

    /// What keeps writers apart, for a helper.
    pub(super) fn turns(&self) -> Option<&OwnedFd> {
        self.turns.as_ref()
    }

    /// Ends the processes that do operations under policies. Whatever is asked later starts new ones.
    pub fn end_helpers(&self) {
        self.helpers.end_all();
    }
}

/// Other writers of one file wait while this lives.
pub(super) struct WriteTurn<'a> {
    here: MutexGuard<'a, Option<File>>,
    index: usize,
}

impl Drop for WriteTurn<'_> {
    fn drop(&mut self) {
        if let Some(file) = &*self.here
            && lock_byte(file, self.index, libc::F_UNLCK).is_err()
        {
            // The lock ends with its opening.
            *self.here = None;
        }
    }
}

/// Another opening of a file in memory.
fn open_again(file: &OwnedFd) -> Option<File> {
    File::options().read(true).write(true).open(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()
}

/// Locks or unlocks one byte of the file that all writers share.
fn lock_byte(file: &File, index: usize, kind: libc::c_int) -> nix::Result<()> {
    let lock = libc::flock {
        l_type: i16::try_from(kind).map_err(|_| nix::errno::Errno::EINVAL)?,
        l_whence: i16::try_from(libc::SEEK_SET).map_err(|_| nix::errno::Errno::EINVAL)?,
        l_start: i64::try_from(index).map_err(|_| nix::errno::Errno::EINVAL)?,
        l_len: 1,
        l_pid: 0,
    };
    loop {
        match fcntl(file, FcntlArg::F_OFD_SETLKW(&lock)) {
            Err(nix::errno::Errno::EINTR) => {}
            locked => return locked.map(drop),
        }
    }
}

/// Tells work on a thread that nobody waits for it any more.
#[derive(Debug, Clone)]
pub(super) enum Interest {
    /// Of somebody in this process.
    Here(Arc<Waiter>),
    /// Of somebody at the other end of a connection, for as long as it is open.
    Peer(Arc<OwnedFd>),
}

/// Somebody who waits.
#[derive(Debug, Default)]
pub(super) struct Waiter {
    is_gone: AtomicBool,
    /// A connection that is shut when he goes, so that whoever works at its other end learns of it.
    connection: Mutex<Option<Arc<OwnedFd>>>,
}

/// Whoever waits. Dropping it ends the interest.
pub(super) struct Interested(Arc<Waiter>);

impl Interest {
    /// An interest, and what keeps it up.
    pub(super) fn new() -> (Self, Interested) {
        let waiter = Arc::new(Waiter::default());
        (Self::Here(Arc::clone(&waiter)), Interested(waiter))
    }

    /// That of whoever has opened `connection`.
    pub(super) fn of_peer(connection: Arc<OwnedFd>) -> Self {
        Self::Peer(connection)
    }

    /// Has `connection` shut when the interest ends.
    pub(super) fn watched_by(&self, connection: &Arc<OwnedFd>) {
        if let Self::Here(waiter) = self {
            *waiter.connection() = Some(Arc::clone(connection));
            if waiter.is_gone.load(Ordering::Acquire) {
                waiter.shut();
            }
        }
    }

    /// The connection is not to be shut any more; false if that has happened already.
    pub(super) fn let_go(&self) -> bool {
        match self {
            Self::Here(waiter) => waiter.connection().take().is_some(),
            Self::Peer(_) => true,
        }
    }

    /// Fails if nobody waits any more.
    pub(super) fn check(&self, path: &PathUri) -> Result<(), FsFault> {
        let is_gone = match self {
            Self::Here(waiter) => waiter.is_gone.load(Ordering::Relaxed),
            Self::Peer(connection) => is_shut(connection),
        };
        if is_gone { Err(FsFault::GivenUp(path.clone())) } else { Ok(()) }
    }
}

impl Waiter {
    fn connection(&self) -> MutexGuard<'_, Option<Arc<OwnedFd>>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shut(&self) {
        if let Some(connection) = self.connection().take() {
            // One that is broken already needs no shutting.
            let _ = shutdown(&*connection, Shutdown::Both);
        }
    }
}

fn is_shut(connection: &OwnedFd) -> bool {
    let mut asked = [PollFd::new(connection, PollFlags::RDHUP)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut asked, Some(&now)).is_ok_and(|ready| ready > 0)
}

impl Drop for Interested {
    fn drop(&mut self) {
        self.0.is_gone.store(true, Ordering::Release);
        self.0.shut();
    }
}
