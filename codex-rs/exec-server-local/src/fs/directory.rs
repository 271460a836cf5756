//! Making directories, and reading what is in them.

use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_protocol::fs::FsCreateDirectoryParams;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, mkdirat, openat};
use rustix::io::Errno;

use super::guard;
use super::metadata::{kind, look};
use super::place::{DIRECTORY, Links, Place, native};

/// Permissions of a new directory, less the umask.
const NEW_DIRECTORY: Mode = Mode::from_raw_mode(0o777);

/// How much of a directory is asked for at once. More saves nothing, and is read in vain by one who stops halfway.
const LISTING_BYTES: usize = 16 << 10;

/// `fs/createDirectory`
pub(super) fn create(params: &FsCreateDirectoryParams) -> Result<(), FsFault> {
    let links = Links::from_follow(params.follows_symlinks());
    let fault = |error: std::io::Error| FsFault::io(&params.path, error);
    match (params.is_recursive(), links) {
        (true, Links::Follow) => std::fs::create_dir_all(native(&params.path)?).map_err(fault),
        (true, Links::Refuse) => {
            create_without_links(&native(&params.path)?).map_err(|error| fault(error.into()))
        }
        (false, _) => {
            let place = Place::new(&params.path, links)?;
            mkdirat(place.dir(), place.name(), NEW_DIRECTORY).map_err(|error| place.fault(error))
        }
    }
}

/// Makes what is missing of `path`, entering nothing but directories.
fn create_without_links(path: &Path) -> rustix::io::Result<()> {
    let mut dir = openat(CWD, "/", DIRECTORY, Mode::empty())?;
    for component in path.components().filter(|component| *component != Component::RootDir) {
        let name = component.as_os_str();
        dir = match openat(&dir, name, DIRECTORY, Mode::empty()) {
            Err(Errno::NOENT) => {
                match mkdirat(&dir, name, NEW_DIRECTORY) {
                    // Somebody else makes the same.
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error),
                }
                openat(&dir, name, DIRECTORY, Mode::empty())?
            }
            opened => opened?,
        };
    }
    Ok(())
}

/// Opens a directory to read what is in it.
pub(super) fn open(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = openat(CWD, path, flags, Mode::empty())?;
    guard::may_read(&dir)?;
    Ok(dir)
}

/// Shows every entry of a directory: its name, what it is itself, and the directory to look at it from. Ends with the
/// first fault; the outer error is the directory's own.
pub(super) fn list(
    path: &Path,
    each: impl FnMut(&OsStr, FileType, &OwnedFd) -> Result<(), FsFault>,
) -> rustix::io::Result<Result<(), FsFault>> {
    let dir = open(path)?;
    Reading::new(&dir, room().spare_capacity_mut()).go_on(/*until*/ None, each)
}

/// Room for what is read of a directory at once.
pub(super) fn room() -> Vec<u8> {
    Vec::with_capacity(LISTING_BYTES)
}

/// A directory that is being read, from where its opening stands.
pub(super) struct Reading<'a> {
    dir: &'a OwnedFd,
    entries: RawDir<'a, &'a OwnedFd>,
    /// Of the next entry, once there was one. What it means is the file system's affair.
    position: Option<u64>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(dir: &'a OwnedFd, room: &'a mut [MaybeUninit<u8>]) -> Self {
        Self { dir, entries: RawDir::new(dir, room), position: None }
    }

    /// Shows the entries that come next as [`list`] does: all of them, or those before the position `until`.
    pub(super) fn go_on(
        &mut self,
        until: Option<u64>,
        mut each: impl FnMut(&OsStr, FileType, &OwnedFd) -> Result<(), FsFault>,
    ) -> rustix::io::Result<Result<(), FsFault>> {
        while self.position.is_none_or(|position| until.is_none_or(|until| position < until))
            && let Some(entry) = self.entries.next()
        {
            let entry = entry?;
            self.position = Some(entry.next_entry_cookie());
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let kind = match entry.file_type() {
                // Some file systems leave it to whoever wants to know.
                FileType::Unknown => match look(self.dir, Path::new(name), AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => kind(&stat),
                    Err(Errno::NOENT) => continue,
                    Err(_) => FileType::Unknown,
                },
                known => known,
            };
            if let Err(fault) = each(name, kind, self.dir) {
                return Ok(Err(fault));
            }
        }
        Ok(Ok(()))
    }
}
