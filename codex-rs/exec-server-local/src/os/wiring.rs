//! Both ends of a child's first three descriptors.
//!
//! Owns which end is blocking (the child's, as programs expect), which is not (ours), and that none of them
//! leaks into another child: every descriptor is born close-on-exec.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

use super::command::{Stdin, Stdio};
use super::error::{SpawnError, Stage};
use super::pty;

/// Where a child's output arrives.
#[derive(Debug)]
pub enum Output {
    /// One pipe per stream.
    Pipes {
        /// The child's descriptor 1.
        stdout: OwnedFd,
        /// The child's descriptor 2.
        stderr: OwnedFd,
    },
    /// Both streams on one terminal; input is written to it as well.
    Pty {
        /// Our side of the terminal.
        master: OwnedFd,
    },
}

/// Descriptors of a child about to be born. The child's ends are closed here when this is dropped.
pub(super) struct Wiring {
    pub(super) child: ChildEnds,
    /// Our end of the child's stdin, when it is a pipe.
    pub(super) stdin: Option<OwnedFd>,
    /// Our end of what the child writes.
    pub(super) output: Output,
}

/// The child's ends, each with a number of at least 3.
pub(super) enum ChildEnds {
    Pipes { stdin: Option<OwnedFd>, stdout: OwnedFd, stderr: OwnedFd },
    Pty(OwnedFd),
}

impl Wiring {
    pub(super) fn open(stdio: Stdio) -> Result<Self, SpawnError> {
        match stdio {
            Stdio::Pipes { stdin } => Self::pipes(stdin).map_err(at(Stage::Pipe)),
            Stdio::Pty(size) => Self::pty(size).map_err(at(Stage::Terminal)),
        }
    }

    fn pipes(stdin: Stdin) -> io::Result<Self> {
        let (child_stdin, our_stdin) = match stdin {
            Stdin::Null => (None, None),
            Stdin::Pipe => {
                let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
                fcntl_setfl(&write, OFlags::NONBLOCK)?;
                (Some(above_stdio(read)?), Some(write))
            }
        };
        let (our_stdout, stdout) = output_pipe()?;
        let (our_stderr, stderr) = output_pipe()?;
        Ok(Self {
            child: ChildEnds::Pipes { stdin: child_stdin, stdout, stderr },
            stdin: our_stdin,
            output: Output::Pipes { stdout: our_stdout, stderr: our_stderr },
        })
    }

    fn pty(size: pty::Size) -> io::Result<Self> {
        let (master, slave) = pty::open(size)?;
        Ok(Self { child: ChildEnds::Pty(above_stdio(slave)?), stdin: None, output: Output::Pty { master } })
    }

    /// Whether the child's stdin is a terminal of its own.
    pub(super) fn is_terminal(&self) -> bool {
        matches!(self.child, ChildEnds::Pty(_))
    }
}

impl ChildEnds {
    /// What the child is to have as 0, 1 and 2; no stdin means `/dev/null`.
    pub(super) fn by_number(&self) -> (Option<BorrowedFd<'_>>, BorrowedFd<'_>, BorrowedFd<'_>) {
        match self {
            Self::Pipes { stdin, stdout, stderr } => {
                (stdin.as_ref().map(|stdin| stdin.as_fd()), stdout.as_fd(), stderr.as_fd())
            }
            Self::Pty(slave) => (Some(slave.as_fd()), slave.as_fd(), slave.as_fd()),
        }
    }
}

/// Our end first.
fn output_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    fcntl_setfl(&read, OFlags::NONBLOCK)?;
    Ok((read, above_stdio(write)?))
}

/// Makes a pipe hold `bytes`, or a little more.
///
/// # Errors
/// `EPERM` when that is more than this user may have, in this pipe or in all together.
pub fn widen_pipe(pipe: impl AsFd, bytes: usize) -> io::Result<()> {
    fcntl_setpipe_size(pipe, bytes)?;
    Ok(())
}

/// The same with a number of at least 3. It has a lower one only when the server itself runs with
/// some of 0, 1 and 2 closed; the child could then overwrite one of its ends while placing another.
fn above_stdio(descriptor: OwnedFd) -> io::Result<OwnedFd> {
    if descriptor.as_raw_fd() > 2 { Ok(descriptor) } else { Ok(fcntl_dupfd_cloexec(descriptor, 3)?) }
}

fn at(stage: Stage) -> impl Fn(io::Error) -> SpawnError {
    move |error| SpawnError::Setup { stage, errno: error.raw_os_error().unwrap_or(libc::EIO) }
}
