//! What leaves a connection, and in which order.
//!
//! There is no queue of output. Replies are few and wait here; processes with news only put themselves on a list,
//! and their events are drawn from their logs when the socket has room. Strictly in this order: replies; processes
//! that have little to say (an exit, a keystroke's echo); floods, HTTP bodies and finds of searches, a bounded piece of each in turn. A reply
//! that is long, such as a block of a file, takes its turn among them. See [`codex_exec_server_core::schedule`] for the rules.
//! While there is more than one kind, what kernels and the client have still to take of the last kind is bounded; see
//! [`codex_exec_server_core::backlog`].

mod at_once;
mod saying;

use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use codex_exec_server_core::backlog::{Backlog, BacklogLimits, Clearance};
use codex_exec_server_core::schedule::{Class, Schedule, Shares, Turn};
use codex_exec_server_local::process::{FollowId, Follower, Process};
use codex_exec_server_protocol::ids::ProcessId;
use codex_exec_server_transport::{CloseReason, Express, Leeway, MessageWriter, WriteError};
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::sleep_until;

use super::bodies::Body;
use super::form::{Form, Reply, feed_reply};
use super::packing::{Packing, interval};
use super::searches::Batch;

/// A process with no more than 4 KiB waiting has little to say. Of a flood, one chunk of the largest size is a turn.
const SHARES: Shares = Shares { little_bytes: 4 << 10, turn_bytes: 64 << 10 };
/// Two turns are always under way, so that a client has one to read while it asks for the next. What is said within seconds of
/// each other is a conversation.
const BACKLOG: BacklogLimits = BacklogLimits {
    least_bytes: 2 * SHARES.turn_bytes,
    most_bytes: 64 << 20,
    mark_bytes: SHARES.turn_bytes,
    slack: Duration::from_micros(300),
    attention: Duration::from_secs(5),
    patience: Duration::from_secs(2),
    memory: Duration::from_secs(10),
};
/// What is said so soon after bulk is said beside it: the kernels still have of it.
const SOON: Duration = Duration::from_millis(10);
/// A reply beyond this is bulk, like output; to a control call none is.
const LONG_REPLY_BYTES: usize = 16 << 10;

/// See the module. Shared by those who answer requests, the processes that have news, and the writing task.
pub(crate) struct Outbound {
    state: Mutex<State>,
    /// How long output is gathered for a client that takes packs.
    packing: OnceLock<Duration>,
    /// Something may be there to send.
    news: Notify,
    /// Replies were sent.
    sent: Notify,
    /// The task that reads has more requests, whose answers are to leave together.
    more_is_at_hand: AtomicBool,
}

/// Who has something to say.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Process(ProcessId),
    /// All HTTP bodies, which are never little.
    Body,
    /// All that searches find and watches see.
    Search,
    /// All long replies.
    Reply,
}

/// What is to be said.
enum Source {
    /// To be drawn from its log.
    Process(Arc<Process>),
    /// To be drawn from what has come of it.
    Body(Arc<Body>),
    /// What a search found, or a watch has seen.
    Search(Batch),
    /// A long one.
    Reply(Owed),
}

struct State {
    /// The short ones.
    replies: VecDeque<Owed>,
    /// Of all, the long ones included.
    reply_bytes: usize,
    schedule: Schedule<Key, Source>,
    backlog: Backlog,
    /// Who had the last turn of bulk, and when; nobody if it was the last there is.
    bulk: Option<(Key, Instant)>,
    /// What the client sends is not read at the moment, so no mark can be seen to come back.
    is_unheard: bool,
    /// As whom to draw; nothing is drawn before it is known.
    follow: Option<FollowId>,
    form: Form,
    closing: Option<CloseReason>,
    /// The writing task had nothing left to do when it last looked.
    is_resting: bool,
    /// The way past that task.
    express: Express,
}

/// An answer.
pub(crate) struct Owed {
    pub(crate) reply: Reply,
    /// It only confirms one piece of many: nobody waits for it by itself, so bulk need not make way.
    pub(crate) is_receipt: bool,
    /// The room that it takes in memory until it has left.
    #[expect(dead_code, reason = "it is given back when this is dropped")]
    pub(crate) room: Option<OwnedSemaphorePermit>,
}

impl Owed {
    fn is_long(&self) -> bool {
        self.reply.len() > LONG_REPLY_BYTES
    }
}

impl<R: Into<Reply>> From<R> for Owed {
    fn from(reply: R) -> Self {
        Self { reply: reply.into(), is_receipt: false, room: None }
    }
}

/// What came of a turn.
struct Said {
    /// Of output, or of whatever else it was.
    bytes: u64,
    /// Who spoke, if there is more to say.
    goes_on: Option<Source>,
    /// Whether there never will be.
    is_over: bool,
}

impl State {
    /// Whether whoever speaks now does so beside bulk: some has just gone, or some has and more waits. Before any has gone it may
    /// be a flood's own beginning, which the answer to its start finds waiting; and a flood alone is not to pay for that.
    fn is_beside_bulk(&self, now: Instant) -> bool {
        self.bulk.as_ref().is_some_and(|(_, at)| self.schedule.has_bulk() || now < *at + SOON)
    }

    /// These leave now.
    fn answers<'a>(&mut self, replies: impl IntoIterator<Item = &'a Owed>, now: Instant) {
        if self.is_beside_bulk(now) && replies.into_iter().any(|owed| !owed.is_receipt) {
            self.backlog.spoke_beside_bulk(now);
        }
    }

    /// What the writing task is to do. `returned`: the latest mark that came back.
    fn next(&mut self, now: Instant, returned: u64) -> Next {
        self.backlog.came_back(returned, now);
        if let Some(reason) = self.closing.clone() {
            // Replies are owed, however long they are; of everything else the log says how far it was told.
            let Self { replies, schedule, .. } = self;
            replies.extend(schedule.drain().filter_map(|source| match source {
                Source::Reply(reply) => Some(reply),
                Source::Process(_) | Source::Body(_) | Source::Search(_) => None,
            }));
            if replies.is_empty() {
                return Next::Close(reason);
            }
        }
        if !self.replies.is_empty() {
            let replies = std::mem::take(&mut self.replies);
            self.reply_bytes -= replies.iter().map(|owed| owed.reply.len()).sum::<usize>();
            self.answers(&replies, now);
            return Next::Replies(replies);
        }
        let Some(follow) = self.follow else { return Next::Nothing };
        if let Some(turn) = self.schedule.next_little() {
            // A flood that ebbs for a moment is no other voice.
            if self.is_beside_bulk(now) && self.bulk.as_ref().is_none_or(|(key, _)| *key != turn.key) {
                self.backlog.spoke_beside_bulk(now);
            }
            return Next::Turn(turn, follow, self.form);
        }
        if self.schedule.has_bulk()
            && !self.is_unheard
            && let Clearance::WaitUntil(until) = self.backlog.clearance(now)
        {
            return Next::Hold(until);
        }
        match self.schedule.next_turn() {
            Some(turn) => Next::Turn(turn, follow, self.form),
            None => Next::Nothing,
        }
    }
}

/// What to do next.
enum Next {
    Replies(VecDeque<Owed>),
    Turn(Turn<Key, Source>, FollowId, Form),
    Close(CloseReason),
    /// Until then, or until the client has read more: there is only bulk, and enough of it under way.
    Hold(Instant),
    Nothing,
}

impl Outbound {
    pub(crate) fn new() -> Self {
        let state = State {
            replies: VecDeque::new(),
            reply_bytes: 0,
            schedule: Schedule::new(SHARES),
            backlog: Backlog::new(BACKLOG),
            bulk: None,
            is_unheard: false,
            follow: None,
            form: Form::default(),
            closing: None,
            is_resting: false,
            express: Express::none(),
        };
        Self {
            state: Mutex::new(state),
            packing: OnceLock::new(),
            news: Notify::new(),
            sent: Notify::new(),
            more_is_at_hand: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Lists are pushed and popped under this lock, nothing that could be left half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an answer.
    pub(crate) fn reply(&self, owed: impl Into<Owed>) {
        let owed = owed.into();
        let mut state = self.lock();
        state.reply_bytes += owed.reply.len();
        // Before there is anything to be followed, there is nothing to take turns with.
        if owed.is_long() && state.follow.is_some() {
            state.schedule.line_up(Key::Reply, Source::Reply(owed));
        } else {
            state.replies.push_back(owed);
        }
        drop(state);
        self.news.notify_one();
    }

    /// The client takes output in packs, for which it may be gathered so long. To be said before [`Outbound::open`], once.
    pub(crate) fn pack(&self, asked_ms: Option<u64>) {
        if let Some(interval) = interval(asked_ms) {
            self.packing.get_or_init(|| interval);
        }
    }

    /// From now on events may leave, drawn as `follow`, in this form.
    pub(crate) fn open(&self, follow: FollowId, form: Form) {
        let mut state = self.lock();
        (state.follow, state.form) = (Some(follow), form);
        drop(state);
        self.news.notify_one();
    }

    /// How bytes travel, as far as that is settled.
    pub(crate) fn form(&self) -> Form {
        self.lock().form
    }

    /// A body has something to be drawn, and is not listed yet.
    pub(super) fn body(&self, body: Arc<Body>) {
        self.lock().schedule.line_up(Key::Body, Source::Body(body));
        self.news.notify_one();
    }

    /// A search has found something, or a watch has seen it. There are few of these at a time, of each.
    pub(super) fn batch(&self, batch: Batch) {
        self.lock().schedule.line_up(Key::Search, Source::Search(batch));
        self.news.notify_one();
    }

    /// Ends the connection when the replies that wait have left. The first reason counts.
    pub(crate) fn close(&self, reason: CloseReason) {
        self.lock().closing.get_or_insert(reason);
        self.news.notify_one();
    }

    /// Whether `limit` bytes of replies or more wait.
    pub(crate) fn owes(&self, limit: usize) -> bool {
        self.lock().reply_bytes >= limit
    }

    /// Whether `limit` bytes of replies or more wait, for a caller who then reads nothing from the client.
    pub(crate) fn pauses_reading(&self, limit: usize) -> bool {
        let mut state = self.lock();
        let is_paused = state.reply_bytes >= limit;
        if is_paused && !state.is_unheard {
            // What is held back for a mark goes now.
            self.news.notify_one();
        }
        state.is_unheard = is_paused;
        is_paused
    }

    /// Resolves when less than `limit` bytes of replies wait.
    pub(crate) async fn owes_less_than(&self, limit: usize) {
        loop {
            let sent = self.sent.notified();
            if !self.owes(limit) {
                return;
            }
            sent.await;
        }
    }

    /// See [`State::next`].
    fn next(&self, now: Instant, returned: u64) -> Next {
        let mut state = self.lock();
        let next = state.next(now, returned);
        state.is_resting = matches!(next, Next::Nothing);
        next
    }

    /// A turn is over, in which `said` was. The mark that is to follow it, if one is.
    fn spoke(&self, key: Key, class: Class, said: Said) -> Option<u64> {
        let mut state = self.lock();
        state.schedule.spoke(&key, class, said.bytes);
        let mark = if class == Class::Bulk {
            let now = now();
            state.backlog.sent(said.bytes);
            match &mut state.bulk {
                Some((last, at)) if *last == key => *at = now,
                bulk => *bulk = Some((key.clone(), now)),
            }
            if state.is_unheard { None } else { state.backlog.mark(now) }
        } else {
            None
        };
        if said.is_over && state.bulk.as_ref().is_some_and(|(last, _)| *last == key) {
            state.bulk = None;
        }
        if let Some(source) = said.goes_on {
            state.schedule.line_up(key, source);
        }
        mark
    }

    /// How far ahead of the socket whoever has a turn now may be: further if nobody else has anything to say, or lately had.
    fn leeway(&self, class: Class, now: Instant) -> Leeway {
        let state = self.lock();
        let is_alone = !state.schedule.has_bulk() && !state.backlog.is_attentive(now);
        if class == Class::Bulk && is_alone { Leeway::Flood } else { Leeway::Usual }
    }

    /// Sends what there is to send until the connection is to be closed, then closes it.
    pub(crate) async fn write_to(&self, writer: &mut MessageWriter) -> Result<(), WriteError> {
        {
            let mut state = self.lock();
            state.express = writer.express();
            if !writer.carries_marks() {
                state.backlog.give_up();
            }
        }
        let mut packing = Packing::default();
        loop {
            let news = self.news.notified();
            packing.send_due(now(), writer).await?;
            let returned = writer.returned_mark();
            match self.next(now(), returned) {
                Next::Replies(replies) => {
                    self.sent.notify_waiters();
                    for owed in replies {
                        feed_reply(writer, owed.reply).await?;
                    }
                }
                Next::Turn(Turn { key, source, class }, follow, form) => {
                    writer.set_leeway(self.leeway(class, now()));
                    let said = self.say(writer, &mut packing, source, SHARES.of(class), follow, form).await?;
                    if let Some(mark) = self.spoke(key, class, said) {
                        // It tells that everything before it was read.
                        packing.send(now(), writer).await?;
                        writer.feed_mark(mark).await?;
                    }
                }
                Next::Close(reason) => {
                    writer.close(reason.code, &reason.reason).await;
                    return Ok(());
                }
                Next::Hold(until) => {
                    let mark = self.lock().backlog.mark(now());
                    if let Some(mark) = mark {
                        packing.send(now(), writer).await?;
                        writer.feed_mark(mark).await?;
                    }
                    writer.flush().await?;
                    tokio::select! {
                        () = news => {}
                        () = packing.becomes_due() => {}
                        () = writer.mark_returns_after(returned) => {}
                        () = sleep_until(until.into()) => {}
                    }
                }
                Next::Nothing => {
                    // Everything that was at hand leaves in as few packets as possible.
                    writer.flush().await?;
                    tokio::select! {
                        () = news => {}
                        () = packing.becomes_due() => {}
                    }
                }
            }
        }
    }
}

/// As the runtime's clock has it, which a test may stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl Follower for Outbound {
    fn ready(&self, process: Arc<Process>, waiting_bytes: u64) {
        let key = Key::Process(process.id.clone());
        self.lock().schedule.ready(key, Source::Process(process), waiting_bytes);
        self.news.notify_one();
    }

    fn has_others(&self) -> bool {
        self.lock().backlog.is_attentive(now())
    }
}

#[cfg(test)]
#[path = "outbound_tests.rs"]
mod tests;
