//! Saying what a process was kept from, exactly: calls that a policy can deny are shown to the launcher before the kernel
//! decides about them.
//!
//! The launcher looks, notes, and lets the kernel decide: what a racing thread puts into memory meanwhile can mislead the
//! report, never the enforcement. What is refused whatever its arguments are is refused by the launcher itself. Most calls
//! concern places that may be written; that is seen by their paths alone, and what links make of these is asked only of the last
//! few, when the process has failed.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags, openat};

use super::judge::{Intention, judge};
use crate::bpf::{Action, Line, decide};
use crate::calls::makes_socket;
use crate::denial::{Denial, Denials, Report, Subject};
use crate::rules::{Access, Rules};
use crate::watched::{Deed, PathAt, WRITING, Watched, find};

/// How many of the last calls are looked at again.
const UNSURE: usize = 64;

/// What happened to a call, as the kernel tells it; with room for what later kernels add.
#[repr(C)]
struct Notification {
    id: u64,
    pid: u32,
    flags: u32,
    call: i32,
    arch: u32,
    instruction: u64,
    arguments: [u64; 6],
    _later: [u64; 16],
}

#[repr(C)]
struct Reply {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

const RECEIVE: libc::c_ulong = 0xc050_2100;
const SEND: libc::c_ulong = 0xc018_2101;
const IS_VALID: libc::c_ulong = 0x4008_2102;
const SET_FLAGS: libc::c_ulong = 0x4008_2104;
/// The one who waits and the one who answers run in turn, on one processor: Linux 6.6.
const IN_TURN: libc::c_ulong = 1;

/// See the module.
pub(super) struct Witness {
    listener: OwnedFd,
    /// The machine's process table, in which the launcher's numbers mean something.
    processes: OwnedFd,
    table: &'static [Line],
    rules: Rules,
    denials: Denials,
    /// Whether anybody has asked for a socket.
    has_sockets: bool,
    unsure: VecDeque<(&'static str, PathBuf, Intention, bool)>,
}

impl Witness {
    pub(super) fn new(listener: OwnedFd, processes: OwnedFd, table: &'static [Line], rules: Rules) -> Self {
        // SAFETY: a number is passed; older kernels refuse it, and it only saves time.
        unsafe { libc::ioctl(listener.as_raw_fd(), SET_FLAGS as _, IN_TURN) };
        Self {
            listener,
            processes,
            table,
            rules,
            denials: Denials::default(),
            has_sockets: false,
            unsure: VecDeque::new(),
        }
    }

    /// Watches until `process` is dead.
    pub(super) fn watch(&mut self, process: BorrowedFd<'_>) {
        loop {
            let mut asked = [
                PollFd::new(&self.listener, PollFlags::IN),
                PollFd::from_borrowed_fd(process, PollFlags::IN),
            ];
            match poll(&mut asked, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
            let (told, ended) = (asked[0].revents(), asked[1].revents());
            if told.contains(PollFlags::IN) {
                self.attend();
            }
            if !ended.is_empty() || (!told.is_empty() && !told.contains(PollFlags::IN)) {
                // Where nobody is left to tell anything, the process is about to end.
                return;
            }
        }
    }

    /// What was denied. Of one that `failed`, the last calls are looked at again.
    ///
    /// From here on nobody answers any more, and whoever still asks for a socket is refused: so if there was none until now,
    /// there never is. That the kernel counts none either is asked as well.
    pub(super) fn testimony(mut self, failed: bool) -> Report {
        if failed {
            for (name, path, intention, follow) in std::mem::take(&mut self.unsure) {
                self.note_path(name, &path, intention, follow);
            }
        }
        let is_network_unused = !self.has_sockets && self.counts_no_socket();
        Report { is_network_unused, denials: self.denials }
    }

    /// What the kernel says of this process's network, which is that of everybody inside.
    fn counts_no_socket(&self) -> bool {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let Ok(file) = openat(&self.processes, c"self/net/sockstat", flags, Mode::empty()) else {
            return false;
        };
        let mut text = [0; 64];
        let count = rustix::io::read(&file, &mut text).unwrap_or(0);
        text[..count].starts_with(b"sockets: used 0\n")
    }

    /// Answers one call.
    fn attend(&mut self) {
        // SAFETY: all zero is a value of this structure of numbers, and what the kernel asks for.
        let mut told: Notification = unsafe { std::mem::zeroed() };
        // SAFETY: the structure is at least as long as the kernel's.
        if unsafe { libc::ioctl(self.listener.as_raw_fd(), RECEIVE as _, &raw mut told) } < 0 {
            return;
        }
        // A call that nobody was told of is not made.
        self.has_sockets |= makes_socket(told.call.into());
        let error = match decide(self.table, told.call.into(), told.arguments) {
            Action::Errno(errno) => {
                self.refused(&told);
                -errno
            }
            Action::Kill => -libc::EPERM,
            Action::Allow | Action::Ask => {
                self.look(&told);
                0
            }
        };
        let flags = if error == 0 { libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32 } else { 0 };
        let reply = Reply { id: told.id, value: 0, error, flags };
        // SAFETY: the structure has the kernel's layout. Whoever is gone by now needs no answer.
        unsafe { libc::ioctl(self.listener.as_raw_fd(), SEND as _, &raw const reply) };
    }

    fn refused(&mut self, told: &Notification) {
        let operation = match find(told.call.into()) {
            Some(watched) => watched.name.to_owned(),
            None => crate::calls::name(told.call.into()),
        };
        self.denials.note(Denial { operation, subject: Subject::Call, rule: "never allowed".into() });
    }

    fn look(&mut self, told: &Notification) {
        let caller = Caller { pid: told.pid, processes: self.processes.as_fd() };
        match libc::c_long::from(told.call) {
            libc::SYS_connect => {
                self.look_at_address(told, "connect", caller.address(told.arguments[1], told.arguments[2]))
            }
            libc::SYS_sendto => {
                self.look_at_address(told, "sendto", caller.address(told.arguments[4], told.arguments[5]))
            }
            call => {
                if let Some(watched) = find(call) {
                    self.look_at_paths(told, watched);
                }
            }
        }
    }

    fn look_at_address(&mut self, told: &Notification, name: &str, address: Option<SocketAddr>) {
        let Some(address) = address.filter(|_| self.is_valid(told)) else { return };
        let ip = address.ip().to_canonical();
        if !ip.is_loopback() && !ip.is_unspecified() {
            let (operation, subject) = (name.to_owned(), Subject::Address(address.to_string()));
            self.denials.note(Denial { operation, subject, rule: "network restricted".into() });
        }
    }

    fn look_at_paths(&mut self, told: &Notification, watched: &'static Watched) {
        let caller = Caller { pid: told.pid, processes: self.processes.as_fd() };
        let paths: Vec<Option<PathBuf>> =
            watched.paths.iter().map(|at| caller.path(at, &told.arguments)).collect();
        if !self.is_valid(told) {
            // What was read may have been another's.
            return;
        }
        for (at, path) in watched.paths.iter().zip(paths) {
            let Some(path) = path else { continue };
            let (intention, follow) = intention(at.deed, &told.arguments);
            let is_plain = path.components().all(|part| part != Component::ParentDir);
            if intention != Intention::Read && is_plain && self.rules.access(&path) == Access::Write {
                if self.unsure.len() == UNSURE {
                    self.unsure.pop_front();
                }
                self.unsure.push_back((watched.name, path, intention, follow));
            } else {
                self.note_path(watched.name, &path, intention, follow);
            }
        }
    }

    fn note_path(&mut self, name: &str, path: &Path, intention: Intention, follow: bool) {
        if let Some(rule) = judge(&self.rules, path, intention, follow) {
            let subject = Subject::Path(path.as_os_str().to_owned().into_vec());
            self.denials.note(Denial { operation: name.to_owned(), subject, rule });
        }
    }

    /// Whether the call still waits, so that its process is still the one it was.
    fn is_valid(&self, told: &Notification) -> bool {
        // SAFETY: the kernel reads one number.
        unsafe { libc::ioctl(self.listener.as_raw_fd(), IS_VALID as _, &raw const told.id) == 0 }
    }
}

fn intention(deed: Deed, arguments: &[u64; 6]) -> (Intention, bool) {
    match deed {
        Deed::Open(at) => {
            let flags = (arguments[at] & u64::from(u32::MAX)) as u32;
            let has = |flag: i32| flags & flag.cast_unsigned() == flag.cast_unsigned();
            let makes_anew = has(libc::O_CREAT) && has(libc::O_EXCL);
            let follow = !(has(libc::O_NOFOLLOW) || makes_anew);
            match (flags & WRITING != 0, has(libc::O_CREAT), has(libc::O_EXCL)) {
                (false, ..) => (Intention::Read, follow),
                (true, true, true) => (Intention::Make, follow),
                (true, true, false) => (Intention::ChangeOrMake, follow),
                (true, false, _) => (Intention::Change, follow),
            }
        }
        Deed::Create => (Intention::ChangeOrMake, true),
        Deed::Make => (Intention::Make, false),
        Deed::Replace => (Intention::ChangeOrMake, false),
        Deed::Change => (Intention::Change, true),
        Deed::ChangeItself => (Intention::Change, false),
    }
}

/// Whoever makes the call, by the launcher's number for it.
struct Caller<'a> {
    pid: u32,
    processes: BorrowedFd<'a>,
}

impl Caller<'_> {
    /// The absolute path that a call names; `None` where it names none, or can't be read.
    fn path(&self, at: &PathAt, arguments: &[u64; 6]) -> Option<PathBuf> {
        let text = self.text(arguments[at.path])?;
        if text.is_empty() {
            return None;
        }
        let path = PathBuf::from(OsString::from_vec(text));
        if path.is_absolute() {
            return Some(path);
        }
        #[allow(clippy::cast_possible_truncation, reason = "the kernel takes an `int` from there")]
        let folder = at.folder.map_or(libc::AT_FDCWD, |folder| arguments[folder] as i32);
        let link = if folder == libc::AT_FDCWD {
            format!("{}/cwd", self.pid)
        } else {
            format!("{}/fd/{folder}", self.pid)
        };
        let folder = rustix::fs::readlinkat(self.processes, link, Vec::new()).ok()?;
        let folder = PathBuf::from(OsString::from_vec(folder.into_bytes()));
        folder.is_absolute().then(|| folder.join(path))
    }

    /// A string of at most as many bytes as the kernel takes for a path.
    fn text(&self, address: u64) -> Option<Vec<u8>> {
        const PAGE: u64 = 4096;
        let mut text = Vec::new();
        let mut at = address;
        while text.len() < libc::PATH_MAX as usize {
            // What lies on the next page may not be there.
            let length = usize::try_from(PAGE - at % PAGE).ok()?;
            let mut piece = vec![0; length];
            self.read(at, &mut piece).ok()?;
            if let Some(end) = piece.iter().position(|byte| *byte == 0) {
                text.extend_from_slice(&piece[..end]);
                return Some(text);
            }
            text.extend_from_slice(&piece);
            at = at.checked_add(length as u64)?;
        }
        None
    }

    /// An address of the network.
    fn address(&self, address: u64, length: u64) -> Option<SocketAddr> {
        let mut bytes = [0; 28];
        let length = usize::try_from(length).ok()?.min(bytes.len());
        let bytes = &mut bytes[..length];
        if address == 0 {
            return None;
        }
        self.read(address, bytes).ok()?;
        let family = i32::from(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?));
        let port = u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?);
        let ip: IpAddr = match family {
            libc::AF_INET => Ipv4Addr::from(<[u8; 4]>::try_from(bytes.get(4..8)?).ok()?).into(),
            libc::AF_INET6 => Ipv6Addr::from(<[u8; 16]>::try_from(bytes.get(8..24)?).ok()?).into(),
            _ => return None,
        };
        Some(SocketAddr::new(ip, port))
    }

    fn read(&self, address: u64, bytes: &mut [u8]) -> io::Result<()> {
        let ours = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
        let theirs = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: bytes.len() };
        // SAFETY: the kernel writes into `bytes` alone; the other address is the other process's.
        let read = unsafe {
            libc::process_vm_readv(self.pid.cast_signed(), &raw const ours, 1, &raw const theirs, 1, 0)
        };
        match usize::try_from(read) {
            Ok(read) if read == bytes.len() => Ok(()),
            Ok(_) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(_) => Err(io::Error::last_os_error()),
        }
    }
}
