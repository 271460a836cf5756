//! A long directory is read from two places at once.
//!
//! What a long listing takes is nearly all the kernel's, and one reading keeps one processor busy. ext4 has its directories in
//! the order of the hashes of their names, and a position in one *is* such a hash: so one who begins in the middle of all
//! hashes finds what one who stops there has not seen, each entry at one of the two, whatever else changes meanwhile. Other
//! file systems have no such middle.

use std::os::fd::OwnedFd;

use rustix::fs::{FsWord, Mode, OFlags, SeekFrom, fstatfs, openat, seek};

use super::metadata::look_at;

/// The middle of the hashes, which have 63 bits. A directory that is not hashed is shorter than this, and can't be read from here.
pub(super) const MIDDLE: u64 = 1 << 62;

/// The length of a directory for which a second thread is worth waking: some 4,000 short names, which take the kernel 1 ms.
const LONG_BYTES: u64 = 128 << 10;

/// The magic number that ext4 shares with those before it, which have no hashes.
const EXT4: FsWord = 0xEF53;

/// Another opening of a directory, at its middle; `None` for one that is short, or has none.
pub(super) fn second(dir: &OwnedFd) -> Option<OwnedFd> {
    let is_long = look_at(dir).ok()?.stx_size >= LONG_BYTES;
    (is_long && fstatfs(dir).ok()?.f_type == EXT4).then_some(())?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let second = openat(dir, c".", flags, Mode::empty()).ok()?;
    seek(&second, SeekFrom::Start(MIDDLE)).ok()?;
    Some(second)
}
