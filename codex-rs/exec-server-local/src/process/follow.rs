//! Push: a follower is told that a process has something new and draws it when it is ready to send.
//!
//! Nothing is queued on a follower's behalf. It holds one position per process, so a slow one costs no memory; what
//! it has not taken is kept by the process's log, within the log's bounds.

use std::sync::Arc;
use std::time::Duration;

use codex_exec_server_core::event_log::{Event, EventLog, Next, Place};
use codex_exec_server_core::output_window::{OutputWindow, acknowledge_every};
use codex_exec_server_core::spool::Segment;
use codex_exec_server_protocol::ids::Seq;
use tokio::time::Instant;

use super::Process;

/// Told about news; must not block and must not call back into the process.
pub trait Follower: Send + Sync {
    /// `process` has something to draw and had nothing before. Not repeated until a draw has emptied it. `waiting_bytes` of
    /// output wait for it; a measure of whether it is a trickle or a flood.
    fn ready(&self, process: Arc<Process>, waiting_bytes: u64);

    /// Whether it has others to listen to at the moment, who say little: a flood is then to leave them time. Must not block
    /// either.
    fn has_others(&self) -> bool;
}

/// Names one spell of following, so that a follower that was replaced can't draw any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FollowId(pub(super) u64);

/// A follower, and what it has agreed to.
#[derive(Clone)]
pub(super) struct Following {
    pub(super) id: FollowId,
    pub(super) follower: Arc<dyn Follower>,
    /// How far what it takes may be ahead of what it acknowledges; `None` if it acknowledges nothing.
    pub(super) window_bytes: Option<u64>,
}

/// What a follower says of its own readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The slowest has everything through here; `None`: there are none, and nothing is to be pushed but exit and close.
    pub through: Option<Seq>,
    /// The furthest has everything through here, or what is behind this is to be pushed; as `through` if it is not said.
    pub after: Option<Seq>,
}

/// What a follower took.
#[derive(Debug, Default)]
pub struct Draw {
    /// Events in order.
    pub events: Vec<Event>,
    /// Whether there is more to draw right now; otherwise the follower is told again.
    pub more: bool,
}

/// How long a client that came back may leave what it missed unread, or stop reading it, before that may be dropped.
const CATCH_UP: Duration = Duration::from_secs(10);

/// One follower of one process.
pub(super) struct Follow {
    pub(super) id: FollowId,
    pub(super) follower: Arc<dyn Follower>,
    pub(super) place: Place,
    flow: Flow,
    /// Whether the follower was told and has not emptied the log since.
    told: bool,
    /// What was missed while nobody followed, and must stay until it was read.
    catch_up: Option<CatchUp>,
}

/// How far a follower is pushed to.
enum Flow {
    /// As far as it takes. What it took is had, but for what a lost connection swallows.
    Open,
    /// As far ahead of its furthest reader as the window reaches. Its slowest has everything through `had`, and what comes
    /// behind that it may still ask for.
    Window { window: OutputWindow, had: Seq },
    /// Nothing but the end: nobody there reads.
    Silent { window_bytes: u64 },
}

impl Flow {
    fn new(window_bytes: Option<u64>, had: Seq) -> Self {
        window_bytes.map_or(Self::Open, |bytes| Self::Window { window: OutputWindow::new(bytes), had })
    }
}

/// What a follower that is gone had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Had {
    /// It was sent everything through here, and may have lost the last of it.
    Sent(Seq),
    /// It has everything through here.
    Acknowledged(Seq),
}

impl Had {
    pub(super) const fn through(self) -> Seq {
        match self {
            Self::Sent(seq) | Self::Acknowledged(seq) => seq,
        }
    }
}

struct CatchUp {
    /// Read through here already.
    from: Seq,
    /// The last position that is to be read rather than pushed.
    tip: Seq,
    until: Instant,
    /// Whether nothing is pushed meanwhile, and so nothing was.
    holds: bool,
}

impl Follow {
    /// From the first event on.
    pub(super) fn from_start(following: Following) -> Self {
        Self::behind(following, Seq::START)
    }

    /// Of somebody who has everything through `after`.
    pub(super) fn behind(following: Following, after: Seq) -> Self {
        let Following { id, follower, window_bytes } = following;
        let flow = Flow::new(window_bytes, after);
        Self { id, follower, place: Place::new(after), flow, told: false, catch_up: None }
    }

    /// From where one read of what was missed is sure to reach, on; the last follower took everything through `sent`.
    ///
    /// A client that comes back reads what it missed. If that is more than one answer holds, what follows is pushed behind
    /// it: a client that takes one answer for all there is sees no gap, and one that reads page by page no byte twice. One
    /// that acknowledges says again what it has, and nothing is pushed before that: what comes behind it is, from there on,
    /// and need not be read. Until then everything that is retained is its.
    pub(super) fn from_now(following: Following, log: &mut EventLog, sent: Seq, now: Instant) -> Self {
        // The last chunk must not grow any more, or what is added to it would count as taken.
        log.seal();
        let from = log.dropped().map_or(Seq::START, |dropped| dropped.through_seq);
        let tip = log.reach_of_one_read(sent);
        let holds = tip < log.last() || following.window_bytes.is_some();
        let catch_up = (tip > Seq::START).then_some(CatchUp { from, tip, until: now + CATCH_UP, holds });
        let Following { id, follower, window_bytes } = following;
        let flow = Flow::new(window_bytes, from);
        Self { id, follower, place: Place::new(tip), flow, told: false, catch_up }
    }

    /// Of somebody who joins those who follow already, and has read nothing: what is retained is there to be read for a while,
    /// and what comes from now on is pushed.
    pub(super) fn joining(following: Following, log: &mut EventLog, now: Instant) -> Self {
        let last = log.last();
        Self::from_now(following, log, last, now)
    }

    /// The last position taken.
    pub(super) const fn taken(&self) -> Seq {
        match self.flow {
            Flow::Open | Flow::Window { .. } => self.place.after(),
            // It will never take what it does not want.
            Flow::Silent { .. } => Seq(u64::MAX),
        }
    }

    /// The position through which nothing is wanted any more, except what was lost on its way.
    pub(super) fn settled(&self) -> Seq {
        let had = match &self.flow {
            Flow::Window { had, .. } => *had,
            Flow::Open | Flow::Silent { .. } => self.taken(),
        };
        self.catch_up.as_ref().map_or(had, |catch_up| catch_up.from.min(had))
    }

    /// The position behind which it takes next, or reads.
    pub(super) fn unread(&self) -> Seq {
        self.catch_up.as_ref().map_or(self.taken(), |catch_up| catch_up.from.min(self.taken()))
    }

    /// After how many bytes it says what it has, if it does.
    pub(super) const fn acknowledges_every(&self) -> Option<u64> {
        match &self.flow {
            Flow::Window { window, .. } => Some(acknowledge_every(window.bytes())),
            Flow::Open | Flow::Silent { .. } => None,
        }
    }

    /// What it leaves behind when it is gone.
    pub(super) fn had(&self, log: &EventLog) -> Had {
        match &self.flow {
            Flow::Window { had, .. } => Had::Acknowledged(*had),
            Flow::Open | Flow::Silent { .. } => Had::Sent(self.settled().min(log.last())),
        }
    }

    /// Takes its word. Words of one that had not agreed to give any mean nothing.
    pub(super) fn acknowledge(&mut self, word: Acknowledgement, log: &mut EventLog) {
        match (&mut self.flow, word.through) {
            (Flow::Open, _) | (Flow::Silent { .. }, None) => {}
            (Flow::Window { window, had }, Some(through)) => {
                // A chunk that it has seen does not grow, and what it read is not pushed to it as well.
                log.seal();
                let after = word.after.unwrap_or(through).max(through).min(log.last());
                *had = through.min(log.last()).max(*had);
                window.acknowledge(after);
                // Its first word since it came back says where to go on, also if that is before where it was thought to be.
                match self.catch_up.take() {
                    Some(_) => self.place = Place::new(after),
                    None => self.place.advance(after),
                }
            }
            (Flow::Window { window, .. }, None) => {
                self.flow = Flow::Silent { window_bytes: window.bytes() };
                // Nothing that it took from the file is needed.
                self.place = Place::new(self.place.after());
                self.catch_up = None;
                self.told = false;
            }
            (Flow::Silent { window_bytes }, Some(through)) => {
                log.seal();
                let after = word.after.unwrap_or(through).max(through).min(log.last());
                let window = OutputWindow::new(*window_bytes);
                self.flow = Flow::Window { window, had: through.min(log.last()) };
                self.place = Place::new(after);
                self.told = false;
            }
        }
    }

    /// Whether it is still to read what it missed.
    pub(super) const fn is_catching_up(&self) -> bool {
        self.catch_up.is_some()
    }

    /// When what was missed is given up, unless it is read further.
    pub(super) fn expires_at(&self) -> Option<Instant> {
        self.catch_up.as_ref().map(|catch_up| catch_up.until)
    }

    /// Whether nothing is pushed before that.
    pub(super) fn is_held(&self) -> bool {
        self.catch_up.as_ref().is_some_and(|catch_up| catch_up.holds)
    }

    /// Time has passed.
    pub(super) fn expire(&mut self, now: Instant) {
        if self.expires_at().is_some_and(|until| until <= now) {
            self.catch_up = None;
        }
    }

    /// Somebody who had everything through `after` read on up to, but not including, `next`. Progress renews the time: a
    /// client behind a slow line needs as long as it needs.
    pub(super) fn was_read(&mut self, after: Seq, next: Seq, now: Instant) {
        if let Some(catch_up) = &mut self.catch_up {
            if after > catch_up.from {
                catch_up.from = after;
                catch_up.until = now + CATCH_UP;
            }
            if catch_up.from >= catch_up.tip || next > catch_up.tip {
                self.catch_up = None;
            }
        }
    }

    /// Whether the follower must be told now; if so, it counts as told.
    pub(super) fn tell(&mut self, log: &EventLog) -> bool {
        let tell = !self.told && !self.is_held() && self.may_take(log);
        self.told |= tell;
        tell
    }

    /// Whether there is something for it that it may have now.
    fn may_take(&self, log: &EventLog) -> bool {
        match &self.flow {
            Flow::Open => log.last() > self.taken(),
            Flow::Window { window, .. } => window.is_open() && log.last() > self.taken(),
            Flow::Silent { .. } => log.next_ending(self.place.after()).is_some(),
        }
    }

    /// What it waited for is there, so it is to be told again.
    pub(super) const fn untell(&mut self) {
        self.told = false;
    }

    /// Takes events of up to about `max_bytes` of output: at least one event, and never a chunk cut in two. What is next
    /// may have to be fetched first; then the follower stays told.
    pub(super) fn draw(&mut self, log: &mut EventLog, max_bytes: usize) -> (Draw, Option<Segment>) {
        let mut draw = Draw::default();
        let mut bytes = 0;
        while bytes < max_bytes && self.may_take(log) {
            let next = match self.flow {
                Flow::Open | Flow::Window { .. } => log.next(&mut self.place),
                Flow::Silent { .. } => log.next_ending(self.place.after()).map_or(Next::Nothing, Next::Event),
            };
            match next {
                Next::Event(event) => {
                    self.place.advance(event.seq());
                    let output_bytes = if let Event::Output(chunk) = &event { chunk.bytes.len() } else { 0 };
                    bytes += output_bytes;
                    if let Flow::Window { window, .. } = &mut self.flow {
                        window.send(event.seq(), output_bytes as u64);
                    }
                    draw.events.push(event);
                }
                Next::Filed(segment) if draw.events.is_empty() => return (draw, Some(segment)),
                Next::Filed(_) | Next::Nothing => break,
            }
        }
        draw.more = self.may_take(log);
        self.told = draw.more;
        (draw, None)
    }

    /// Bytes of output that were not taken yet.
    pub(super) fn waiting_bytes(&self, log: &EventLog) -> u64 {
        log.bytes_after(self.taken())
    }

    /// Whether everything was taken.
    pub(super) fn is_done(&self, log: &EventLog) -> bool {
        log.is_closed() && self.taken() >= log.last() && self.catch_up.is_none()
    }
}
