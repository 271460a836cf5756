//! Starting a program in a sandbox.
//!
//! What is born is the launcher; the program is its child. Owns what that means for a start: it is over when the program
//! runs, the child that is handed out stands for both, and an error names what would be named without a sandbox.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

use codex_linux_sandbox as sandbox;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::fcntl_dupfd_cloexec;

use super::birth::{FIRST_FREE, HeldProgram};
use super::carried::Carried;
use super::child::Child;
use super::command::Command;
use super::error::{SpawnError, Stage};
use super::image::{Image, candidates};
use super::spawn::{Spawned, resource_of, spawn_held};
use super::wiring::Wiring;

/// What a sandbox's launcher is to run for `command`, and the limits that it sets for it.
///
/// # Errors
/// As for [`spawn`](super::spawn), as far as they can be found without the kernel.
pub fn program_of(command: &Command) -> Result<(sandbox::Program, Vec<(u32, u64)>), SpawnError> {
    // Checks every string.
    Image::new(command)?;
    let mut argv: Vec<Vec<u8>> = command.argv.iter().map(|argument| argument.as_bytes().to_vec()).collect();
    if let (Some(arg0), Some(first)) = (&command.arg0, argv.first_mut()) {
        *first = arg0.as_bytes().to_vec();
    }
    let variable = |(name, value): &(std::ffi::OsString, std::ffi::OsString)| {
        [name.as_bytes(), b"=", value.as_bytes()].concat()
    };
    let program = sandbox::Program {
        candidates: candidates(command),
        argv,
        envp: command.env.iter().map(variable).collect(),
        cwd: command.cwd.as_os_str().as_bytes().to_vec(),
        carried: carried(command)?,
    };
    let limits = command.limits.iter().map(|limit| (resource_of(limit.kind) as _, limit.value)).collect();
    Ok((program, limits))
}

/// What the program carries goes with the job: the launcher makes a file of it, since it is handed no descriptor but its own.
fn carried(command: &Command) -> Result<Option<Vec<u8>>, SpawnError> {
    let read = |file: &Carried| file.bytes().map_err(|error| error.raw_os_error().unwrap_or(libc::EIO));
    command
        .carried
        .as_ref()
        .map(read)
        .transpose()
        .map_err(|errno| SpawnError::Setup { stage: Stage::Descriptors, errno })
}

/// A program that runs in a sandbox.
pub struct Confined {
    /// The program's process, with its launcher.
    pub spawned: Spawned,
    /// Must be held until nobody of its tree lives any more.
    pub held: sandbox::Held,
    /// What listens on its loopback for somebody here.
    pub listeners: Vec<OwnedFd>,
}

/// Starts `command` in a sandbox that was prepared for it. When this returns, the program runs.
///
/// # Errors
/// See [`SpawnError`]. There is no child then.
pub fn spawn_confined(command: &Command, prepared: sandbox::Prepared) -> Result<Confined, SpawnError> {
    let (spawned, running) = spawn_launcher(command, prepared)?;
    confined(command, spawned, running)
}

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

fn confined(command: &Command, spawned: Spawned, running: sandbox::Running) -> Result<Confined, SpawnError> {
    match running.wait() {
        Ok(started) => {
            let child = spawned.child.before(started.command);
            let spawned = Spawned { child, ..spawned };
            Ok(Confined { spawned, held: started.held, listeners: started.listeners })
        }
        Err(error) => {
            bury(&spawned);
            Err(failure(command, error))
        }
    }
}

/// A launcher that was started before it is known for what. It shows the machine's mounts as they were then.
#[derive(Debug)]
pub(crate) struct Standby {
    /// Closed before it is waited for: that is what ends it.
    running: Option<sandbox::Running>,
    child: Option<Child>,
    /// Tells when mounts have changed since this was opened.
    mounts: File,
}

impl Standby {
    /// Starts one. It gets ready while nobody waits.
    ///
    /// # Errors
    /// As for [`spawn_confined`].
    pub(crate) fn start(launcher: &sandbox::Launcher) -> Result<Self, SpawnError> {
        let failed = |error: io::Error| SpawnError::Confinement(error.to_string());
        let mounts = File::open("/proc/self/mountinfo").map_err(failed)?;
        let prepared = sandbox::prepare_standby(launcher).map_err(failed)?;
        let (spawned, running) = spawn_launcher(&Command::new(["sandbox"], "/"), prepared)?;
        Ok(Self { running: Some(running), child: Some(spawned.child), mounts })
    }

    /// Waits until it is ready, if it still shows what is there.
    fn take(mut self) -> Option<(Child, sandbox::Ready)> {
        if !self.is_current() {
            return None;
        }
        let ready = self.running.take()?.wait_until_ready().ok()?;
        // What changed until it was ready may have been seen or not.
        if !self.is_current() {
            // Lets go of it, which ends it.
            drop(ready);
            return None;
        }
        Some((self.child.take()?, ready))
    }

    fn is_current(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut asked = [PollFd::new(&self.mounts, PollFlags::PRI)];
        let polled = rustix::io::retry_on_intr(|| poll(&mut asked, Some(&now)));
        polled.is_ok() && !asked[0].revents().intersects(PollFlags::PRI | PollFlags::ERR)
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

/// Lets a launcher try what must fail in a sandbox: the names of what did not.
///
/// # Errors
/// Why there is no sandbox at all.
pub(crate) fn try_sandbox(prepared: sandbox::Prepared) -> Result<Vec<String>, SpawnError> {
    let nothing = Command::new(["sandbox"], "/");
    let (spawned, running) = spawn_launcher(&nothing, prepared)?;
    let through = running.wait_for_trial();
    bury(&spawned);
    through.map_err(|error| failure(&nothing, error))
}

/// Starts a process that serves files in a sandbox. When this returns, it serves.
///
/// # Errors
/// Why there is none.
pub(crate) fn spawn_file_server(
    prepared: sandbox::Prepared,
) -> Result<(Child, sandbox::FileServer), SpawnError> {
    let nothing = Command::new(["sandbox"], "/");
    let (spawned, running) = spawn_launcher(&nothing, prepared)?;
    match running.wait_for_file_server() {
        Ok(server) => Ok((spawned.child, server)),
        Err(error) => {
            bury(&spawned);
            Err(failure(&nothing, error))
        }
    }
}

/// Waits until a child is dead, and reaps it.
pub(crate) fn wait_for(child: &Child) {
    let died = rustix::io::retry_on_intr(|| poll(&mut [PollFd::new(child, PollFlags::IN)], None));
    if died.is_ok() {
        // If somebody else has taken its status, it is gone all the same.
        let _ = child.try_wait();
    }
}

fn spawn_launcher(
    command: &Command,
    prepared: sandbox::Prepared,
) -> Result<(Spawned, sandbox::Running), SpawnError> {
    // The launcher's own words and environment are constant: the request's are data to it.
    let name = sandbox::NAME.to_bytes();
    let launcher = Command { stdio: command.stdio, ..Command::new([std::ffi::OsStr::from_bytes(name)], "/") };
    let beyond = |descriptor| beyond_places(descriptor).map_err(setup);
    let program = beyond(prepared.launcher())?;
    let [job, status] = prepared.descriptors();
    let (job, status) = (beyond(job)?, beyond(status)?);
    let held = HeldProgram { program: program.as_raw_fd(), extra: [job.as_raw_fd(), status.as_raw_fd()] };
    let spawned = spawn_held(&launcher, Some(held))?;
    Ok((spawned, prepared.launched()))
}

/// A copy whose number can't be overwritten while others are put in their places.
fn beyond_places(descriptor: impl AsFd) -> rustix::io::Result<OwnedFd> {
    fcntl_dupfd_cloexec(descriptor, FIRST_FREE + 1)
}

fn setup(error: rustix::io::Errno) -> SpawnError {
    SpawnError::Setup { stage: Stage::Descriptors, errno: error.raw_os_error() }
}

/// A launcher that has said its last word is about to end; it is waited for and reaped.
fn bury(spawned: &Spawned) {
    wait_for(&spawned.child);
}

fn failure(command: &Command, error: sandbox::WaitError) -> SpawnError {
    let sandbox::WaitError::Failed(failure) = error else {
        return SpawnError::Confinement(error.to_string());
    };
    let errno = failure.errno;
    match failure.stage {
        sandbox::Stage::WorkingDirectory => SpawnError::WorkingDirectory { path: command.cwd.clone(), errno },
        sandbox::Stage::Program => {
            let candidate = failure.detail.parse().unwrap_or(0);
            match Image::new(command) {
                Ok(image) => SpawnError::Program { path: image.blame(candidate, errno), errno },
                Err(error) => error,
            }
        }
        _ => SpawnError::Confinement(format!("failed to {failure}")),
    }
}
