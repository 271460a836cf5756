//! What searches have found, between the connection that brings it and the callers who read it.
//!
//! The server sends no more than was granted to it, so what waits here is bounded, and nobody who reads slowly holds up the
//! connection.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use codex_exec_server_protocol::fs::{FsSearchMatch, FsWalkEntry, SearchId};
use tokio::sync::Notify;

/// Batches of one search that the server may send ahead of its reader: some 64 KiB each.
pub(crate) const WINDOW: u64 = 16;

/// Some of what a search found.
#[derive(Debug)]
pub(crate) enum Batch {
    /// Of `fs/glob`.
    Paths(Vec<FsWalkEntry>),
    /// Of `fs/search`.
    Lines(Vec<FsSearchMatch>),
}

/// Every search under way, by its name.
#[derive(Debug, Default)]
pub(crate) struct Searches {
    open: Mutex<HashMap<SearchId, Arc<Mail>>>,
    last_id: AtomicU64,
}

#[derive(Debug)]
struct Mail {
    state: Mutex<State>,
    news: Notify,
}

#[derive(Debug)]
struct State {
    batches: VecDeque<Batch>,
    /// Number of the batch that comes next.
    next: u64,
    /// What is wrong with what came, if anything.
    fault: Option<String>,
}

impl Mail {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock panics halfway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Searches {
    fn lock(&self) -> MutexGuard<'_, HashMap<SearchId, Arc<Mail>>> {
        // Every change under this lock is a single insertion or removal.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for what comes of a search that is about to be asked for, by a name that none of this client had before.
    pub(crate) fn open(self: &Arc<Self>) -> Mailbox {
        let id = SearchId(format!("search-{}", self.last_id.fetch_add(1, Ordering::Relaxed) + 1));
        let state = State { batches: VecDeque::new(), next: 1, fault: None };
        let mail = Arc::new(Mail { state: Mutex::new(state), news: Notify::new() });
        self.lock().insert(id.clone(), Arc::clone(&mail));
        Mailbox { id, mail, searches: Arc::clone(self) }
    }

    /// Takes a batch to its search. What belongs to none was given up.
    pub(crate) fn deliver(&self, id: &SearchId, number: u64, batch: Batch) {
        let Some(mail) = self.lock().get(id).cloned() else { return };
        let mut state = mail.lock();
        if state.fault.is_some() {
            return;
        }
        if number != state.next {
            state.fault = Some(format!("batch {number} came in place of batch {}", state.next));
        } else if state.batches.len() as u64 >= WINDOW {
            state.fault = Some(format!("server sent more than the {WINDOW} batches that it may be ahead"));
        } else {
            state.next += 1;
            state.batches.push_back(batch);
        }
        drop(state);
        mail.news.notify_one();
    }
}

/// Where one search's batches arrive. Dropping it gives its name back.
#[derive(Debug)]
pub(crate) struct Mailbox {
    pub(crate) id: SearchId,
    mail: Arc<Mail>,
    searches: Arc<Searches>,
}

impl Mailbox {
    /// What came next; an error, behind everything that came before, says what is wrong with it.
    pub(crate) fn take(&self) -> Result<Option<Batch>, String> {
        let mut state = self.mail.lock();
        match (state.batches.pop_front(), &state.fault) {
            (Some(batch), _) => Ok(Some(batch)),
            (None, Some(fault)) => Err(fault.clone()),
            (None, None) => Ok(None),
        }
    }

    /// Resolves when there may be something new to take.
    pub(crate) async fn news(&self) {
        self.mail.news.notified().await;
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.searches.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_come_in_order_and_what_is_wrong_with_them_is_told_behind_them() {
        let searches = Arc::new(Searches::default());
        for (numbers, taken, fault) in [
            (vec![1, 2], 2, None),
            (vec![1, 3, 2], 1, Some("batch 3 came in place of batch 2")),
            (vec![1, 1], 1, Some("batch 1 came in place of batch 2")),
            ((1..=17).collect(), 16, Some("server sent more than the 16 batches that it may be ahead")),
        ] {
            let mailbox = searches.open();
            for number in numbers {
                searches.deliver(&mailbox.id, number, Batch::Paths(Vec::new()));
            }
            for _ in 0..taken {
                assert!(matches!(mailbox.take(), Ok(Some(Batch::Paths(_)))));
            }
            let rest = mailbox.take();
            assert_eq!(rest.as_ref().err().map(String::as_str), fault, "{rest:?}");
        }
        assert!(searches.lock().is_empty());
    }
}
