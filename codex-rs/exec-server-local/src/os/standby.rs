//! Launchers that are there before it is known for what.
//!
//! One is either started as any program, or born of a [`Zygote`]: a launcher that was started once, and makes copies of
//! itself. Owns what they are to this process: its children, found and collected as those that it started itself.

use std::fs::File;
use std::io;
use std::time::Duration;

use codex_linux_sandbox as sandbox;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;

use super::child::Child;
use super::command::Command;
use super::confined::{Confined, confined, spawn_confined, spawn_launcher, wait_for};
use super::error::SpawnError;
use super::ledger;
use super::mark::{self, Mark};
use super::spawn::Spawned;
use super::wiring::Wiring;

/// A zygote answers within a millisecond. One that does not is of no use: it was stopped, or the machine is out of memory.
const PATIENCE: Duration = Duration::from_millis(500);

/// The same by a launcher that stands by, if that can do it; `served` is called then.
///
/// # Errors
/// As for [`spawn_confined`].
pub(crate) fn spawn_confined_by(
    standby: Standby,
    command: &Command,
    prepared: sandbox::Prepared,
    served: impl FnOnce(),
) -> Result<Confined, SpawnError> {
    let wiring = Wiring::open(command.stdio)?;
    let Some((child, ready)) = standby.take() else { return spawn_confined(command, prepared) };
    let (stdin, stdout, stderr) = wiring.child.by_number();
    match prepared.hand_to(ready, stdin, stdout, stderr) {
        Ok(running) => {
            served();
            let spawned = Spawned { child, stdin: wiring.stdin, output: wiring.output };
            confined(command, spawned, running)
        }
        Err(prepared) => {
            wait_for(&child);
            spawn_confined(command, *prepared)
        }
    }
}

/// A launcher that was started before it is known for what. It shows the machine's mounts as they were then.
#[derive(Debug)]
pub(crate) struct Standby {
    /// Closed before it is waited for: that is what ends it.
    running: Option<sandbox::Running>,
    child: Option<Child>,
    mounts: Mounts,
}

impl Standby {
    /// Starts one. It gets ready while nobody waits.
    ///
    /// # Errors
    /// As for [`spawn_confined`].
    pub(crate) fn start(launcher: &sandbox::Launcher) -> Result<Self, SpawnError> {
        let mounts = Mounts::open()?;
        let prepared = sandbox::prepare_standby(launcher).map_err(failed)?;
        let (spawned, running) = spawn_launcher(&Command::new(["sandbox"], "/"), prepared, Mark::fresh())?;
        Ok(Self { running: Some(running), child: Some(spawned.child), mounts })
    }

    /// Whether it would begin at once.
    pub(crate) fn is_ready(&self) -> bool {
        self.running.as_ref().is_some_and(sandbox::Running::has_spoken)
    }

    /// Waits until it is ready, if it still shows what is there.
    fn take(mut self) -> Option<(Child, sandbox::Ready)> {
        if !self.mounts.are_current() {
            return None;
        }
        let ready = self.running.take()?.wait_until_ready().ok()?;
        // What changed until it was ready may have been seen or not.
        if !self.mounts.are_current() {
            // Lets go of it, which ends it.
            drop(ready);
            return None;
        }
        Some((self.child.take()?, ready))
    }
}

impl Drop for Standby {
    fn drop(&mut self) {
        drop(self.running.take());
        if let Some(child) = self.child.take() {
            wait_for(&child);
        }
    }
}

/// A process that makes launchers which stand by.
#[derive(Debug)]
pub(crate) struct Zygote {
    /// Closed before it is waited for: that is what ends it.
    zygote: Option<sandbox::Zygote>,
    child: Child,
    /// Those that all of its copies begin with.
    mounts: Mounts,
}

impl Zygote {
    /// Starts one.
    ///
    /// # Errors
    /// As for [`spawn_confined`].
    pub(crate) fn start(launcher: &sandbox::Launcher) -> Result<Self, SpawnError> {
        let mounts = Mounts::open()?;
        let prepared = sandbox::prepare_zygote(launcher).map_err(failed)?;
        // It bears no mark: each of those that it makes has one of its own.
        let (spawned, running) = spawn_launcher(&Command::new(["sandbox"], "/"), prepared, Mark::none())?;
        Ok(Self { zygote: Some(running.into_zygote()), child: spawned.child, mounts })
    }

    /// The number of its process.
    pub(crate) fn os_pid(&self) -> i32 {
        self.child.os_pid()
    }

    /// Has it make one. It gets ready while nobody waits.
    ///
    /// # Errors
    /// As for [`spawn_confined`]. The zygote is of no use any more then.
    pub(crate) fn bear(&self) -> Result<Standby, SpawnError> {
        let Some(zygote) = &self.zygote else { return Err(SpawnError::Confinement("it has ended".into())) };
        // What changes from here on is seen by the new one, what did before by the zygote.
        let mounts = Mounts::open()?;
        if !self.mounts.are_current() {
            return Err(SpawnError::Confinement("the machine's mounts have changed".into()));
        }
        let mark = Mark::fresh();
        let limit = mark.limit().map(|limit| (mark::RESOURCE as _, limit.rlim_cur, limit.rlim_max));
        let born = zygote.bear(limit, PATIENCE);
        let sandbox::Born { os_pid, process, running } =
            born.map_err(|error| SpawnError::Confinement(error.to_string()))?;
        ledger::adopt(os_pid);
        Ok(Standby { running: Some(running), child: Some(Child::new(os_pid, process, mark)), mounts })
    }
}

impl Drop for Zygote {
    fn drop(&mut self) {
        drop(self.zygote.take());
        // One that was stopped would never see that nobody needs it.
        let _ = self.child.signal(Signal::KILL);
        wait_for(&self.child);
    }
}

/// The mounts of this process, as a launcher or a zygote finds them that is made after this was opened.
#[derive(Debug)]
struct Mounts(File);

impl Mounts {
    fn open() -> Result<Self, SpawnError> {
        File::open("/proc/self/mountinfo").map(Self).map_err(failed)
    }

    /// Whether none has come or gone since.
    fn are_current(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut asked = [PollFd::new(&self.0, PollFlags::PRI)];
        let polled = rustix::io::retry_on_intr(|| poll(&mut asked, Some(&now)));
        polled.is_ok() && !asked[0].revents().intersects(PollFlags::PRI | PollFlags::ERR)
    }
}

fn failed(error: io::Error) -> SpawnError {
    SpawnError::Confinement(error.to_string())
}
