//! A process's log and everybody who reads it: what they want together, and who is to be told of news.

use std::sync::Arc;

use codex_exec_server_core::event_log::{EventLog, Interest};
use codex_exec_server_protocol::ids::Seq;
use codex_exec_server_protocol::process::WhenFull;
use tokio::time::Instant;

use super::audience::Audience;
use super::follow::{Follow, FollowId, Follower, Had};
use super::host::{Holding, ProcessHost};

/// See the module. A connection follows and others watch; local callers are an audience. A process has one or the other.
pub(super) struct Reading {
    pub(super) log: EventLog,
    /// Of the connection that holds the session.
    pub(super) follow: Option<Follow>,
    /// Of connections that only watch.
    pub(super) watchers: Vec<Follow>,
    pub(super) audience: Audience,
    /// What the start asked for.
    when_full: Option<WhenFull>,
    /// Whether somebody holds the session, who may be about to follow.
    pub(super) is_attached: bool,
    /// What the last follower had of it, as far as anybody knows.
    pub(super) had: Had,
    /// Whether the spool's file is being changed.
    pub(super) is_tended: bool,
}

impl Reading {
    pub(super) fn new(log: EventLog, when_full: Option<WhenFull>, is_attached: bool) -> Self {
        Self {
            log,
            follow: None,
            watchers: Vec::new(),
            audience: Audience::default(),
            when_full,
            is_attached,
            had: Had::Sent(Seq::START),
            is_tended: false,
        }
    }

    /// The follower of this id, if it was not replaced.
    pub(super) fn follower(&mut self, id: FollowId) -> Option<(&mut Follow, &mut EventLog)> {
        let Self { log, follow, watchers, .. } = self;
        follow.iter_mut().chain(watchers).find(|follow| follow.id == id).map(|follow| (follow, log))
    }

    /// Nobody follows any more.
    pub(super) fn let_go(&mut self) {
        self.is_attached = false;
        if let Some(follow) = self.follow.take() {
            self.had = match (follow.had(&self.log), self.had) {
                // One that came back and was gone before it said anything has not lost what it had.
                (Had::Acknowledged(now), before) if now < before.through() => before,
                (had, _) => had,
            };
        }
    }

    /// Those who have to be told of news, and count as told, each with what waits for it.
    pub(super) fn tell(&mut self) -> Vec<(Arc<dyn Follower>, u64)> {
        let Self { log, follow, watchers, .. } = self;
        let everybody = follow.iter_mut().chain(watchers);
        let tell = |follow: &mut Follow| {
            follow.tell(log).then(|| (Arc::clone(&follow.follower), follow.waiting_bytes(log)))
        };
        // Nearly always nobody or one; an empty list takes no memory.
        everybody.filter_map(tell).collect()
    }

    /// Whether somebody who follows has others to listen to; see [`Follower::has_others`].
    pub(super) fn is_beside_others(&self) -> bool {
        self.follow.iter().chain(&self.watchers).any(|follow| follow.follower.has_others())
    }

    /// Time has passed, for everybody.
    pub(super) fn expire(&mut self, now: Instant) {
        self.follow.iter_mut().chain(&mut self.watchers).for_each(|follow| follow.expire(now));
    }

    /// Brings interest, retention and the host's account in line with what has changed since the log held `before`.
    pub(super) fn settle(&mut self, host: &ProcessHost, before: Holding) {
        self.log.set_interest(self.interest(host));
        self.log.trim(host.means());
        host.account(before, Holding::of(&self.log));
    }

    /// While somebody is attached the process waits rather than lose what they have not had, and while nobody is, it
    /// runs on; unless its start asked for one or the other. Where memory is all there is, nobody's absence costs them
    /// output either: a connection that breaks for a moment would lose what a flood writes meanwhile.
    fn interest(&self, host: &ProcessHost) -> Interest {
        let mut interest = match (&self.follow, self.audience.interest()) {
            (Some(follow), _) => {
                let (settled, taken) = (follow.settled(), follow.taken());
                let step = follow.acknowledges_every();
                Interest {
                    keep: Some(match step {
                        Some(step) => self.log.owed(settled, taken, step, host.means()),
                        None => settled,
                    }),
                    wanted: settled,
                    unread: follow.unread(),
                    sent: step.is_none().then_some(taken),
                    pacer: (!follow.is_catching_up()).then_some(taken),
                }
            }
            (None, Some(audience)) => audience,
            (None, None) => {
                let certain = match self.had {
                    Had::Sent(seq) => self.log.certain(seq),
                    Had::Acknowledged(seq) => seq,
                };
                let stays = self.is_attached || self.when_full == Some(WhenFull::Wait) || !host.can_file();
                let wanted = self.had.through();
                Interest {
                    keep: stays.then_some(certain),
                    wanted,
                    unread: if stays { certain.min(wanted) } else { wanted },
                    sent: matches!(self.had, Had::Sent(_)).then_some(wanted),
                    pacer: None,
                }
            }
        };
        if self.when_full == Some(WhenFull::DropOldest) {
            interest.keep = None;
        }
        // Those who watch are owed nothing that the budget has no room for.
        for watcher in &self.watchers {
            interest.wanted = interest.wanted.min(watcher.settled());
            interest.unread = interest.unread.min(watcher.unread());
        }
        interest
    }
}
