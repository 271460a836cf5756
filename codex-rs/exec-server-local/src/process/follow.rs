//! Push: a follower is told that a process has something new and draws it when it is ready to send.
//!
//! Nothing is queued on a follower's behalf. It holds one position per process, so a slow one costs no memory; what
//! it has not taken is kept by the process's log, within the log's bounds.

use std::sync::Arc;
use std::time::Duration;

use codex_exec_server_core::event_log::{Event, EventLog, Floor};
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
    /// Whether there is more to draw right now; the follower is not told again.
    pub more: bool,
}

/// How long a client that came back may leave what it missed unread, or stop reading it, before that may be dropped.
const CATCH_UP: Duration = Duration::from_secs(10);

/// The follower of one process.
pub(super) struct Follow {
    pub(super) id: FollowId,
    pub(super) follower: Arc<dyn Follower>,
    /// The last position taken.
    taken: Seq,
    /// Whether the follower was told and has not emptied the log since.
    told: bool,
    /// What was missed while nobody followed, and must stay until it was read.
    catch_up: Option<CatchUp>,
}

struct CatchUp {
    /// Read through here already.
    from: Seq,
    /// The last position that was missed.
    tip: Seq,
    until: Instant,
}

impl Follow {
    /// From the first event on.
    pub(super) const fn from_start(id: FollowId, follower: Arc<dyn Follower>) -> Self {
        Self { id, follower, taken: Seq::START, told: false, catch_up: None }
    }

    /// From the next event on. What is there already stays readable for whoever missed it.
    pub(super) fn from_now(
        id: FollowId,
        follower: Arc<dyn Follower>,
        log: &mut EventLog,
        now: Instant,
    ) -> Self {
        // The last chunk must not grow any more, or what is added to it would count as taken.
        log.seal();
        let from = log.dropped().map_or(Seq::START, |dropped| dropped.through_seq);
        let catch_up =
            (log.last() > Seq::START).then_some(CatchUp { from, tip: log.last(), until: now + CATCH_UP });
        Self { id, follower, taken: log.last(), told: false, catch_up }
    }

    /// What the log must keep on this follower's account.
    pub(super) fn floor(&self) -> Floor {
        match &self.catch_up {
            Some(catch_up) => Floor::Keep(catch_up.from),
            None => Floor::Taken(self.taken),
        }
    }

    /// When [`Self::floor`] changes by itself.
    pub(super) fn expires_at(&self) -> Option<Instant> {
        self.catch_up.as_ref().map(|catch_up| catch_up.until)
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
        let tell = !self.told && log.last() > self.taken;
        self.told |= tell;
        tell
    }

    /// Takes events of up to about `max_bytes` of output: at least one event, and never a chunk cut in two.
    pub(super) fn draw(&mut self, log: &mut EventLog, max_bytes: usize) -> Draw {
        let mut draw = Draw::default();
        let mut bytes = 0;
        while bytes < max_bytes
            && let Some(event) = log.next_after(self.taken)
        {
            self.taken = event.seq();
            if let Event::Output(chunk) = &event {
                bytes += chunk.bytes.len();
            }
            draw.events.push(event);
        }
        draw.more = log.last() > self.taken;
        self.told = draw.more;
        draw
    }

    /// Bytes of output that were not taken yet.
    pub(super) fn waiting_bytes(&self, log: &EventLog) -> u64 {
        log.bytes_after(self.taken)
    }

    /// Whether everything was taken.
    pub(super) fn is_done(&self, log: &EventLog) -> bool {
        log.is_closed() && self.taken == log.last() && self.catch_up.is_none()
    }
}
