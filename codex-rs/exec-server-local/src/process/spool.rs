//! Where output goes that memory has no room for: one file without a name for each process that needs one.
//!
//! [`SpoolSpace`] is what all of a server's processes share: the directory, how much its files take, and whether it can be
//! used at all. A disk that is full or gone is never an error of a process: output is kept in memory then, within the
//! bounds of that, with one warning until it works again. What is in which place of a file is decided by the log.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use codex_exec_server_core::spool::{Filing, Segment, Spill};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::{os, state};

/// How long a directory that could not be written to is left alone.
const RETRY: Duration = Duration::from_secs(10);
/// The end of a file that is longer than this takes the kernel long enough to be seen to elsewhere.
const LONG_FILE: u64 = 4 << 20;

/// See the module.
#[derive(Debug)]
pub(super) struct SpoolSpace {
    directory: Option<PathBuf>,
    limit: u64,
    used: AtomicU64,
    /// Whether there is any trouble, which is asked often.
    is_troubled: AtomicBool,
    trouble: Mutex<Option<Trouble>>,
}

/// The directory can't be used as it should.
#[derive(Debug, Clone, Copy)]
struct Trouble {
    /// How much may be filed meanwhile.
    filing: Filing,
    until: Instant,
}

impl SpoolSpace {
    /// Files in `directory`, if there is one, of `limit` bytes together.
    pub(super) const fn new(directory: Option<PathBuf>, limit: u64) -> Self {
        Self {
            directory,
            limit,
            used: AtomicU64::new(0),
            is_troubled: AtomicBool::new(false),
            trouble: Mutex::new(None),
        }
    }

    fn trouble(&self) -> MutexGuard<'_, Option<Trouble>> {
        // Only ever replaced as a whole.
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What all files take.
    pub(super) fn used_bytes(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// One file went from `before` bytes to `after`.
    pub(super) fn account(&self, before: u64, after: u64) {
        if after >= before {
            self.used.fetch_add(after - before, Ordering::Relaxed);
        } else {
            self.used.fetch_sub(before - after, Ordering::Relaxed);
        }
    }

    /// How much more may be filed.
    pub(super) fn filing(&self) -> Filing {
        if self.directory.is_none() {
            return Filing::Never;
        }
        if self.is_troubled.load(Ordering::Relaxed)
            && let Some(trouble) = *self.trouble()
            && Instant::now() < trouble.until
        {
            return trouble.filing;
        }
        if self.used_bytes() >= self.limit { Filing::InPlace } else { Filing::Free }
    }

    /// Whether files can be written at all, as far as is known. That it is to be tried again does not make it so.
    pub(super) fn works(&self) -> bool {
        let never = || self.trouble().is_some_and(|trouble| trouble.filing == Filing::Never);
        self.directory.is_some() && !(self.is_troubled.load(Ordering::Relaxed) && never())
    }

    /// When more may be filed without anybody reading.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        if self.is_troubled.load(Ordering::Relaxed) {
            self.trouble().map(|trouble| trouble.until)
        } else {
            None
        }
    }

    /// A file was written to, or could not be made or written to. `extends`: it would have become longer than it ever was.
    fn note(&self, outcome: &io::Result<()>, extends: bool) {
        match outcome {
            Ok(()) if self.is_troubled.load(Ordering::Relaxed) => {
                let mut trouble = self.trouble();
                // One that was begun before there was trouble says nothing of whether it is over.
                let is_retry = trouble.is_some_and(|trouble| Instant::now() >= trouble.until);
                if extends && !is_retry {
                    return;
                }
                if extends {
                    *trouble = None;
                    self.is_troubled.store(false, Ordering::Relaxed);
                    tracing::info!(directory = ?self.directory, "output can be kept in files again");
                } else if let Some(trouble) = &mut *trouble {
                    // What a file has already says nothing of whether there is room for more.
                    trouble.filing = Filing::InPlace;
                }
            }
            Ok(()) => {}
            Err(error) => {
                let mut trouble = self.trouble();
                let is_new = trouble.is_none();
                // What files have of a full disk they keep; if that can't be written to either, nothing can.
                let is_full = matches!(
                    error.kind(),
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
                );
                let filing = if is_full && extends { Filing::InPlace } else { Filing::Never };
                *trouble = Some(Trouble { filing, until: Instant::now() + RETRY });
                self.is_troubled.store(true, Ordering::Relaxed);
                drop(trouble);
                if is_new {
                    let directory = self.directory.as_deref().unwrap_or_else(|| "".as_ref());
                    tracing::warn!(
                        directory = %directory.display(), %error,
                        "output can't be kept in files of this directory; until it can, memory alone keeps it{}",
                        state::advice(directory, error)
                    );
                }
            }
        }
    }
}

/// The file of one process.
#[derive(Debug)]
pub(super) struct SpoolFile {
    /// Made when it is needed.
    file: OnceLock<Arc<File>>,
    /// Held by whoever changes it, for as long as the disk takes.
    changing: Mutex<()>,
    /// How long it is.
    length: AtomicU64,
    /// How far it has its slots, whole.
    written: AtomicU64,
}

impl SpoolFile {
    pub(super) const fn new() -> Self {
        let (length, written) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { file: OnceLock::new(), changing: Mutex::new(()), length, written }
    }

    fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn length(&self) -> u64 {
        self.length.load(Ordering::Relaxed)
    }

    /// Writes what is to be written. Takes as long as the disk does.
    pub(super) fn write(&self, space: &SpoolSpace, spill: &Spill) -> bool {
        let end = spill.segment.slot_end;
        let extends = end > self.written.load(Ordering::Relaxed);
        let outcome = self.try_write(space, spill, extends);
        if outcome.is_ok() {
            self.written.fetch_max(end, Ordering::Relaxed);
        }
        space.note(&outcome, extends);
        outcome.is_ok()
    }

    fn try_write(&self, space: &SpoolSpace, spill: &Spill, extends: bool) -> io::Result<()> {
        let _alone = self.change();
        let file = match self.file.get() {
            Some(file) => file,
            None => {
                let directory = space.directory.as_deref().ok_or(io::ErrorKind::NotFound)?;
                let file = os::nameless_file(directory)?;
                self.file.get_or_init(|| Arc::new(file))
            }
        };
        let Segment { place, slot_end, .. } = spill.segment;
        // What was written before it failed takes room as well.
        self.length.fetch_max(slot_end, Ordering::Relaxed);
        if extends {
            // All of the slot: a longer segment may use it again when nobody has a block left.
            os::set_aside(file, place, slot_end)?;
        }
        os::write_parts(file, place, &spill.parts())
    }

    /// Cuts the file down to what `length` says once nobody changes it. Takes as long as the disk does.
    pub(super) fn shrink(&self, length: impl FnOnce() -> u64) {
        let _alone = self.change();
        let (length, present) = (length(), self.length());
        if let Some(file) = self.file.get()
            && length < present
        {
            if let Err(error) = file.set_len(length) {
                tracing::warn!(%error, "a file of output can't be cut down");
            }
            // It is not tried again and again.
            self.length.store(length, Ordering::Relaxed);
            self.written.fetch_min(length, Ordering::Relaxed);
        }
    }

    /// What the file has for `segment`: at once if it is in memory, otherwise when the disk has brought it. `None` if it
    /// can't be read.
    pub(super) fn fetch_now(&self, segment: &Segment) -> Result<Option<Bytes>, Fetch> {
        let Some(file) = self.file.get() else { return Ok(None) };
        match os::read_cached(file, segment.place, segment.length) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(Fetch { file: Arc::clone(file), place: segment.place, length: segment.length })
            }
            Err(error) => {
                tracing::warn!(%error, "output can't be read from its file");
                Ok(None)
            }
        }
    }

    /// As [`Self::fetch_now`], and waits for the disk, on a thread that may.
    pub(super) async fn fetch(&self, segment: &Segment) -> Option<Bytes> {
        match self.fetch_now(segment) {
            Ok(stored) => stored,
            Err(fetch) => tokio::task::spawn_blocking(move || fetch.wait()).await.ok().flatten(),
        }
    }
}

impl Drop for SpoolFile {
    fn drop(&mut self) {
        let is_long = self.length() > LONG_FILE;
        if let (true, Some(file), Ok(runtime)) = (is_long, self.file.take(), Handle::try_current()) {
            // Nothing depends on when it ends.
            runtime.spawn_blocking(move || drop(file));
        }
    }
}

/// A part of a file that the disk has still to bring.
#[derive(Debug)]
pub(super) struct Fetch {
    file: Arc<File>,
    place: u64,
    length: usize,
}

impl Fetch {
    /// Waits for it. `None` if it can't be read.
    pub(super) fn wait(self) -> Option<Bytes> {
        let mut bytes = vec![0; self.length];
        match std::os::unix::fs::FileExt::read_exact_at(&*self.file, &mut bytes, self.place) {
            Ok(()) => Some(bytes.into()),
            Err(error) => {
                tracing::warn!(%error, "output can't be read from its file");
                None
            }
        }
    }
}
