//! What must fail inside, tried where a program would stand.
//!
//! Not a test of this code but of the machine: a kernel that lacks a layer, or a container that has one switched off,
//! lets something through here, and then nothing is run.
#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::net::{SocketAddr, TcpStream};

/// What is tried, and a function that tells whether it got through.
type Attempt = (&'static str, fn() -> bool);

/// All of them.
const ATTEMPTS: [Attempt; 11] = [
    ("write outside", || File::create("/.codex-sandbox-trial").is_ok()),
    ("write below /etc", || File::create("/etc/.codex-sandbox-trial").is_ok()),
    ("write a kernel setting", || {
        OpenOptions::new().write(true).open("/proc/sys/kernel/core_pattern").is_ok()
    }),
    ("see the machine's processes", || processes() > 2),
    ("mount", || {
        let (none, place, kind) = (c"none".as_ptr(), c"/tmp".as_ptr(), c"tmpfs".as_ptr());
        // SAFETY: strings, no flags, no data.
        unsafe { libc::mount(none, place, kind, 0, std::ptr::null()) >= 0 }
    }),
    // SAFETY: a flag.
    ("make a user namespace", || unsafe { libc::unshare(libc::CLONE_NEWUSER) >= 0 }),
    // SAFETY: a path.
    ("change the root", || unsafe { libc::chroot(c"/".as_ptr()) >= 0 }),
    // SAFETY: numbers; nobody is traced but this process.
    ("trace a process", || unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) >= 0 }),
    // SAFETY: numbers.
    ("have a unix socket", || unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0) >= 0 }),
    // SAFETY: numbers.
    ("have a raw socket", || unsafe { libc::socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP) >= 0 }),
    // An address that is kept for documents: no route leads there, and on a machine with a network one would.
    ("reach the network", has_route),
];

/// The names of all of them.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    ATTEMPTS.iter().map(|(name, _)| *name)
}

/// The names of those that got through.
pub(super) fn run() -> Vec<String> {
    ATTEMPTS.iter().filter(|(_, got_through)| got_through()).map(|(name, _)| (*name).to_owned()).collect()
}

/// Inside there are init and this process.
fn processes() -> usize {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_str().is_some_and(|name| name.parse::<u32>().is_ok())).count()
}

/// Whether connecting fails for another reason than that there is no network.
fn has_route() -> bool {
    let nowhere = SocketAddr::from(([192, 0, 2, 1], 9));
    match TcpStream::connect_timeout(&nowhere, std::time::Duration::from_millis(10)) {
        Ok(_) => true,
        Err(error) => !matches!(error.raw_os_error(), Some(libc::ENETUNREACH | libc::EPERM | libc::EACCES)),
    }
}
