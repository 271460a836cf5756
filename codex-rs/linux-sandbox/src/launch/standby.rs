//! Waiting for a job with everything made that does not depend on it.
//!
//! Making namespaces, processes and mounts is most of what a sandbox costs, and none of it has to wait until somebody asks.
//! Nothing that a policy says is decided ahead: whoever stands by has no rules yet, and nobody's program.
//!
//! It is the command that waits, in the launcher's memory, where it leaves the job that it got.
#![allow(unsafe_code)]

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, OwnedFd};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use crate::job::{Job, Task};

/// A job with its descriptor, and what its program is to have as 1, 2 and 0; without the last, 0 stays what it is.
const MOST: usize = 4;

/// What came.
pub(super) struct Order {
    pub(super) job: Job,
    streams: Vec<OwnedFd>,
}

/// Waits for it. `None` when nobody is going to send one any more.
pub(super) fn receive(socket: &OwnedFd) -> io::Result<Option<Order>> {
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)
    });
    match received {
        Ok(received) if received.bytes > 0 => {}
        Ok(_) | Err(rustix::io::Errno::CONNRESET) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let mut descriptors = Vec::with_capacity(MOST);
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(some) = message {
            descriptors.extend(some);
        }
    }
    if !(MOST - 1..=MOST).contains(&descriptors.len()) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let job = descriptors.remove(0);
    match Task::from_memfd(job)? {
        Task::Now(job) => Ok(Some(Order { job: *job, streams: descriptors })),
        Task::StandBy | Task::Zygote => Err(io::ErrorKind::InvalidData.into()),
    }
}

impl Order {
    /// Gives the program its streams.
    pub(super) fn place_streams(&mut self) -> io::Result<()> {
        // None of them is one of the three: those were open all the time.
        for (stream, place) in self.streams.drain(..).zip([1, 2, 0]) {
            // SAFETY: replaces one of the first three, which nothing here uses.
            if unsafe { libc::dup2(stream.as_raw_fd(), place) } < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }
}
