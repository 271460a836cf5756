//! Ending a whole tree of processes.
//!
//! Owns the order of the work: everything is stopped first and killed only when a look at all processes finds
//! nobody new. What is stopped cannot fork, so a tree that multiplies is caught up with instead of being
//! chased. Leaves the question who belongs to the tree to `census`, and graceful signals and time limits to
//! the caller.

use std::collections::HashSet;
use std::io;
use std::os::fd::AsFd as _;
use std::os::fd::BorrowedFd;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::Signal;

use super::census::{Census, Proof};
use super::child::Child;
use super::sys;

/// Looks that are repeated at most because somebody's process ended while being looked at. On a busy machine
/// that may happen in every look, and has most likely nothing to do with the tree.
const BLURRED_LOOKS: usize = 16;

/// How the killing ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KillReport {
    /// Processes that were alive and are dead.
    pub killed: usize,
    /// Processes that were still alive at the deadline, or that have become another user's. Ascending. If
    /// descendants were being born and dying faster than they could be caught, one that was seen last stands
    /// for all of them.
    pub survivors: Vec<i32>,
}

/// Kills `root` and all its descendants, and returns when they are dead or at `deadline`.
///
/// It works the same after `root` itself has ended, also when it was reaped. Descendants may still be zombies
/// on return; they run no code and hold no descriptor. Blocks the calling thread: a millisecond or so as a
/// rule, and up to the deadline if a process hangs in the kernel. With a deadline in the past it kills, but
/// does not wait.
///
/// The server itself is never signalled, nor a process that is not proven to belong to the tree.
///
/// # Errors
/// When `/proc` cannot be read or no descriptor can be had. The root's process group and whoever was found
/// until then have been killed even so.
pub fn kill_tree(root: &Child, deadline: Instant) -> io::Result<KillReport> {
    root.end_command(deadline)?;
    let mut hunt = match Census::new(root) {
        Ok(census) => Hunt { root, deadline, census, killed: HashSet::new() },
        Err(error) => {
            root.signal_group(Signal::KILL)?;
            return Err(error);
        }
    };
    let report = hunt.run().inspect_err(|_| hunt.kill_blindly());
    if let Some(group) = root.group() {
        // Nobody leaves one, whatever he has done to be overlooked.
        group.kill();
    }
    report
}

struct Hunt<'a> {
    root: &'a Child,
    deadline: Instant,
    census: Census<'a>,
    /// A set, as a member that is not held may be seen once more while it is dying.
    killed: HashSet<i32>,
}

impl Hunt<'_> {
    fn run(&mut self) -> io::Result<KillReport> {
        // One call stops most trees as a whole: the kernel signals a group at once, and a `fork` that
        // is under way is either seen by it or starts over.
        match self.root.signal_group(Signal::STOP) {
            Ok(_) => {}
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => {}
            Err(error) => return Err(error),
        }
        let mut blurred_looks = 0;
        loop {
            // A member may have been in the middle of a `fork` when it was stopped. So a look that finds
            // nobody new ends the stopping, but only one that finds nobody at all ends the work.
            let mut look = self.census.look()?;
            while look.stopped > 0 && !self.is_overdue() {
                look = self.census.look()?;
            }
            if self.census.members.values().all(|member| member.out_of_reach) {
                blurred_looks += usize::from(look.blurred);
                let is_settled = look.escaped.is_none() && (!look.blurred || blurred_looks > BLURRED_LOOKS);
                if is_settled || self.is_overdue() {
                    return self.report(look.escaped);
                }
            } else {
                self.kill_members()?;
                if !self.await_deaths()? {
                    return self.report(look.escaped);
                }
                self.census.forget_reachable();
            }
        }
    }

    fn is_overdue(&self) -> bool {
        Instant::now() >= self.deadline
    }

    fn kill_members(&mut self) -> io::Result<()> {
        let mut unheld = Vec::new();
        for (pid, member) in &mut self.census.members {
            match &member.pidfd {
                Some(pidfd) => member.out_of_reach = !kill(pidfd.as_fd())?,
                None => unheld.push((*pid, member.evidence)),
            }
        }
        for (pid, evidence) in unheld {
            if let Proof::Holds(pidfd) = self.census.prove(pid, evidence)?
                && kill(pidfd.as_fd())?
            {
                self.killed.insert(pid);
            }
        }
        Ok(())
    }

    /// Waits for those that were killed and are held, and forgets them one by one. `false` when the deadline
    /// came first.
    fn await_deaths(&mut self) -> io::Result<bool> {
        loop {
            let awaited: Vec<(i32, BorrowedFd<'_>)> = self
                .census
                .members
                .iter()
                .filter(|(_, member)| !member.out_of_reach)
                .filter_map(|(pid, member)| member.pidfd.as_ref().map(|pidfd| (*pid, pidfd.as_fd())))
                .collect();
            if awaited.is_empty() {
                return Ok(!self.is_overdue() || self.census.members.is_empty());
            }
            let mut polled: Vec<_> =
                awaited.iter().map(|(_, pidfd)| PollFd::from_borrowed_fd(*pidfd, PollFlags::IN)).collect();
            let left = self.deadline.saturating_duration_since(Instant::now());
            // A time that does not fit is as good as none.
            let timeout = Timespec::try_from(left).ok();
            match poll(&mut polled, timeout.as_ref()) {
                Ok(0) => return Ok(false),
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            let dead: Vec<i32> = awaited
                .iter()
                .zip(&polled)
                .filter(|(_, polled)| !polled.revents().is_empty())
                .map(|((pid, _), _)| *pid)
                .collect();
            for pid in dead {
                self.census.note_death(pid);
                self.killed.insert(pid);
            }
        }
    }

    fn report(&mut self, escaped: Option<i32>) -> io::Result<KillReport> {
        let mut survivors: Vec<i32> = escaped.into_iter().collect();
        for (&pid, member) in &self.census.members {
            if self.census.runs(pid, member)? {
                survivors.push(pid);
                self.killed.remove(&pid);
            } else if !member.out_of_reach {
                self.killed.insert(pid);
            }
        }
        survivors.sort_unstable();
        survivors.dedup();
        Ok(KillReport { killed: self.killed.len(), survivors })
    }

    /// After a failure nobody may be left behind stopped. Failures of this are not worth reporting on top of
    /// the first.
    fn kill_blindly(&self) {
        let _ = self.root.signal_group(Signal::KILL);
        for pidfd in self.census.members.values().filter_map(|member| member.pidfd.as_ref()) {
            let _ = kill(pidfd.as_fd());
        }
    }
}

/// `false` when the process has become another user's.
fn kill(pidfd: BorrowedFd<'_>) -> io::Result<bool> {
    match sys::signal_process(pidfd, Some(Signal::KILL)) {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => Ok(false),
        Err(error) => Err(error),
    }
}
