//! A process's events, played to standard output and standard error.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use bytes::{Buf, Bytes};
use codex_exec_server_client::{Events, ExecProcessEvent, Exit, ProcessError};
use codex_exec_server_protocol::process::OutputStream;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{SFlag, fstat};

use super::Teller;

/// A pipe that polls as writable takes this much without blocking.
const PIPE_ATOM: usize = 4096;

/// How it went.
pub(super) enum Finish {
    /// The process ended and everything that was delivered is written. `complete`: nothing is missing.
    Ended { exit: Option<Exit>, complete: bool },
    /// Nobody reads what we write.
    BrokenPipe,
    /// Output can't be written.
    OutputFailed(io::Error),
    /// The process can't be followed any more.
    Lost(ProcessError),
}

/// Writes output as it comes, each stream to its own, until the process is closed.
///
/// Output that nobody takes holds up the connection and in the end the process, as a pipe does. Takes the events with
/// it when it ends, so that what is said to the server afterwards is not held up.
pub(super) async fn play(mut events: Events, teller: Teller) -> Finish {
    let (stdout, stderr) = (Sink::new(Target::Stdout), Sink::new(Target::Stderr));
    let mut exit = None;
    let mut complete = true;
    while let Some(event) = events.next().await {
        match event {
            Ok(ExecProcessEvent::Output { stream, bytes, .. }) => {
                let sink = match stream {
                    OutputStream::Stdout | OutputStream::Pty => &stdout,
                    OutputStream::Stderr => &stderr,
                };
                match sink.write(bytes).await {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Finish::BrokenPipe,
                    Err(error) => return Finish::OutputFailed(error),
                }
            }
            Ok(ExecProcessEvent::Gap { bytes, .. }) => {
                complete = false;
                match bytes {
                    Some(bytes) => teller.tell(format_args!("{bytes} bytes of output are missing here")),
                    None => teller.tell(format_args!("some output is missing here")),
                }
            }
            Ok(ExecProcessEvent::Exited { exit: how, .. }) => exit = Some(how),
            Ok(ExecProcessEvent::Closed { .. }) => {}
            Err(error) => return Finish::Lost(error),
        }
    }
    Finish::Ended { exit, complete }
}

#[derive(Debug, Clone, Copy)]
enum Target {
    Stdout,
    Stderr,
}

impl Target {
    fn with<T>(self, act: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
        match self {
            Self::Stdout => act(io::stdout().as_fd()),
            Self::Stderr => act(io::stderr().as_fd()),
        }
    }
}

/// One of the two streams, written to directly: what a process said is not ours to buffer.
struct Sink {
    target: Target,
    kind: SFlag,
}

impl Sink {
    fn new(target: Target) -> Self {
        let kind = target
            .with(|fd| fstat(fd).map_or(SFlag::empty(), |stat| SFlag::from_bits_truncate(stat.st_mode)));
        Self { target, kind: kind & SFlag::S_IFMT }
    }

    /// Writes everything. What may block is done by another thread, so that signals and the connection go on.
    async fn write(&self, bytes: Bytes) -> io::Result<()> {
        let target = self.target;
        if self.takes_at_once(bytes.len()) {
            return target.with(|fd| write_all(fd, bytes));
        }
        tokio::task::spawn_blocking(move || target.with(|fd| write_all(fd, bytes)))
            .await
            .map_err(io::Error::other)?
    }

    fn takes_at_once(&self, len: usize) -> bool {
        if self.kind == SFlag::S_IFREG {
            return true;
        }
        self.kind == SFlag::S_IFIFO
            && len <= PIPE_ATOM
            && self.target.with(|fd| {
                let mut polled = [PollFd::new(fd, PollFlags::POLLOUT)];
                poll(&mut polled, PollTimeout::ZERO) == Ok(1)
            })
    }
}

fn write_all(fd: BorrowedFd<'_>, mut bytes: Bytes) -> io::Result<()> {
    while !bytes.is_empty() {
        match nix::unistd::write(fd, &bytes) {
            Ok(written) => bytes.advance(written),
            Err(Errno::EINTR) => {}
            // Whoever gave us the stream made it non-blocking.
            Err(Errno::EAGAIN) => {
                let mut polled = [PollFd::new(fd, PollFlags::POLLOUT)];
                match poll(&mut polled, PollTimeout::NONE) {
                    Ok(_) | Err(Errno::EINTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
