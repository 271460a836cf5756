//! Answers that the kernel has in memory, given in place.
//!
//! A hop to another thread costs more than a small question does, but a thread of the runtime must never wait for a disk,
//! and still less for a network that hangs. So the kernel is asked in a way that never waits: `RESOLVE_CACHED` looks only
//! at names that are in memory, `AT_STATX_DONT_SYNC` at what is known of the file, `RWF_NOWAIT` at pages that are loaded.
//! For whatever it would have to wait, the answer is none, and the question goes to a thread.
//!
//! Of files on other machines, or behind programs, the kernel may hold what is no longer true. Only devices of which a
//! thread has found that their file system is this kernel's own are asked in this way.

use std::collections::HashSet;
use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_protocol::fs::FsGetMetadataResponse;
use codex_exec_server_protocol::path_uri::PathUri;
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Statx, StatxFlags, openat, openat2, statx,
};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use rustix::path::DecInt;

use super::metadata::{describe, device, kind};
use super::place::{Place, native_within};

/// A longer read takes longer than going to a thread for it.
pub(super) const QUICK_READ_BYTES: u64 = 64 << 10;

/// Devices are forgotten beyond this: a machine has fewer, unless it makes and unmakes them.
const KNOWN_DEVICES: usize = 1024;

/// Magic numbers of file systems that are this kernel's own: ext2 to 4, xfs, btrfs, tmpfs, ramfs, overlayfs, f2fs, zfs,
/// bcachefs, erofs, squashfs.
const LOCAL: [u32; 11] = [
    0xEF53,
    0x5846_5342,
    0x9123_683E,
    0x0102_1994,
    0x8584_58F6,
    0x794C_7630,
    0xF2F5_2010,
    0x2FC1_2FC1,
    0xCA45_1A4E,
    0xE0F5_E1E2,
    0x7371_7368,
];

/// Whether a file system is this kernel's own, so that whatever happens there happens through this kernel.
pub(super) fn is_local(kind: rustix::fs::FsWord) -> bool {
    u32::try_from(kind).is_ok_and(|kind| LOCAL.contains(&kind))
}

/// Devices whose file systems are this kernel's own.
#[derive(Debug, Default)]
pub(super) struct Devices {
    local: Mutex<HashSet<u64>>,
    /// The one of them that was asked about last; 0, which is none, before that.
    latest: AtomicU64,
    /// Where the open files of this process have names; `None` where the system shows none.
    descriptors: OnceLock<Option<OwnedFd>>,
    /// The kernel, or whatever filters calls to it, knows no such questions.
    is_useless: AtomicBool,
}

impl Devices {
    fn lock(&self) -> MutexGuard<'_, HashSet<u64>> {
        // A set is changed by one call or not at all.
        self.local.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn knows(&self, device: u64) -> bool {
        if device != 0 && self.latest.load(Ordering::Relaxed) == device {
            return true;
        }
        let local = self.lock();
        let is_known = local.contains(&device);
        if is_known {
            // Under the lock, so that what is forgotten is not told here afterwards.
            self.latest.store(device, Ordering::Relaxed);
        }
        is_known
    }

    /// Finds out what kind of file system `device`, on which `place` is, belongs to. May wait for it.
    pub(super) fn learn(&self, device: u64, place: &Place) {
        if self.knows(device) {
            return;
        }
        let Ok(found) = rustix::fs::statfs(&place.path) else { return };
        if is_local(found.f_type) {
            let mut local = self.lock();
            if local.len() >= KNOWN_DEVICES {
                local.clear();
                self.latest.store(0, Ordering::Relaxed);
            }
            local.insert(device);
        }
    }

    /// Opens what is in memory; `None` if that can't be done without waiting.
    fn open(&self, path: &Path, flags: OFlags) -> Option<Result<OwnedFd, Errno>> {
        if self.is_useless.load(Ordering::Relaxed) {
            return None;
        }
        match open_cached(path, flags, ResolveFlags::empty()) {
            Ok(file) => Some(Ok(file)),
            // That something is missing is known for certain. All else is told better by the thread.
            Err(Errno::NOENT) => Some(Err(Errno::NOENT)),
            Err(Errno::NOSYS | Errno::PERM) => {
                self.is_useless.store(true, Ordering::Relaxed);
                None
            }
            Err(_) => None,
        }
    }

    /// What is told of an open file, if it is on a device of our own.
    fn look<T>(&self, file: impl AsFd, told: impl FnOnce(&Statx) -> T) -> Option<T> {
        let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
        let stat = statx(file, c"", flags, StatxFlags::BASIC_STATS | StatxFlags::BTIME).ok()?;
        self.knows(device(&stat)).then(|| told(&stat))
    }

    /// What a path is, links being followed, unless it is one.
    pub(super) fn metadata(&self, uri: &PathUri) -> Option<Result<FsGetMetadataResponse, FsFault>> {
        let path = native_within(uri).ok()?;
        let file = match self.open(&path, OFlags::PATH | OFlags::NOFOLLOW)? {
            Ok(file) => file,
            Err(error) => return Some(Err(FsFault::io(uri, error))),
        };
        self.look(&file, |stat| {
            (kind(stat) != FileType::Symlink).then(|| Ok(describe(stat, /*is_symlink*/ false)))
        })?
    }

    /// What is in a short regular file.
    pub(super) fn short_file(&self, uri: &PathUri) -> Option<Vec<u8>> {
        let path = native_within(uri).ok()?;
        let (found, size) = self.find_short(&path)?;
        match self.open_again(&path) {
            Some(file) => read_all_now(file, size),
            None => read_now(self.open_found(&found)?, /*offset*/ 0, size),
        }
    }

    /// A short regular file that is not open yet, and its length: to open a device may already do something, so what is there
    /// is looked at first.
    fn find_short(&self, path: &Path) -> Option<(OwnedFd, usize)> {
        let found = self.open(path, OFlags::PATH)?.ok()?;
        let (kind, size) = self.look(&found, |stat| (kind(stat), stat.stx_size))?;
        let is_short = (1..=QUICK_READ_BYTES).contains(&size);
        (kind == FileType::RegularFile && is_short).then_some(())?;
        Some((found, usize::try_from(size).ok()?))
    }

    /// Opens for reading what stands at the path of a file that was just found, if no link is on the way. To go by the path
    /// takes the kernel two thirds of the time that [`Self::open_found`] takes it, but something else may stand there by now.
    /// So a link is not followed, which could lead to a device, and whether it is the file has to be told by reading it; see
    /// [`read_all_now`]. A pipe that was put there by then is opened, and refuses to be read: whoever puts it there can
    /// only wake who writes to it.
    fn open_again(&self, path: &Path) -> Option<OwnedFd> {
        open_cached(path, READING, ResolveFlags::NO_SYMLINKS).ok()
    }

    /// Opens what was found for reading: that very file, whatever stands at its path by now.
    fn open_found(&self, found: &OwnedFd) -> Option<OwnedFd> {
        let descriptors = self.descriptors.get_or_init(|| {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            openat(CWD, c"/proc/self/fd", flags, Mode::empty()).ok()
        });
        let name = DecInt::new(found.as_raw_fd());
        openat(descriptors.as_ref()?, name, READING | OFlags::CLOEXEC, Mode::empty()).ok()
    }
}

/// How a file is opened to be read.
const READING: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// Opens what is in memory.
fn open_cached(path: &Path, flags: OFlags, resolve: ResolveFlags) -> rustix::io::Result<OwnedFd> {
    openat2(CWD, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve | ResolveFlags::CACHED)
}

/// Reads what has exactly `len` bytes from its beginning to its end, from memory; `None` if it has more or fewer, and if they
/// are not all there.
fn read_all_now(file: impl AsFd, len: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; len + 1];
    let read = read_into_now(file, /*offset*/ 0, &mut bytes)?;
    bytes.pop();
    (read == len).then_some(bytes)
}

/// Reads exactly `len` bytes from memory; `None` if they are not all there.
pub(super) fn read_now(file: impl AsFd, offset: u64, len: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; len];
    let read = read_into_now(file, offset, &mut bytes)?;
    (read == len).then_some(bytes)
}

/// Reads what is in memory of that many bytes, and tells how many were.
fn read_into_now(file: impl AsFd, offset: u64, bytes: &mut [u8]) -> Option<usize> {
    preadv2(file, &mut [IoSliceMut::new(bytes)], offset, ReadWriteFlags::NOWAIT).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read as _;

    use super::super::place::Links;
    use super::*;

    /// A folder, and devices among which its own is, unless nothing can be asked here without waiting.
    fn known() -> Option<(tempfile::TempDir, Devices)> {
        let folder = tempfile::tempdir().unwrap();
        let uri = PathUri::try_from(folder.path()).unwrap();
        let devices = Devices::default();
        let stat = statx(CWD, folder.path(), AtFlags::empty(), StatxFlags::BASIC_STATS).unwrap();
        devices.learn(device(&stat), &Place::new(&uri, Links::Follow).unwrap());
        let is_cached = |_| match open_cached(folder.path(), OFlags::PATH, ResolveFlags::empty()) {
            // Whatever else happens in the file system just then can make the kernel give up what is not to wait.
            Err(Errno::AGAIN) => None,
            opened => Some(opened.is_ok()),
        };
        if devices.knows(device(&stat)) && (0..1000).find_map(is_cached) == Some(true) {
            return Some((folder, devices));
        }
        eprintln!("skipped: in {} nothing can be asked without waiting", folder.path().display());
        None
    }

    /// What `ask` says when the kernel does not happen to give up.
    fn in_the_end<T>(ask: impl Fn() -> Option<T>) -> T {
        (0..1000).find_map(|_| ask()).expect("it was just written")
    }

    fn pipe(path: &Path) {
        rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, /*dev*/ 0).unwrap();
    }

    #[test]
    fn a_short_file_is_read_with_and_without_links_on_the_way() {
        let Some((folder, devices)) = known() else { return };
        let (path, link) = (folder.path().join("f"), folder.path().join("link"));
        fs::write(&path, "short").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        for path in [path, link] {
            let uri = PathUri::try_from(&*path).unwrap();
            assert_eq!(in_the_end(|| devices.short_file(&uri)), b"short");
        }
    }

    #[test]
    fn a_file_is_read_from_its_beginning_to_its_end_or_not_at_all() {
        let Some((folder, devices)) = known() else { return };
        let path = folder.path().join("f");
        fs::write(&path, "five.").unwrap();
        let open = || in_the_end(|| devices.open_again(&path));
        assert_eq!(in_the_end(|| read_all_now(open(), /*len*/ 5)), b"five.");
        for len in [0, 1, 4, 6, 100] {
            assert_eq!(read_all_now(open(), len), None, "as one of {len}");
        }
    }

    #[test]
    fn a_pipe_or_a_link_in_the_place_of_a_file_that_was_found_is_not_read() {
        let Some((folder, devices)) = known() else { return };
        let (path, other) = (folder.path().join("f"), folder.path().join("other"));
        fs::write(&other, "other").unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        assert!((0..1000).all(|_| devices.open_again(&path).is_none()), "a link is not followed");
        fs::remove_file(&path).unwrap();
        pipe(&path);
        let opened = in_the_end(|| devices.open_again(&path));
        assert_eq!(read_all_now(&opened, /*len*/ 5), None);
        // With something in it as well.
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        rustix::io::write(openat(CWD, &*path, flags, Mode::empty()).unwrap(), b"five.").unwrap();
        assert_eq!(read_all_now(&opened, /*len*/ 5), None);
    }

    #[test]
    fn where_a_link_leads_what_takes_the_place_of_a_file_that_was_found_is_never_opened() {
        let Some((folder, devices)) = known() else { return };
        let path = folder.path().join("f");
        fs::write(&path, "found").unwrap();
        let (found, size) = in_the_end(|| devices.find_short(&path));
        fs::remove_file(&path).unwrap();
        pipe(&path);
        let mut text = String::new();
        fs::File::from(devices.open_found(&found).expect("it is still there"))
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!((text.as_str(), size), ("found", 5));
        // To write to a pipe that nobody reads from fails, unless it is waited for.
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        assert_eq!(openat(CWD, &*path, flags, Mode::empty()).err(), Some(Errno::NXIO));
        assert!(devices.find_short(&path).is_none(), "a pipe is no file");
    }
}
