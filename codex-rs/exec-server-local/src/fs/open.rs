//! Opening regular files, and nothing that only looks like one.
//!
//! To open a pipe can wait for ever or wake somebody, and to open a device can do something. So what is to be opened is found
//! first, without being touched, and looked at; then that very thing is opened, whatever stands at its name by now.

use std::fs::File;
use std::os::fd::OwnedFd;

use codex_exec_server_core::fs_fault::FsFault;
use rustix::fs::{CWD, FileType, Mode, OFlags, Statx, openat};
use rustix::io::Errno;

use super::guard;
use super::metadata::{descriptor_path, kind, look_at};
use super::place::Place;

/// What every open adds.
const CAREFULLY: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY);

/// Permissions of a new file, less the umask.
pub(super) const NEW_FILE: Mode = Mode::from_raw_mode(0o666);

/// Opens a regular file to read it.
pub(super) fn for_reading(place: &Place) -> Result<(File, Statx), FsFault> {
    let found = find(place).map_err(|error| place.fault(error))?;
    match found.kind() {
        // What the system says of a link is said by the open.
        FileType::RegularFile | FileType::Symlink => found.open(place, OFlags::RDONLY),
        _ => Err(place.not_a_file()),
    }
}

/// Opens a regular file to write it, with `extra` such as `CREATE` or `APPEND`; it is not emptied.
pub(super) fn for_writing(place: &Place, extra: OFlags) -> Result<(File, Statx), FsFault> {
    for_writing_as(place, extra, NEW_FILE)
}

/// As [`for_writing`], with the permissions that a new file gets, less the umask.
pub(super) fn for_writing_as(place: &Place, extra: OFlags, new_file: Mode) -> Result<(File, Statx), FsFault> {
    let fault = |error| place.fault(error);
    let flags = OFlags::WRONLY | extra;
    match find(place) {
        Ok(_) if extra.contains(OFlags::EXCL) => return Err(fault(Errno::EXIST)),
        Ok(found) => return found.write(place, flags),
        Err(Errno::NOENT) => guard::may_make(place.dir(), place.name()).map_err(fault)?,
        Err(error) => return Err(fault(error)),
    }
    if !extra.contains(OFlags::CREATE) {
        return Err(fault(Errno::NOENT));
    }
    match open(place, flags | OFlags::EXCL, new_file) {
        // A link that leads nowhere, or somebody was quicker.
        Err(Errno::EXIST) if !extra.contains(OFlags::EXCL) => match find(place) {
            Ok(found) => found.write(place, flags),
            Err(_) => checked(place, open(place, flags, new_file).map_err(fault)?, flags),
        },
        made => checked(place, made.map_err(fault)?, flags),
    }
}

/// Something that was found and not touched.
struct Found {
    file: OwnedFd,
    stat: Statx,
}

/// Finds what is to be opened.
fn find(place: &Place) -> rustix::io::Result<Found> {
    let flags = OFlags::PATH | place.open_flags();
    let file = openat(place.dir(), place.name(), flags, Mode::empty())?;
    let stat = look_at(&file)?;
    Ok(Found { file, stat })
}

impl Found {
    fn kind(&self) -> FileType {
        kind(&self.stat)
    }

    fn write(&self, place: &Place, flags: OFlags) -> Result<(File, Statx), FsFault> {
        match self.kind() {
            // What the system says of a directory and of a link is said by the open.
            FileType::RegularFile | FileType::Directory | FileType::Symlink => {
                self.open(place, flags - OFlags::CREATE)
            }
            _ => Err(place.not_a_file()),
        }
    }

    /// Opens it, by its descriptor.
    fn open(&self, place: &Place, flags: OFlags) -> Result<(File, Statx), FsFault> {
        let again = flags | OFlags::CLOEXEC | CAREFULLY;
        let file = match openat(CWD, descriptor_path(&self.file), again, Mode::empty()) {
            // Where the system shows no descriptors, there is only the name.
            Err(Errno::NOENT) => open(place, flags, Mode::empty()),
            opened => opened,
        };
        checked(place, file.map_err(|error| place.fault(error))?, flags)
    }
}

/// Opens what stands at the name.
fn open(place: &Place, flags: OFlags, new_file: Mode) -> rustix::io::Result<OwnedFd> {
    openat(place.dir(), place.name(), flags | place.open_flags() | CAREFULLY, new_file)
}

/// A file that was opened with `flags`, if it is one and nothing forbids it.
fn checked(place: &Place, file: OwnedFd, flags: OFlags) -> Result<(File, Statx), FsFault> {
    let fault = |error| place.fault(error);
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Read as _, Write as _};
    use std::path::Path;

    use codex_exec_server_protocol::path_uri::PathUri;
    use rustix::fs::mknodat;

    use super::super::place::Links;
    use super::*;

    fn place(path: &Path) -> Place {
        Place::new(&PathUri::try_from(path).unwrap(), Links::Follow).unwrap()
    }

    #[test]
    fn what_takes_the_place_of_what_was_found_is_never_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, "found").unwrap();
        let place = place(&path);
        let found = find(&place).unwrap();
        fs::remove_file(&path).unwrap();
        mknodat(CWD, &*path, FileType::Fifo, Mode::RUSR | Mode::WUSR, /*dev*/ 0).unwrap();
        let (mut file, _) = found.write(&place, OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND).unwrap();
        file.write_all(b" again").unwrap();
        let mut text = String::new();
        found.open(&place, OFlags::RDONLY).unwrap().0.read_to_string(&mut text).unwrap();
        assert_eq!(text, "found again");
        // Nobody has opened the pipe to read from it, and nobody does now.
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        assert_eq!(openat(CWD, &*path, flags, Mode::empty()).err(), Some(Errno::NXIO));
        assert!(for_reading(&place).unwrap_err().to_string().contains("is not a file"));
        assert!(for_writing(&place, OFlags::CREATE).unwrap_err().to_string().contains("is not a file"));
    }

    #[test]
    fn a_file_is_made_where_there_is_none_and_where_a_link_leads() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("f"), folder.path().join("link"));
        assert!(for_writing(&place(&path), OFlags::APPEND).unwrap_err().to_string().contains("No such file"));
        std::os::unix::fs::symlink(&path, &link).unwrap();
        for_writing(&place(&link), OFlags::CREATE).unwrap().0.write_all(b"text").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "text");
        let taken = for_writing(&place(&path), OFlags::CREATE | OFlags::EXCL).unwrap_err();
        assert!(taken.to_string().contains("File exists"), "{taken}");
    }
}
