//! Where notifications go: each to the feed of its process, to its HTTP body, its search, or its watch.
//!
//! Outlives connections, so that a process keeps its feed whatever carries its events.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use codex_exec_server_core::process_event::Exit;
use codex_exec_server_protocol::ids::{ProcessId, Seq};
use codex_exec_server_protocol::methods::{ClientNotification, ServerNotification};
use codex_exec_server_protocol::process::ProcessAckNotification;

use crate::bodies::Bodies;
use crate::error::ClientError;
use crate::feed::Feed;
use crate::record::Account;
use crate::searches::{Batch, Searches};
use crate::timeline::Entry;
use crate::watches::Watches;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Router {
    places: Mutex<Places>,
    bodies: Arc<Bodies>,
    searches: Arc<Searches>,
    watches: Arc<Watches>,
    /// Nobody may hold a connection up: the answers that are waited for stand behind what is pushed.
    draining: AtomicBool,
}

#[derive(Debug, Default)]
struct Places {
    feeds: HashMap<ProcessId, Place>,
    /// After how much the present server is told how far a process's subscribers are; `None` if it does not want to know.
    acknowledge_every: Option<u64>,
    /// Processes of which it was told that nobody here reads them. No more than its session has: each goes with its close,
    /// and all with the connection.
    silent: HashSet<ProcessId>,
}

#[derive(Debug)]
struct Place {
    feed: Arc<Feed>,
    route: Weak<Route>,
}

/// A process's feed, reachable for the connection. Shared by everybody who holds the process or follows it: when the
/// last one is gone, nothing more is taken of what it says, and its id is free.
#[derive(Debug)]
pub(crate) struct Route {
    router: Arc<Router>,
    feed: Arc<Feed>,
}

impl Route {
    /// Adds a process. `None` if there is one of that id.
    pub(crate) fn new(router: &Arc<Router>, feed: Feed) -> Option<Arc<Self>> {
        let (route, is_new) = Self::find_or_new(router, feed);
        is_new.then_some(route)
    }

    /// Adds a process, or finds the one of that id. True if it was added.
    pub(crate) fn find_or_new(router: &Arc<Router>, feed: Feed) -> (Arc<Self>, bool) {
        let id = feed.id().clone();
        let mut places = router.lock();
        if let Some(route) = places.feeds.get(&id).and_then(|place| place.route.upgrade()) {
            return (route, false);
        }
        places.silent.remove(&id);
        feed.acknowledge_every(places.acknowledge_every);
        let feed = Arc::new(feed);
        let route = Arc::new(Self { router: Arc::clone(router), feed: Arc::clone(&feed) });
        places.feeds.insert(id, Place { feed, route: Arc::downgrade(&route) });
        (route, true)
    }

    pub(crate) const fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    /// Whether the id stands for another process by now: this one was closed, and its id used again.
    pub(crate) fn is_superseded(&self) -> bool {
        let places = self.router.lock();
        places.feeds.get(self.feed.id()).is_some_and(|place| !Arc::ptr_eq(&place.feed, &self.feed))
    }
}

impl Drop for Route {
    fn drop(&mut self) {
        self.router.remove(&self.feed);
        self.feed.abandon();
    }
}

impl Places {
    fn is_current(&self, feed: &Arc<Feed>) -> bool {
        self.feeds.get(feed.id()).is_some_and(|place| Arc::ptr_eq(&place.feed, feed))
    }
}

impl Router {
    fn lock(&self) -> MutexGuard<'_, Places> {
        // Every change under this lock is an insertion or removal by itself. No route is dropped under it.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn feeds(&self) -> Vec<Arc<Feed>> {
        self.lock().feeds.values().map(|place| Arc::clone(&place.feed)).collect()
    }

    pub(crate) const fn bodies(&self) -> &Arc<Bodies> {
        &self.bodies
    }

    pub(crate) const fn searches(&self) -> &Arc<Searches> {
        &self.searches
    }

    pub(crate) const fn watches(&self) -> &Arc<Watches> {
        &self.watches
    }

    /// Frees the id of a process of which nothing more will come, unless it stands for another one by now.
    pub(crate) fn remove(&self, feed: &Arc<Feed>) {
        let mut places = self.lock();
        if places.is_current(feed) {
            places.feeds.remove(feed.id());
        }
    }

    /// Acknowledges for `feed` what is due, unless its id stands for another process by now. The id is not given away before that is
    /// said, so whoever takes the id says what it has to say afterwards.
    pub(crate) fn acknowledge(&self, feed: &Arc<Feed>, say: impl FnOnce(&ClientNotification)) {
        let places = self.lock();
        if places.is_current(feed)
            && let Some((through, after)) = feed.acknowledge()
        {
            say(&word(feed, through, after));
        }
    }

    /// Has the server push what `feed` missed, by telling it what is here. True if it was told.
    pub(crate) fn resume(&self, feed: &Arc<Feed>, say: impl FnOnce(&ClientNotification)) -> bool {
        let places = self.lock();
        let Some((through, after)) = places.is_current(feed).then(|| feed.begin_resuming()).flatten() else {
            return false;
        };
        say(&word(feed, through, after));
        true
    }

    /// Says of a process that nobody here reads it, if nobody does, and the server wants to know and does not. `say` tells
    /// whether it was said.
    pub(crate) fn silence(&self, id: &ProcessId, say: impl FnOnce(&ClientNotification) -> bool) {
        let mut places = self.lock();
        let is_heard = places.feeds.contains_key(id) || places.silent.contains(id);
        if places.acknowledge_every.is_none() || is_heard {
            return;
        }
        let (process_id, through_seq, after_seq) = (id.clone(), None, None);
        if say(&ClientNotification::ProcessAck(ProcessAckNotification { process_id, through_seq, after_seq }))
        {
            places.silent.insert(id.clone());
        }
    }

    /// After how much the server is told from now on how far a process's subscribers are.
    pub(crate) fn acknowledge_every(&self, every: Option<u64>) {
        let mut places = self.lock();
        places.acknowledge_every = every;
        for place in places.feeds.values() {
            place.feed.acknowledge_every(every);
        }
    }

    /// Takes a notification to where it belongs. Returns when the connection may go on reading: a process may hold it up
    /// while a subscriber has not taken what is there, if that was asked for; see [`Lag`](crate::Lag).
    ///
    /// What belongs to nobody is dropped: its process was given up, or is of a kind that this client has no use for. That
    /// the process was given up is said with `say`, which tells whether it was.
    pub(crate) async fn deliver(
        &self,
        notification: ServerNotification,
        say: impl FnOnce(&ClientNotification) -> bool,
    ) {
        let (id, seq, entry) = match notification {
            ServerNotification::ProcessOutput(output) => {
                let bytes = output.chunk.into_bytes();
                let entry = Entry::Output { stream: output.stream, bytes, offset: output.offset };
                (output.process_id, output.seq, entry)
            }
            ServerNotification::ProcessExited(exited) => {
                let exit = Exit {
                    code: exited.exit_code,
                    sandbox_denied: exited.sandbox_denied,
                    reason: exited.reason,
                    signal: exited.signal,
                    usage: exited.usage,
                    denials: exited.denials.map(Into::into),
                };
                (exited.process_id, exited.seq, Entry::Exited(exit))
            }
            ServerNotification::ProcessClosed(closed) => {
                let account = Account { output_bytes: closed.output_bytes, crc32c: closed.crc32c };
                (closed.process_id, closed.seq, Entry::Closed(account))
            }
            ServerNotification::HttpBodyDelta(delta) => return self.bodies.deliver(delta),
            ServerNotification::FsChanged(changed) => return self.watches.deliver(changed),
            ServerNotification::FsMissingChanged(changed) => {
                return self.watches.missing_changed(changed.watch_id);
            }
            ServerNotification::FsGlobMatches(found) => {
                let batch = Batch::Paths(found.matches);
                return self.searches.deliver(&found.search_id, found.batch, batch);
            }
            ServerNotification::FsSearchMatches(found) => {
                let batch = Batch::Lines(found.matches);
                return self.searches.deliver(&found.search_id, found.batch, batch);
            }
            _ => return,
        };
        let feed = self.lock().feeds.get(&id).map(|place| Arc::clone(&place.feed));
        let Some(feed) = feed else {
            match entry {
                Entry::Output { .. } => self.silence(&id, say),
                Entry::Exited(_) => {}
                Entry::Closed(_) => {
                    self.lock().silent.remove(&id);
                }
            }
            return;
        };
        feed.push(seq, entry);
        if feed.is_closed() {
            // The server may give the id to somebody else from now on.
            self.remove(&feed);
        }
        if !self.draining.load(Ordering::Acquire) {
            feed.room().await;
        }
    }

    /// Another connection is about to take the place of a lost one: what was pushed in between has to be read, and until
    /// [`Self::caught_up`] everything that is pushed is taken at once.
    pub(crate) fn reconnecting(&self) {
        self.draining.store(true, Ordering::Release);
        self.lock().silent.clear();
        for feed in self.feeds() {
            feed.reconnecting();
        }
    }

    /// Whoever wants to may hold up the connection again.
    pub(crate) fn caught_up(&self) {
        self.draining.store(false, Ordering::Release);
    }

    /// There is no connection any more.
    pub(crate) fn fail(&self, error: &ClientError) {
        self.bodies.fail(&error.to_string().into());
        for feed in self.feeds() {
            feed.fail(error.clone().into());
        }
    }
}

/// Says that the slowest subscriber has everything through `through`, and that what comes behind `after` is to be pushed.
fn word(feed: &Feed, through: Seq, after: Seq) -> ClientNotification {
    ClientNotification::ProcessAck(ProcessAckNotification {
        process_id: feed.id().clone(),
        through_seq: Some(through),
        after_seq: (after != through).then_some(after),
    })
}
