//! Copying files and trees.
//!
//! Content goes from file to file within the kernel, which may share it instead where the file system can. A file is
//! compared with what it is copied to before anything is emptied.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_protocol::fs::FsCopyParams;
use codex_exec_server_protocol::path_uri::PathUri;
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, SeekFrom, Statx, copy_file_range, fchmod, ftruncate, mkdirat,
    openat, readlinkat, seek, symlinkat,
};
use rustix::io::Errno;

use super::directory::list;
use super::guard;
use super::host::Interest;
use super::metadata::{device, kind, look, look_at};
use super::place::native_bare;

/// How much is carried at once where the kernel can't copy by itself.
const STREAM_BYTES: usize = 256 << 10;

/// How much is copied before it is asked whether somebody still waits.
const PIECE_BYTES: usize = 16 << 20;

struct Copy<'a> {
    params: &'a FsCopyParams,
    interest: &'a Interest,
}

/// `fs/copy`
pub(super) fn copy(params: &FsCopyParams, interest: &Interest) -> Result<(), FsFault> {
    let (from, to) = (native_bare(&params.source_path)?, native_bare(&params.destination_path)?);
    let copy = Copy { params, interest };
    let stat = look(CWD, &from, AtFlags::SYMLINK_NOFOLLOW).map_err(|error| copy.fault_at(&from, error))?;
    if kind(&stat) != FileType::Directory {
        return copy.one(&from, &to, kind(&stat));
    }
    if !params.recursive {
        return Err(FsFault::CopyNeedsRecursive(params.source_path.clone()));
    }
    if is_within(&from, &to) {
        return Err(FsFault::CopyIntoItself(params.destination_path.clone()));
    }
    copy.tree(from, to)
}

/// Whether `to`, which need not exist, lies in the directory `from` or is that.
fn is_within(from: &Path, to: &Path) -> bool {
    let Ok(from) = from.canonicalize() else { return false };
    to.ancestors().find_map(|ancestor| ancestor.canonicalize().ok()).is_some_and(|to| to.starts_with(from))
}

impl Copy<'_> {
    fn fault_at(&self, path: &Path, error: impl Into<std::io::Error>) -> FsFault {
        let uri = PathUri::try_from(path).unwrap_or_else(|_| self.params.source_path.clone());
        FsFault::io(&uri, error)
    }

    fn uri(&self, path: &Path) -> PathUri {
        PathUri::try_from(path).unwrap_or_else(|_| self.params.source_path.clone())
    }

    fn tree(&self, from: PathBuf, to: PathBuf) -> Result<(), FsFault> {
        let mut todo = vec![(from, to)];
        while let Some((from, to)) = todo.pop() {
            self.interest.check(&self.params.source_path)?;
            let stat = look(CWD, &from, AtFlags::empty()).map_err(|error| self.fault_at(&from, error))?;
            let made = match mkdirat(CWD, &to, Mode::from_raw_mode(0o777)) {
                Ok(()) => true,
                Err(Errno::EXIST) if to.is_dir() => false,
                Err(error) => return Err(self.fault_at(&to, error)),
            };
            let mut entries = Vec::new();
            list(&from, |name, kind, _| {
                self.interest.check(&self.params.source_path)?;
                entries.push((name.to_owned(), kind));
                Ok(())
            })
            .map_err(|error| self.fault_at(&from, error))??;
            for (name, kind) in entries {
                let (from, to) = (from.join(&name), to.join(&name));
                match kind {
                    FileType::Directory => todo.push((from, to)),
                    kind => self.one(&from, &to, kind)?,
                }
            }
            if made {
                // Only now, since it may forbid to write what is in it. Directories below come later, so the owner's
                // own permission to write stays.
                let mode = Mode::from_raw_mode(u32::from(stat.stx_mode) & 0o7777) | Mode::RWXU;
                let _ = rustix::fs::chmod(&to, mode);
            }
        }
        Ok(())
    }

    /// Copies what is no directory.
    fn one(&self, from: &Path, to: &Path, kind: FileType) -> Result<(), FsFault> {
        match kind {
            FileType::RegularFile => self.file(from, to),
            FileType::Symlink => self.link(from, to),
            _ => Err(FsFault::CopyUnsupported(self.uri(from))),
        }
    }

    fn link(&self, from: &Path, to: &Path) -> Result<(), FsFault> {
        let target = readlinkat(CWD, from, Vec::new()).map_err(|error| self.fault_at(from, error))?;
        let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
        symlinkat(&target, CWD, to).map_err(|error| self.fault_at(to, error))
    }

    fn file(&self, from: &Path, to: &Path) -> Result<(), FsFault> {
        let careful = OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let source = openat(CWD, from, OFlags::RDONLY | OFlags::NOFOLLOW | careful, Mode::empty());
        let source = File::from(source.map_err(|error| self.fault_at(from, error))?);
        let stat = look_at(&source).map_err(|error| self.fault_at(from, error))?;
        if kind(&stat) != FileType::RegularFile {
            return Err(FsFault::CopyUnsupported(self.uri(from)));
        }
        guard::may_read(&source).map_err(|error| self.fault_at(from, error))?;
        let fault = |error: Errno| self.fault_at(to, error);
        if let Ok(found) = look(CWD, to, AtFlags::empty()) {
            match kind(&found) {
                FileType::RegularFile | FileType::Directory => {}
                _ => return Err(FsFault::CopyUnsupported(self.uri(to))),
            }
        }
        // Not emptied before it is known to be another file.
        let destination =
            openat(CWD, to, OFlags::WRONLY | OFlags::CREATE | careful, Mode::from_raw_mode(0o666));
        let destination = File::from(destination.map_err(fault)?);
        let found = look_at(&destination).map_err(fault)?;
        if kind(&found) != FileType::RegularFile {
            return Err(FsFault::CopyUnsupported(self.uri(to)));
        }
        guard::may_write(&destination).map_err(fault)?;
        if is_same(&stat, &found) {
            return Err(FsFault::CopyOntoItself(self.uri(to)));
        }
        ftruncate(&destination, 0).map_err(fault)?;
        self.content(&source, &destination, stat.stx_size).map_err(|error| self.fault_at(to, error))??;
        let mode = Mode::from_raw_mode(u32::from(stat.stx_mode) & 0o7777);
        // Somebody else's file stays as it is.
        match fchmod(&destination, mode) {
            Ok(()) | Err(Errno::PERM) => Ok(()),
            Err(error) => Err(fault(error)),
        }
    }

    /// Copies what is there and leaves the holes, so that a file that is large only in name stays so.
    fn content(&self, source: &File, destination: &File, size: u64) -> std::io::Result<Result<(), FsFault>> {
        let mut offset = 0;
        while offset < size {
            let start = match seek(source, SeekFrom::Data(offset)) {
                Ok(start) => start,
                // Nothing but a hole is left.
                Err(Errno::NXIO) => break,
                // Somebody made a file that does not know holes.
                Err(_) => return self.stream(source, destination),
            };
            let end = seek(source, SeekFrom::Hole(start))?;
            offset = start;
            while offset < end {
                if let Err(fault) = self.interest.check(&self.params.source_path) {
                    return Ok(Err(fault));
                }
                let piece = usize::try_from(end - offset).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
                let (mut from, mut to) = (offset, offset);
                match copy_file_range(source, Some(&mut from), destination, Some(&mut to), piece) {
                    // It was cut meanwhile.
                    Ok(0) => return Ok(Ok(())),
                    Ok(copied) => offset += copied as u64,
                    Err(Errno::INTR) => {}
                    // Between file systems that know nothing of each other.
                    Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                        return self.stream(source, destination);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        ftruncate(destination, size.max(offset))?;
        if size == 0 { self.stream(source, destination) } else { Ok(Ok(())) }
    }

    /// Copies from the beginning to wherever the end is found: files of `/proc` tell no length.
    fn stream(&self, mut source: &File, mut destination: &File) -> std::io::Result<Result<(), FsFault>> {
        seek(source, SeekFrom::Start(0))?;
        seek(destination, SeekFrom::Start(0))?;
        let mut piece = vec![0; STREAM_BYTES];
        loop {
            if let Err(fault) = self.interest.check(&self.params.source_path) {
                return Ok(Err(fault));
            }
            match source.read(&mut piece) {
                Ok(0) => return Ok(Ok(())),
                Ok(read) => destination.write_all(&piece[..read])?,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn is_same(a: &Statx, b: &Statx) -> bool {
    (device(a), a.stx_ino) == (device(b), b.stx_ino)
}
