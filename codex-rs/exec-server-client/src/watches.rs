//! What watches have seen, between the connection that brings it and the callers who read it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use codex_exec_server_core::service::Changes;
use codex_exec_server_protocol::fs::{FsChangedNotification, WatchId};
use tokio::sync::Notify;

/// Changes of one watch that may wait for their reader; one who is slower is told to look again.
const WAITING: usize = 16_384;

/// Every watch, by its name on its connection. A name is used once, whatever the connection.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    open: Mutex<HashMap<WatchId, Arc<Mail>>>,
    last_id: AtomicU64,
    /// The latest watch on missing paths: a server has one of each connection.
    newest_missing: Mutex<Option<WatchId>>,
}

#[derive(Debug, Default)]
struct Mail {
    waiting: Mutex<Changes>,
    news: Notify,
}

impl Mail {
    fn lock(&self) -> MutexGuard<'_, Changes> {
        // Nothing under this lock panics halfway.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watches {
    fn lock(&self) -> MutexGuard<'_, HashMap<WatchId, Arc<Mail>>> {
        // Every change under this lock is a single insertion or removal.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for what a watch sees that is about to be asked for.
    pub(crate) fn open(self: &Arc<Self>) -> Mailbox {
        let id = WatchId(self.last_id.fetch_add(1, Ordering::Relaxed) + 1);
        let mail = Arc::new(Mail::default());
        self.lock().insert(id, Arc::clone(&mail));
        Mailbox { id, mail, watches: Arc::clone(self) }
    }

    /// A place for the word on missing paths. Whoever waited for the one before is to look again, since the server lets go of
    /// that one.
    pub(crate) fn open_missing(self: &Arc<Self>) -> Mailbox {
        // Held meanwhile, so that the order of names is that of the places.
        let mut newest = self.newest_missing.lock().unwrap_or_else(PoisonError::into_inner);
        let mailbox = self.open();
        if let Some(before) = newest.replace(mailbox.id) {
            self.missing_changed(before);
        }
        mailbox
    }

    /// Tells the watch on missing paths that it is over.
    pub(crate) fn missing_changed(&self, watch_id: WatchId) {
        let changes = Vec::new();
        self.deliver(FsChangedNotification { watch_id, changes, resync: true, ended: true });
    }

    /// Takes changes to their watch. What belongs to none was given up.
    pub(crate) fn deliver(&self, changed: FsChangedNotification) {
        let Some(mail) = self.lock().get(&changed.watch_id).cloned() else { return };
        let mut waiting = mail.lock();
        if changed.resync || waiting.changes.len() + changed.changes.len() > WAITING {
            // Who looks at everything sees what was told before, too.
            waiting.changes.clear();
            waiting.resync = true;
        }
        waiting.changes.extend(changed.changes);
        waiting.changes.truncate(WAITING);
        waiting.ended |= changed.ended;
        drop(waiting);
        mail.news.notify_one();
    }
}

/// Where one watch's changes arrive. Dropping it gives its name back.
#[derive(Debug)]
pub(crate) struct Mailbox {
    pub(crate) id: WatchId,
    mail: Arc<Mail>,
    watches: Arc<Watches>,
}

impl Mailbox {
    /// Everything that has come, if anything.
    pub(crate) fn take(&self) -> Option<Changes> {
        let mut waiting = self.mail.lock();
        let is_silent = waiting.changes.is_empty() && !waiting.resync && !waiting.ended;
        if is_silent { None } else { Some(std::mem::take(&mut *waiting)) }
    }

    /// Whether nothing more will come, whatever waits to be taken.
    pub(crate) fn has_ended(&self) -> bool {
        self.mail.lock().ended
    }

    /// Resolves when there may be something to take.
    pub(crate) async fn news(&self) {
        self.mail.news.notified().await;
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.watches.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use codex_exec_server_protocol::fs::{FsChange, FsChangeKind};

    use super::*;

    fn changed(id: WatchId, count: usize, resync: bool) -> FsChangedNotification {
        let path: codex_exec_server_protocol::path_uri::PathUri = "file:///f".parse().expect("a URI");
        let changes = vec![FsChange { path, kind: FsChangeKind::Modified }; count];
        FsChangedNotification { watch_id: id, changes, resync, ended: false }
    }

    #[test]
    fn who_is_slow_is_told_everything_at_once_and_who_is_slower_to_look_again() {
        let watches = Arc::new(Watches::default());
        let mailbox = watches.open();
        let counted =
            |mailbox: &Mailbox| mailbox.take().map(|changes| (changes.changes.len(), changes.resync));
        assert_eq!(counted(&mailbox), None);
        for _ in 0..2 {
            watches.deliver(changed(mailbox.id, /*count*/ 100, /*resync*/ false));
        }
        assert_eq!(counted(&mailbox), Some((200, false)));
        watches.deliver(changed(mailbox.id, /*count*/ 100, /*resync*/ false));
        watches.deliver(changed(mailbox.id, /*count*/ 10, /*resync*/ true));
        assert_eq!(counted(&mailbox), Some((10, true)));
        for _ in 0..2 {
            watches.deliver(changed(mailbox.id, WAITING, /*resync*/ false));
        }
        assert_eq!(counted(&mailbox), Some((WAITING, true)));
        drop(mailbox);
        assert!(watches.lock().is_empty());
    }
}
