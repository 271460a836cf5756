//! Opening regular files, and nothing that only looks like one.
//!
//! To open a pipe can wait for ever, and to open a device can do something. So what is to be opened is looked at first,
//! then opened in a way that does not wait, and looked at again in case it was replaced in between.

use std::fs::File;

use codex_exec_server_core::fs_fault::FsFault;
use rustix::fs::{FileType, Mode, OFlags, Statx, openat};
use rustix::io::Errno;

use super::guard;
use super::metadata::{kind, look, look_at};
use super::place::Place;

/// What every open adds.
const CAREFULLY: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY);

/// Permissions of a new file, less the umask.
pub(super) const NEW_FILE: Mode = Mode::from_raw_mode(0o666);

/// Opens a regular file to read it.
pub(super) fn for_reading(place: &Place) -> Result<(File, Statx), FsFault> {
    let stat = look(place.dir(), place.name(), place.look_flags()).map_err(|error| place.fault(error))?;
    if kind(&stat) != FileType::RegularFile && kind(&stat) != FileType::Symlink {
        return Err(place.not_a_file());
    }
    open(place, OFlags::RDONLY, NEW_FILE)
}

/// Opens a regular file to write it, with `extra` such as `CREATE` or `APPEND`; it is not emptied.
pub(super) fn for_writing(place: &Place, extra: OFlags) -> Result<(File, Statx), FsFault> {
    for_writing_as(place, extra, NEW_FILE)
}

/// As [`for_writing`], with the permissions that a new file gets, less the umask.
pub(super) fn for_writing_as(place: &Place, extra: OFlags, new_file: Mode) -> Result<(File, Statx), FsFault> {
    match look(place.dir(), place.name(), place.look_flags()) {
        // What the system says of a directory, of a link and of what is missing is said by the open.
        Ok(stat) => match kind(&stat) {
            FileType::RegularFile | FileType::Directory | FileType::Symlink => {}
            _ => return Err(place.not_a_file()),
        },
        Err(Errno::NOENT) => {
            guard::may_make(place.dir(), place.name()).map_err(|error| place.fault(error))?;
        }
        Err(error) => return Err(place.fault(error)),
    }
    open(place, OFlags::WRONLY | extra, new_file)
}

fn open(place: &Place, flags: OFlags, new_file: Mode) -> Result<(File, Statx), FsFault> {
    let fault = |error| place.fault(error);
    let flags = flags | place.open_flags() | CAREFULLY;
    let file = openat(place.dir(), place.name(), flags, new_file).map_err(fault)?;
    let stat = look_at(&file).map_err(fault)?;
    if kind(&stat) != FileType::RegularFile {
        return Err(place.not_a_file());
    }
    let allowed = match flags & OFlags::ACCMODE {
        OFlags::RDONLY => guard::may_read(&file),
        _ => guard::may_write(&file),
    };
    allowed.map_err(fault)?;
    Ok((File::from(file), stat))
}
