//! Between a connection that pushes events and everybody who follows a process: what is known of it, and when something
//! has to be read again.
//!
//! Three sides meet here and none waits for another longer than it must: the connection's reader pushes, subscribers
//! take (see [`crate::events`]), and whoever catches up reads what is missing.

use std::sync::{Mutex, MutexGuard, PoisonError};

use codex_exec_server_core::process_event::Exit;
use codex_exec_server_protocol::ids::{ProcessId, Seq};
use codex_exec_server_protocol::process::ProcessReadResponse;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::acknowledging::Acknowledging;
use crate::config::ProcessLimits;
use crate::error::ProcessError;
use crate::history::{History, ReaderId, Taken};
use crate::timeline::{Entry, Reach, Step, Timeline};

/// What the one who catches up has to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Read what is missing, beginning with [`Feed::begin_read`].
    Read,
    /// Tell the server how far the subscribers are: what [`Feed::acknowledge`] says then.
    Acknowledge,
    /// Nothing, ever.
    Done,
}

/// What there is for a subscriber.
#[derive(Debug)]
pub(crate) enum Next {
    /// As the history says.
    Taken(Taken),
    /// Nothing any more; and why, if that is not the close.
    Over(Option<ProcessError>),
}

/// See the module. One for each process, whatever connections carry its events.
#[derive(Debug)]
pub(crate) struct Feed {
    id: ProcessId,
    limits: ProcessLimits,
    state: Mutex<State>,
    /// There is something to take. For subscribers.
    news: Notify,
    /// There may be room. For the connection's reader.
    room: Notify,
    /// There may be something to read. For the one who catches up.
    work: Notify,
}

#[derive(Debug)]
struct State {
    timeline: Timeline,
    history: History,
    acknowledging: Acknowledging,
    /// Events may have been missed without a trace, because nobody was connected.
    missed: bool,
    /// Counts connections, so that an answer that came over an earlier one proves nothing about this one.
    connection: u64,
    /// The value of `connection` when the read began.
    reading_on: u64,
    /// The first new position that was pushed over this connection. From there on nothing is missed without a trace. One
    /// that was pushed before and comes again says nothing of what came in between.
    first_push: Option<Seq>,
    /// A read is under way.
    reading: bool,
    /// The server has confirmed the start, so that it can be read from.
    started: bool,
    /// Why nothing follows, if that is not the close.
    fault: Option<ProcessError>,
    /// Nobody follows the process any more.
    abandoned: bool,
}

impl State {
    fn is_over(&self) -> bool {
        self.abandoned || self.fault.is_some() || self.timeline.is_closed()
    }

    /// Whether something has to be read before the server drops it.
    fn is_due(&self) -> bool {
        self.missed || !self.timeline.is_up_to_date()
    }

    /// Whether the server is to be told how far the subscribers are.
    fn must_acknowledge(&self) -> bool {
        self.started && !self.is_over() && self.acknowledging.is_due(&self.history.progress())
    }

    /// What is to be said: what the slowest has, and what the furthest.
    fn acknowledge(&mut self) -> (Seq, Seq) {
        let progress = self.history.progress();
        // What is here is not to be pushed again by a server that does not know that it is.
        let begins = self.acknowledging.must_begin();
        let after = if begins { self.timeline.delivered() } else { progress.furthest.seq };
        self.acknowledging.say(progress);
        (progress.slowest.seq, after.max(progress.furthest.seq))
    }

    fn take(&mut self, step: Step, at_once: bool) {
        self.history.extend(step.records, at_once);
        if self.fault.is_none() {
            self.fault = step.fault;
        }
    }
}

impl Feed {
    /// What process `id` does behind `after`.
    pub(crate) fn new(id: ProcessId, limits: ProcessLimits, after: Seq) -> Self {
        let state = State {
            timeline: Timeline::new(id.clone(), limits, after),
            history: History::new(limits, after),
            acknowledging: Acknowledging::from_start(),
            missed: false,
            connection: 0,
            reading_on: 0,
            first_push: None,
            reading: false,
            started: false,
            fault: None,
            abandoned: false,
        };
        Self {
            id,
            limits,
            state: Mutex::new(state),
            news: Notify::new(),
            room: Notify::new(),
            work: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state's own methods don't panic halfway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) const fn id(&self) -> &ProcessId {
        &self.id
    }

    pub(crate) const fn limits(&self) -> &ProcessLimits {
        &self.limits
    }

    // The connection's side.

    /// Takes a pushed event.
    pub(crate) fn push(&self, seq: Seq, entry: Entry) {
        let mut state = self.lock();
        if state.is_over() {
            return;
        }
        if seq > state.timeline.pushed() {
            state.first_push.get_or_insert(seq);
        }
        let step = state.timeline.push(seq, entry);
        state.take(step, /*at_once*/ false);
        let work = !state.reading && state.is_due() || state.is_over() || state.must_acknowledge();
        drop(state);
        self.news.notify_waiters();
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
                // The answer to the start or to a read has to get through, whatever comes before it.
                let waits_for_answer = !state.started || state.reading || state.is_due();
                if waits_for_answer || state.is_over() || !state.history.is_full() {
                    return;
                }
            }
            room.await;
        }
    }

    /// Another connection is about to take the place of a lost one.
    pub(crate) fn reconnecting(&self) {
        let mut state = self.lock();
        state.missed = true;
        state.connection += 1;
        state.first_push = None;
        state.acknowledging.begin_again();
        drop(state);
        self.room.notify_waiters();
        self.work.notify_one();
    }

    /// Nothing more will come.
    pub(crate) fn fail(&self, fault: ProcessError) {
        self.lock().fault.get_or_insert(fault);
        self.notify_all();
    }

    /// Nobody follows the process any more.
    pub(crate) fn abandon(&self) {
        self.lock().abandoned = true;
        self.notify_all();
    }

    fn notify_all(&self) {
        self.news.notify_waiters();
        self.room.notify_waiters();
        self.work.notify_one();
    }

    // The side of the one who catches up.

    /// The process can be read from; `missed` if events may have been pushed while nobody listened.
    pub(crate) fn started(&self, missed: bool) {
        let mut state = self.lock();
        state.started = true;
        state.missed |= missed;
        drop(state);
        self.work.notify_one();
    }

    /// Whether something has to be read.
    pub(crate) fn is_behind(&self) -> bool {
        let state = self.lock();
        state.started && state.is_due() && !state.is_over()
    }

    /// Resolves when something has to be read, or nothing ever will. One caller only.
    pub(crate) async fn work(&self) -> Work {
        loop {
            {
                let state = self.lock();
                // What is pushed from where this says ends what is to be read.
                let begins = state.acknowledging.must_begin();
                if state.started && !state.is_over() && state.is_due() && !begins {
                    return Work::Read;
                }
                if state.is_over() {
                    return Work::Done;
                }
                if state.must_acknowledge() {
                    return Work::Acknowledge;
                }
            }
            self.work.notified().await;
        }
    }

    /// The answer to the first read: the log ends at `tip`, which is before where this was to begin. So it begins at
    /// `tip`, since others may want what comes from there on; what of it was pushed and left out meanwhile is read again.
    pub(crate) fn begin_at(&self, tip: Seq) {
        let mut state = self.lock();
        state.reading = false;
        if state.timeline.is_untouched() {
            // Also where that was the close: others are to be told of it.
            let pushed = state.timeline.pushed();
            state.timeline = Timeline::new(self.id.clone(), self.limits, tip);
            state.timeline.overlook(pushed);
            state.history.begin_at(tip);
        }
        drop(state);
        self.work.notify_one();
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

    /// As [`Self::begin_read`], where the server pushes what was missed if it is told what is here; returns what to tell it, as
    /// [`Self::acknowledge`]. The answer to a read that asks for no output goes to [`Self::resumed`]. `None` if there is
    /// nothing to be told.
    pub(crate) fn begin_resuming(&self) -> Option<(Seq, Seq)> {
        let mut state = self.lock();
        if !state.started || state.is_over() || !state.acknowledging.must_begin() {
            return None;
        }
        state.reading = true;
        state.reading_on = state.connection;
        let after = state.timeline.begin_read();
        let progress = state.history.progress();
        state.acknowledging.say(progress);
        Some((progress.slowest.seq.min(after), after))
    }

    /// The server has the process, and pushes what comes behind what it was told.
    pub(crate) fn resumed(&self, response: &ProcessReadResponse) {
        let mut state = self.lock();
        state.reading = false;
        match state.timeline.confirm(response) {
            Ok(()) if state.reading_on == state.connection => state.missed = false,
            Ok(()) => {}
            Err(fault) => drop(state.fault.get_or_insert(fault)),
        }
        drop(state);
        self.notify_all();
    }

    /// Takes the answer to a read. `whole`: it was asked for without `maxBytes`.
    pub(crate) fn caught_up(&self, response: ProcessReadResponse, whole: bool) {
        let mut state = self.lock();
        let (step, reach) = state.timeline.catch_up(response, whole);
        state.reading = false;
        state.take(step, /*at_once*/ true);
        // Reading up to the first push also tells the server that it need not keep anything for us any longer.
        let is_enough = match reach {
            Reach::End => true,
            Reach::Page(end) => state.first_push.is_some_and(|first| end.next() >= first),
        };
        if is_enough && state.reading_on == state.connection {
            state.missed = false;
        }
        drop(state);
        self.notify_all();
    }

    /// The server does not know that there are subscribers.
    pub(crate) fn begin_acknowledging(&self) {
        self.lock().acknowledging.begin_again();
    }

    /// How far the slowest subscriber is, and the furthest, if the server is to be told; from now on that counts as told.
    pub(crate) fn acknowledge(&self) -> Option<(Seq, Seq)> {
        let mut state = self.lock();
        state.must_acknowledge().then(|| state.acknowledge())
    }

    /// Whether nobody follows the process any more, although it goes on.
    pub(crate) fn is_abandoned(&self) -> bool {
        let state = self.lock();
        state.abandoned && !state.timeline.is_closed()
    }

    /// The server is told how far the subscribers are after so much; `None` if it does not want to know.
    pub(crate) fn acknowledge_every(&self, every: Option<u64>) {
        self.lock().acknowledging.set_every(every);
        self.work.notify_one();
    }

    // The subscribers' side.

    /// Resolves when there is news since it was asked for.
    pub(crate) fn news(&self) -> Notified<'_> {
        self.news.notified()
    }

    /// A new subscriber to what comes behind `after`. `holds`: the connection waits for it.
    pub(crate) fn subscribe(&self, after: Seq, holds: bool) -> ReaderId {
        self.lock().history.subscribe(after, holds)
    }

    pub(crate) fn unsubscribe(&self, reader: ReaderId) {
        let mut state = self.lock();
        state.history.unsubscribe(reader);
        self.moved(state);
    }

    /// The next record for `reader`.
    pub(crate) fn take(&self, reader: ReaderId) -> Next {
        let mut state = self.lock();
        let taken = state.history.take(reader);
        if matches!(taken, Taken::Nothing) && state.is_over() {
            return Next::Over(state.fault.clone());
        }
        self.moved(state);
        Next::Taken(taken)
    }

    /// A subscriber got everything through `after` from the server.
    pub(crate) fn rejoin(&self, reader: ReaderId, after: Seq) {
        let mut state = self.lock();
        state.history.rejoin(reader, after);
        self.moved(state);
    }

    /// A subscriber is somewhere else, or nowhere.
    fn moved(&self, state: MutexGuard<'_, State>) {
        let must_acknowledge = state.must_acknowledge();
        drop(state);
        self.room.notify_waiters();
        if must_acknowledge {
            self.work.notify_one();
        }
    }

    /// The exit and its position, once it is known.
    pub(crate) fn exit(&self) -> Option<(Seq, Exit)> {
        self.lock().history.exit()
    }

    /// The exit, once it is known where it stands.
    pub(crate) fn placed_exit(&self) -> Option<(Seq, Exit)> {
        self.lock().history.placed_exit()
    }

    /// Everything up to here is not here any more, and how much output that was, where it is known.
    pub(crate) fn base(&self) -> (Seq, Option<u64>) {
        self.lock().history.base()
    }

    /// Whether the last event is known.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().timeline.is_closed()
    }
}
