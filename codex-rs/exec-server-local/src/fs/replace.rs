//! A file that is written beside another and then takes its place, so that nobody ever sees half of it.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_protocol::path_uri::PathUri;
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, RenameFlags, Statx, Uid, fchmod, fchown, openat, readlinkat,
    renameat, renameat_with, unlinkat,
};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

use super::metadata::{kind, look};
use super::place::{Links, Place};
use super::write::{Content, settle};

/// As many links as the system itself follows.
const MAX_LINKS: u32 = 40;

/// What such a file is called while it is written; one that is found later was cut short with the whole machine.
const PREFIX: &str = ".exec-server-";

/// Where a write to `place` ends up: links at its end lead on, also one that leads to nothing yet.
pub(super) fn target(place: &Place) -> Result<Place, FsFault> {
    let mut path = place.path.clone();
    if place.links == Links::Refuse {
        return Place::new(&place.uri, Links::Refuse);
    }
    for _ in 0..MAX_LINKS {
        match look(rustix::fs::CWD, &path, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if kind(&stat) == FileType::Symlink => {}
            Ok(_) | Err(Errno::NOENT) => {
                let uri = PathUri::try_from(path.as_path()).unwrap_or_else(|_| place.uri.clone());
                return Place::new(&uri, Links::Follow);
            }
            Err(error) => return Err(place.fault(error)),
        }
        let link = readlinkat(rustix::fs::CWD, &path, Vec::new()).map_err(|error| place.fault(error))?;
        let link = PathBuf::from(OsString::from_vec(link.into_bytes()));
        path = path.parent().unwrap_or(Path::new("/")).join(link);
    }
    Err(place.fault(Errno::LOOP))
}

/// See the module. Dropped before it was [`put`](Self::put), it leaves nothing behind.
pub(super) struct Replacement<'a> {
    target: &'a Place,
    file: File,
    /// Beside the target; `None` when it has taken its place.
    path: Option<PathBuf>,
}

impl<'a> Replacement<'a> {
    /// An empty file beside `target`.
    pub(super) fn new(target: &'a Place) -> Result<Self, FsFault> {
        let fault = |error| target.fault(error);
        let path = target.name().with_file_name(random_name().map_err(fault)?);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o666);
        let file = openat(target.dir(), &path, flags, mode).map_err(fault)?.into();
        Ok(Self { target, file, path: Some(path) })
    }

    /// Writes its content, which is on disk when this returns.
    pub(super) fn fill(&mut self, data: Content<'_>) -> Result<(), FsFault> {
        let written = data.write_to(&mut self.file).and_then(|()| self.file.sync_data());
        written.map_err(|error| self.target.fault(error))
    }

    /// Takes the place of the target, of which `old` is what it is; where there is none, of nothing. Keeps its permissions
    /// unless there are others, and its owner as far as that is allowed.
    pub(super) fn put(&mut self, mode: Option<Mode>, old: Option<&Statx>) -> Result<Statx, FsFault> {
        let Some(path) = self.path.take() else { return Err(self.target.fault(Errno::NOENT)) };
        let outcome = self.put_at(&path, mode, old);
        if outcome.is_err() {
            self.path = Some(path);
        }
        outcome
    }

    fn put_at(&self, path: &Path, mode: Option<Mode>, old: Option<&Statx>) -> Result<Statx, FsFault> {
        let fault = |error| self.target.fault(error);
        if let Some(old) = old {
            // A group that can't be kept is no reason to fail; permissions are set afterwards, since this clears some.
            let _ = fchown(&self.file, Some(Uid::from_raw(old.stx_uid)), Some(Gid::from_raw(old.stx_gid)));
            fchmod(&self.file, Mode::from_raw_mode(u32::from(old.stx_mode) & 0o7777)).map_err(fault)?;
        }
        settle(self.target, &self.file, mode)?;
        let (dir, name) = (self.target.dir(), self.target.name());
        match old {
            Some(_) => renameat(dir, path, dir, name).map_err(fault)?,
            None => renameat_with(dir, path, dir, name, RenameFlags::NOREPLACE).map_err(fault)?,
        }
        // The rename itself counts as a change.
        look(dir, name, AtFlags::SYMLINK_NOFOLLOW).map_err(fault)
    }
}

impl Drop for Replacement<'_> {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = unlinkat(self.target.dir(), path, AtFlags::empty());
        }
    }
}

pub(super) fn random_name() -> rustix::io::Result<String> {
    let mut bytes = [0; 12];
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    Ok(bytes.iter().fold(PREFIX.to_owned(), |name, byte| name + &format!("{byte:02x}")))
}
