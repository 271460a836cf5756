//! A launcher that makes those that stand by, from the server's side; see `launch::zygote`.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use super::networks::Networks;
use super::{Prepared, Running, WaitError, status};
use crate::job::{Birth, Task, Told};
use crate::launcher::Launcher;

/// A process that makes launchers which stand by, as children of this one. It ends when this is dropped.
#[derive(Debug)]
pub struct Zygote {
    socket: Running,
    /// What it made, and can be used again.
    networks: Arc<Networks>,
}

/// A launcher that a zygote has made.
#[derive(Debug)]
pub struct Born {
    /// Its number. It is a child of this process, which is to collect it.
    pub os_pid: i32,
    /// The process.
    pub process: OwnedFd,
    /// As of one that was started from [`prepare_standby`](super::prepare_standby).
    pub running: Running,
}

/// A zygote, to be started as any launcher.
///
/// # Errors
/// When the system has no room for it.
pub fn prepare_zygote(launcher: &Launcher) -> io::Result<Prepared> {
    let (status, theirs) = status()?;
    let job = Task::Zygote.to_memfd()?;
    Ok(Prepared {
        launcher: launcher.clone(),
        job,
        theirs,
        running: Running::without_rules(status),
        suits_standby: false,
    })
}

impl Running {
    /// What was started is a zygote.
    #[must_use]
    pub fn into_zygote(self) -> Zygote {
        Zygote { socket: self, networks: Arc::default() }
    }
}

impl Zygote {
    /// Has one more launcher made, with `limit` (resource, soft, hard) on it and on everybody below it.
    ///
    /// # Errors
    /// [`WaitError::Failed`] where the system has no room for it. After any other the zygote is of no use any more: it has
    /// ended, or did not answer for as long as `patience`; a launcher may have been made all the same, and ends by itself.
    pub fn bear(&self, limit: Option<(u32, u64, u64)>, patience: Duration) -> Result<Born, WaitError> {
        let (status, theirs) = status()?;
        let request = postcard::to_stdvec(&Birth { limit }).map_err(io::Error::other)?;
        let kept = self.networks.take();
        let descriptors: Vec<_> =
            [theirs.as_fd()].into_iter().chain(kept.as_ref().map(OwnedFd::as_fd)).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        sendmsg(&self.socket.status, &[IoSlice::new(&request)], &mut control, flags)
            .map_err(io::Error::from)?;
        drop((theirs, kept));
        self.await_answer(patience)?;
        match self.socket.receive()? {
            Some((Told::Born { os_pid }, descriptors)) => {
                let process = descriptors.into_iter().next().ok_or(WaitError::Silent)?;
                let networks = Some(Arc::clone(&self.networks));
                Ok(Born { os_pid, process, running: Running { networks, ..Running::without_rules(status) } })
            }
            Some((Told::Failed(failure), _)) => Err(WaitError::Failed(failure)),
            Some(_) | None => Err(WaitError::Silent),
        }
    }

    fn await_answer(&self, patience: Duration) -> Result<(), WaitError> {
        let until = Instant::now() + patience;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let left = Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            };
            match poll(&mut [PollFd::new(&self.socket.status, PollFlags::IN)], Some(&left)) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::TimedOut).into()),
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(io::Error::from(error).into()),
            }
        }
    }
}
