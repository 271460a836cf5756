//! Writing files: in place, by replacement in one step, in parts, and behind their end.
//!
//! Writers of one file take turns within this server, so that `ifMatch` is a compare-and-swap among its clients; against
//! other programs it is as good as the moment between the comparison and the write is short.

use std::fs::File;
use std::io::{Seek, Write};
use std::os::unix::fs::FileExt;
use std::time::{SystemTime, UNIX_EPOCH};

use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_protocol::bytes::Base64Text;
use codex_exec_server_protocol::fs::{
    FsAppendParams, FsAppendResponse, FsWriteFileParams, FsWriteFileResponse, FsWriteRangeParams,
    FsWriteRangeResponse, MAX_BLOCK_BYTES,
};
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, Statx, Timespec, Timestamps, UTIME_OMIT, fchmod, ftruncate, futimens,
};
use rustix::io::Errno;

use super::guard;
use super::host::{FsHost, WriteTurn};
use super::metadata::{self, device, etag, kind, look, look_at};
use super::open::{NEW_FILE, for_writing_as};
use super::place::{Links, Place};
use super::replace::{Replacement, target};

/// How often the file of a path is looked up again because somebody replaced it while this writer waited for its turn.
const TRIES: u32 = 64;

/// What is to be in a file.
#[derive(Clone, Copy)]
pub(super) enum Content<'a> {
    Bytes(&'a [u8]),
    /// Still to be decoded, a piece at a time on its way into the file.
    Text(&'a Base64Text),
}

impl Content<'_> {
    fn len(self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Text(text) => text.len(),
        }
    }

    /// Writes all of it where `file` stands.
    pub(super) fn write_to(self, file: &mut File) -> std::io::Result<()> {
        match self {
            Self::Bytes(bytes) => file.write_all(bytes),
            Self::Text(text) => text.decode_each(|bytes| file.write_all(bytes)),
        }
    }
}

/// `fs/writeFile`
pub(super) fn write_file(host: &FsHost, params: &FsWriteFileParams) -> Result<FsWriteFileResponse, FsFault> {
    let data = params.data_base64.as_ref().map_err(|error| FsFault::BadBase64(*error))?;
    write_content(host, params, Content::Bytes(data))
}

/// The same, with `data` instead of what is in `params`.
pub(super) fn write_content(
    host: &FsHost,
    params: &FsWriteFileParams,
    data: Content<'_>,
) -> Result<FsWriteFileResponse, FsFault> {
    let mode = params.mode.map(metadata::mode).transpose()?;
    let place = Place::new(&params.path, Links::from_follow(params.follows_symlinks()))?;
    let condition = params.if_match.as_deref();
    let stat = if params.atomic {
        replace(host, &place, data, mode, condition)?
    } else {
        in_place(host, &place, data, mode, condition)?
    };
    Ok(FsWriteFileResponse { etag: Some(etag(&stat)) })
}

fn in_place(
    host: &FsHost,
    place: &Place,
    data: Content<'_>,
    mode: Option<Mode>,
    condition: Option<&str>,
) -> Result<Statx, FsFault> {
    let create = match condition {
        None => OFlags::CREATE,
        Some("") => OFlags::CREATE | OFlags::EXCL,
        Some(_) => OFlags::empty(),
    };
    let (mut file, old_bytes, _turn) = match open_for_turn(host, place, create, NEW_FILE) {
        Err(fault) => return Err(lost_race(place, condition, fault)),
        Ok((file, stat, turn)) => {
            check(place, condition.filter(|etag| !etag.is_empty()), &stat)?;
            (file, stat.stx_size, turn)
        }
    };
    overwrite(&mut file, old_bytes, data).map_err(|error| place.fault(error))?;
    settle(place, &file, mode)
}

/// Writes `data` over what is there and cuts the file where that ends, also if not all of it could be written.
///
/// Not the other way round: a file that was emptied gets other blocks, and file systems that care about programs which
/// write so have them on their way to the disk before the file is closed. That takes many times as long.
fn overwrite(file: &mut File, old_bytes: u64, data: Content<'_>) -> std::io::Result<()> {
    let written = data.write_to(file);
    let end = if written.is_ok() { data.len() as u64 } else { file.stream_position()? };
    if end < old_bytes {
        ftruncate(&*file, end)?;
    }
    written
}

/// Opens the file of `place` and waits for this writer's turn on it.
fn open_for_turn<'a>(
    host: &'a FsHost,
    place: &Place,
    extra: OFlags,
    new_file: Mode,
) -> Result<(File, Statx, WriteTurn<'a>), FsFault> {
    for _ in 0..TRIES {
        let (file, stat) = for_writing_as(place, extra, new_file)?;
        let turn = host.writing(device(&stat), stat.stx_ino);
        // Whoever had the turn before may have put another file here, and what is written to the old one is lost.
        match look(place.dir(), place.name(), place.look_flags()) {
            Ok(found) if is_same(&found, &stat) => return Ok((file, found, turn)),
            Ok(_) | Err(Errno::NOENT) => {}
            Err(error) => return Err(place.fault(error)),
        }
        if extra.contains(OFlags::EXCL) {
            // It was made here and is gone already.
            return Err(place.fault(Errno::NOENT));
        }
    }
    Err(place.fault(Errno::BUSY))
}

/// Writes a new file and puts it in the place of the old one.
fn replace(
    host: &FsHost,
    place: &Place,
    data: Content<'_>,
    mode: Option<Mode>,
    condition: Option<&str>,
) -> Result<Statx, FsFault> {
    let target = target(place)?;
    guard::may_make(target.dir(), target.name()).map_err(|error| target.fault(error))?;
    // Before anything is written beside what will not be replaced.
    if let Ok(found) = look(target.dir(), target.name(), AtFlags::SYMLINK_NOFOLLOW) {
        must_be_a_file(&target, &found)?;
    }
    let mut replacement = Replacement::new(&target)?;
    replacement.fill(data)?;
    for _ in 0..TRIES {
        let found = match look(target.dir(), target.name(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Some(found),
            Err(Errno::NOENT) => None,
            Err(error) => return Err(target.fault(error)),
        };
        let Some(old) = found else {
            if let Some(expected) = condition.filter(|etag| !etag.is_empty()) {
                return Err(changed(&target, expected, /*found*/ None));
            }
            match replacement.put(mode, /*old*/ None) {
                Ok(stat) => return Ok(stat),
                // Somebody was faster.
                Err(FsFault::Io { source, .. })
                    if source.kind() == std::io::ErrorKind::AlreadyExists && condition.is_none() => {}
                Err(fault) => return Err(lost_race(&target, condition, fault)),
            }
            continue;
        };
        must_be_a_file(&target, &old)?;
        let _turn = host.writing(device(&old), old.stx_ino);
        // It may have changed, or been replaced, while this writer waited for its turn.
        match look(target.dir(), target.name(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(now) if is_same(&now, &old) => {
                check(&target, condition, &now)?;
                return replacement.put(mode, Some(&now));
            }
            Ok(_) | Err(Errno::NOENT) => {}
            Err(error) => return Err(target.fault(error)),
        }
    }
    Err(target.fault(Errno::BUSY))
}

fn must_be_a_file(place: &Place, stat: &Statx) -> Result<(), FsFault> {
    match kind(stat) {
        FileType::RegularFile => Ok(()),
        FileType::Directory => Err(place.fault(Errno::ISDIR)),
        _ => Err(place.not_a_file()),
    }
}

fn is_same(a: &Statx, b: &Statx) -> bool {
    (device(a), a.stx_ino) == (device(b), b.stx_ino)
}

/// Fails unless a file that exists is the one that `condition` names.
fn check(place: &Place, condition: Option<&str>, stat: &Statx) -> Result<(), FsFault> {
    match condition {
        Some(expected) if expected != etag(stat) => Err(changed(place, expected, Some(stat))),
        _ => Ok(()),
    }
}

fn changed(place: &Place, expected: &str, found: Option<&Statx>) -> FsFault {
    FsFault::Changed {
        path: place.uri.clone(),
        expected: expected.to_owned(),
        etag: found.map(etag).unwrap_or_default(),
    }
}

/// What it means for a write with `condition` that a file is missing, or there already.
fn lost_race(place: &Place, condition: Option<&str>, fault: FsFault) -> FsFault {
    let FsFault::Io { source, .. } = &fault else { return fault };
    match (condition, source.kind()) {
        (Some(""), std::io::ErrorKind::AlreadyExists) => {
            let found = look(place.dir(), place.name(), place.look_flags()).ok();
            changed(place, "", found.as_ref())
        }
        (Some(expected), std::io::ErrorKind::NotFound) if !expected.is_empty() => {
            changed(place, expected, /*found*/ None)
        }
        _ => fault,
    }
}

/// Gives a written file its permissions and its time; returns what it is now.
pub(super) fn settle(place: &Place, file: &File, mode: Option<Mode>) -> Result<Statx, FsFault> {
    if let Some(mode) = mode {
        fchmod(file, mode).map_err(|error| place.fault(error))?;
    }
    touch(file);
    look_at(file).map_err(|error| place.fault(error))
}

/// Sets the time of the last change to now, exactly: the system's own may stand still for some milliseconds, in which
/// two writes would look like one. Who does not own the file can't, and lives with that.
fn touch(file: &File) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec {
            tv_sec: i64::try_from(now.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: now.subsec_nanos().into(),
        },
    };
    let _ = futimens(file, &times);
}

/// `fs/append`
pub(super) fn append(host: &FsHost, params: &FsAppendParams) -> Result<FsAppendResponse, FsFault> {
    let place = Place::new(&params.path, Links::from_follow(params.follows_symlinks()))?;
    let create = if params.create { OFlags::CREATE } else { OFlags::empty() };
    let (mut file, _, _turn) = open_for_turn(host, &place, create | OFlags::APPEND, NEW_FILE)?;
    file.write_all(&params.data_base64).map_err(|error| place.fault(error))?;
    let stat = settle(&place, &file, /*mode*/ None)?;
    Ok(FsAppendResponse { size: stat.stx_size })
}

/// `fs/writeRange`
pub(super) fn write_range(
    host: &FsHost,
    params: &FsWriteRangeParams,
) -> Result<FsWriteRangeResponse, FsFault> {
    let data = &params.data_base64[..];
    if data.len() as u64 > MAX_BLOCK_BYTES {
        return Err(FsFault::WriteRangeLength);
    }
    let new_file = params.mode.map(metadata::mode).transpose()?.unwrap_or(NEW_FILE);
    let place = Place::new(&params.path, Links::from_follow(params.follows_symlinks()))?;
    let create = if params.create { OFlags::CREATE } else { OFlags::empty() };
    let (file, _, _turn) = open_for_turn(host, &place, create, new_file)?;
    let fault = |error: std::io::Error| place.fault(error);
    file.write_all_at(data, params.offset).map_err(fault)?;
    let stat = settle(&place, &file, /*mode*/ None)?;
    if params.sync {
        file.sync_all().map_err(fault)?;
    }
    Ok(FsWriteRangeResponse { size: stat.stx_size })
}
