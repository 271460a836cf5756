//! A subscription to a process's events.

use std::collections::VecDeque;
use std::sync::Arc;

use codex_exec_server_core::process_event::{ExecProcessEvent, Exit};
use codex_exec_server_core::service::{ExecError, ExecEvents, ServiceFuture};
use codex_exec_server_protocol::ids::Seq;
use tokio::sync::oneshot;

use crate::catch_up::page;
use crate::error::{ClientError, ProcessError};
use crate::feed::Next;
use crate::follow::{Follow, Lag, OnGap};
use crate::history::{ReaderId, Taken};
use crate::inner::Inner;
use crate::reading::Page;
use crate::record::{Record, Tally};
use crate::router::Route;
use crate::timeline::{Entry, Timeline};

/// The events of one process, in order and each once, over as many connections as it takes.
///
/// Dropping it ends the subscription; the process runs on.
#[derive(Debug)]
pub struct Events {
    client: Arc<Inner>,
    place: Subscription,
    tally: Tally,
    /// Taken, and not told yet.
    ready: VecDeque<Result<Record, ProcessError>>,
    /// How the process ended, if answers told that but not when.
    told_exit: Option<Exit>,
    /// While what comes next is not here any more.
    replay: Option<Replay>,
    over: bool,
}

/// The place of a subscriber, which may be taken before there is a session to read from.
#[derive(Debug)]
pub(crate) struct Subscription {
    route: Arc<Route>,
    reader: ReaderId,
    /// Where it began.
    after: Seq,
    on_gap: OnGap,
}

impl Subscription {
    /// To what comes behind `after`.
    pub(crate) fn new(route: Arc<Route>, after: Seq, follow: Follow) -> Self {
        let reader = route.feed().subscribe(after, follow.lag == Lag::HoldConnection);
        Self { route, reader, after, on_gap: follow.on_gap }
    }

    /// Its events, those included that came meanwhile.
    pub(crate) fn read_by(self, client: Arc<Inner>) -> Events {
        let tally = Tally::new(self.after);
        let (ready, told_exit, replay) = (VecDeque::new(), None, None);
        Events { client, place: self, tally, ready, told_exit, replay, over: false }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.route.feed().unsubscribe(self.reader);
    }
}

/// What is read from the server, in order.
#[derive(Debug)]
struct Replay {
    timeline: Timeline,
    /// The answer under way. A task waits for it, so that nothing is asked twice when a caller loses patience.
    page: Option<oneshot::Receiver<Result<Page, ProcessError>>>,
}

impl Events {
    /// What comes behind `after`.
    pub(crate) fn new(client: Arc<Inner>, route: Arc<Route>, after: Seq, follow: Follow) -> Self {
        Subscription::new(route, after, follow).read_by(client)
    }

    /// The next event. `None` after [`ExecProcessEvent::Closed`], or after an error, which is told once.
    ///
    /// Cancel-safe: an event is either returned or still to come.
    pub async fn next(&mut self) -> Option<Result<ExecProcessEvent, ProcessError>> {
        loop {
            if self.over {
                return None;
            }
            if let Some(ready) = self.ready.pop_front() {
                if let Ok(Record::Exited { seq, .. }) = ready
                    && !self.tally.misses_exit_at(seq)
                {
                    continue;
                }
                let told = ready.and_then(|record| self.tell(record));
                self.over = matches!(told, Err(_) | Ok(ExecProcessEvent::Closed { .. }));
                return Some(told);
            }
            if let Some(page) = self.replay.as_mut().and_then(|replay| replay.page.as_mut()) {
                let outcome = page.await.unwrap_or_else(|_| Err(ClientError::Closed.into()));
                self.replayed(outcome);
                continue;
            }
            let route = Arc::clone(&self.place.route);
            let news = route.feed().news();
            match route.feed().take(self.place.reader) {
                Next::Taken(Taken::Record(record)) => {
                    self.replay = None;
                    self.ready.push_back(Ok(record));
                }
                Next::Taken(Taken::Evicted { after, base }) => self.begin_replay(after, base),
                Next::Taken(Taken::Nothing) => news.await,
                Next::Over(fault) => {
                    self.over = true;
                    return fault.map(Err);
                }
            }
        }
    }

    fn tell(&mut self, record: Record) -> Result<ExecProcessEvent, ProcessError> {
        let record = match record {
            Record::Gap { through, bytes } if self.place.on_gap == OnGap::Fail => {
                let process_id = self.place.route.feed().id().clone();
                return Err(ProcessError::Gap { process_id, through, bytes });
            }
            record @ (Record::Output { .. } | Record::Closed { .. }) => {
                let through = Seq(record.seq().0.saturating_sub(1));
                let is_close = matches!(record, Record::Closed { .. });
                let unplaced =
                    self.told_exit.as_ref().filter(|_| is_close && self.tally.misses_exit_at(through));
                let unplaced = unplaced.map(|exit| Record::Exited { seq: through, exit: exit.clone() });
                match self.missing_exit(through).or(unplaced) {
                    // It happened within what was gone.
                    Some(exit) => {
                        self.ready.push_front(Ok(record));
                        exit
                    }
                    None => record,
                }
            }
            record @ (Record::Gap { .. } | Record::Exited { .. }) => record,
        };
        self.tally.tell(record)
    }

    /// The exit, if it has happened between where this began and `through`, everything up to which was told but the exit.
    fn missing_exit(&self, through: Seq) -> Option<Record> {
        let (seq, exit) = self.place.route.feed().exit()?;
        let is_missing = seq > self.place.after && seq <= through && self.tally.misses_exit_at(through);
        is_missing.then_some(Record::Exited { seq: through, exit })
    }

    /// Asks the server for what comes behind `after`, up to `base` at least.
    fn begin_replay(&mut self, after: Seq, base: Seq) {
        let feed = Arc::clone(self.place.route.feed());
        let replay = self.replay.get_or_insert_with(|| Replay {
            timeline: Timeline::new(feed.id().clone(), *feed.limits(), after).counting(self.tally.bytes()),
            page: None,
        });
        if let Some((seq, exit)) = feed.placed_exit() {
            // Where it stands is known, and would otherwise have to be told from the hole that it leaves.
            let step = replay.timeline.push(seq, Entry::Exited(exit));
            self.ready.extend(step.records.into_iter().map(Ok));
        }
        replay.timeline.overlook(base);
        let after = replay.timeline.begin_read();
        let (mut tell, told) = oneshot::channel();
        replay.page = Some(told);
        let client = Arc::clone(&self.client);
        self.client.tasks.spawn(async move {
            tokio::select! {
                page = page(&client, feed.id(), after) => {
                    let _ = tell.send(page);
                }
                () = tell.closed() => {}
                () = client.stop.cancelled() => {}
            }
        });
    }

    fn replayed(&mut self, outcome: Result<Page, ProcessError>) {
        let Some(replay) = &mut self.replay else { return };
        replay.page = None;
        let feed = self.place.route.feed();
        match outcome {
            Ok(Page { response, whole }) => {
                let (step, _) = replay.timeline.catch_up(response, whole);
                self.told_exit = replay.timeline.exit();
                self.ready.extend(step.records.into_iter().map(Ok));
                self.ready.extend(step.fault.map(Err));
                feed.rejoin(self.place.reader, replay.timeline.delivered());
            }
            // The server has forgotten it all, but its last events are here.
            Err(ProcessError::Forgotten { .. }) => {
                let (through, base_bytes) = feed.base();
                let bytes =
                    base_bytes.zip(self.tally.bytes()).and_then(|(base, told)| base.checked_sub(told));
                self.ready.push_back(Ok(Record::Gap { through, bytes }));
                self.ready.extend(self.missing_exit(through).map(Ok));
                feed.rejoin(self.place.reader, through);
                self.replay = None;
            }
            Err(error) => self.ready.push_back(Err(error)),
        }
    }
}

impl ExecEvents for Events {
    fn next(&mut self) -> ServiceFuture<'_, Option<Result<ExecProcessEvent, ExecError>>> {
        Box::pin(async { Some(Self::next(self).await?.map_err(ExecError::from)) })
    }
}
