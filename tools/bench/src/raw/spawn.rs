//! Spawning with both output streams on pipes, and the raw side of a single command.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Instant;

use nix::fcntl::OFlag;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, posix_spawn};
use nix::sys::stat::Mode;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions, waitpid};

use crate::error::BenchError;
use crate::lanes::Probe;

/// A program with its arguments and no environment, ready to be spawned often.
pub(crate) struct Program {
    argv: Vec<CString>,
    environment: Vec<CString>,
}

/// A child whose output comes through these, and whose stdin is `/dev/null` or this.
pub(crate) struct Piped {
    pub(crate) pid: Pid,
    pub(crate) stdin: Option<OwnedFd>,
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
}

/// What a child reads.
#[derive(Clone, Copy)]
pub(crate) enum Stdin {
    Null,
    Pipe,
}

impl Program {
    /// `argv[0]` is a path; nothing is searched.
    pub(crate) fn new<W: AsRef<str>>(argv: &[W]) -> Result<Self, BenchError> {
        let argv: Result<Vec<_>, _> = argv.iter().map(|word| CString::new(word.as_ref())).collect();
        let argv = argv.map_err(BenchError::raw("arguments"))?;
        if argv.is_empty() {
            return Err(BenchError::raw("arguments")(io::Error::from(io::ErrorKind::InvalidInput)));
        }
        Ok(Self { argv, environment: Vec::new() })
    }

    pub(crate) fn with_path(mut self) -> Self {
        self.environment.push(c"PATH=/usr/local/bin:/usr/bin:/bin".to_owned());
        self
    }

    pub(crate) fn spawn_piped(&self, stdin: Stdin) -> Result<Piped, BenchError> {
        let (stdout, child_stdout) = pipe_with(PipeFlags::CLOEXEC).map_err(BenchError::raw("pipe"))?;
        let (stderr, child_stderr) = pipe_with(PipeFlags::CLOEXEC).map_err(BenchError::raw("pipe"))?;
        let fail = BenchError::raw::<nix::errno::Errno>;
        let mut actions = PosixSpawnFileActions::init().map_err(fail("posix_spawn"))?;
        let ends = match stdin {
            Stdin::Null => None,
            Stdin::Pipe => Some(pipe_with(PipeFlags::CLOEXEC).map_err(BenchError::raw("pipe"))?),
        };
        match &ends {
            None => actions.add_open(0, c"/dev/null", OFlag::O_RDONLY, Mode::empty()),
            Some((child_stdin, _)) => actions.add_dup2(child_stdin.as_raw_fd(), 0),
        }
        .map_err(fail("posix_spawn"))?;
        actions.add_dup2(child_stdout.as_raw_fd(), 1).map_err(fail("posix_spawn"))?;
        actions.add_dup2(child_stderr.as_raw_fd(), 2).map_err(fail("posix_spawn"))?;
        let pid = self.spawn(&actions)?;
        Ok(Piped { pid, stdin: ends.map(|(_, stdin)| stdin), stdout, stderr })
    }

    /// Spawns with `terminal` as all three standard streams.
    pub(crate) fn spawn_on(&self, terminal: impl AsFd) -> Result<Pid, BenchError> {
        let fail = BenchError::raw::<nix::errno::Errno>;
        let mut actions = PosixSpawnFileActions::init().map_err(fail("posix_spawn"))?;
        for stream in 0..3 {
            actions.add_dup2(terminal.as_fd().as_raw_fd(), stream).map_err(fail("posix_spawn"))?;
        }
        self.spawn(&actions)
    }

    fn spawn(&self, actions: &PosixSpawnFileActions) -> Result<Pid, BenchError> {
        let fail = BenchError::raw::<nix::errno::Errno>;
        let attributes = PosixSpawnAttr::init().map_err(fail("posix_spawn"))?;
        let pid = posix_spawn(self.argv[0].as_c_str(), actions, &attributes, &self.argv, &self.environment)
            .map_err(fail("posix_spawn"))?;
        Pid::from_raw(pid.as_raw()).ok_or_else(|| fail("posix_spawn")(nix::errno::Errno::ESRCH))
    }
}

/// Waits for the end of `pid`.
pub(crate) fn reap(pid: Pid) -> Result<(), BenchError> {
    loop {
        match waitpid(Some(pid), WaitOptions::empty()) {
            Err(Errno::INTR) => {}
            Err(error) => return Err(BenchError::raw("waitpid")(error)),
            Ok(_) => return Ok(()),
        }
    }
}

/// Microseconds from spawn to the end of both streams and of the child.
pub(crate) struct RawOneShot {
    program: Program,
}

impl RawOneShot {
    pub(crate) fn open(argv: &[&str]) -> Result<Self, BenchError> {
        Ok(Self { program: Program::new(argv)? })
    }
}

impl Probe for RawOneShot {
    fn sample(&mut self) -> Result<f64, BenchError> {
        let started = Instant::now();
        let child = self.program.spawn_piped(Stdin::Null)?;
        drain(&[&child.stdout, &child.stderr])?;
        reap(child.pid)?;
        Ok(started.elapsed().as_secs_f64() * 1e6)
    }
}

/// Reads all of `streams` to their ends.
fn drain(streams: &[&OwnedFd]) -> Result<(), BenchError> {
    let mut buffer = [0; 8192];
    let mut open = streams.to_vec();
    while !open.is_empty() {
        let mut ready: Vec<_> = open.iter().map(|stream| PollFd::new(*stream, PollFlags::IN)).collect();
        poll(&mut ready, None).map_err(BenchError::raw("poll"))?;
        let ready: Vec<bool> = ready.iter().map(|stream| !stream.revents().is_empty()).collect();
        let mut ended = Vec::new();
        for (stream, _) in open.iter().zip(ready).filter(|(_, ready)| *ready) {
            if rustix::io::read(stream, &mut buffer).map_err(BenchError::raw("read"))? == 0 {
                ended.push(stream.as_raw_fd());
            }
        }
        open.retain(|stream| !ended.contains(&stream.as_raw_fd()));
    }
    Ok(())
}
