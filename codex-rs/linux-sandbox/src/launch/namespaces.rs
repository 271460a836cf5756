//! Namespaces of the launcher's children, and who they are in them.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::process::{getegid, geteuid};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use super::{at, confine};
use crate::job::{Failure, Stage};

/// Leaves the machine's namespaces. Of the new pid namespace the next fork is the init.
///
/// The user keeps number and group; everybody else is nobody.
pub(super) fn enter(own_network: bool) -> Result<(), Failure> {
    let mut flags = UnshareFlags::NEWNS
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWCGROUP;
    if own_network {
        flags |= UnshareFlags::NEWNET;
    }
    enter_as_user(flags)?;
    if own_network {
        raise_loopback().map_err(at(Stage::Loopback))?;
    }
    // Whoever is forked from here on has it from this process.
    confine::bound_capabilities().map_err(at(Stage::Capabilities))
}

/// Leaves the machine's users and mounts alone: the owner of what sandboxes have in common, networks and mounts. Nobody who runs a
/// program is ever in these namespaces, so nobody has rights over that: whoever copies these mounts can neither take one away
/// nor make one writable.
pub(super) fn enter_nursery() -> Result<(), Failure> {
    enter_as_user(UnshareFlags::NEWNS)
}

/// A network with nothing but a loopback: `kept` from before, or a new one. To be called in a nursery.
pub(super) fn enter_network(kept: Option<OwnedFd>) -> Result<OwnedFd, Failure> {
    if let Some(kept) = kept
        && move_into_link_name_space(kept.as_fd(), Some(LinkNameSpaceType::Network)).is_ok()
    {
        return Ok(kept);
    }
    unshare(UnshareFlags::NEWNET)?;
    raise_loopback().map_err(at(Stage::Loopback))?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::open("/proc/self/ns/net", flags, Mode::empty()).map_err(at(Stage::Namespaces))
}

fn unshare(flags: UnshareFlags) -> Result<(), Failure> {
    #[allow(unsafe_code)]
    // SAFETY: the danger is in `CLONE_FILES`, which makes threads see different descriptors; it is not among the flags.
    unsafe { rustix::thread::unshare_unsafe(flags) }.map_err(at(Stage::Namespaces))
}

/// A new user namespace, and `others`, which it owns.
fn enter_as_user(others: UnshareFlags) -> Result<(), Failure> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    unshare(UnshareFlags::NEWUSER | others)?;
    let map = |file: &str, text: String| {
        std::fs::write(file, text)
            .map_err(|error| Failure { detail: file.into(), ..at(Stage::UserMap)(error) })
    };
    // Without this an ordinary user may not map a group: leaving a group could open what is closed to its members.
    map("/proc/self/setgroups", "deny".into())?;
    map("/proc/self/gid_map", format!("{group} {group} 1"))?;
    map("/proc/self/uid_map", format!("{user} {user} 1"))
}

/// The mounts of everybody inside, to be held by somebody outside. The last one to leave them waits until all processors have
/// seen them go, and that is not to be a process whose end is waited for.
pub(super) fn mounts() -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    Ok(rustix::fs::open("/proc/self/ns/mnt", flags, Mode::empty())?)
}

/// Makes listeners on the private loopback, to be used by somebody outside.
pub(super) fn listen(ports: &[u16]) -> Result<Vec<OwnedFd>, Failure> {
    let listener = |port: &u16| match TcpListener::bind((Ipv4Addr::LOCALHOST, *port)) {
        Ok(listener) => Ok(listener.into()),
        Err(error) => Err(Failure { detail: format!("port {port}"), ..at(Stage::Loopback)(error) }),
    };
    ports.iter().map(listener).collect()
}

/// Local servers and their clients work inside; the address is there from the start, the interface is down.
fn raise_loopback() -> io::Result<()> {
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    #[allow(unsafe_code)]
    // SAFETY: all zero is a valid `ifreq`; the name has its NUL, and the kernel reads and writes this structure alone.
    unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = b'l' as libc::c_char;
        request.ifr_name[1] = b'o' as libc::c_char;
        request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
        let descriptor = std::os::fd::AsRawFd::as_raw_fd(&socket);
        if libc::ioctl(descriptor, libc::SIOCSIFFLAGS as _, &raw const request) < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
