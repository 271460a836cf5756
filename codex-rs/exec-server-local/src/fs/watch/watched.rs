//! The directories of one watch, by the numbers that the kernel gives them.
//!
//! A directory is watched before it is listed: what is made in it meanwhile is told by the one or found by the other, and
//! nothing falls in between. A directory that appears is gone through in the same way, so that what came to be in it before
//! it was watched is told, too.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_core::service::Changes;
use codex_exec_server_core::watch_fault::WatchFault;
use codex_exec_server_protocol::fs::{FsChangeKind, FsWatchParams};
use rustix::fs::FileType;
use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init, remove_watch};
use rustix::io::Errno;

use super::super::directory::list;
use super::super::globs::Globs;
use super::super::place::native;
use super::batch::Batch;

/// What is asked of the kernel about each directory.
const ASKED: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR)
    .union(WatchFlags::DONT_FOLLOW)
    // Of a file that was removed while somebody has it open there is nothing to tell.
    .union(WatchFlags::EXCL_UNLINK);

/// How much is read at once.
const READ_BYTES: usize = 64 << 10;

/// A batch that is longer is told before more is read.
const BATCH_CHANGES: usize = 4_096;

/// See the module.
#[derive(Debug)]
pub(super) struct Watched {
    inotify: OwnedFd,
    /// What is watched, without links.
    root: PathBuf,
    /// The name of the file that is watched, in the directory `base`; `None` for a directory, which is `base`.
    file: Option<PathBuf>,
    base: PathBuf,
    recursive: bool,
    exclude: Globs,
    /// By number, where they are below `base`.
    directories: HashMap<i32, PathBuf>,
    limit: usize,
}

impl AsFd for Watched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

impl Watched {
    pub(super) fn set(params: &FsWatchParams, exclude: Globs, limit: usize) -> Result<Self, FsFault> {
        let fault = |error: std::io::Error| FsFault::io(&params.path, error);
        let root = std::fs::canonicalize(native(&params.path)?).map_err(fault)?;
        let is_directory = std::fs::metadata(&root).map_err(fault)?.is_dir();
        let (base, file) = match (is_directory, root.parent(), root.file_name()) {
            (false, Some(parent), Some(name)) => (parent.to_owned(), Some(PathBuf::from(name))),
            _ => (root.clone(), None),
        };
        let inotify = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(|error| match error {
            Errno::MFILE => WatchFault::System("fs.inotify.max_user_instances").into(),
            other => fault(other.into()),
        })?;
        let recursive = params.recursive && is_directory;
        let mut watched =
            Self { inotify, root, file, base, recursive, exclude, directories: HashMap::new(), limit };
        if !watched.add(Path::new("")).map_err(|error| watched.refusal(params, error))? {
            return Err(fault(Errno::NOENT.into()));
        }
        if recursive {
            let scanned = watched.scan(PathBuf::new(), &mut |_| {});
            scanned.map_err(|error| watched.refusal(params, error))?;
        }
        Ok(watched)
    }

    /// What is watched, without links.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    fn refusal(&self, params: &FsWatchParams, error: Refusal) -> FsFault {
        match error {
            Refusal::TooMany => WatchFault::TooManyDirectories(self.limit).into(),
            Refusal::System(Errno::NOSPC) => WatchFault::System("fs.inotify.max_user_watches").into(),
            Refusal::System(other) => FsFault::io(&params.path, other),
        }
    }

    /// Watches a directory; false if it is none, or not any more.
    fn add(&mut self, relative: &Path) -> Result<bool, Refusal> {
        match add_watch(&self.inotify, self.base.join(relative), ASKED) {
            Ok(number) if self.directories.len() >= self.limit && !self.directories.contains_key(&number) => {
                let _ = remove_watch(&self.inotify, number);
                Err(Refusal::TooMany)
            }
            Ok(number) => {
                self.directories.insert(number, relative.to_owned());
                Ok(true)
            }
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(false),
            // What nobody may look into can't be watched, and is not to be seen either.
            Err(Errno::ACCESS) if !relative.as_os_str().is_empty() => Ok(false),
            Err(other) => Err(Refusal::System(other)),
        }
    }

    /// Watches everything below `directory`, which is watched, and shows what is there.
    fn scan(&mut self, directory: PathBuf, show: &mut dyn FnMut(PathBuf)) -> Result<(), Refusal> {
        let mut ahead = vec![directory];
        while let Some(directory) = ahead.pop() {
            let mut inner = Vec::new();
            let listed = list(&self.base.join(&directory), |name, kind, _| {
                let relative = directory.join(name);
                if !self.exclude.matches(&relative) {
                    if kind == FileType::Directory {
                        inner.push(relative.clone());
                    }
                    show(relative);
                }
                Ok(())
            });
            // It may be gone already, which is told by whatever watches what it was in.
            let _ = listed;
            for relative in inner {
                if self.add(&relative)? {
                    ahead.push(relative);
                }
            }
        }
        Ok(())
    }

    /// Forgets a directory that was there, and all below it.
    fn forget(&mut self, directory: &Path) {
        let gone: Vec<i32> = self
            .directories
            .iter()
            .filter(|(_, relative)| relative.starts_with(directory))
            .map(|(number, _)| *number)
            .collect();
        for number in gone {
            self.directories.remove(&number);
            // Of one that was removed the kernel has forgotten it itself.
            let _ = remove_watch(&self.inotify, number);
        }
    }

    /// What has happened by now. Never waits, but for the disk when directories have appeared.
    pub(super) fn changes(&mut self) -> Changes {
        let mut batch = Batch::default();
        let mut buffer = vec![MaybeUninit::uninit(); READ_BYTES];
        while batch.len() < BATCH_CHANGES && !batch.ended {
            let Some(events) = read(&self.inotify, &mut buffer) else { break };
            for event in events {
                if self.take(event, &mut batch).is_err() {
                    // What has appeared can't be watched: whoever sets the watch again is told why.
                    (batch.resync, batch.ended) = (true, true);
                }
            }
        }
        batch.tell(&self.base)
    }

    fn take(&mut self, event: Event, batch: &mut Batch) -> Result<(), Refusal> {
        let Event { number, flags, name } = event;
        if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
            batch.resync = true;
            // Directories may have appeared of which nothing was heard.
            return if self.recursive { self.scan(PathBuf::new(), &mut |_| {}) } else { Ok(()) };
        }
        let Some(directory) = self.directories.get(&number).cloned() else { return Ok(()) };
        let is_base = directory.as_os_str().is_empty();
        if flags.intersects(
            ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::UNMOUNT | ReadFlags::IGNORED,
        ) {
            if is_base {
                batch.add(self.file.clone().unwrap_or_default(), FsChangeKind::Removed);
                batch.ended = true;
            } else if !flags.contains(ReadFlags::MOVE_SELF) {
                self.directories.remove(&number);
            }
            return Ok(());
        }
        let relative = match name {
            Some(name) => directory.join(name),
            // Of a directory below, what it is in tells the same with its name.
            None if is_base && self.file.is_none() => PathBuf::new(),
            None => return Ok(()),
        };
        if self.file.as_ref().is_some_and(|file| *file != relative) || self.exclude.matches(&relative) {
            return Ok(());
        }
        let follows = self.recursive && flags.contains(ReadFlags::ISDIR);
        if flags.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO) {
            batch.add(relative.clone(), FsChangeKind::Created);
            if follows && self.add(&relative)? {
                return self.scan(relative, &mut |found| batch.add(found, FsChangeKind::Created));
            }
        } else if flags.intersects(ReadFlags::DELETE | ReadFlags::MOVED_FROM) {
            if follows {
                self.forget(&relative);
            }
            batch.ended |= self.file.is_some();
            batch.add(relative, FsChangeKind::Removed);
        } else if flags.intersects(ReadFlags::MODIFY | ReadFlags::ATTRIB) {
            batch.add(relative, FsChangeKind::Modified);
        }
        Ok(())
    }
}

/// Why a directory can't be watched.
#[derive(Debug)]
enum Refusal {
    /// There are enough.
    TooMany,
    System(Errno),
}

/// What the kernel tells.
struct Event {
    number: i32,
    flags: ReadFlags,
    name: Option<PathBuf>,
}

/// A buffer full of events; `None` if there are none now.
fn read(inotify: &OwnedFd, buffer: &mut [MaybeUninit<u8>]) -> Option<Vec<Event>> {
    let mut reader = Reader::new(inotify, buffer);
    let mut events = Vec::new();
    loop {
        match reader.next() {
            Ok(event) => events.push(Event {
                number: event.wd(),
                flags: event.events(),
                name: event.file_name().map(|name| PathBuf::from(OsStr::from_bytes(name.to_bytes()))),
            }),
            Err(Errno::INTR) => continue,
            Err(_) => return None,
        }
        if reader.is_buffer_empty() {
            return Some(events);
        }
    }
}
