//! Starting a program in a sandbox.
//!
//! What is born is the launcher; the program is its child. Owns what that means for a start: it is over when the program
//! runs, the child that is handed out stands for both, and an error names what would be named without a sandbox.

use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

use codex_linux_sandbox as sandbox;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::fcntl_dupfd_cloexec;

use super::birth::{FIRST_FREE, HeldProgram};
use super::carried::Carried;
use super::child::Child;
use super::command::Command;
use super::error::{SpawnError, Stage};
use super::image::{Image, candidates};
use super::mark::Mark;
use super::spawn::{Spawned, resource_of, spawn_held};

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
    let (spawned, running) = spawn_launcher(command, prepared, Mark::fresh())?;
    confined(command, spawned, running)
}

pub(super) fn confined(
    command: &Command,
    spawned: Spawned,
    running: sandbox::Running,
) -> Result<Confined, SpawnError> {
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

/// Lets a launcher try what must fail in a sandbox: the names of what did not.
///
/// # Errors
/// Why there is no sandbox at all.
pub(crate) fn try_sandbox(prepared: sandbox::Prepared) -> Result<Vec<String>, SpawnError> {
    let nothing = Command::new(["sandbox"], "/");
    let (spawned, running) = spawn_launcher(&nothing, prepared, Mark::fresh())?;
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
    let (spawned, running) = spawn_launcher(&nothing, prepared, Mark::fresh())?;
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

pub(super) fn spawn_launcher(
    command: &Command,
    prepared: sandbox::Prepared,
    mark: Mark,
) -> Result<(Spawned, sandbox::Running), SpawnError> {
    // The launcher's own words and environment are constant: the request's are data to it.
    let name = sandbox::NAME.to_bytes();
    let launcher = Command {
        stdio: command.stdio,
        group: command.group.clone(),
        ..Command::new([std::ffi::OsStr::from_bytes(name)], "/")
    };
    let beyond = |descriptor| beyond_places(descriptor).map_err(setup);
    let program = beyond(prepared.launcher())?;
    let [job, status] = prepared.descriptors();
    let (job, status) = (beyond(job)?, beyond(status)?);
    let held = HeldProgram { program: program.as_raw_fd(), extra: [job.as_raw_fd(), status.as_raw_fd()] };
    let spawned = spawn_held(&launcher, Some(held), mark)?;
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
