//! One open file: its turns, and its end.
//!
//! Everything that is asked of it waits for its turn in the order of asking; reads may then run side by side, a write runs
//! alone.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_protocol::fs::{FileHandleId, FsOpenMode};
use codex_exec_server_protocol::path_uri::PathUri;
use rustix::fs::{OFlags, ftruncate};
use tokio::sync::{OwnedRwLockWriteGuard, OwnedSemaphorePermit, RwLock, Semaphore};

use super::block::{Block, Source};
use super::host::FsHost;
use super::open::{for_reading, for_writing};
use super::place::{Links, Place};
use super::quick::{QUICK_READ_BYTES, read_now};
use super::sandbox::Confined;

/// See the module.
#[derive(Debug)]
pub(super) struct OpenFile {
    id: FileHandleId,
    uri: PathUri,
    /// `None` before it is open, and when it is closed.
    file: Arc<RwLock<Option<Arc<File>>>>,
    /// Something failed: whoever still waits for a turn finds it closed.
    failed: AtomicBool,
    /// Nothing more may be asked of it; what was asked before is still done.
    is_closing: AtomicBool,
}

/// The first turn of a file, in which it is opened.
pub(super) type Opening = OwnedRwLockWriteGuard<Option<Arc<File>>>;

impl OpenFile {
    /// A file that is about to be opened, and the turn to do it in, which comes before everything that is asked.
    pub(super) fn new(id: FileHandleId, uri: PathUri) -> (Arc<Self>, Opening) {
        let file = Arc::new(RwLock::new(None));
        let opening = Arc::clone(&file).try_write_owned().expect("nobody else has it yet");
        (
            Arc::new(Self {
                id,
                uri,
                file,
                failed: AtomicBool::new(false),
                is_closing: AtomicBool::new(false),
            }),
            opening,
        )
    }

    /// Opens it, as far as `policy` allows.
    pub(super) async fn open(
        &self,
        host: &FsHost,
        mode: FsOpenMode,
        policy: Option<Confined>,
        mut opening: Opening,
    ) -> Result<(), FsFault> {
        let uri = self.uri.clone();
        host.blocking(&self.uri, move || {
            let file = match policy {
                None => open_file(&uri, mode)?,
                Some(policy) => policy.open(uri, mode)?,
            };
            *opening = Some(Arc::new(file));
            Ok(())
        })
        .await
    }

    fn unknown(&self) -> FsFault {
        FsFault::UnknownHandle(self.id.clone())
    }

    fn present(&self, file: Option<&Arc<File>>) -> Result<Arc<File>, FsFault> {
        let file = file.filter(|_| !self.failed.load(Ordering::Acquire));
        file.map(Arc::clone).ok_or_else(|| self.unknown())
    }

    fn failed(&self, error: std::io::Error) -> FsFault {
        self.failed.store(true, Ordering::Release);
        FsFault::HandleIo { path: self.uri.clone(), source: Arc::new(error) }
    }

    /// Up to `len` bytes at `offset`, as what `take` makes of them, which reads them where it may wait for them. The permit is
    /// room in `ahead` that a long block takes.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        host: &FsHost,
        (offset, len): (u64, u64),
        ahead: &Ahead,
        take: impl FnOnce(Block<'_>) -> std::io::Result<T> + Send + 'static,
    ) -> Result<(T, Option<OwnedSemaphorePermit>), FsFault> {
        let turn = Arc::clone(&self.file).read_owned().await;
        let file = self.present(turn.as_ref())?;
        if len <= QUICK_READ_BYTES
            && let Some((bytes, eof)) = read_in_place(&file, offset, len)
        {
            let taken = take(Block(Source::Here { bytes, eof }));
            return taken.map(|taken| (taken, None)).map_err(|error| self.failed(error));
        }
        // In its turn: what was asked of the file later does not come before it.
        let room = ahead.room(len).await;
        let this = Arc::clone(self);
        host.blocking(&self.uri, move || {
            let _turn = turn;
            let taken = take(Block(Source::File { file: &file, offset, len }));
            taken.map(|taken| (taken, room)).map_err(|error| this.failed(error))
        })
        .await
    }

    /// Writes `bytes` at `offset`.
    pub(super) async fn write(
        self: &Arc<Self>,
        host: &FsHost,
        offset: u64,
        bytes: Bytes,
    ) -> Result<(), FsFault> {
        let turn = Arc::clone(&self.file).write_owned().await;
        let file = self.present(turn.as_ref())?;
        let this = Arc::clone(self);
        host.blocking(&self.uri, move || {
            let _turn = turn;
            file.write_all_at(&bytes, offset).map_err(|error| this.failed(error))
        })
        .await
    }

    /// Whether somebody asked for its close.
    pub(super) fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Acquire)
    }

    /// Resolves when everything that was asked of it so far, its close included, is done.
    pub(super) async fn settled(&self) {
        drop(Arc::clone(&self.file).write_owned().await);
    }

    /// Closes it behind everything that was asked before.
    pub(super) async fn close(&self, host: &FsHost) -> Result<(), FsFault> {
        self.is_closing.store(true, Ordering::Release);
        let mut turn = Arc::clone(&self.file).write_owned().await;
        let Some(file) = turn.take() else { return Ok(()) };
        // On some file systems the close is what waits.
        host.blocking(&self.uri, move || {
            drop(file);
            drop(turn);
            Ok(())
        })
        .await
    }

    /// Whether something failed.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }
}

/// Room for blocks that were read and have not left.
#[derive(Debug)]
pub(super) struct Ahead {
    /// In KiB.
    room: Arc<Semaphore>,
    limit_kib: u32,
}

impl Ahead {
    pub(super) fn new(limit_bytes: usize) -> Self {
        let limit_kib = u32::try_from(limit_bytes >> 10).unwrap_or(u32::MAX >> 4).max(1);
        Self { room: Arc::new(Semaphore::new(limit_kib as usize)), limit_kib }
    }

    /// Waits for room for a block, and takes it until the permit is dropped. A short one needs none.
    pub(super) async fn room(&self, block_bytes: u64) -> Option<OwnedSemaphorePermit> {
        if block_bytes <= QUICK_READ_BYTES {
            return None;
        }
        let kib = u32::try_from(block_bytes >> 10).unwrap_or(u32::MAX).clamp(1, self.limit_kib);
        Some(Arc::clone(&self.room).acquire_many_owned(kib).await.expect("it is never closed"))
    }
}

/// Opens a file for its handle.
pub(super) fn open_file(uri: &PathUri, mode: FsOpenMode) -> Result<File, FsFault> {
    let place = Place::new(uri, Links::Follow)?;
    match mode {
        FsOpenMode::Read => Ok(for_reading(&place)?.0),
        FsOpenMode::Replace => {
            let (file, _) = for_writing(&place, OFlags::CREATE)?;
            ftruncate(&file, 0).map_err(|error| place.fault(error))?;
            Ok(file)
        }
    }
}

/// A short block that is in memory as a whole.
fn read_in_place(file: &File, offset: u64, len: u64) -> Option<(Bytes, bool)> {
    // The length of an open file is known to the kernel, unless it is somebody else's; then no page is at hand either.
    let chunk = read_now(file, offset, usize::try_from(len).ok()?)?;
    // A block that is there as a whole ends the file only where the file says so.
    let size = file.metadata().ok()?.len();
    Some((chunk.into(), offset.saturating_add(len) >= size))
}
