//! Removing files and trees.

use std::io;

use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_protocol::fs::FsRemoveParams;
use rustix::fs::{AtFlags, CWD, FileType, unlinkat};
use rustix::io::Errno;

use super::metadata::{kind, look};
use super::place::{Links, Place, native_bare};

/// `fs/remove`
pub(super) fn remove(params: &FsRemoveParams) -> Result<(), FsFault> {
    let links = Links::from_follow(params.follows_symlinks());
    let outcome = match links {
        Links::Refuse if params.is_recursive() => Err(FsFault::RecursiveNoFollow(params.path.clone())),
        Links::Refuse => remove_without_links(params),
        Links::Follow => remove_path(params),
    };
    match outcome {
        Err(FsFault::Io { source, .. }) if params.is_forced() && source.kind() == io::ErrorKind::NotFound => {
            Ok(())
        }
        outcome => outcome,
    }
}

fn remove_path(params: &FsRemoveParams) -> Result<(), FsFault> {
    let path = native_bare(&params.path)?;
    let fault = |error| FsFault::io(&params.path, error);
    let stat = look(CWD, &path, AtFlags::SYMLINK_NOFOLLOW).map_err(fault)?;
    match (kind(&stat) == FileType::Directory, params.is_recursive()) {
        // The standard library's never leaves the tree, whatever is moved about in it meanwhile.
        (true, true) => std::fs::remove_dir_all(&path).map_err(|error| FsFault::io(&params.path, error)),
        (true, false) => unlinkat(CWD, &path, AtFlags::REMOVEDIR).map_err(fault),
        (false, _) => unlinkat(CWD, &path, AtFlags::empty()).map_err(fault),
    }
}

fn remove_without_links(params: &FsRemoveParams) -> Result<(), FsFault> {
    let place = Place::new(&params.path, Links::Refuse)?;
    let fault = |error: Errno| place.fault(error);
    let stat = look(place.dir(), place.name(), AtFlags::SYMLINK_NOFOLLOW).map_err(fault)?;
    let flags = match kind(&stat) {
        FileType::Symlink => return Err(FsFault::SymbolicLink(params.path.clone())),
        FileType::Directory => AtFlags::REMOVEDIR,
        _ => AtFlags::empty(),
    };
    unlinkat(place.dir(), place.name(), flags).map_err(fault)
}
