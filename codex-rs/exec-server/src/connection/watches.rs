//! The watches of one connection, which end with it.
//!
//! A task for each hands on what its watch sees. Of each, two notifications wait for the socket at most: a client that takes
//! nothing makes its watches wait, whose changes then gather in the kernel, which says what it had to drop.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use codex_exec_server_core::limits::FileLimits;
use codex_exec_server_core::service::Changes;
use codex_exec_server_core::watch_fault::WatchFault;
use codex_exec_server_local::fs::LocalWatch;
use codex_exec_server_protocol::fs::{FsChangedNotification, WatchId};
use codex_exec_server_protocol::methods::ServerNotification;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::outbound::Outbound;
use super::searches::Batch;

/// Notifications of one watch that wait for the socket.
const WAITING: usize = 2;

/// See the module.
pub(crate) struct Watches {
    outbound: Arc<Outbound>,
    limit: usize,
    standing: Arc<Mutex<HashMap<WatchId, CancellationToken>>>,
    /// Aborted when the connection goes.
    tellers: Mutex<JoinSet<()>>,
}

impl Watches {
    pub(crate) fn new(outbound: Arc<Outbound>, limits: FileLimits) -> Self {
        let (limit, standing) = (limits.watches_per_connection, Arc::default());
        Self { outbound, limit, standing, tellers: Mutex::default() }
    }

    /// Takes a name for a watch.
    pub(crate) fn reserve(&self, id: WatchId) -> Result<Place, WatchFault> {
        let mut standing = lock(&self.standing);
        if standing.contains_key(&id) {
            return Err(WatchFault::IdTaken(id));
        }
        if standing.len() >= self.limit {
            return Err(WatchFault::TooManyHere(self.limit));
        }
        let stop = CancellationToken::new();
        standing.insert(id, stop.clone());
        Ok(Place { standing: Arc::clone(&self.standing), id, stop })
    }

    /// From now on what `watch` sees is told.
    pub(crate) fn begin(&self, place: Place, watch: LocalWatch) {
        let outbound = Arc::clone(&self.outbound);
        let mut tellers = self.tellers.lock().unwrap_or_else(PoisonError::into_inner);
        while tellers.try_join_next().is_some() {}
        tellers.spawn(async move { tell(&outbound, &place, watch).await });
    }

    /// Whether a watch has this name.
    pub(crate) fn stands(&self, id: WatchId) -> bool {
        lock(&self.standing).contains_key(&id)
    }

    /// `fs/unwatch`. An unknown one is fine.
    pub(crate) fn end(&self, id: WatchId) {
        if let Some(stop) = lock(&self.standing).remove(&id) {
            stop.cancel();
        }
    }
}

fn lock(
    standing: &Mutex<HashMap<WatchId, CancellationToken>>,
) -> MutexGuard<'_, HashMap<WatchId, CancellationToken>> {
    // Every change under this lock is a single insertion or removal.
    standing.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The name of a watch. Dropping it ends the watch and gives the name back.
pub(crate) struct Place {
    standing: Arc<Mutex<HashMap<WatchId, CancellationToken>>>,
    id: WatchId,
    stop: CancellationToken,
}

impl Drop for Place {
    fn drop(&mut self) {
        // After an `fs/unwatch` the name may belong to another by now.
        if !self.stop.is_cancelled() {
            lock(&self.standing).remove(&self.id);
        }
    }
}

async fn tell(outbound: &Outbound, place: &Place, mut watch: LocalWatch) {
    let waiting = Arc::new(Semaphore::new(WAITING));
    let telling = async {
        while let Some(Changes { changes, resync, ended }) = watch.next_changes().await {
            let Ok(permit) = Arc::clone(&waiting).acquire_owned().await else { return };
            let changed = FsChangedNotification { watch_id: place.id, changes, resync, ended };
            outbound.batch(Batch::new(ServerNotification::FsChanged(changed).encode(), permit));
        }
    };
    tokio::select! {
        () = telling => {}
        () = place.stop.cancelled() => waiting.close(),
    }
}
