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

use bytes::Bytes;
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
        match openat2(CWD, path, flags | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::CACHED) {
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

    /// What an open file is, if it is on a device of our own.
    fn look(&self, file: impl AsFd) -> Option<Statx> {
        let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
        let stat = statx(file, c"", flags, StatxFlags::BASIC_STATS | StatxFlags::BTIME).ok()?;
        self.knows(device(&stat)).then_some(stat)
    }

    /// What a path is, links being followed, unless it is one.
    pub(super) fn metadata(&self, uri: &PathUri) -> Option<Result<FsGetMetadataResponse, FsFault>> {
        let path = native_within(uri).ok()?;
        let file = match self.open(&path, OFlags::PATH | OFlags::NOFOLLOW)? {
            Ok(file) => file,
            Err(error) => return Some(Err(FsFault::io(uri, error))),
        };
        let stat = self.look(&file)?;
        (kind(&stat) != FileType::Symlink).then(|| Ok(describe(&stat, /*is_symlink*/ false)))
    }

    /// What is in a short regular file.
    pub(super) fn short_file(&self, uri: &PathUri) -> Option<Bytes> {
        let (found, size) = self.find_short(&native_within(uri).ok()?)?;
        read_now(self.open_found(&found)?, /*offset*/ 0, size)
    }

    /// A short regular file that is not open yet, and its length: to open a device may already do something, so what is there
    /// is looked at first.
    fn find_short(&self, path: &Path) -> Option<(OwnedFd, usize)> {
        let found = self.open(path, OFlags::PATH)?.ok()?;
        let stat = self.look(&found)?;
        let is_short = (1..=QUICK_READ_BYTES).contains(&stat.stx_size);
        (kind(&stat) == FileType::RegularFile && is_short).then_some(())?;
        Some((found, usize::try_from(stat.stx_size).ok()?))
    }

    /// Opens what was found for reading: that very file, whatever stands at its path by now.
    fn open_found(&self, found: &OwnedFd) -> Option<OwnedFd> {
        let descriptors = self.descriptors.get_or_init(|| {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            openat(CWD, c"/proc/self/fd", flags, Mode::empty()).ok()
        });
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let name = DecInt::new(found.as_raw_fd());
        openat(descriptors.as_ref()?, name, flags, Mode::empty()).ok()
    }
}

/// Reads exactly `len` bytes from memory; `None` if they are not all there.
pub(super) fn read_now(file: impl AsFd, offset: u64, len: usize) -> Option<Bytes> {
    let mut bytes = vec![0; len];
    let read = preadv2(file, &mut [IoSliceMut::new(&mut bytes)], offset, ReadWriteFlags::NOWAIT);
    (read == Ok(len)).then(|| bytes.into())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read as _;

    use super::super::place::Links;
    use super::*;

    #[test]
    fn what_takes_the_place_of_a_file_that_was_found_is_never_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, "found").unwrap();
        let uri = PathUri::try_from(&*path).unwrap();
        let devices = Devices::default();
        let device = device(&statx(CWD, &*path, AtFlags::empty(), StatxFlags::BASIC_STATS).unwrap());
        devices.learn(device, &Place::new(&uri, Links::Follow).unwrap());
        if !devices.knows(device) {
            eprintln!("skipped: the file system of {} is not this kernel's own", folder.path().display());
            return;
        }
        // Whatever else happens in the file system just then can make the kernel give up what is not to wait.
        let Some((found, size)) = (0..1000).find_map(|_| devices.find_short(&path)) else {
            assert!(devices.is_useless.load(Ordering::Relaxed), "it was just written");
            eprintln!("skipped: nothing can be asked here without waiting");
            return;
        };
        fs::remove_file(&path).unwrap();
        rustix::fs::mknodat(CWD, &*path, FileType::Fifo, Mode::RUSR | Mode::WUSR, /*dev*/ 0).unwrap();
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
