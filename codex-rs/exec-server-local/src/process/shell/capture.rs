//! Asking a login shell what its files have left, and trying whether another shell can be told.
//!
//! Login files are programs like any other: they may hang, print without end, end the shell, or leave children that hold
//! its output. So asking has a bound on time and on what is kept, what comes before the answer is passed over, and what
//! comes behind it is not waited for. They run under whatever confines the command: one that was confined may have written
//! them.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use codex_exec_server_core::error::ServiceError;
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::Snapshot;
use super::dialect::{Dialect, State};
use crate::env::Environment;
use crate::os;
use crate::process::host::ProcessHost;
use crate::process::start::{self, Born, Confinement};
use crate::process::watch::{watch, watch_child};

/// Read at once.
const READ_BYTES: usize = 16 << 10;
/// What is kept of a shell's complaints.
const COMPLAINT_BYTES: usize = 200;

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub(super) enum CaptureError {
    #[error("the shell can't be started: {0}")]
    Start(ServiceError),
    #[error("login files did not end within {} ms", .0.as_millis())]
    Slow(std::time::Duration),
    #[error("what they leave takes more than {0} bytes")]
    Large(usize),
    #[error("login files ended the shell with {code}: {complaint}")]
    Ended { code: i32, complaint: String },
    #[error("the shell's answer is not understood")]
    Unclear,
    #[error("another shell can't be told: {0}")]
    Untold(String),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the session has ended")]
    SessionEnded,
}

/// A snapshot that is to be taken.
pub(super) struct Capture {
    host: Arc<ProcessHost>,
    dialect: Dialect,
    /// `[shell, "-lc", command, …]`, the command being of no interest.
    command: os::Command,
    confinement: Option<Confinement>,
}

/// A snapshot of what login files leave to `command`.
pub(super) const fn capture(
    host: Arc<ProcessHost>,
    dialect: Dialect,
    command: os::Command,
    confinement: Option<Confinement>,
) -> Capture {
    Capture { host, dialect, command, confinement }
}

impl Capture {
    /// Takes it, unless the session ends.
    pub(super) async fn run(self, ended: CancellationToken) -> Result<Snapshot, CaptureError> {
        let deadline = Instant::now() + self.host.limits.shell.snapshot_wait;
        let nonce = nonce()?;
        let answer = self.ask(self.asking(self.dialect.question(&nonce)), &nonce, deadline, &ended).await?;
        let state = self.dialect.state(&answer.text).ok_or(CaptureError::Unclear)?;
        let snapshot = self.snapshot(state)?;
        // What a shell prints of itself is not always what it can read: that is found out before anything depends on it.
        let mut trial = self.asking(format!("\\command printf '%s\\0%s' {nonce} {nonce}"));
        snapshot.restore(&mut trial, &[].into());
        let answer = self.ask(trial, &nonce, deadline, &ended).await?;
        if answer.complaint.is_empty() { Ok(snapshot) } else { Err(CaptureError::Untold(answer.complaint)) }
    }

    /// The command with another script, and without a terminal or anything to read.
    fn asking(&self, script: String) -> os::Command {
        let mut argv = self.command.argv.clone();
        argv.truncate(2);
        argv.push(script.into());
        let stdio = os::Stdio::Pipes { stdin: os::Stdin::Null };
        os::Command { argv, stdio, ..self.command.clone() }
    }

    fn snapshot(&self, state: State) -> Result<Snapshot, CaptureError> {
        let before: Environment = self.command.env.iter().cloned().collect();
        let State { script, env, has_aliases } = state;
        let unset = before.keys().filter(|name| !env.contains_key(*name) && !self.dialect.is_own(name));
        let unset = unset.cloned().collect();
        let set = env.into_iter().filter(|(name, value)| before.get(name) != Some(value)).collect();
        let file = os::Carried::new(&script)?;
        Ok(Snapshot { dialect: self.dialect, file, has_aliases, set, unset })
    }

    /// Runs `command` to its end, and gives what it said between the `nonce`s.
    async fn ask(
        &self,
        command: os::Command,
        nonce: &str,
        deadline: Instant,
        ended: &CancellationToken,
    ) -> Result<Answer, CaptureError> {
        let (host, confinement) = (Arc::clone(&self.host), self.confinement.clone());
        let born = tokio::task::spawn_blocking(move || start::spawn(&host, &command, confinement)).await;
        let Born { spawned, held, .. } = born.map_err(io::Error::other)?.map_err(CaptureError::Start)?;
        let child = Arc::new(spawned.child);
        let limits = self.host.limits.shell;
        let answer = tokio::select! {
            answer = timeout_at(deadline, listen(&child, spawned.output, nonce, limits.snapshot_bytes)) => {
                answer.unwrap_or(Err(CaptureError::Slow(limits.snapshot_wait)))
            }
            () = ended.cancelled() => Err(CaptureError::SessionEnded),
        };
        if answer.is_err() {
            let wait = self.host.limits.kill_wait;
            let killing = move || {
                let report = os::kill_tree(&child, std::time::Instant::now() + wait);
                // It is dead, or was told of above: either way nothing is left to be known of it.
                let _ = child.try_wait();
                report
            };
            match tokio::task::spawn_blocking(killing).await {
                Ok(Ok(report)) if report.survivors.is_empty() => {}
                Ok(outcome) => tracing::warn!(?outcome, "what login files have started could not be ended"),
                Err(panic) => tracing::error!(%panic, "kill failed"),
            }
        }
        // Nobody lives any more who is held by it.
        drop(held);
        answer
    }
}

/// What a shell said.
struct Answer {
    text: Vec<u8>,
    /// What it said on stderr, or the beginning of that.
    complaint: String,
}

/// Follows `child` until it has ended. What it leaves running may hold its output and is not waited for.
async fn listen(
    child: &Arc<os::Child>,
    output: os::Output,
    nonce: &str,
    limit: usize,
) -> Result<Answer, CaptureError> {
    let os::Output::Pipes { stdout, stderr } = output else { return Err(CaptureError::Unclear) };
    let (mut stdout, mut stderr) = (Ear::new(stdout)?, Ear::new(stderr)?);
    let exited = watch_child(Arc::clone(child))?;
    let mut heard = Heard::new(nonce, limit);
    let mut complaint = Vec::new();
    let mut complain = |bytes: &[u8]| {
        let room = COMPLAINT_BYTES.saturating_sub(complaint.len());
        complaint.extend_from_slice(&bytes[..bytes.len().min(room)]);
    };
    let code = loop {
        tokio::select! {
            bytes = stdout.next() => heard.hear(bytes?)?,
            bytes = stderr.next() => complain(bytes?),
            ready = exited.readable() => {
                let mut ready = ready?;
                match child.try_wait()? {
                    Some(exit) => break exit.code(),
                    None => ready.clear_ready(),
                }
            }
        }
    };
    // The kernel closes a dying process's files before it reports the death, so what it wrote is here. Children that it
    // left may go on writing, so what is taken from here on has a bound.
    for _ in 0..=limit / READ_BYTES + 1 {
        match stdout.now()? {
            Some(bytes) => heard.hear(bytes)?,
            None => break,
        }
    }
    if let Some(bytes) = stderr.now()? {
        complain(bytes);
    }
    let complaint = String::from_utf8_lossy(&complaint).trim_end().to_owned();
    match heard.answer() {
        Some(text) => Ok(Answer { text, complaint }),
        None => Err(CaptureError::Ended { code, complaint }),
    }
}

/// One stream of a shell.
struct Ear {
    fd: Arc<OwnedFd>,
    /// Gone when the stream has ended.
    watched: Option<AsyncFd<Arc<OwnedFd>>>,
    buffer: Vec<u8>,
}

impl Ear {
    fn new(fd: OwnedFd) -> io::Result<Self> {
        let fd = Arc::new(fd);
        let watched = Some(watch(Arc::clone(&fd), Interest::READABLE)?);
        Ok(Self { fd, watched, buffer: vec![0; READ_BYTES] })
    }

    /// What comes next. Waits for ever when nothing comes any more. Losing the future loses nothing.
    async fn next(&mut self) -> io::Result<&[u8]> {
        loop {
            let Some(watched) = &self.watched else { return std::future::pending().await };
            let mut ready = watched.readable().await?;
            match rustix::io::read(&self.fd, &mut self.buffer[..]) {
                Ok(0) => {
                    drop(ready);
                    self.watched = None;
                }
                Ok(count) => return Ok(&self.buffer[..count]),
                Err(rustix::io::Errno::AGAIN) => ready.clear_ready(),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// What is there without waiting.
    fn now(&mut self) -> io::Result<Option<&[u8]>> {
        match rustix::io::retry_on_intr(|| rustix::io::read(&self.fd, &mut self.buffer[..])) {
            Ok(0) | Err(rustix::io::Errno::AGAIN) => Ok(None),
            Ok(count) => Ok(Some(&self.buffer[..count])),
            Err(error) => Err(error.into()),
        }
    }
}

/// An answer as it comes in.
struct Heard {
    /// What comes before it.
    opening: Vec<u8>,
    /// What comes behind it.
    closing: Vec<u8>,
    limit: usize,
    part: Part,
    /// The answer so far; before that, the last few bytes of what is passed over.
    bytes: Vec<u8>,
}

/// Which part of what a shell says comes next.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Before,
    Answer,
    Behind,
}

impl Heard {
    fn new(nonce: &str, limit: usize) -> Self {
        let opening = [nonce.as_bytes(), b"\0"].concat();
        Self { opening, closing: nonce.into(), limit, part: Part::Before, bytes: Vec::new() }
    }

    fn hear(&mut self, bytes: &[u8]) -> Result<(), CaptureError> {
        if self.part == Part::Behind {
            return Ok(());
        }
        // The closing may have begun with what came before.
        let mut searched = self.bytes.len().saturating_sub(self.closing.len());
        self.bytes.extend_from_slice(bytes);
        if self.part == Part::Before {
            let Some(at) = find(&self.bytes, &self.opening) else {
                let passed = self.bytes.len().saturating_sub(self.opening.len());
                self.bytes.drain(..passed);
                return Ok(());
            };
            self.bytes.drain(..at + self.opening.len());
            self.part = Part::Answer;
            searched = 0;
        }
        if let Some(at) = find(&self.bytes[searched..], &self.closing) {
            self.bytes.truncate(searched + at);
            self.part = Part::Behind;
        }
        if self.bytes.len() > self.limit.saturating_add(self.closing.len()) {
            return Err(CaptureError::Large(self.limit));
        }
        Ok(())
    }

    /// What came between the nonces, if both did.
    fn answer(self) -> Option<Vec<u8>> {
        (self.part == Part::Behind).then_some(self.bytes)
    }
}

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|window| window == word)
}

/// A word that no login file prints.
fn nonce() -> io::Result<String> {
    let mut bytes = [0; 16];
    let count = rustix::io::retry_on_intr(|| getrandom(&mut bytes, GetRandomFlags::empty()))?;
    if count != bytes.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(pieces: &[&[u8]], limit: usize) -> Result<Option<Vec<u8>>, CaptureError> {
        let mut heard = Heard::new("N0NCE", limit);
        for piece in pieces {
            heard.hear(piece)?;
        }
        Ok(heard.answer())
    }

    #[test]
    fn an_answer_is_found_however_it_is_cut_and_whatever_stands_around_it() {
        let said = b"welcome\nN0NC N0NCE\0options\0A=1\0N0NCEtrailing";
        for cut in 0..said.len() {
            let (before, after) = said.split_at(cut);
            assert_eq!(
                heard(&[before, after], /*limit*/ 12).expect("it fits"),
                Some(b"options\0A=1\0".to_vec())
            );
        }
        let bytes: Vec<&[u8]> = said.chunks(1).collect();
        assert_eq!(heard(&bytes, /*limit*/ 12).expect("it fits"), Some(b"options\0A=1\0".to_vec()));
    }

    #[test]
    fn an_answer_that_breaks_off_is_none() {
        assert_eq!(heard(&[b"N0NCE\0options\0A=1\0N0NC"], /*limit*/ 99).expect("it fits"), None);
        assert_eq!(heard(&[b"no answer"], /*limit*/ 99).expect("it fits"), None);
    }

    #[test]
    fn an_answer_has_a_bound_and_what_comes_before_it_has_none() {
        let noise = vec![b'x'; 1 << 20];
        assert_eq!(
            heard(&[&noise, b"N0NCE\0ab\0N0NCE"], /*limit*/ 3).expect("it fits"),
            Some(b"ab\0".to_vec())
        );
        assert!(matches!(heard(&[b"N0NCE\0", &noise], /*limit*/ 3), Err(CaptureError::Large(3))));
    }
}
