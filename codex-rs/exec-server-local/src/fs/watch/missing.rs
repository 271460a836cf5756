//! Waiting for what is missing (`fs/watchMissing`): one word as soon as a path may have come into existence.
//!
//! Of each path the last directory that exists is watched for the next name, and those above it for going away: wherever
//! the way to the path changes, whoever asked looks again. What that would not tell (links on the way, file systems that
//! others change, too much of it) is not watched at all, which is said.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use codex_exec_server_protocol::fs::{FsWatchMissingParams, MAX_MISSING_PATHS};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init};
use rustix::fs::{FileType, lstat, statfs};
use rustix::io::Errno;
use tokio::sync::oneshot;

use super::super::host::FsHost;
use super::super::place::native_bare;
use super::super::quick::is_local;

/// What is asked about every directory on the way.
const GOING: WatchFlags = WatchFlags::DELETE_SELF
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR)
    .union(WatchFlags::DONT_FOLLOW)
    // The way to another path may have asked for more already.
    .union(WatchFlags::MASK_ADD);

/// What is asked about the last one besides.
const COMING: WatchFlags = WatchFlags::CREATE.union(WatchFlags::MOVED_TO);

/// What is asked about the path that exists.
const CHANGING: WatchFlags = WatchFlags::MODIFY
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::DONT_FOLLOW)
    .union(WatchFlags::MASK_ADD);

const READ_BYTES: usize = 16 << 10;

/// A watch on what is missing. Dropping it ends it.
pub struct MissingWatch {
    changed: oneshot::Receiver<()>,
    /// Wakes the thread when this is dropped.
    stop: Arc<OwnedFd>,
}

impl fmt::Debug for MissingWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MissingWatch").finish_non_exhaustive()
    }
}

impl MissingWatch {
    /// `fs/watchMissing`; `None` if nothing would be told. May wait for a disk.
    pub(in super::super) fn set(host: &FsHost, params: &FsWatchMissingParams) -> Option<Self> {
        if params.missing.is_empty() || params.missing.len() > MAX_MISSING_PATHS {
            return None;
        }
        // One of the system's instances, as for the other kind of watch.
        let standing = host.watches.enter().ok()?;
        let missing = params.missing.iter().map(|path| native_bare(path).ok()).collect::<Option<Vec<_>>>()?;
        let present = params.present.as_ref().map(|path| native_bare(path).ok());
        let present = present.map_or(Some(None), |path| path.map(Some))?;
        let waited = Waited::set(&missing, present.as_deref(), host.limits.watched_directories)?;
        let stop = Arc::new(eventfd(0, EventfdFlags::CLOEXEC).ok()?);
        let (tell, changed) = oneshot::channel();
        let stopped = Arc::clone(&stop);
        let run = move || {
            let _standing = standing;
            if waited.wait(&stopped) {
                let _ = tell.send(());
            }
        };
        // It owns all that it uses, and ends when its reader has gone. It also closes the instance, which takes the kernel a while.
        std::thread::Builder::new().name("fs-missing".into()).spawn(run).ok()?;
        Some(Self { changed, stop })
    }

    /// Resolves when it is time to look again, which is told once.
    pub async fn changed(&mut self) {
        // A thread that ended without a word can't be asked, so that is a reason to look as well.
        let _ = (&mut self.changed).await;
    }
}

impl Drop for MissingWatch {
    fn drop(&mut self) {
        // It can't fail: the counter has room for far more than one.
        let _ = rustix::io::write(&*self.stop, &1_u64.to_ne_bytes());
    }
}

/// How far a path leads.
#[derive(Debug, PartialEq, Eq)]
struct Way {
    /// From the root on, each in the one before it; never empty.
    directories: Vec<PathBuf>,
    /// What the last of them lacks; `None` if the path exists.
    missing: Option<OsString>,
}

impl Way {
    /// `None` where that can't be told: through a link, through what is no directory, or where nobody may look.
    fn of(path: &Path) -> Option<Self> {
        let mut directories = vec![PathBuf::from("/")];
        let mut components = path.components().skip(1).peekable();
        while let Some(component) = components.next() {
            let Component::Normal(name) = component else { return None };
            let next = directories.last()?.join(name);
            match lstat(&next).map(|stat| FileType::from_raw_mode(stat.st_mode)) {
                Err(Errno::NOENT) => return Some(Self { directories, missing: Some(name.to_owned()) }),
                Ok(FileType::Directory) => directories.push(next),
                Ok(FileType::Symlink) | Err(_) => return None,
                Ok(_) if components.peek().is_some() => return None,
                Ok(_) => {}
            }
        }
        Some(Self { directories, missing: None })
    }

    fn to_missing(path: &Path) -> Option<Self> {
        Self::of(path).filter(|way| way.missing.is_some())
    }

    fn to_present(path: &Path) -> Option<Self> {
        Self::of(path).filter(|way| way.missing.is_none())
    }
}

/// What a watch waits for.
struct Waited {
    inotify: OwnedFd,
    /// Names that are missing, by the numbers of the directories that lack them.
    names: HashMap<i32, HashSet<OsString>>,
}

impl Waited {
    fn set(missing: &[PathBuf], present: Option<&Path>, limit: usize) -> Option<Self> {
        let ways = |missing: &[PathBuf]| {
            missing.iter().map(|path| Way::to_missing(path)).collect::<Option<Vec<_>>>()
        };
        let (lacking, there) = (ways(missing)?, present.map(Way::to_present));
        let inotify = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
        let mut waited = Self { inotify, names: HashMap::new() };
        let mut known = HashSet::new();
        for way in lacking.iter().chain(there.as_ref().and_then(Option::as_ref)) {
            waited.add(way, limit, &mut known)?;
        }
        if let Some(path) = present {
            add_watch(&waited.inotify, path, CHANGING).ok()?;
        }
        // What came or went before it was watched is seen now, and what comes or goes from now on is told.
        let is_as_before = ways(missing)? == lacking && present.map(Way::to_present) == there;
        (is_as_before && there != Some(None)).then_some(waited)
    }

    /// `known` are the directories that are watched already.
    fn add(&mut self, way: &Way, limit: usize, known: &mut HashSet<PathBuf>) -> Option<()> {
        let (last, above) = way.directories.split_last()?;
        for directory in above {
            if known.insert(directory.clone()) {
                match add_watch(&self.inotify, directory, GOING) {
                    // Where nobody may look, only the way through can be gone.
                    Ok(_) | Err(Errno::ACCESS) => {}
                    Err(_) => return None,
                }
            }
        }
        known.insert(last.clone());
        if known.len() > limit || !is_local(statfs(last).ok()?.f_type) {
            return None;
        }
        let Some(name) = &way.missing else {
            return add_watch(&self.inotify, last, GOING).ok().map(drop);
        };
        let number = add_watch(&self.inotify, last, GOING.union(COMING)).ok()?;
        self.names.entry(number).or_default().insert(name.clone());
        Some(())
    }

    /// Waits for something to change; false if nobody wants to know any more.
    fn wait(&self, stop: &OwnedFd) -> bool {
        let mut buffer = vec![MaybeUninit::uninit(); READ_BYTES];
        loop {
            let mut either = [PollFd::new(&self.inotify, PollFlags::IN), PollFd::new(stop, PollFlags::IN)];
            if poll(&mut either, /*timeout*/ None).is_err() {
                continue;
            }
            if !either[1].revents().is_empty() {
                return false;
            }
            if self.has_changed(&mut buffer) {
                return true;
            }
        }
    }

    fn has_changed(&self, buffer: &mut [MaybeUninit<u8>]) -> bool {
        let mut reader = Reader::new(&self.inotify, buffer);
        loop {
            match reader.next() {
                Ok(event) => match event.file_name() {
                    // Of one that is on the way itself, or of events that were lost.
                    None => return true,
                    Some(name) => {
                        let name = OsStr::from_bytes(name.to_bytes());
                        let is_missing =
                            self.names.get(&event.wd()).is_some_and(|names| names.contains(name));
                        if is_missing && event.events().intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO) {
                            return true;
                        }
                    }
                },
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_ends_at_the_first_name_that_is_missing_and_leads_through_no_link() {
        let folder = tempfile::tempdir().expect("a folder");
        let base = std::fs::canonicalize(folder.path()).expect("it is there");
        std::fs::create_dir_all(base.join("a/b")).expect("it can be made");
        std::fs::write(base.join("a/f"), "").expect("it can be written");
        std::os::unix::fs::symlink("a", base.join("l")).expect("it can be made");
        let end = |name: &str| {
            Way::of(&base.join(name)).map(|way| {
                let last = way.directories.last().and_then(|last| last.strip_prefix(&base).ok());
                (
                    last.expect("it is below").to_owned(),
                    way.missing.map(|name| name.into_string().expect("text")),
                )
            })
        };
        let missing = |directory: &str, name: &str| Some((PathBuf::from(directory), Some(name.to_owned())));
        assert_eq!(end("a/b/c/d"), missing("a/b", "c"));
        assert_eq!(end("x"), missing("", "x"));
        assert_eq!(end("a/b"), Some((PathBuf::from("a/b"), None)));
        assert_eq!(end("a/f"), Some((PathBuf::from("a"), None)));
        for none in ["a/f/x", "l", "l/x", "l/b/x"] {
            assert_eq!(end(none), None, "{none}");
        }
    }
}
