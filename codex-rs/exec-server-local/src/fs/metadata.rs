//! What a path is, and what it permits.

use std::os::fd::AsFd;
use std::path::Path;

use codex_exec_server_core::error::ServiceError;
use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_protocol::error_code::RpcError;
use codex_exec_server_protocol::fs::{
    FsCanonicalizeParams, FsCanonicalizeResponse, FsGetMetadataParams, FsGetMetadataResponse,
    FsSetPermissionsParams, FsStatManyParams, FsStatManyResponse, FsStatResult, MAX_STAT_PATHS,
};
use codex_exec_server_protocol::path_uri::PathUri;
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, Statx, StatxFlags, StatxTimestamp, Timespec, Timestamps,
    UTIME_OMIT, openat, statx,
};

use super::host::{FsHost, Interest};
use super::place::{Links, Place, native};

/// The most that permission bits can be.
const MAX_MODE: u32 = 0o7777;

/// Everything that is told of a path.
const ASKED: StatxFlags = StatxFlags::BASIC_STATS.union(StatxFlags::BTIME);

/// What a path is, by name.
pub(super) fn look(dir: impl AsFd, name: &Path, flags: AtFlags) -> rustix::io::Result<Statx> {
    statx(dir, name, flags, ASKED)
}

/// What an open file is.
pub(super) fn look_at(file: impl AsFd) -> rustix::io::Result<Statx> {
    statx(file, c"", AtFlags::EMPTY_PATH, ASKED)
}

pub(super) fn kind(stat: &Statx) -> FileType {
    FileType::from_raw_mode(stat.stx_mode.into())
}

pub(super) fn device(stat: &Statx) -> u64 {
    (u64::from(stat.stx_dev_major) << 32) | u64::from(stat.stx_dev_minor)
}

/// Changes whenever the content may have changed: another file, a write, another length. Where the system's clock of
/// files is coarse, our own writes set the time themselves, so that two of them never look alike.
pub(super) fn etag(stat: &Statx) -> String {
    let mut etag = String::with_capacity(80);
    push_hex(&mut etag, device(stat));
    for (mark, number) in [
        ("-", stat.stx_ino),
        ("-", stat.stx_size),
        ("-", stat.stx_mtime.tv_sec.cast_unsigned()),
        (".", stat.stx_mtime.tv_nsec.into()),
        ("-", stat.stx_ctime.tv_sec.cast_unsigned()),
        (".", stat.stx_ctime.tv_nsec.into()),
    ] {
        etag.push_str(mark);
        push_hex(&mut etag, number);
    }
    etag
}

/// Adds `number` in as few digits as it has. Nothing is parsed for it as for a format, since every small request needs seven.
fn push_hex(text: &mut String, mut number: u64) {
    let mut digits = [0; 16];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b"0123456789abcdef"[(number & 0xf) as usize];
        number >>= 4;
        if number == 0 {
            break;
        }
    }
    text.push_str(str::from_utf8(&digits[first..]).unwrap_or_default());
}

/// `device:inode` in decimal.
fn inode(stat: &Statx) -> String {
    let mut inode = String::with_capacity(40);
    inode.push_str(itoa::Buffer::new().format(device(stat)));
    inode.push(':');
    inode.push_str(itoa::Buffer::new().format(stat.stx_ino));
    inode
}

/// As the wire tells it.
pub(super) fn describe(stat: &Statx, is_symlink: bool) -> FsGetMetadataResponse {
    let kind = kind(stat);
    let ms = |time: StatxTimestamp| time.tv_sec * 1000 + i64::from(time.tv_nsec / 1_000_000);
    let knows_birth = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::BTIME);
    FsGetMetadataResponse {
        is_directory: kind == FileType::Directory,
        is_file: kind == FileType::RegularFile,
        is_symlink,
        size: stat.stx_size,
        created_at_ms: if knows_birth { ms(stat.stx_btime) } else { 0 },
        modified_at_ms: ms(stat.stx_mtime),
        mode: Some(u32::from(stat.stx_mode) & MAX_MODE),
        uid: Some(stat.stx_uid),
        gid: Some(stat.stx_gid),
        inode: Some(inode(stat)),
        etag: Some(etag(stat)),
    }
}

/// `fs/getMetadata`
pub(super) fn get(host: &FsHost, params: &FsGetMetadataParams) -> Result<FsGetMetadataResponse, FsFault> {
    of_path(host, &params.path, Links::from_follow(params.follows_symlinks()))
}

fn of_path(host: &FsHost, uri: &PathUri, links: Links) -> Result<FsGetMetadataResponse, FsFault> {
    let place = Place::new(uri, links)?;
    let fault = |error| place.fault(error);
    let itself = look(place.dir(), place.name(), AtFlags::SYMLINK_NOFOLLOW).map_err(fault)?;
    let is_symlink = kind(&itself) == FileType::Symlink;
    let stat = match (is_symlink, links) {
        (false, _) => itself,
        (true, Links::Follow) => look(place.dir(), place.name(), AtFlags::empty()).map_err(fault)?,
        (true, Links::Refuse) => return Err(FsFault::SymbolicLink(uri.clone())),
    };
    host.devices.learn(device(&stat), &place);
    Ok(describe(&stat, is_symlink))
}

/// `fs/statMany`
pub(super) fn stat_many(
    host: &FsHost,
    params: &FsStatManyParams,
    interest: &Interest,
) -> Result<FsStatManyResponse, FsFault> {
    if params.paths.len() > MAX_STAT_PATHS {
        return Err(FsFault::TooManyPaths(params.paths.len()));
    }
    let links = Links::from_follow(params.follows_symlinks());
    let mut results = Vec::with_capacity(params.paths.len());
    for uri in &params.paths {
        interest.check(uri)?;
        results.push(match of_path(host, uri, links) {
            Ok(metadata) => FsStatResult::Found { metadata },
            Err(fault) => FsStatResult::Failed { error: RpcError::from(&ServiceError::Fs(fault)) },
        });
    }
    Ok(FsStatManyResponse { results })
}

/// `fs/canonicalize`
pub(super) fn canonicalize(params: &FsCanonicalizeParams) -> Result<FsCanonicalizeResponse, FsFault> {
    let fault = |error| FsFault::io(&params.path, error);
    let path = std::fs::canonicalize(native(&params.path)?).map_err(fault)?;
    let path = PathUri::try_from(path.as_path())
        .map_err(|error| fault(std::io::Error::new(std::io::ErrorKind::InvalidData, error)))?;
    Ok(FsCanonicalizeResponse { path })
}

/// Permission bits from the wire.
pub(super) fn mode(bits: u32) -> Result<Mode, FsFault> {
    if bits > MAX_MODE { Err(FsFault::BadMode(bits)) } else { Ok(Mode::from_raw_mode(bits)) }
}

/// `fs/setPermissions`
pub(super) fn set_permissions(params: &FsSetPermissionsParams) -> Result<(), FsFault> {
    let mode = mode(params.mode)?;
    let place = Place::new(&params.path, Links::from_follow(params.follows_symlinks()))?;
    let fault = |error| place.fault(error);
    let flags = OFlags::PATH | place.open_flags();
    let file = openat(place.dir(), place.name(), flags, Mode::empty()).map_err(fault)?;
    if kind(&look_at(&file).map_err(fault)?) == FileType::Symlink {
        return Err(FsFault::SymbolicLink(params.path.clone()));
    }
    // A descriptor of this kind takes no permissions itself, but has a name that leads to the same file.
    rustix::fs::chmod(descriptor_path(&file), mode).map_err(fault)?;
    let Some(ms) = params.modified_at_ms else { return Ok(()) };
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: ms.div_euclid(1000), tv_nsec: ms.rem_euclid(1000) * 1_000_000 },
    };
    rustix::fs::utimensat(CWD, descriptor_path(&file), &times, AtFlags::empty()).map_err(fault)
}

/// A name for an open file that nobody can give to another.
pub(super) fn descriptor_path(file: &impl std::os::fd::AsRawFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

#[cfg(test)]
mod tests {
    use super::push_hex;

    #[test]
    fn a_number_has_the_digits_that_a_format_gives_it() {
        for number in [0, 1, 15, 16, 0xabc, 0x1_0000, u64::from(u32::MAX), u64::MAX >> 4, u64::MAX] {
            let mut text = "x".to_owned();
            push_hex(&mut text, number);
            assert_eq!(text, format!("x{number:x}"));
        }
    }
}
