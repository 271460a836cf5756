//! Push: a follower is told that a process has something new and draws it when it is ready to send.
//!
//! Nothing is queued on a follower's behalf. It holds one position per process, so a slow one costs no memory; what
//! it has not taken is kept by the process's log, within the log's bounds.

use std::sync::Arc;
use std::time::Duration;

use codex_exec_server_core::event_log::{Event, EventLog, Next, Place};
use codex_exec_server_core::spool::Segment;
use codex_exec_server_protocol::ids::Seq;
use tokio::time::Instant;

use super::Process;

/// Told about news; must not block and must not call back into the process.
pub trait Follower: Send + Sync {
    /// `process` has something to draw and had nothing before. Not repeated until a draw has emptied it.
    fn ready(&self, process: Arc<Process>);
}

/// Names one spell of following, so that a follower that was replaced can't draw any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FollowId(pub(super) u64);

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
    /// Whether the follower was told and has not emptied the log since.
    told: bool,
    /// What was missed while nobody followed, and must stay until it was read.
    catch_up: Option<CatchUp>,
}

struct CatchUp {
    /// Read through here already.
    from: Seq,
    /// The last position that is to be read rather than pushed.
    tip: Seq,
    until: Instant,
    /// Whether nothing is pushed meanwhile.
    holds: bool,
}

impl Follow {
    /// From the first event on.
    pub(super) const fn from_start(id: FollowId, follower: Arc<dyn Follower>) -> Self {
        Self { id, follower, place: Place::new(Seq::START), told: false, catch_up: None }
    }

    /// From where one read of what was missed is sure to reach, on; the last follower took everything through `sent`.
    ///
    /// A client that comes back reads what it missed. If that is more than one answer holds, what follows is pushed behind
    /// it: a client that takes one answer for all there is sees no gap, and one that reads page by page no byte twice.
    pub(super) fn from_now(
        id: FollowId,
        follower: Arc<dyn Follower>,
        log: &mut EventLog,
        sent: Seq,
        now: Instant,
    ) -> Self {
        // The last chunk must not grow any more, or what is added to it would count as taken.
        log.seal();
        let from = log.dropped().map_or(Seq::START, |dropped| dropped.through_seq);
        let tip = log.reach_of_one_read(sent);
        let holds = tip < log.last();
        let catch_up = (tip > Seq::START).then_some(CatchUp { from, tip, until: now + CATCH_UP, holds });
        Self { id, follower, place: Place::new(tip), told: false, catch_up }
    }

    /// The last position taken.
    pub(super) const fn taken(&self) -> Seq {
        self.place.after()
    }

    /// The position through which nothing is wanted any more, except what was lost on its way.
    pub(super) fn settled(&self) -> Seq {
        self.catch_up.as_ref().map_or(self.taken(), |catch_up| catch_up.from.min(self.taken()))
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
        let tell = !self.told && !self.is_held() && log.last() > self.taken();
        self.told |= tell;
        tell
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
        while bytes < max_bytes {
            match log.next(&mut self.place) {
                Next::Event(event) => {
                    self.place.advance(event.seq());
                    if let Event::Output(chunk) = &event {
                        bytes += chunk.bytes.len();
                    }
                    draw.events.push(event);
                }
                Next::Filed(segment) if draw.events.is_empty() => return (draw, Some(segment)),
                Next::Filed(_) | Next::Nothing => break,
            }
        }
        draw.more = log.last() > self.taken();
        self.told = draw.more;
        (draw, None)
    }

    /// Bytes of output that were not taken yet.
    pub(super) fn waiting_bytes(&self, log: &EventLog) -> u64 {
        log.bytes_after(self.taken())
    }

    /// Whether everything was taken.
    pub(super) fn is_done(&self, log: &EventLog) -> bool {
        log.is_closed() && self.taken() == log.last() && self.catch_up.is_none()
    }
}
