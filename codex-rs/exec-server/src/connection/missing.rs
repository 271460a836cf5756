//! The watch on missing paths of one connection: its newest, which ends with it.
//!
//! Names count upwards, so that one number is all that is remembered of those that were used.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use codex_exec_server_local::fs::MissingWatch;
use codex_exec_server_protocol::fs::{FsMissingChangedNotification, WatchId};
use codex_exec_server_protocol::methods::ServerNotification;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::outbound::Outbound;
use super::searches::Batch;

/// See the module.
pub(crate) struct MissingWatches {
    outbound: Arc<Outbound>,
    newest: Mutex<Newest>,
    /// Aborted when the connection goes.
    tellers: Mutex<JoinSet<()>>,
}

struct Newest {
    id: WatchId,
    /// Ends it.
    stop: CancellationToken,
}

/// The name of the newest, until another one has come.
pub(crate) struct Place {
    id: WatchId,
    stop: CancellationToken,
}

impl MissingWatches {
    pub(crate) fn new(outbound: Arc<Outbound>) -> Self {
        let newest = Newest { id: WatchId(0), stop: CancellationToken::new() };
        Self { outbound, newest: Mutex::new(newest), tellers: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Newest> {
        // Every change under this lock is a single assignment.
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the place of the one before; `None` if the name is not above all that were used.
    pub(crate) fn newest(&self, id: WatchId) -> Option<Place> {
        let mut newest = self.lock();
        if id <= newest.id {
            return None;
        }
        newest.stop.cancel();
        let stop = CancellationToken::new();
        *newest = Newest { id, stop: stop.clone() };
        Some(Place { id, stop })
    }

    /// From now on what `watch` sees is told, once.
    pub(crate) fn begin(&self, place: Place, mut watch: MissingWatch) {
        let outbound = Arc::clone(&self.outbound);
        let mut tellers = self.tellers.lock().unwrap_or_else(PoisonError::into_inner);
        while tellers.try_join_next().is_some() {}
        tellers.spawn(async move {
            tokio::select! {
                biased;
                () = place.stop.cancelled() => {}
                () = watch.changed() => tell(&outbound, place.id),
            }
        });
    }

    /// `fs/unwatch`. An unknown one is fine.
    pub(crate) fn end(&self, id: WatchId) {
        let newest = self.lock();
        if newest.id == id {
            newest.stop.cancel();
        }
    }
}

fn tell(outbound: &Outbound, watch_id: WatchId) {
    let room = Arc::new(Semaphore::new(1)).try_acquire_owned();
    let permit = room.expect("nobody else has it");
    let changed = FsMissingChangedNotification { watch_id };
    outbound.batch(Batch::new(ServerNotification::FsMissingChanged(changed).encode(), permit));
}
