//! Between a connection that pushes events and a caller who takes them: a bounded buffer, and the decision when to read
//! what was missed.
//!
//! Three sides meet here and none waits for another longer than it must: the connection's reader pushes, the caller
//! pops, and a task of the process's own reads again what is missing (see [`crate::process`]).

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use codex_exec_server_protocol::ids::{ProcessId, Seq};
use codex_exec_server_protocol::process::ProcessReadResponse;
use tokio::sync::Notify;

use crate::config::ProcessLimits;
use crate::error::ProcessError;
use crate::event::Event;
use crate::timeline::{Entry, Step, Timeline};

/// What happens when a process says more than its caller takes, so that
/// [`ClientConfig::process`](crate::ClientConfig::process)`.ready_bytes` are waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lag {
    /// What is pushed beyond is dropped here and read from the server when the caller has caught up. Nothing else on the
    /// connection waits for this process. A caller who falls behind by more than the server retains sees an
    /// [`Event::Gap`].
    ReadLater,
    /// The connection is not read until the caller has made room, so that in the end the process itself waits and
    /// nothing is ever dropped. Everything else on the connection waits as well: meant for one with a single process.
    HoldConnection,
}

/// Whether everything up to the last pushed event is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Completeness {
    Complete,
    /// Events were dropped because the caller lags: read them when it has caught up.
    Lagging,
    /// Events were missed: read them at once, before the server drops them.
    Missing,
}

/// What the process's own task has to do next.
pub(crate) enum Work {
    /// Read everything after this position.
    Read(Seq),
    /// Nothing, ever.
    Done,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    lag: Lag,
    ready_limit: usize,
    parked_limit: usize,
    /// There is something to take. For the caller.
    news: Notify,
    /// There may be room. For the connection's reader.
    room: Notify,
    /// There may be something to read. For the process's own task.
    work: Notify,
}

#[derive(Debug)]
struct State {
    timeline: Timeline,
    ready: VecDeque<Event>,
    ready_bytes: usize,
    completeness: Completeness,
    /// A read is under way.
    reading: bool,
    /// The server has confirmed the start, so that it can be read from.
    started: bool,
    /// Why nothing follows what is ready, if that is not the close.
    fault: Option<ProcessError>,
    /// Nobody takes events any more.
    abandoned: bool,
}

impl State {
    fn is_over(&self) -> bool {
        self.abandoned || self.fault.is_some() || self.timeline.is_closed()
    }

    /// Whether the process's own task should have a look.
    fn has_work(&self) -> bool {
        self.completeness != Completeness::Complete || self.is_over()
    }

    fn take(&mut self, step: Step) {
        self.ready_bytes += step.events.iter().map(Event::len).sum::<usize>();
        self.ready.extend(step.events);
        if step.missing {
            self.completeness = Completeness::Missing;
        }
        if self.fault.is_none() {
            self.fault = step.fault;
        }
    }
}

impl Inbox {
    pub(crate) fn new(process_id: ProcessId, limits: ProcessLimits, lag: Lag) -> Self {
        let state = State {
            timeline: Timeline::new(process_id, limits),
            ready: VecDeque::new(),
            ready_bytes: 0,
            completeness: Completeness::Complete,
            reading: false,
            started: false,
            fault: None,
            abandoned: false,
        };
        Self {
            state: Mutex::new(state),
            lag,
            ready_limit: limits.ready_bytes,
            parked_limit: limits.parked_bytes,
            news: Notify::new(),
            room: Notify::new(),
            work: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state's own methods don't panic halfway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // The connection's side.

    /// Takes a pushed event, or drops it and remembers that.
    pub(crate) fn push(&self, seq: Seq, entry: Entry) {
        let mut state = self.lock();
        if state.is_over() {
            return;
        }
        // What is read again is pushed as well, most of the time; that much beyond the bound has its place.
        let limit = match (self.lag, state.reading) {
            (Lag::ReadLater, false) => self.ready_limit,
            _ => self.ready_limit.saturating_add(self.parked_limit),
        };
        if state.ready_bytes >= limit && seq > state.timeline.delivered() {
            state.timeline.overlook(seq);
            if state.completeness == Completeness::Complete {
                state.completeness = Completeness::Lagging;
            }
        } else {
            let step = state.timeline.push(seq, entry);
            state.take(step);
        }
        let work = state.has_work();
        drop(state);
        self.news.notify_one();
        if work {
            self.work.notify_one();
        }
    }

    /// Resolves when the connection may go on reading.
    pub(crate) async fn room(&self) {
        loop {
            let room = self.room.notified();
            {
                let state = self.lock();
                // The answer to a read has to get through, whatever comes before it.
                let waits_for_answer = state.reading || state.completeness == Completeness::Missing;
                let full = self.lag == Lag::HoldConnection && state.ready_bytes >= self.ready_limit;
                if !full || waits_for_answer || state.abandoned || state.fault.is_some() {
                    return;
                }
            }
            room.await;
        }
    }

    /// A new connection took the place of a lost one.
    pub(crate) fn reconnected(&self) {
        self.lock().completeness = Completeness::Missing;
        self.room.notify_waiters();
        self.work.notify_one();
    }

    /// Nothing more will come.
    pub(crate) fn fail(&self, fault: ProcessError) {
        self.lock().fault.get_or_insert(fault);
        self.notify_all();
    }

    // The side of the process's own task.

    /// The start was confirmed; `repeated` if it took more than one connection, so that events may have been missed.
    pub(crate) fn started(&self, repeated: bool) {
        let mut state = self.lock();
        state.started = true;
        if repeated {
            state.completeness = Completeness::Missing;
        }
        drop(state);
        self.work.notify_one();
    }

    /// Resolves when something has to be read, or nothing ever will. A read counts as under way until
    /// [`Self::caught_up`]. One caller only.
    pub(crate) async fn work(&self) -> Work {
        loop {
            {
                let mut state = self.lock();
                if state.is_over() {
                    return Work::Done;
                }
                let due = match state.completeness {
                    Completeness::Complete => false,
                    Completeness::Lagging => state.ready_bytes <= self.ready_limit / 2,
                    Completeness::Missing => true,
                };
                if due && state.started {
                    state.completeness = Completeness::Complete;
                    state.reading = true;
                    let after = state.timeline.begin_read();
                    drop(state);
                    self.room.notify_waiters();
                    return Work::Read(after);
                }
            }
            self.work.notified().await;
        }
    }

    /// Takes the answer to a read.
    pub(crate) fn caught_up(&self, response: ProcessReadResponse) {
        let mut state = self.lock();
        let step = state.timeline.catch_up(response);
        state.reading = false;
        state.take(step);
        drop(state);
        self.notify_all();
    }

    // The caller's side.

    /// The next event. `None` after the last one; a fault is told once.
    pub(crate) async fn next(&self) -> Option<Result<Event, ProcessError>> {
        loop {
            {
                let mut state = self.lock();
                if let Some(event) = state.ready.pop_front() {
                    state.ready_bytes -= event.len();
                    let work = state.has_work();
                    drop(state);
                    self.room.notify_waiters();
                    if work {
                        self.work.notify_one();
                    }
                    return Some(Ok(event));
                }
                if let Some(fault) = state.fault.take() {
                    state.abandoned = true;
                    return Some(Err(fault));
                }
                if state.is_over() {
                    return None;
                }
            }
            self.news.notified().await;
        }
    }

    /// Nobody takes events any more.
    pub(crate) fn abandon(&self) {
        let mut state = self.lock();
        state.abandoned = true;
        state.ready.clear();
        state.ready_bytes = 0;
        drop(state);
        self.notify_all();
    }

    fn notify_all(&self) {
        self.news.notify_one();
        self.room.notify_waiters();
        self.work.notify_one();
    }
}
