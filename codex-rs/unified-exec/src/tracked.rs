//! One process as its caller sees it: its state, what is new of its output, and the task that follows it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use codex_exec_server_core::process_event::ExecProcessEvent;
use codex_exec_server_core::service::{ExecError, ExecEvents, ExecProcess};
use codex_exec_server_protocol::ids::Seq;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::command::Resolved;
use crate::excerpt::{Excerpt, excerpt};
use crate::index::{Index, Mark};
use crate::joiner::Joiner;
use crate::state::{ProcessListing, ProcessNumber, ProcessState};
use crate::window::Window;

/// See the module.
#[derive(Debug)]
pub(crate) struct Tracked {
    pub(crate) number: ProcessNumber,
    pub(crate) process: Arc<dyn ExecProcess>,
    pub(crate) command: Resolved,
    pub(crate) tty: bool,
    started_at: Instant,
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Debug)]
struct Inner {
    state: ProcessState,
    joiner: Joiner,
    window: Window,
    index: Index,
    /// The newest place between whole characters.
    latest: Mark,
    /// Where the exit stands in the process's log.
    exit_seq: Option<Seq>,
    /// Whether places in the transcript are no longer those of the process's log.
    uncounted: bool,
}

/// Where to begin reading, and what there is to know about it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) mark: Mark,
    /// Where the transcript ends.
    pub(crate) end: u64,
    pub(crate) exit_seq: Option<Seq>,
    pub(crate) uncounted: bool,
}

impl Tracked {
    pub(crate) fn new(
        number: ProcessNumber,
        process: Arc<dyn ExecProcess>,
        command: Resolved,
        tty: bool,
        window_bytes: usize,
    ) -> Self {
        let inner = Inner {
            state: ProcessState::Running,
            joiner: Joiner::default(),
            window: Window::new(window_bytes),
            index: Index::new(),
            latest: Mark { seq: Seq::START, offset: 0 },
            exit_seq: None,
            uncounted: false,
        };
        Self {
            number,
            process,
            command,
            tty,
            started_at: Instant::now(),
            inner: Mutex::new(inner),
            changed: Notify::new(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A panic under this lock leaves at worst a piece of output untaken.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes `events` to their end, or until `stop`.
    pub(crate) async fn follow(self: Arc<Self>, mut events: Box<dyn ExecEvents>, stop: CancellationToken) {
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                () = stop.cancelled() => return,
            };
            let Some(event) = event else { return };
            let mut inner = self.inner();
            match event {
                Ok(event) => inner.accept(event),
                Err(error) => {
                    let exit = inner.state.exit().cloned();
                    inner.flush();
                    inner.state = ProcessState::Failed { error, exit };
                }
            }
            drop(inner);
            self.changed.notify_waiters();
        }
    }

    pub(crate) fn state(&self) -> ProcessState {
        self.inner().state.clone()
    }

    /// Waits until the process has ended and said all, until `linger` after its exit if something else holds its output
    /// open, or until `deadline`.
    pub(crate) async fn settled(&self, deadline: Instant, linger: Duration) {
        let settling = async {
            self.reaches(|state| !state.is_running()).await;
            // Whether the rest came in time or not, what is there is what is reported.
            let _ = timeout(linger, self.reaches(ProcessState::is_final)).await;
        };
        let _ = timeout_at(deadline, settling).await;
    }

    async fn reaches(&self, enough: impl Fn(&ProcessState) -> bool) {
        loop {
            let changed = self.changed.notified();
            if enough(&self.inner().state) {
                return;
            }
            changed.await;
        }
    }

    /// State, and the output since the last time.
    pub(crate) fn take(&self, limit: usize) -> (ProcessState, Excerpt) {
        let mut inner = self.inner();
        let (state, taken) = (inner.state.clone(), inner.window.take());
        drop(inner);
        (state, excerpt(taken, limit, self.number))
    }

    /// Where to begin reading for `offset`.
    pub(crate) fn place(&self, offset: u64) -> Place {
        let inner = self.inner();
        Place {
            mark: inner.index.before(offset),
            end: inner.window.end(),
            exit_seq: inner.exit_seq,
            uncounted: inner.uncounted,
        }
    }

    /// The first place known at or behind position `seq` of the process's log, or the last there is.
    pub(crate) fn mark_from(&self, seq: Seq) -> Mark {
        let inner = self.inner();
        inner.index.from(seq).unwrap_or(inner.latest)
    }

    pub(crate) fn listing(&self) -> ProcessListing {
        let inner = self.inner();
        ProcessListing {
            process: self.number,
            state: inner.state.clone(),
            command: self.command.clone(),
            tty: self.tty,
            age: self.started_at.elapsed(),
            unread_bytes: inner.window.unread(),
        }
    }
}

impl Inner {
    fn accept(&mut self, event: ExecProcessEvent) {
        let seq = event.seq();
        match event {
            ExecProcessEvent::Output { stream, bytes, .. } => {
                let piece = self.joiner.push(stream, &bytes);
                self.window.push(&piece);
            }
            ExecProcessEvent::Gap { bytes, .. } => {
                self.flush();
                self.window.lose(bytes);
                self.uncounted |= bytes.is_none();
            }
            ExecProcessEvent::Exited { exit, .. } => {
                self.exit_seq = Some(seq);
                self.state = ProcessState::Exited { exit, output_open: true };
            }
            ExecProcessEvent::Closed { .. } => {
                self.flush();
                self.state = match self.state.exit() {
                    Some(exit) => ProcessState::Exited { exit: exit.clone(), output_open: false },
                    None => ProcessState::Failed {
                        error: ExecError::Inconsistent("process was closed without having exited".into()),
                        exit: None,
                    },
                };
            }
        }
        if self.joiner.is_even() {
            self.latest = Mark { seq, offset: self.window.end() };
            self.index.note(self.latest);
        }
    }

    fn flush(&mut self) {
        let rest = self.joiner.flush();
        self.window.push(&rest);
    }
}
