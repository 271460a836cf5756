//! Files without a name: made in a directory, gone with their last descriptor, and never seen by anybody else.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FallocateFlags, Mode, OFlags};
use rustix::io::{Errno, ReadWriteFlags};

/// Pieces that the kernel takes at once.
const MAX_PIECES: usize = 1_024;

/// Makes a file in `directory`, and `directory` itself if it is missing. Only this user may have opened either.
///
/// # Errors
/// Where there is no place for it, or this user may not.
pub fn nameless_file(directory: &Path) -> io::Result<File> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    // With `EXCL` nobody can ever give it a name.
    match rustix::fs::openat(CWD, directory, flags | OFlags::TMPFILE | OFlags::EXCL, mode) {
        Ok(file) => return Ok(file.into()),
        // File systems that have no such files say the one, kernels the other.
        Err(Errno::OPNOTSUPP | Errno::ISDIR) => {}
        Err(error) => return Err(error.into()),
    }
    let folder = rustix::fs::openat(CWD, directory, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    loop {
        let mut random = [0; 16];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
        let name = format!(".spool-{:032x}", u128::from_ne_bytes(random));
        let flags = flags | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        match rustix::fs::openat(&folder, &*name, flags, mode) {
            Ok(file) => {
                rustix::fs::unlinkat(&folder, &*name, AtFlags::empty())?;
                return Ok(file.into());
            }
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Writes `parts` one behind the other, from `place` on.
///
/// # Errors
/// When not all of it was written.
pub fn write_parts(file: &File, place: u64, parts: &[impl AsRef<[u8]>]) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part.as_ref())).collect();
    let (mut rest, mut place) = (&mut slices[..], place);
    while !rest.is_empty() {
        let pieces = rest.len().min(MAX_PIECES);
        match rustix::io::pwritev(file, &rest[..pieces], place) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                place += written as u64;
                IoSlice::advance_slices(&mut rest, written);
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Has the disk set aside what `file` takes between `place` and `end`, so that writing there can't find it full. Where the file
/// system knows no such thing, nothing is set aside.
pub fn set_aside(file: &File, place: u64, end: u64) -> io::Result<()> {
    loop {
        match rustix::fs::fallocate(file, FallocateFlags::empty(), place, end - place) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Reads `length` bytes from `place` on, if they are in memory: this never waits for a disk.
///
/// # Errors
/// `WouldBlock` when it would have to, or can't be known.
pub fn read_cached(file: &File, place: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let read = rustix::io::preadv2(file, &mut [IoSliceMut::new(&mut bytes)], place, ReadWriteFlags::NOWAIT);
    match read {
        Ok(read) if read == length => Ok(bytes),
        // The rest is not in memory, or nothing is, or the file system does not know.
        Ok(_) | Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INTR) => {
            Err(io::ErrorKind::WouldBlock.into())
        }
        Err(error) => Err(error.into()),
    }
}
