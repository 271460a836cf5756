//! Symbolic links: what they say, and making them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use bytes::Bytes;
use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_protocol::fs::{
    FsCreateLinkParams, FsReadLinkParams, FsReadLinkResponse, MAX_LINK_TARGET_BYTES,
};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, openat, readlinkat, renameat, symlinkat, unlinkat};

use super::guard;
use super::metadata::{kind, look_at};
use super::place::native_bare;
use super::replace::random_name;

/// `fs/readLink`
pub(super) fn read(params: &FsReadLinkParams) -> Result<FsReadLinkResponse, FsFault> {
    let path = native_bare(&params.path)?;
    let fault = |error| FsFault::io(&params.path, error);
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let link = openat(CWD, &path, flags, Mode::empty()).map_err(fault)?;
    if kind(&look_at(&link).map_err(fault)?) != FileType::Symlink {
        return Err(FsFault::NotALink(params.path.clone()));
    }
    guard::may_read(&link).map_err(fault)?;
    let target = readlinkat(&link, c"", Vec::new()).map_err(fault)?;
    Ok(FsReadLinkResponse { target_base64: Bytes::from(target.into_bytes()).into() })
}

/// `fs/createLink`
pub(super) fn create(params: &FsCreateLinkParams) -> Result<(), FsFault> {
    let path = native_bare(&params.path)?;
    let target = &params.target_base64[..];
    if !(1..=MAX_LINK_TARGET_BYTES).contains(&target.len()) || target.contains(&0) {
        return Err(FsFault::LinkTarget(params.path.clone()));
    }
    let target = Path::new(OsStr::from_bytes(target));
    let fault = |error| FsFault::io(&params.path, error);
    guard::may_make(CWD, &path).map_err(fault)?;
    if !params.overwrite {
        return symlinkat(target, CWD, &path).map_err(fault);
    }
    let beside = path.with_file_name(random_name().map_err(fault)?);
    symlinkat(target, CWD, &beside).map_err(fault)?;
    renameat(CWD, &beside, CWD, &path).map_err(|error| {
        let _ = unlinkat(CWD, &beside, AtFlags::empty());
        fault(error)
    })
}
