//! Files that stand where nothing may be made.
//!
//! Something can be hidden or kept as it is only where something stands. Where a rule is about a path that does not exist,
//! an empty folder or file is put there for as long as the process lives, and taken away afterwards. Several processes may
//! need the same one: each holds a shared lock on it, and whoever can have the lock alone takes it away. Locks end with
//! their holders, and what a killed server left behind is known by its mode, which nobody else uses.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, FlockOperation, flock, unlinkat};

/// The mode of a placeholder: to be read by its owner, and a bit that has no meaning for it.
const FOLDER_MODE: u32 = 0o1500;
const FILE_MODE: u32 = 0o1400;

/// How often one is looked at while others take theirs away.
pub(crate) const ATTEMPTS: usize = 64;

/// Between two looks at one that somebody is about to take away, which takes two calls of the system: ample, unless whoever does
/// it has to wait for a processor.
const PAUSE: Duration = Duration::from_millis(1);

/// One that is held. Taken away when nobody holds it any more.
#[derive(Debug)]
pub(crate) struct Placeholder {
    path: PathBuf,
    file: File,
    folder: bool,
}

/// What making one came to.
pub(crate) enum Made {
    Held(Placeholder),
    /// Something else stands there by now.
    Occupied,
    /// Nobody with this user's rights can make anything there.
    Impossible,
}

impl Placeholder {
    /// Puts one at `path`, or shares one.
    pub(crate) fn put(path: &Path, folder: bool) -> io::Result<Made> {
        for _ in 0..ATTEMPTS {
            match make(path, folder) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return match error.raw_os_error() {
                        Some(libc::EACCES | libc::EPERM | libc::EROFS | libc::ENOENT | libc::ENOTDIR) => {
                            Ok(Made::Impossible)
                        }
                        _ => Err(error),
                    };
                }
            }
            match Self::share(path, folder)? {
                Shared::Held(held) => return Ok(Made::Held(held)),
                Shared::Foreign => return Ok(Made::Occupied),
                Shared::Gone | Shared::Leaving => {}
            }
        }
        Err(io::Error::from_raw_os_error(libc::EBUSY))
    }

    /// Shares the one at `path`.
    pub(crate) fn share(path: &Path, folder: bool) -> io::Result<Shared> {
        let file = match OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open(path)
        {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Shared::Gone),
            // A link, or something that is not ours to open.
            Err(_) => return Ok(Shared::Foreign),
        };
        if !is_placeholder(&file.metadata()?, folder) {
            return Ok(Shared::Foreign);
        }
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => {}
            // Whoever has it alone is about to take it away. Not waited for: a lock can be held for ever.
            Err(rustix::io::Errno::WOULDBLOCK) => {
                std::thread::sleep(PAUSE);
                return Ok(Shared::Leaving);
            }
            Err(error) => return Err(error.into()),
        }
        // Between being opened and being locked it may have been taken away, and something else put there.
        let held = file.metadata()?;
        match std::fs::symlink_metadata(path) {
            Ok(now) if (now.dev(), now.ino()) == (held.dev(), held.ino()) => {
                Ok(Shared::Held(Self { path: path.to_owned(), file, folder }))
            }
            Ok(_) | Err(_) => Ok(Shared::Gone),
        }
    }
}

/// What sharing one came to.
#[derive(Debug)]
pub(crate) enum Shared {
    Held(Placeholder),
    /// What stands there is none.
    Foreign,
    /// Nothing stands there, or something else by now.
    Gone,
    /// It can still be seen, and somebody is about to take it away.
    Leaving,
}

fn make(path: &Path, folder: bool) -> io::Result<()> {
    if folder {
        std::fs::DirBuilder::new().mode(FOLDER_MODE).create(path)?;
    } else {
        OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path)?;
    }
    // The mask of new files may have taken bits away.
    let mode = if folder { FOLDER_MODE } else { FILE_MODE };
    std::fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Whether it may be one, of whomever.
pub(crate) fn looks_like_one(metadata: &std::fs::Metadata) -> bool {
    is_placeholder(metadata, metadata.is_dir())
}

fn is_placeholder(metadata: &std::fs::Metadata, folder: bool) -> bool {
    let mode = metadata.mode() & 0o7777;
    if folder {
        metadata.is_dir() && mode == FOLDER_MODE
    } else {
        metadata.is_file() && metadata.len() == 0 && mode == FILE_MODE
    }
}

impl Drop for Placeholder {
    fn drop(&mut self) {
        // Both locks in one call: from shared to alone, or nothing if others hold it.
        if flock(self.file.as_fd(), FlockOperation::NonBlockingLockExclusive).is_err() {
            return;
        }
        let (Ok(held), Ok(now)) = (self.file.metadata(), std::fs::symlink_metadata(&self.path)) else {
            return;
        };
        if (held.dev(), held.ino()) != (now.dev(), now.ino()) || !is_placeholder(&now, self.folder) {
            return;
        }
        let flags = if self.folder { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        // If somebody on the machine has put something into the folder meanwhile, it is theirs now.
        let _ = unlinkat(CWD, self.path.as_os_str().as_bytes(), flags);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(path: &Path, folder: bool) -> Placeholder {
        match Placeholder::put(path, folder).expect("it can be made") {
            Made::Held(held) => held,
            Made::Occupied | Made::Impossible => panic!("nothing is there"),
        }
    }

    #[test]
    fn the_last_holder_takes_it_away() {
        let root = tempfile::tempdir().expect("a folder");
        for folder in [true, false] {
            let path = root.path().join("x");
            let first = held(&path, folder);
            let second = held(&path, folder);
            drop(first);
            assert!(path.exists());
            drop(second);
            assert!(!path.exists());
        }
    }

    #[test]
    fn what_is_somebodys_own_stays() {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join(".git");
        std::fs::create_dir(&path).expect("made");
        assert!(matches!(Placeholder::put(&path, /*folder*/ true), Ok(Made::Occupied)));
        assert!(path.exists());

        let taken = root.path().join(".codex");
        let placeholder = held(&taken, /*folder*/ true);
        std::fs::set_permissions(&taken, Permissions::from_mode(0o700)).expect("changed");
        std::fs::write(taken.join("config"), "x").expect("written");
        drop(placeholder);
        assert!(taken.join("config").exists());
    }

    #[test]
    fn one_that_was_left_behind_is_taken_over_and_taken_away() {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join(".git");
        make(&path, /*folder*/ true).expect("made");
        let left = Placeholder::share(&path, /*folder*/ true).expect("it can be read");
        assert!(matches!(left, Shared::Held(_)));
        drop(left);
        assert!(!path.exists());
    }

    #[test]
    fn one_that_is_being_taken_away_is_not_shared() {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join(".git");
        let first = held(&path, /*folder*/ true);
        flock(&first.file, FlockOperation::NonBlockingLockExclusive).expect("nobody else has it");
        assert!(matches!(Placeholder::share(&path, /*folder*/ true), Ok(Shared::Leaving)));
        drop(first);
        assert!(matches!(Placeholder::share(&path, /*folder*/ true), Ok(Shared::Gone)));
        drop(held(&path, /*folder*/ true));
        assert!(!path.exists());
    }
}
