//! A launcher that only makes others: it is loaded once, and each of them is a copy of it.
//!
//! Loading the program is a third of what a launcher costs. The copies are children of the server, as if it had started
//! them itself, and each has a socket of its own to it: what they are to do never comes by here. So a zygote knows no policy,
//! no program and nothing of the server's, and a copy gets nothing from it but the loaded program. It ends with the socket.
//!
//! A private network costs the kernel more than everything else about a sandbox, twice: to make and to take apart. So one that
//! nobody inside has used is used again. Unused means that none of them ever had a socket, since without one nothing can be done
//! to a network or be left in it; see [`witness`](super::witness). Such networks belong to a user namespace of the zygote's, in
//! which no program ever is. So do the mounts that the copies begin with: what all views of the machine's tree have in common, made
//! once.
#![allow(unsafe_code)]

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, FromRawFd as _, OwnedFd};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::setsid;

use super::{Status, at, confine, forks, mounts, namespaces};
use crate::calls;
use crate::job::{Birth, Failure, Stage, Told};

/// Makes launchers until nobody is going to ask for one any more; returns only in one of them, with its socket and the network
/// that it is in.
pub(super) fn serve(socket: Status) -> (Status, OwnedFd) {
    // The same for all of them.
    calls::make_ahead();
    if let Err(failure) = namespaces::enter_nursery().and_then(|()| mounts::lay_base()) {
        super::give_up(&socket, failure);
    }
    loop {
        let (birth, status, kept) = match receive(&socket.0) {
            Ok(Some((birth, status, kept))) => (birth, Status(status), kept),
            Ok(None) => forks::exit(/*code*/ 0),
            // The server sees the end, and makes another.
            Err(_) => forks::exit(super::NOT_RUN),
        };
        match copy() {
            Ok(Copy::New) => {
                drop(socket);
                match begin(birth).and_then(|()| namespaces::enter_network(kept)) {
                    Ok(network) => return (status, network),
                    Err(failure) => super::give_up(&status, failure),
                }
            }
            Ok(Copy::Made { os_pid, process }) => socket.tell(&Told::Born { os_pid }, &[process.as_fd()]),
            Err(error) => socket.tell(&Told::Failed(at(Stage::Fork)(error)), &[]),
        }
    }
}

/// Makes a copy what a launcher is that was started by itself: a session of its own, and the limit that is to be on everybody
/// below it.
fn begin(birth: Birth) -> Result<(), Failure> {
    setsid().map_err(at(Stage::Fork))?;
    let Some((resource, soft, hard)) = birth.limit else { return Ok(()) };
    confine::set_limit(resource, soft, hard).map_err(at(Stage::Limits))
}

enum Copy {
    /// One is the copy.
    New,
    Made {
        os_pid: i32,
        process: OwnedFd,
    },
}

/// Copies this process, as a child of its parent.
fn copy() -> io::Result<Copy> {
    let mut process: libc::c_int = -1;
    // The signal that tells of its end is the one of this process.
    let flags = libc::CLONE_PARENT | libc::CLONE_PIDFD | libc::SIGCHLD;
    let none = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: without memory or a stack of its own the child has copies of both, as after `fork`, and goes on from here. This
    // program has one thread, so no lock is held by one that is not copied. The kernel stores the new descriptor to the third
    // argument; the others are not looked at.
    let os_pid = unsafe { libc::syscall(libc::SYS_clone, flags, none, &raw mut process, none, none) };
    match i32::try_from(os_pid) {
        Ok(0) => Ok(Copy::New),
        // SAFETY: nobody else has the descriptor.
        Ok(os_pid) if os_pid > 0 => {
            Ok(Copy::Made { os_pid, process: unsafe { OwnedFd::from_raw_fd(process) } })
        }
        _ => Err(io::Error::last_os_error()),
    }
}

/// Waits until one is asked for, and returns what for, its socket, and a network that is to be used again, if there is one.
/// `None` when nobody will.
fn receive(socket: &OwnedFd) -> io::Result<Option<(Birth, OwnedFd, Option<OwnedFd>)>> {
    // As on every stack that is copied: each page that is touched costs as much as a call.
    let mut bytes = [0; 128];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC)
    });
    let count = match received {
        Ok(received) if received.bytes > 0 => received.bytes,
        Ok(_) | Err(rustix::io::Errno::CONNRESET) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut descriptors = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    let mut descriptors = descriptors.by_ref().flatten();
    let (status, kept) = (descriptors.next(), descriptors.next());
    let birth = postcard::from_bytes(&bytes[..count]).map_err(io::Error::other)?;
    Ok(Some((birth, status.ok_or(io::ErrorKind::InvalidData)?, kept)))
}
