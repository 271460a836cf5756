//! Launchers that are started before it is known for what, from the server's side; see `launch::standby`.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use super::networks::Networks;
use super::{Prepared, Running, WaitError, status};
use crate::job::{Job, Task, Told, Work};
use crate::launcher::Launcher;
use crate::view::{Base, Step};

/// A launcher that waits for a job. It ends when this is dropped.
#[derive(Debug)]
pub struct Ready {
    status: OwnedFd,
    networks: Option<Arc<Networks>>,
}

/// A launcher that is to stand by, to be started as any other.
///
/// # Errors
/// When the system has no room for it.
pub fn prepare_standby(launcher: &Launcher) -> io::Result<Prepared> {
    let (status, theirs) = status()?;
    let job = Task::StandBy.to_memfd()?;
    let running = Running::without_rules(status);
    Ok(Prepared { launcher: launcher.clone(), job, theirs, running, suits_standby: false })
}

/// Whether whoever stands by has made what `job` needs, and nothing else.
pub(super) fn suits(job: &Job) -> bool {
    // What the machine has there is covered already.
    let is_covered = |step: &Step| match step {
        Step::Show { path, .. }
        | Step::Hide { path, .. }
        | Step::HideAround { path }
        | Step::Link { path, .. } => path.starts_with(b"/dev/") || path.starts_with(b"/proc/"),
    };
    matches!(job.work, Work::Program(_))
        && job.own_network
        && job.witness.is_some()
        && job.listen.is_empty()
        && !job.terminal
        && matches!(job.view.base, Base::Machine { .. })
        && !job.view.host_devices
        && !job.view.steps.iter().any(is_covered)
}

impl Running {
    /// Whether a launcher that was to stand by has something to say: that it does, as a rule. Never blocks.
    #[must_use]
    pub fn has_spoken(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let asked = &mut [PollFd::new(&self.status, PollFlags::IN)];
        rustix::io::retry_on_intr(|| poll(asked, Some(&now))).is_ok_and(|spoken| spoken > 0)
    }

    /// Waits until a launcher that was to stand by does.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_until_ready(self) -> Result<Ready, WaitError> {
        match self.receive()? {
            Some((Told::Ready, _)) => Ok(Ready { status: self.status, networks: self.networks }),
            Some((Told::Failed(failure), _)) => Err(WaitError::Failed(failure)),
            Some(_) | None => Err(WaitError::Silent),
        }
    }
}

impl Prepared {
    /// Whether somebody who stands by may carry this out.
    #[must_use]
    pub fn suits_standby(&self) -> bool {
        self.suits_standby
    }

    /// Has it carried out by `ready`; the program gets the streams as descriptors 0 (without one, the launcher's), 1 and 2.
    ///
    /// # Errors
    /// This is given back where that is not possible: nothing has run then.
    pub fn hand_to(
        self,
        ready: Ready,
        stdin: Option<BorrowedFd<'_>>,
        stdout: BorrowedFd<'_>,
        stderr: BorrowedFd<'_>,
    ) -> Result<Running, Box<Self>> {
        if !self.suits_standby {
            return Err(Box::new(self));
        }
        let descriptors: Vec<_> = [self.job.as_fd(), stdout, stderr].into_iter().chain(stdin).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
        if sendmsg(&ready.status, &[IoSlice::new(&[0])], &mut control, SendFlags::NOSIGNAL).is_err() {
            return Err(Box::new(self));
        }
        Ok(Running { status: ready.status, networks: ready.networks, ..self.running })
    }
}
