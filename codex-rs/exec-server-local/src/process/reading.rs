//! A process's log and everybody who reads it: what they want together, and who is to be told of news.

use std::sync::Arc;

use codex_exec_server_core::event_log::{EventLog, Interest};
use codex_exec_server_protocol::ids::Seq;
use codex_exec_server_protocol::process::WhenFull;

use super::audience::Audience;
use super::follow::{Follow, FollowId, Follower};
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
    pub(super) sent: Seq,
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
            sent: Seq::START,
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
            self.sent = follow.settled();
        }
    }

    /// Those who have to be told of news, and count as told.
    pub(super) fn tell(&mut self) -> Vec<Arc<dyn Follower>> {
        let Self { log, follow, watchers, .. } = self;
        let everybody = follow.iter_mut().chain(watchers);
        // Nearly always nobody or one; an empty list takes no memory.
        everybody.filter_map(|follow| follow.tell(log).then(|| Arc::clone(&follow.follower))).collect()
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
            (Some(follow), _) => Interest {
                keep: Some(follow.settled()),
                wanted: follow.settled(),
                sent: Some(follow.taken()),
                pacer: (!follow.is_catching_up()).then(|| follow.taken()),
            },
            (None, Some(audience)) => audience,
            (None, None) => Interest {
                keep: (self.is_attached || self.when_full == Some(WhenFull::Wait) || !host.can_file())
                    .then(|| self.log.certain(self.sent)),
                wanted: self.sent,
                sent: Some(self.sent),
                pacer: None,
            },
        };
        if self.when_full == Some(WhenFull::DropOldest) {
            interest.keep = None;
        }
        // Those who watch are owed nothing that the budget has no room for.
        let slowest = self.watchers.iter().map(Follow::taken).min();
        interest.wanted = slowest.map_or(interest.wanted, |slowest| interest.wanted.min(slowest));
        interest
    }
}
