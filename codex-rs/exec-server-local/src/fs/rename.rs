//! Moving within one file system.

use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_protocol::fs::FsRenameParams;
use rustix::fs::{AtFlags, CWD, RenameFlags, renameat, renameat_with};
use rustix::io::Errno;

use super::metadata::look;
use super::place::native_bare;

/// `fs/rename`
pub(super) fn rename(params: &FsRenameParams) -> Result<(), FsFault> {
    let (from, to) = (native_bare(&params.source_path)?, native_bare(&params.destination_path)?);
    look(CWD, &from, AtFlags::SYMLINK_NOFOLLOW).map_err(|error| FsFault::io(&params.source_path, error))?;
    // Whatever is wrong from here on has to do with where it goes.
    let fault = |error: Errno| FsFault::io(&params.destination_path, error);
    if params.overwrite {
        return renameat(CWD, &from, CWD, &to).map_err(fault);
    }
    match renameat_with(CWD, &from, CWD, &to, RenameFlags::NOREPLACE) {
        // A file system that can't; or source and destination are such that it makes no sense, which is told again.
        Err(Errno::INVAL | Errno::NOSYS) => match look(CWD, &to, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Err(fault(Errno::EXIST)),
            Err(Errno::NOENT) => renameat(CWD, &from, CWD, &to).map_err(fault),
            Err(error) => Err(fault(error)),
        },
        outcome => outcome.map_err(fault),
    }
}
