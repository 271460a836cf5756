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
use crate::timeline::{Entry, Reach, Step, Timeline};

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

/// When to read what is not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// Nothing is missing.
    Never,
    /// The caller lags: when it has caught up.
    Later,
    /// Before the server drops it.
    Now,
}

/// What the process's own task has to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Read what is missing, beginning with [`Inbox::begin_read`].
    Read,
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
    /// Events may have been missed without a trace, because nobody was connected.
    missed: bool,
    /// Counts connections, so that an answer that came over an earlier one proves nothing about this one.
    connection: u64,
    /// The value of `connection` when the read began.
    reading_on: u64,
    /// The first position that was pushed over this connection. From there on nothing is missed without a trace.
    first_push: Option<Seq>,
    /// Pushed events were dropped because the caller lags.
    lagging: bool,
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

    fn due(&self) -> Due {
        if self.missed {
            Due::Now
        } else if self.timeline.is_up_to_date() {
            Due::Never
        } else if self.lagging {
            Due::Later
        } else {
            Due::Now
        }
    }

    /// Whether the process's own task should have a look.
    fn has_work(&self) -> bool {
        !self.reading && self.due() != Due::Never || self.is_over()
    }

    fn take(&mut self, step: Step) {
        self.ready_bytes += step.events.iter().map(Event::len).sum::<usize>();
        self.ready.extend(step.events);
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
            missed: false,
            connection: 0,
            reading_on: 0,
            first_push: None,
            lagging: false,
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
        state.first_push.get_or_insert(seq);
        // What is read again is pushed as well, most of the time; that much beyond the bound has its place.
        let limit = match (self.lag, state.reading) {
            (Lag::ReadLater, false) => self.ready_limit,
            _ => self.ready_limit.saturating_add(self.parked_limit),
        };
        if state.ready_bytes >= limit && seq > state.timeline.delivered() {
            state.timeline.overlook(seq);
            state.lagging = true;
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
                let waits_for_answer = state.reading || state.due() == Due::Now;
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
        let mut state = self.lock();
        state.missed = true;
        state.connection += 1;
        state.first_push = None;
        drop(state);
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
        state.missed |= repeated;
        drop(state);
        self.work.notify_one();
    }

    /// Resolves when something has to be read, or nothing ever will. One caller only.
    pub(crate) async fn work(&self) -> Work {
        loop {
            {
                let state = self.lock();
                if state.is_over() {
                    return Work::Done;
                }
                let due = match state.due() {
                    Due::Never => false,
                    Due::Later => state.ready_bytes <= self.ready_limit / 2,
                    Due::Now => true,
                };
                if due && state.started {
                    return Work::Read;
                }
            }
            self.work.notified().await;
        }
    }

    /// A `process/read` is about to be sent, on the present connection; returns its `afterSeq`. Until
    /// [`Self::caught_up`] or [`Self::fail`], or another beginning, it counts as under way.
    pub(crate) fn begin_read(&self) -> Seq {
        let mut state = self.lock();
        state.reading = true;
        state.reading_on = state.connection;
        let after = state.timeline.begin_read();
        drop(state);
        self.room.notify_waiters();
        after
    }

    /// Takes the answer to a read. `whole`: it was asked for without `maxBytes`.
    pub(crate) fn caught_up(&self, response: ProcessReadResponse, whole: bool) {
        let mut state = self.lock();
        let (step, reach) = state.timeline.catch_up(response, whole);
        state.reading = false;
        state.take(step);
        // Reading up to the first push also tells the server that it need not keep anything for us any longer.
        let is_enough = match reach {
            Reach::End => true,
            Reach::Page(end) => state.first_push.is_some_and(|first| end.next() >= first),
        };
        if is_enough && state.reading_on == state.connection {
            state.missed = false;
        }
        if state.timeline.is_up_to_date() {
            state.lagging = false;
        }
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
