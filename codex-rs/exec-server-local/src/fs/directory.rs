//! Making and listing directories.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_protocol::fs::{
    FsCreateDirectoryParams, FsReadDirectoryParams, FsReadDirectoryResponse, MAX_LISTED_ENTRIES,
};
use codex_exec_server_protocol::listing_result::Entry;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, mkdirat, openat};
use rustix::io::Errno;

use super::guard;
use super::host::{FsHost, Interest};
use super::metadata::{kind, look};
use super::place::{DIRECTORY, Links, Place, child, native, native_bare};

/// Permissions of a new directory, less the umask.
const NEW_DIRECTORY: Mode = Mode::from_raw_mode(0o777);

/// How much of a directory is asked for at once.
const LISTING_BYTES: usize = 64 << 10;

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

/// `fs/readDirectory`
pub(super) fn read(
    host: &FsHost,
    params: &FsReadDirectoryParams,
    interest: &Interest,
) -> Result<FsReadDirectoryResponse, FsFault> {
    let mut entries = Vec::new();
    let more = read_each(host, params, interest, |entry| entries.push(entry.into()))?;
    Ok(FsReadDirectoryResponse { entries, more })
}

/// The same, showing each entry to `put`; whether there are more behind them. After a fault, those that were shown already mean
/// nothing.
pub(super) fn read_each(
    host: &FsHost,
    params: &FsReadDirectoryParams,
    interest: &Interest,
    mut put: impl FnMut(Entry<'_>),
) -> Result<bool, FsFault> {
    if let Some(limit) = params.max_entries {
        return read_page(host, params, limit, interest, put);
    }
    let path = native(&params.path)?;
    let mut left = host.limits.listed_entries;
    list(&path, |name, kind, dir| {
        left = left.checked_sub(1).ok_or_else(|| {
            let limit = host.limits.listed_entries as u64;
            FsFault::TooManyEntries { path: params.path.clone(), limit }
        })?;
        interest.check(&params.path)?;
        show(&path, name, kind, dir, &mut put);
        Ok(())
    })
    .unwrap_or_else(|error| Err(FsFault::io(&params.path, error)))?;
    Ok(false)
}

fn show(path: &Path, name: &OsStr, kind: FileType, dir: impl AsFd, put: &mut impl FnMut(Entry<'_>)) {
    let is_symlink = kind == FileType::Symlink;
    let target = if is_symlink {
        // One that leads nowhere is neither, but still there.
        look(dir, Path::new(name), AtFlags::empty()).map_or(FileType::Unknown, |stat| self::kind(&stat))
    } else {
        kind
    };
    // Looked at once: of a long directory this is what takes time, beside the kernel.
    let (file_name, told) = match name.to_str() {
        Some(text) => (Cow::Borrowed(text), None),
        None => (name.to_string_lossy(), child(path, name)),
    };
    put(Entry {
        file_name: &file_name,
        is_directory: target == FileType::Directory,
        is_file: target == FileType::RegularFile,
        is_symlink,
        path: told.as_ref(),
    });
}

/// The first names behind `after`. The whole directory is looked at for each page, so that no page has to be remembered;
/// only what may be in this one is held.
fn read_page(
    host: &FsHost,
    params: &FsReadDirectoryParams,
    limit: u64,
    interest: &Interest,
    mut put: impl FnMut(Entry<'_>),
) -> Result<bool, FsFault> {
    let most = MAX_LISTED_ENTRIES.min(host.limits.listed_entries as u64);
    if !(1..=most).contains(&limit) {
        return Err(FsFault::PageLength(most));
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let path = native(&params.path)?;
    let after = params.after.as_ref().map(native_bare).transpose()?;
    let after = after.as_deref().and_then(Path::file_name);
    let mut names = BinaryHeap::new();
    let mut more = false;
    let dir = list(&path, |name, kind, _| {
        interest.check(&params.path)?;
        if after.is_none_or(|after| name.as_bytes() > after.as_bytes()) {
            names.push(Named { name: name.to_owned(), kind });
            if names.len() > limit {
                names.pop();
                more = true;
            }
        }
        Ok(())
    });
    dir.unwrap_or_else(|error| Err(FsFault::io(&params.path, error)))?;
    let fault = |error| FsFault::io(&params.path, error);
    let dir = openat(CWD, &path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let dir = dir.map_err(fault)?;
    for Named { name, kind } in names.into_sorted_vec() {
        interest.check(&params.path)?;
        show(&path, &name, kind, &dir, &mut put);
    }
    Ok(more)
}

/// A name and what it is, in the order of the name's bytes.
#[derive(PartialEq, Eq)]
struct Named {
    name: OsString,
    kind: FileType,
}

impl Ord for Named {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name.as_bytes().cmp(other.name.as_bytes())
    }
}

impl PartialOrd for Named {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Shows every entry of a directory: its name, what it is itself, and the directory to look at it from. Ends with the
/// first fault; the outer error is the directory's own.
pub(super) fn list(
    path: &Path,
    mut each: impl FnMut(&OsStr, FileType, &std::os::fd::OwnedFd) -> Result<(), FsFault>,
) -> rustix::io::Result<Result<(), FsFault>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = openat(CWD, path, flags, Mode::empty())?;
    guard::may_read(&dir)?;
    let mut buffer = Vec::with_capacity(LISTING_BYTES);
    let mut listing = RawDir::new(&dir, buffer.spare_capacity_mut());
    while let Some(entry) = listing.next() {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        let kind = match entry.file_type() {
            // Some file systems leave it to whoever wants to know.
            FileType::Unknown => match look(&dir, Path::new(name), AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => kind(&stat),
                Err(Errno::NOENT) => continue,
                Err(_) => FileType::Unknown,
            },
            known => known,
        };
        if let Err(fault) = each(name, kind, &dir) {
            return Ok(Err(fault));
        }
    }
    Ok(Ok(()))
}
