//! One output stream of a process: when it is read, and how much at a time.
//!
//! A quiet stream is watched: the runtime is woken as soon as there is something. A flood is polled, as network
//! drivers do it: a program that writes a gigabyte in pieces of 4 KiB would otherwise wake this server, and through it
//! the client, for every piece, which costs more than the piece. So what it writes within a fifth of a millisecond is
//! read together. Whatever comes first, or alone, or last is never waited for: polling begins in the middle of a flood
//! and ends when the flood slackens, and the end of the process is watched by itself.
//!
//! A flood takes all the time that there is, and then whoever says little waits for it three times: to be heard, for the
//! program that answers, and to be told. So while somebody speaks beside a flood on its connection, less of it is read at a
//! time, after whoever else has something, and then it is left alone for longer than that took.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use codex_exec_server_protocol::process::OutputStream;
use tokio::io::Interest;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};

use super::Process;
use super::watch::watch;
use crate::os;

/// Read at once. As much as a new pipe holds.
const READ_BYTES: usize = 64 << 10;
/// Reads in a row before other tasks get their turn; as much as stays in a processor's cache until it was sent.
const READS_PER_TURN: usize = 4;
/// The same of a flood that is polled and alone: nearly all that its pipe holds. The less often its program and this server
/// take turns on a processor, the better, and half of that still is in the cache.
const READS_PER_FLOOD_TURN: usize = 7;
/// Reads that are sure to empty what nobody writes to any more: a pipe, or a terminal, which holds as much as a pipe and
/// gives a sixteenth at a time.
const READS_OF_ALL: usize = 17;
const _: () = assert!(READS_OF_ALL * READ_BYTES > FLOOD_PIPE_BYTES);

/// How long a flood is left alone.
const INTERVAL: Duration = Duration::from_micros(200);
/// The same while somebody speaks beside it, and behind each read: longer than it takes to read and to send that. This still
/// is some 300 MB/s.
const INTERVAL_BESIDE_OTHERS: Duration = Duration::from_micros(150);
/// After so many of these it is too late for one read: reading and sending alone takes one or two.
const LATE_INTERVALS: u128 = 4;
/// So much within an interval makes a flood: 40 MB/s.
const FLOOD_BYTES: usize = 8 << 10;
/// The rate of a watched stream is taken over so many bytes, so that a short burst does not make a flood.
const METERED_BYTES: usize = 128 << 10;
/// After so much there is sure to be more already, so a flood that keeps the server busy is not left alone at all.
const BUSY_BYTES: usize = 128 << 10;
/// What the pipe of a flood is made to hold, so that the process does not have to wait meanwhile. Linux lets each user
/// have 128 pipes of this size before it makes new ones small.
const FLOOD_PIPE_BYTES: usize = 512 << 10;

thread_local! {
    /// Shared by all processes that this thread reads from, so that an idle process holds no buffer.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    /// What this thread reads floods through, from the first on. Empty between two turns.
    static SLUICE: RefCell<Option<os::Sluice>> = const { RefCell::new(None) };
}

/// See the module.
pub(super) struct Tap {
    fd: Arc<OwnedFd>,
    stream: OutputStream,
    /// Becomes readable when it is time to read: the stream itself, or a timer.
    alarm: AsyncFd<Arc<OwnedFd>>,
    timing: Timing,
}

/// What tells that it is time to read.
enum Timing {
    /// The stream itself.
    Watched { since: Instant, bytes_since: usize },
    /// The stream itself, however much it says: a terminal, or a pipe that must stay small.
    AlwaysWatched,
    /// Now, or a timer. Left alone since then, if it is.
    Polled { now: bool, bytes: usize, since: Instant },
}

/// Whether to read on until the stream says itself that there is nothing more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Thorough {
    Yes,
    No,
}

/// Who is there beside a flood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beside {
    /// Nobody whom it might keep waiting.
    Nobody,
    /// Somebody who says little on the same connection.
    Others,
}

/// Why reading stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    /// Nothing more right now.
    Empty,
    /// The log has no room.
    NoRoom,
    /// There may be more, but it is others' turn.
    Turn,
    /// Nothing more ever.
    End,
}

impl Tap {
    /// Reads `fd`, which is non-blocking, as a process's `stream`.
    pub(super) fn new(fd: OwnedFd, stream: OutputStream) -> io::Result<Self> {
        let fd = Arc::new(fd);
        let timing = match stream {
            OutputStream::Pty => Timing::AlwaysWatched,
            OutputStream::Stdout | OutputStream::Stderr => {
                Timing::Watched { since: Instant::now(), bytes_since: 0 }
            }
        };
        Ok(Self { alarm: watch(Arc::clone(&fd), Interest::READABLE)?, fd, stream, timing })
    }

    /// Whether it is time to read already.
    pub(super) fn is_due(&self) -> bool {
        matches!(self.timing, Timing::Polled { now: true, .. })
    }

    /// Resolves when it is time to read. The guard, if any, is to be cleared when nothing is left.
    pub(super) async fn ready(&self) -> io::Result<Option<AsyncFdReadyGuard<'_, Arc<OwnedFd>>>> {
        if self.is_due() { Ok(None) } else { self.alarm.readable().await.map(Some) }
    }

    /// Reads one turn's worth into the log of `process`. Tells also how many bytes that was.
    pub(super) fn read_turn(&self, process: &Arc<Process>, beside: Beside) -> (Stopped, usize) {
        let reads = match (beside, &self.timing) {
            (Beside::Nobody, Timing::Polled { .. }) => READS_PER_FLOOD_TURN,
            (Beside::Nobody, _) => READS_PER_TURN,
            // On a machine that is busy with something else the alarm comes much too late; then there is more to make up for.
            (Beside::Others, Timing::Polled { since, .. }) => {
                let late =
                    since.elapsed().as_micros() / (LATE_INTERVALS * INTERVAL_BESIDE_OTHERS.as_micros());
                usize::try_from(late).unwrap_or(READS_PER_TURN).clamp(1, READS_PER_TURN)
            }
            (Beside::Others, _) => 1,
        };
        self.read(process, reads, Thorough::No)
    }

    /// Whether it is a flood that comes after everybody else who has something at this moment.
    pub(super) fn comes_last(&self, beside: Beside) -> bool {
        beside == Beside::Others && matches!(self.timing, Timing::Polled { .. })
    }

    /// Whether what told that it was time to read is to tell it anew: nothing is left, or what is left has time.
    pub(super) fn is_to_rest(&self, stopped: Stopped, beside: Beside) -> bool {
        stopped == Stopped::Empty || (stopped == Stopped::Turn && self.comes_last(beside))
    }

    /// Reads what is there at this moment, as far as the log has room, and looks whether the stream has ended.
    pub(super) fn read_all(&self, process: &Arc<Process>) -> Stopped {
        self.read(process, READS_OF_ALL, Thorough::Yes).0
    }

    fn read(&self, process: &Arc<Process>, reads: usize, thorough: Thorough) -> (Stopped, usize) {
        if thorough == Thorough::No
            && matches!(self.timing, Timing::Polled { .. })
            && let Some(read) =
                self.read_taken(process, (reads * READ_BYTES).min(process.taken_at_once().max(READ_BYTES)))
        {
            return read;
        }
        self.read_each(process, reads, thorough)
    }

    /// Takes a turn of a flood out of its pipe at once, so that its program writes on while that is read. `None` where this
    /// can't be done: nothing was taken then.
    fn read_taken(&self, process: &Arc<Process>, bytes: usize) -> Option<(Stopped, usize)> {
        SLUICE.with_borrow_mut(|slot| {
            let sluice = match slot {
                Some(sluice) => sluice,
                None => slot.insert(os::Sluice::new(FLOOD_PIPE_BYTES).ok()?),
            };
            let taken = loop {
                match sluice.take(&self.fd, bytes) {
                    Ok(0) => return Some((Stopped::End, 0)),
                    Ok(taken) => break taken,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        return Some((Stopped::Empty, 0));
                    }
                    Err(_) => return None,
                }
            };
            // The log may have no room left in the midst of this.
            while sluice.held() > 0 {
                match read_chunk(|scratch| sluice.append(scratch)) {
                    Ok(Some(bytes)) if !bytes.is_empty() => process.push_output(self.stream, bytes),
                    outcome => {
                        // What it holds may not be taken for another's.
                        *slot = None;
                        let stream = self.stream.as_str();
                        tracing::error!(process = %process.id, stream, ?outcome, "output was lost in a pipe");
                        return Some((Stopped::End, taken));
                    }
                }
            }
            // A pipe that gives less than was asked for is empty.
            Some((if taken < bytes { Stopped::Empty } else { Stopped::Turn }, taken))
        })
    }

    fn read_each(&self, process: &Arc<Process>, reads: usize, thorough: Thorough) -> (Stopped, usize) {
        let mut total = 0;
        for read in 0..reads {
            if read > 0 && process.must_wait().is_some() {
                return (Stopped::NoRoom, total);
            }
            match read_chunk(|scratch| os::append_output(&self.fd, scratch)) {
                Ok(Some(bytes)) if bytes.is_empty() => return (Stopped::End, total),
                Ok(Some(bytes)) => {
                    let short = bytes.len() < READ_BYTES;
                    total += bytes.len();
                    process.push_output(self.stream, bytes);
                    // A pipe that gives less than was asked for is empty. A terminal may hold another line.
                    if short && self.stream != OutputStream::Pty && thorough == Thorough::No {
                        return (Stopped::Empty, total);
                    }
                }
                Ok(None) => return (Stopped::Empty, total),
                Err(error) => {
                    let stream = self.stream.as_str();
                    tracing::warn!(process = %process.id, stream, %error, "output can't be read");
                    return (Stopped::End, total);
                }
            }
        }
        (Stopped::Turn, total)
    }

    /// Takes note of a turn that was read, and decides what tells when the next one is due.
    pub(super) fn settle(&mut self, stopped: Stopped, bytes: usize, beside: Beside) {
        let rests = self.is_to_rest(stopped, beside);
        match &mut self.timing {
            Timing::AlwaysWatched => {}
            Timing::Watched { since, bytes_since } => {
                *bytes_since += bytes;
                // Where there is always more, a flood need not be left alone for anybody's sake but others'.
                let is_meant = stopped == Stopped::Empty || beside == Beside::Others;
                if is_meant && *bytes_since >= METERED_BYTES {
                    let intervals = since.elapsed().as_secs_f64() / INTERVAL.as_secs_f64();
                    let is_flood = *bytes_since as f64 >= intervals * FLOOD_BYTES as f64;
                    (*since, *bytes_since) = (Instant::now(), 0);
                    if is_flood && let Err(error) = self.poll() {
                        tracing::debug!(%error, "a flood stays watched");
                        self.timing = Timing::AlwaysWatched;
                    }
                }
            }
            Timing::Polled { now, bytes: sum, since } => {
                *sum += bytes;
                if !rests {
                    return;
                }
                let slackens = !*now && *sum < FLOOD_BYTES;
                let (is_busy, interval) = match beside {
                    Beside::Nobody => (*sum >= BUSY_BYTES, INTERVAL),
                    Beside::Others => (false, INTERVAL_BESIDE_OTHERS),
                };
                (*now, *sum, *since) = (is_busy, 0, Instant::now());
                // A stream that can't be watched is polled on.
                if is_busy || (slackens && self.watch().is_ok()) {
                    return;
                }
                if let Err(error) = os::arm_timer(self.alarm.get_ref(), interval) {
                    tracing::error!(%error, "a timer can't be armed");
                }
            }
        }
    }

    /// From watched to polled.
    fn poll(&mut self) -> io::Result<()> {
        os::widen_pipe(&self.fd, FLOOD_PIPE_BYTES)?;
        let timer = os::timer()?;
        os::arm_timer(&timer, INTERVAL)?;
        self.alarm = watch(Arc::new(timer), Interest::READABLE)?;
        self.timing = Timing::Polled { now: false, bytes: 0, since: Instant::now() };
        Ok(())
    }

    /// From polled to watched.
    fn watch(&mut self) -> io::Result<()> {
        self.alarm = watch(Arc::clone(&self.fd), Interest::READABLE)?;
        self.timing = Timing::Watched { since: Instant::now(), bytes_since: 0 };
        Ok(())
    }
}

/// One read by `append`: bytes, no bytes at the end, or nothing right now.
fn read_chunk(mut append: impl FnMut(&mut Vec<u8>) -> io::Result<usize>) -> io::Result<Option<Vec<u8>>> {
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.clear();
        scratch.reserve_exact(READ_BYTES);
        loop {
            match append(scratch) {
                // Much is given away where it is; little is copied, so that it takes no more memory than its size.
                Ok(read) if read >= READ_BYTES / 2 => return Ok(Some(std::mem::take(scratch))),
                Ok(_) => return Ok(Some(scratch.clone())),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    })
}
