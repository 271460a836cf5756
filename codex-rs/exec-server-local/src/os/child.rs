//! A process that this server started.
//!
//! Owns its identity (a pidfd, so never a stale number), signals to it and its group, and how it ended.
//! Leaves trees to `tree`, and waiting to the caller: a [`Child`] is a descriptor that becomes readable when
//! the process is dead.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};

use super::groups::Group;
use super::ledger;
use super::mark::Mark;
use super::sys::{self, Dead, Take, Waited};

/// The root of a tree of processes: leader of its own session and process group.
///
/// As a descriptor it is the pidfd: close-on-exec, and readable once the process is dead, reaped or not.
///
/// Dropping one lets go of the process without ending it. If it was not reaped, whoever sweeps orphans
/// reaps it; without a sweeper it stays a zombie until the server ends.
#[derive(Debug)]
pub struct Child {
    os_pid: i32,
    pidfd: OwnedFd,
    mark: Mark,
    /// The server's own peak resident set just after the start. See [`Usage::max_rss_bytes`].
    rss_floor_bytes: u64,
    /// The process that runs the program, where `pidfd` names one that stands before it. It leads a process group of its
    /// own, and is the one that signals are meant for.
    command: Option<OwnedFd>,
    /// What it is in with everybody below it, if that is bounded.
    group: Option<Group>,
    /// Set once, under the ledger's lock, when the process is reaped. `None` inside: someone else took the
    /// status.
    settled: OnceLock<Option<Exit>>,
}

impl Child {
    pub(super) fn new(os_pid: i32, pidfd: OwnedFd, mark: Mark) -> Self {
        let rss_floor_bytes = sys::own_peak_rss_bytes();
        Self { os_pid, pidfd, mark, rss_floor_bytes, command: None, group: None, settled: OnceLock::new() }
    }

    /// The same, standing before `command`, whose end it waits for and repeats.
    pub(super) fn before(mut self, command: OwnedFd) -> Self {
        self.command = Some(command);
        self
    }

    /// The same, in `group`.
    pub(super) fn bounded_by(mut self, group: Option<Group>) -> Self {
        self.group = group;
        self
    }

    /// What bounds it.
    pub(super) fn group(&self) -> Option<&Group> {
        self.group.as_ref()
    }

    /// The number of the process, of its process group and of its session. After the process is reaped the
    /// number may name another one, so it is for display only.
    #[must_use]
    pub fn os_pid(&self) -> i32 {
        self.os_pid
    }

    /// What all its descendants carry.
    #[must_use]
    pub fn mark(&self) -> Mark {
        self.mark
    }

    /// How the process ended, or `None` while it is alive. Never blocks. The first answer reaps it; the
    /// answer stays the same ever after.
    ///
    /// # Errors
    /// `ECHILD` when other code in this process has taken the status.
    pub fn try_wait(&self) -> io::Result<Option<Exit>> {
        let mut ledger = ledger::lock();
        let settled = match self.settled.get() {
            Some(settled) => *settled,
            None => {
                let settled = match sys::wait(Waited::Pidfd(self.pidfd.as_fd()), Take::Reap) {
                    Ok(None) => return Ok(None),
                    Ok(Some(dead)) => Some(Exit::new(&dead, self.rss_floor_bytes)),
                    Err(error) if error.raw_os_error() == Some(libc::ECHILD) => None,
                    Err(error) => return Err(error),
                };
                ledger.forget(self.os_pid);
                if let Some(group) = &self.group {
                    group.let_go();
                }
                *self.settled.get_or_init(|| settled)
            }
        };
        settled.map(Some).ok_or_else(|| io::Error::from_raw_os_error(libc::ECHILD))
    }

    /// Signals this one process. `false` when it has been reaped.
    ///
    /// # Errors
    /// `EPERM` when the process has taken on another user's identity.
    pub fn signal(&self, signal: Signal) -> io::Result<bool> {
        sys::signal_process(self.pidfd.as_fd(), Some(signal))
    }

    /// Signals every process of its group, whether or not the process itself is still alive. `false` when
    /// nobody was there.
    ///
    /// Since Linux 6.9 the group is named by the pidfd and is always the right one. Before, it can only be
    /// named by number, which is certain to be its own only as long as the leader is not reaped; after that
    /// nobody is signalled and the answer is `false`.
    ///
    /// # Errors
    /// `EPERM` when all members belong to other users.
    pub fn signal_group(&self, signal: Signal) -> io::Result<bool> {
        if let Some(command) = &self.command {
            return self.signal_command(command.as_fd(), signal);
        }
        match sys::signal_group(self.pidfd.as_fd(), signal) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => self.signal_group_by_number(signal),
            answer => answer,
        }
    }

    /// The group of the program's process. Whoever stands before it is left to see the end, and to take everybody with it.
    fn signal_command(&self, command: BorrowedFd<'_>, signal: Signal) -> io::Result<bool> {
        match sys::signal_group(command, signal) {
            // Before Linux 6.9: the process alone, since its number is another one's business to hold on to.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                sys::signal_process(command, Some(signal))
            }
            answer => answer,
        }
    }

    /// Kills the program that this process stands before, and leaves this one until `deadline` to take everybody inside with
    /// it and to end. Killed together with them it would leave its children to the system's init, and nobody inside is dead
    /// before that has collected them.
    pub(super) fn end_command(&self, deadline: Instant) -> io::Result<()> {
        let Some(command) = &self.command else { return Ok(()) };
        sys::signal_process(command.as_fd(), Some(Signal::KILL))?;
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        rustix::io::retry_on_intr(|| poll(&mut [PollFd::new(&self.pidfd, PollFlags::IN)], Some(&left)))?;
        Ok(())
    }

    fn signal_group_by_number(&self, signal: Signal) -> io::Result<bool> {
        // Reaping needs this lock, so an unreaped leader holds on to its number until the signal is out.
        let _ledger = ledger::lock();
        if self.settled.get().is_some() {
            return Ok(false);
        }
        let Some(group) = Pid::from_raw(self.os_pid) else {
            return Ok(false);
        };
        match kill_process_group(group, signal) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl AsRawFd for Child {
    fn as_raw_fd(&self) -> RawFd {
        self.pidfd.as_raw_fd()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.settled.get().is_none() {
            ledger::lock().forget(self.os_pid);
        }
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// What the kernel said.
    pub status: Status,
    /// What it used.
    pub usage: Usage,
}

/// By its own will or by a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It returned this code, 0 to 255.
    Exited(i32),
    /// This signal killed it.
    Signalled(i32),
}

/// What a process and those of its descendants that it waited for have used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// CPU time outside the kernel.
    pub user: Duration,
    /// CPU time in the kernel.
    pub system: Duration,
    /// Highest resident set of any one process, in bytes. `None` when it did not exceed the server's own: the
    /// kernel counts the memory that a process had before `execve`, which is the server's, so smaller values
    /// are masked.
    pub max_rss_bytes: Option<u64>,
}

impl Exit {
    fn new(dead: &Dead, rss_floor_bytes: u64) -> Self {
        let status = match dead.how {
            libc::CLD_EXITED => Status::Exited(dead.status),
            _ => Status::Signalled(dead.status),
        };
        let max_rss_bytes = sys::kibibytes(dead.usage.ru_maxrss);
        let usage = Usage {
            user: duration(dead.usage.ru_utime),
            system: duration(dead.usage.ru_stime),
            max_rss_bytes: (max_rss_bytes > rss_floor_bytes).then_some(max_rss_bytes),
        };
        Self { status, usage }
    }

    /// The code in the form of a shell: the exit code itself, or 128 and the number of the signal.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self.status {
            Status::Exited(code) => code,
            Status::Signalled(signal) => 128 + signal,
        }
    }
}

fn duration(time: libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let microseconds = u64::try_from(time.tv_usec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(microseconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::{Command, Stdin, Stdio, spawn};

    #[test]
    fn by_number_a_group_is_signalled_only_until_its_leader_is_reaped() {
        let mut command = Command::new(["/bin/cat"], "/");
        command.stdio = Stdio::Pipes { stdin: Stdin::Pipe };
        let spawned = spawn(&command).expect("starts");
        assert!(spawned.child.signal_group_by_number(Signal::TERM).expect("may be signalled"));
        poll(&mut [PollFd::new(&spawned.child, PollFlags::IN)], None).expect("it ends");
        // A zombie still holds the number.
        assert!(spawned.child.signal_group_by_number(Signal::TERM).expect("may be signalled"));
        let exit = spawned.child.try_wait().expect("it is ours").expect("it is dead");
        assert_eq!(exit.status, Status::Signalled(Signal::TERM.as_raw()));
        assert!(!spawned.child.signal_group_by_number(Signal::TERM).expect("nobody is asked"));
    }
}
