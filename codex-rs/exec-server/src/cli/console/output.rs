//! A process's events, played to standard output and standard error.

use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, BorrowedFd};

use bytes::{Buf, Bytes};
use codex_exec_server_client::Events;
use codex_exec_server_core::process_event::ExecProcessEvent;
use codex_exec_server_protocol::ids::Seq;
use codex_exec_server_protocol::process::OutputStream;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{SFlag, fstat};

use super::Outcome;
use crate::cli::lines::Line;
use crate::cli::teller::{self, Teller};

/// A pipe that polls as writable takes this much without blocking.
const PIPE_ATOM: usize = 4096;

/// Where a process's output goes.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) enum Screen {
    /// Each stream to its own: standard output, standard error.
    Streams,
    /// Every event as a line of JSON, to standard output.
    Lines,
}

/// Writes output as it comes until the process is closed, or until the event at `until` was written.
///
/// Output that nobody takes holds up the connection and in the end the process, as a pipe does. Takes the events with
/// it when it ends, so that what is said to the server afterwards is not held up.
pub(in crate::cli) async fn play(
    mut events: Events,
    screen: Screen,
    until: Option<Seq>,
    teller: Teller,
) -> Outcome {
    let (stdout, stderr) = (Sink::new(Target::Stdout), Sink::new(Target::Stderr));
    let mut exit = None;
    let mut complete = true;
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) => return Outcome::Lost(error),
        };
        let (sink, bytes) = match (screen, &event) {
            (Screen::Lines, event) => (&stdout, Line::from(event).to_bytes()),
            (Screen::Streams, ExecProcessEvent::Output { stream, bytes, .. }) => match stream {
                OutputStream::Stdout | OutputStream::Pty => (&stdout, bytes.clone()),
                OutputStream::Stderr => (&stderr, bytes.clone()),
            },
            (Screen::Streams, ExecProcessEvent::Gap { bytes, .. }) => {
                tell_gap(*bytes, teller);
                (&stdout, Bytes::new())
            }
            (Screen::Streams, ExecProcessEvent::Exited { .. } | ExecProcessEvent::Closed { .. }) => {
                (&stdout, Bytes::new())
            }
        };
        match sink.write(bytes).await {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Outcome::BrokenPipe,
            Err(error) => return Outcome::OutputFailed(error),
        }
        match &event {
            ExecProcessEvent::Gap { .. } => complete = false,
            ExecProcessEvent::Exited { exit: how, .. } => exit = Some(how.clone()),
            ExecProcessEvent::Output { .. } | ExecProcessEvent::Closed { .. } => {}
        }
        if until.is_some_and(|until| event.seq() >= until) {
            break;
        }
    }
    Outcome::Ended { exit, complete }
}

fn tell_gap(bytes: Option<u64>, teller: Teller) {
    match bytes {
        Some(bytes) => teller.tell(format_args!("{bytes} bytes of output are missing here")),
        None => teller.tell(format_args!("some output is missing here")),
    }
}

/// Which of the two.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) enum Target {
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
pub(in crate::cli) struct Sink {
    target: Target,
    kind: SFlag,
    /// Words of ours are seen between what is written here.
    told_here: bool,
}

impl Sink {
    pub(in crate::cli) fn new(target: Target) -> Self {
        let kind = target
            .with(|fd| fstat(fd).map_or(SFlag::empty(), |stat| SFlag::from_bits_truncate(stat.st_mode)));
        let told_here = match target {
            Target::Stdout => io::stdout().is_terminal() && io::stderr().is_terminal(),
            Target::Stderr => true,
        };
        Self { target, kind: kind & SFlag::S_IFMT, told_here }
    }

    /// Writes everything. What may block is done by another thread, so that signals and the connection go on.
    pub(in crate::cli) async fn write(&self, bytes: Bytes) -> io::Result<()> {
        let Some(last) = bytes.last().copied() else { return Ok(()) };
        let target = self.target;
        if self.told_here {
            // Until all of it is written; a line of it may be half there.
            teller::left_within_line(/*unfinished*/ true);
        }
        let written = if self.takes_at_once(bytes.len()) {
            target.with(|fd| write_all(fd, bytes))
        } else {
            tokio::task::spawn_blocking(move || target.with(|fd| write_all(fd, bytes)))
                .await
                .map_err(io::Error::other)?
        };
        if self.told_here && last == b'\n' {
            teller::left_within_line(/*unfinished*/ false);
        }
        written
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
