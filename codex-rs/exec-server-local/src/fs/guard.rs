//! Rules that are asked about every file that was opened, in a process that serves files for a policy.
//!
//! Such a process sees no more than the policy shows, by what was there when it started. What came later is found here: a
//! file that matches a denied glob, or one at a path that is denied. The process serves one policy from its first moment to
//! its end, so the guard is the process's and not passed from hand to hand; where there is none, everything passes.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use codex_linux_sandbox::file_rules::FileRules;
use codex_linux_sandbox::rules::Access;
use rustix::io::Errno;

static RULES: OnceLock<FileRules> = OnceLock::new();

/// What the system adds to the name of a file that has none any more.
const DELETED: &[u8] = b" (deleted)";

/// Has this process ask `rules` from now on.
pub(super) fn post(rules: FileRules) {
    // Only the first are kept: nobody loosens them later.
    let _ = RULES.set(rules);
}

/// Fails if the rules say that the open file must not be read.
pub(super) fn may_read(file: impl AsFd) -> Result<(), Errno> {
    ask(file, Access::Read)
}

/// Fails if the rules say that the open file must not be written.
pub(super) fn may_write(file: impl AsFd) -> Result<(), Errno> {
    ask(file, Access::Write)
}

/// Whether the rules say that nothing is to be known of `name` in `directory`, which leads over no link.
pub(super) fn hides(directory: &Path, name: &OsStr) -> bool {
    RULES.get().is_some_and(|rules| rules.access(&directory.join(name)) == Access::Deny)
}

/// Fails if the rules say that nothing may be written at `name` in the directory `dir`, where there need not be anything yet.
pub(super) fn may_make(dir: impl AsFd, name: &Path) -> Result<(), Errno> {
    let Some(rules) = RULES.get() else { return Ok(()) };
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
    let parent = name.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Some(last) = name.file_name() else { return Ok(()) };
    let parent = rustix::fs::openat(dir, parent, flags, rustix::fs::Mode::empty())?;
    allow(rules, &path_of(&parent)?.join(last), Access::Write)
}

fn ask(file: impl AsFd, wanted: Access) -> Result<(), Errno> {
    let Some(rules) = RULES.get() else { return Ok(()) };
    let path = path_of(file)?;
    allow(rules, &path, wanted)?;
    match path.as_os_str().as_bytes().strip_suffix(DELETED) {
        // Whether the words are the system's or the file's own can't be told; it must be allowed either way.
        Some(bare) => allow(rules, &PathBuf::from(OsString::from_vec(bare.to_vec())), wanted),
        None => Ok(()),
    }
}

fn path_of(file: impl AsFd) -> Result<PathBuf, Errno> {
    let link = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
    let path = rustix::fs::readlink(link, Vec::new())?;
    Ok(PathBuf::from(OsString::from_vec(path.into_bytes())))
}

fn allow(rules: &FileRules, path: &Path, wanted: Access) -> Result<(), Errno> {
    match rules.access(path) {
        Access::Deny => Err(Errno::ACCESS),
        // As the system says it of what is shown read-only.
        Access::Read if wanted == Access::Write => Err(Errno::ROFS),
        Access::Read | Access::Write => Ok(()),
    }
}
