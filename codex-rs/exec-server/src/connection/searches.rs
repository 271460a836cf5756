//! The searches of one connection: their names, how much of each its client still takes, and what of them waits for the
//! socket.
//!
//! Of each search two batches wait at most, and only as far as the client granted credit. So a client that takes nothing
//! of one search holds back that search, and nothing else. Searches end with their connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use codex_exec_server_core::limits::FileLimits;
use codex_exec_server_core::search_fault::SearchFault;
use codex_exec_server_protocol::fs::{MAX_SEARCH_ID_BYTES, SearchId};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::outbound::Outbound;

/// Batches of one search that wait for the socket: one that is being sent, and one that is ready when it has been.
const WAITING: u32 = 2;

/// See the module.
pub(crate) struct Searches {
    outbound: Arc<Outbound>,
    limit: usize,
    running: Arc<Mutex<HashMap<SearchId, Arc<Credit>>>>,
}

impl Searches {
    pub(crate) fn new(outbound: Arc<Outbound>, limits: FileLimits) -> Self {
        Self { outbound, limit: limits.searches_per_connection, running: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SearchId, Arc<Credit>>> {
        // Every change under this lock is a single insertion or removal.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a name for a search of which `credit` batches may be sent; any number if that is `None`.
    pub(crate) fn open(&self, id: SearchId, credit: Option<u64>) -> Result<Place, SearchFault> {
        if id.0.len() > MAX_SEARCH_ID_BYTES {
            return Err(SearchFault::IdTooLong);
        }
        let mut running = self.lock();
        if running.contains_key(&id) {
            return Err(SearchFault::IdTaken(id));
        }
        if running.len() >= self.limit {
            return Err(SearchFault::TooManyHere(self.limit));
        }
        let credit = Arc::new(Credit { left: Mutex::new(credit), granted: Notify::new() });
        running.insert(id.clone(), Arc::clone(&credit));
        Ok(Place {
            outbound: Arc::clone(&self.outbound),
            running: Arc::clone(&self.running),
            id,
            credit,
            waiting: Arc::new(Semaphore::new(WAITING as usize)),
        })
    }

    /// `fs/searchCredit`. For a search that is over it means nothing.
    pub(crate) fn grant(&self, id: &SearchId, batches: u64) {
        if let Some(credit) = self.lock().get(id) {
            credit.grant(batches);
        }
    }
}

/// How many more batches a client takes; `None` is any number.
struct Credit {
    left: Mutex<Option<u64>>,
    granted: Notify,
}

impl Credit {
    fn lock(&self) -> MutexGuard<'_, Option<u64>> {
        // It guards a number.
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn grant(&self, batches: u64) {
        let mut left = self.lock();
        *left = left.map(|left| left.saturating_add(batches));
        drop(left);
        self.granted.notify_one();
    }

    /// Uses one up, waiting for it.
    async fn take(&self) {
        loop {
            match &mut *self.lock() {
                None => return,
                Some(0) => {}
                Some(left) => {
                    *left -= 1;
                    return;
                }
            }
            self.granted.notified().await;
        }
    }
}

/// The name of a running search. Dropping it gives the name back, and what still waits is not sent.
pub(crate) struct Place {
    outbound: Arc<Outbound>,
    running: Arc<Mutex<HashMap<SearchId, Arc<Credit>>>>,
    id: SearchId,
    credit: Arc<Credit>,
    waiting: Arc<Semaphore>,
}

impl Place {
    /// Lines up a batch, as soon as the client takes it and there is room.
    pub(crate) async fn send(&self, json: String) {
        self.credit.take().await;
        let permit = Arc::clone(&self.waiting).acquire_owned().await;
        let permit = permit.expect("it is closed when this is dropped");
        self.outbound.batch(Batch::new(json, permit));
    }

    /// Resolves when every batch has left.
    pub(crate) async fn sent(&self) {
        let _all = self.waiting.acquire_many(WAITING).await.expect("it is closed when this is dropped");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.waiting.close();
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

/// Some of what a search found or a watch has seen, on its way to the socket.
pub(super) struct Batch {
    /// The whole message.
    pub(super) json: String,
    permit: OwnedSemaphorePermit,
}

impl Batch {
    /// A message that is sent, or dropped when the semaphore is closed before; it gives the permit back then.
    pub(super) const fn new(json: String, permit: OwnedSemaphorePermit) -> Self {
        Self { json, permit }
    }

    /// Whether its search has not been given up.
    pub(super) fn is_wanted(&self) -> bool {
        !self.permit.semaphore().is_closed()
    }
}
