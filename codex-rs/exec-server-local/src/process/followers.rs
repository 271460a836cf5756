//! Who follows the processes of a table: the connection that holds the session.

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
