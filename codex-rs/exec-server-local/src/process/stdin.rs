//! A process's standard input: writes in order, each once, accepted while there is room.
//!
//! A write goes straight to the kernel when nothing is waiting before it, which is what a keystroke wants; the rest
//! is queued and moved by [`StdinPipe::pump`]. "Accepted" means that the bytes are in this queue or beyond.
//!
//! The runtime watches the writing end only while the kernel is full. Watched all the time, it would be woken for
//! every byte that the child takes: twice for every keystroke, before the echo.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Buf, Bytes};
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::sync::Notify;

use super::watch::watch;
use crate::os;

/// How soon a full pipe is tried again that the runtime can't watch.
const RETRY: Duration = Duration::from_millis(10);

/// The writing end, shared by the requests that write and the supervisor that pumps.
pub(super) struct StdinPipe {
    queue: Mutex<Queue>,
    limit: usize,
    /// Something was queued, or the end was asked for.
    work: Notify,
    /// Room was made, or there is nobody left to read.
    room: Notify,
}

struct Queue {
    waiting: VecDeque<Bytes>,
    bytes: usize,
    target: Target,
}

/// Where bytes go.
enum Target {
    /// To the child.
    Open(Arc<OwnedFd>),
    /// To the child until the queue is empty; then the end.
    Ending(Arc<OwnedFd>),
    /// Nowhere: the child is gone or has closed its end. Bytes vanish, as they do in a pipe nobody reads.
    Gone,
}

impl StdinPipe {
    /// Feeds `fd`, which is non-blocking, and holds about `limit` bytes for it.
    pub(super) fn new(fd: OwnedFd, limit: usize) -> Self {
        let target = Target::Open(Arc::new(fd));
        Self {
            queue: Mutex::new(Queue { waiting: VecDeque::new(), bytes: 0, target }),
            limit,
            work: Notify::new(),
            room: Notify::new(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        // A panic while the lock was held can't leave the queue in a state worse than a lost write.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepts `chunk` as soon as there is room. Callers take turns: the next one begins after this returned.
    /// Dropping the future before it returns means that nothing was accepted.
    pub(super) async fn write(&self, chunk: Bytes) {
        loop {
            let room = self.room.notified();
            if self.try_write(&chunk) {
                return;
            }
            room.await;
        }
    }

    /// Accepts `chunk` if there is room.
    fn try_write(&self, chunk: &Bytes) -> bool {
        let mut queue = self.lock();
        if queue.bytes >= self.limit {
            return false;
        }
        let mut rest = chunk.clone();
        if queue.waiting.is_empty()
            && let Target::Open(fd) | Target::Ending(fd) = &queue.target
        {
            match write_now(fd, &mut rest) {
                Ok(()) => {}
                Err(_) => queue.abandon(),
            }
        }
        if !rest.is_empty() && !matches!(queue.target, Target::Gone) {
            queue.bytes += rest.len();
            queue.waiting.push_back(rest);
            self.work.notify_one();
        }
        true
    }

    /// Changes the size of the terminal behind it. Nothing once that is gone.
    pub(super) fn resize(&self, size: os::Size) -> io::Result<()> {
        match &self.lock().target {
            Target::Open(fd) | Target::Ending(fd) => os::resize(fd, size),
            Target::Gone => Ok(()),
        }
    }

    /// Ends the child's input behind everything that was accepted.
    pub(super) fn end(&self) {
        let mut queue = self.lock();
        if let Target::Open(fd) = &queue.target {
            queue.target = Target::Ending(Arc::clone(fd));
        }
        queue.end_if_empty();
        self.work.notify_one();
    }

    /// The child is gone: whatever waits, and whatever still comes, vanishes.
    pub(super) fn abandon(&self) {
        self.lock().abandon();
        self.room.notify_waiters();
        self.work.notify_one();
    }

    /// Moves what is queued; returns when nothing can follow any more. One caller only.
    pub(super) async fn pump(&self) {
        loop {
            match self.flush() {
                Flushed::Blocked(fd) => self.drain(fd).await,
                Flushed::Idle => self.work.notified().await,
                Flushed::Gone => return,
            }
        }
    }

    /// Moves what is queued until the kernel has taken all of it.
    async fn drain(&self, fd: Arc<OwnedFd>) {
        let watched = match watch(fd, Interest::WRITABLE) {
            Ok(watched) => watched,
            Err(error) => {
                // Out of memory or of watches; the bytes are safe where they are.
                tracing::warn!(%error, "a full stdin can't be watched, so it is tried again in a while");
                return tokio::time::sleep(RETRY).await;
            }
        };
        while let Flushed::Blocked(_) = self.flush() {
            tokio::select! {
                ready = watched.writable() => {
                    // Writes are tried without asking first, so only a refusal shows that readiness is over.
                    if let Ok(mut ready) = ready && let Flushed::Blocked(_) = self.flush() {
                        ready.clear_ready();
                    }
                }
                () = self.work.notified() => {}
            }
        }
    }

    fn flush(&self) -> Flushed {
        let mut queue = self.lock();
        let before = queue.bytes;
        let outcome = queue.flush();
        if before >= self.limit && queue.bytes < self.limit {
            self.room.notify_waiters();
        }
        outcome
    }
}

enum Flushed {
    Blocked(Arc<OwnedFd>),
    Idle,
    Gone,
}

impl Queue {
    fn flush(&mut self) -> Flushed {
        while let Some(front) = self.waiting.front_mut() {
            let (Target::Open(fd) | Target::Ending(fd)) = &self.target else { break };
            let fd = Arc::clone(fd);
            let before = front.len();
            let outcome = write_now(&fd, front);
            self.bytes -= before - front.len();
            match outcome {
                Err(_) => self.abandon(),
                Ok(()) if front.is_empty() => {
                    self.waiting.pop_front();
                }
                Ok(()) => return Flushed::Blocked(fd),
            }
        }
        self.end_if_empty();
        if matches!(self.target, Target::Gone) { Flushed::Gone } else { Flushed::Idle }
    }

    fn end_if_empty(&mut self) {
        if self.waiting.is_empty() && matches!(self.target, Target::Ending(_)) {
            self.target = Target::Gone;
        }
    }

    fn abandon(&mut self) {
        self.waiting.clear();
        self.bytes = 0;
        self.target = Target::Gone;
    }
}

/// Writes until the kernel takes no more. Ok with bytes left means that it is full.
fn write_now(fd: &OwnedFd, chunk: &mut Bytes) -> io::Result<()> {
    while !chunk.is_empty() {
        match rustix::io::write(fd, chunk) {
            Ok(written) => chunk.advance(written),
            Err(Errno::AGAIN) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
