//! Who follows the processes of a table: the connection that holds the session, and others that only watch.

use std::sync::Arc;

use codex_exec_server_protocol::ids::ProcessId;

use super::ProcessTable;
use super::follow::{Acknowledgement, FollowId, Follower, Following};

impl ProcessTable {
    /// From now on `follower` is told about events that nobody was told about before. It takes the place of any
    /// other. Events from before stay readable, for a while beyond their ordinary bounds.
    ///
    /// With a window it acknowledges what its readers have ([`Self::acknowledge`]): nothing that is more than
    /// `window_bytes` ahead of that is told, and what was not acknowledged is kept like what was not told.
    pub fn follow(&self, follower: Arc<dyn Follower>, window_bytes: Option<u64>) -> FollowId {
        let id = FollowId(self.host.next_follow_id());
        let following = Following { id, follower, window_bytes: self.grant(window_bytes) };
        let processes: Vec<_> = {
            let mut inner = self.lock();
            inner.follower = Some(following.clone());
            inner.processes.values().cloned().collect()
        };
        for process in processes {
            process.follow_from_now(following.clone());
        }
        id
    }

    /// From now on `follower` watches, beside whoever follows: it is told of what comes, and what is retained it may read
    /// meanwhile. Nobody waits for it, and for its sake nothing is kept that the budget has no room for. A window means
    /// the same as for [`Self::follow`].
    pub fn watch(&self, follower: Arc<dyn Follower>, window_bytes: Option<u64>) -> FollowId {
        let id = FollowId(self.host.next_follow_id());
        let following = Following { id, follower, window_bytes: self.grant(window_bytes) };
        let processes: Vec<_> = {
            let mut inner = self.lock();
            inner.watchers.push(following.clone());
            inner.processes.values().cloned().collect()
        };
        for process in processes {
            process.watch_from_now(following.clone());
        }
        id
    }

    /// `id` watches no more.
    pub fn unwatch(&self, id: FollowId) {
        let processes: Vec<_> = {
            let mut inner = self.lock();
            inner.watchers.retain(|watcher| watcher.id != id);
            inner.processes.values().cloned().collect()
        };
        for process in processes {
            process.unwatch(id);
        }
    }

    /// More than this would not fit into memory beside what is on its way there.
    fn grant(&self, window_bytes: Option<u64>) -> Option<u64> {
        window_bytes.map(|bytes| bytes.min(self.host.limits.log.in_flight_bytes as u64))
    }

    /// The follower `id` says how far its readers of a process are. Of a process that is gone it means nothing.
    pub fn acknowledge(&self, id: FollowId, process: &ProcessId, word: Acknowledgement) {
        if let Ok(process) = self.find(process) {
            process.acknowledge(id, word);
        }
    }

    /// `id` is gone. While nobody follows, logs keep everything for whoever comes next.
    pub fn unfollow(&self, id: FollowId) {
        let processes: Vec<_> = {
            let mut inner = self.lock();
            if inner.follower.as_ref().is_none_or(|present| present.id != id) {
                return;
            }
            inner.follower = None;
            inner.processes.values().cloned().collect()
        };
        for process in processes {
            process.unfollow(id);
        }
    }

    /// The answer to the start of `id` is on its way to the follower, so its events may follow from the first.
    pub fn announce(&self, id: &ProcessId, to: FollowId) {
        let inner = self.lock();
        if let (Some(process), Some(following)) = (inner.processes.get(id).cloned(), inner.follower.clone())
            && following.id == to
        {
            drop(inner);
            process.follow_from_start(following);
        }
    }
}
