//! Waiting for what is missing on the server's machine.

use std::fmt;
use std::sync::Arc;

use codex_exec_server_core::service::FsError;
use codex_exec_server_protocol::fs::{FsUnwatchParams, FsWatchMissingParams, WatchId};
use codex_exec_server_protocol::methods::{FsUnwatch, FsWatchMissing};
use codex_exec_server_protocol::path_uri::PathUri;
use tokio_util::task::TaskTracker;

use crate::client::Client;
use crate::error::{Outcome, RequestError, Unsupported};
use crate::session::Attached;
use crate::watches::Mailbox;

/// A watch on paths that were missing. Dropping it ends it.
///
/// It may say once too often that it is time to look, and never once too seldom: it also says so when its connection is
/// lost, and when another one took its place.
pub struct MissingWatch {
    attached: Arc<Attached>,
    mailbox: Mailbox,
    tasks: TaskTracker,
}

impl fmt::Debug for MissingWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MissingWatch").field("id", &self.mailbox.id).finish_non_exhaustive()
    }
}

impl MissingWatch {
    /// Resolves when one of the paths, or the first missing parent of one, may have come into existence, or what led there has
    /// gone; or when the path that exists may have changed. From then on at once.
    pub async fn changed(&mut self) {
        loop {
            if self.mailbox.has_ended() {
                return;
            }
            tokio::select! {
                () = self.mailbox.news() => {}
                _ = self.attached.link.ended() => return,
            }
        }
    }
}

impl Drop for MissingWatch {
    fn drop(&mut self) {
        // Others than ours have no word for it: there the next one takes its place.
        let can_be_ended = self.attached.peer.environment.capabilities.fs_watch;
        if !can_be_ended || self.mailbox.has_ended() || tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let (attached, watch_id) = (Arc::clone(&self.attached), self.mailbox.id);
        self.tasks.spawn(async move {
            let _ = attached.link.call::<FsUnwatch>(&FsUnwatchParams { watch_id }).await;
        });
    }
}

impl Client {
    /// Waits for `missing` paths, of which there are 1 to
    /// [`MAX_MISSING_PATHS`](codex_exec_server_protocol::fs::MAX_MISSING_PATHS); `present` is a path that exists and leads to
    /// another conclusion when it changes. `None` if the server tells nothing of them: one exists by now, say, or a link
    /// stands on the way. Flag `fsWatchMissing`.
    ///
    /// A client has one such watch, its newest; another one ends it.
    pub async fn watch_missing(
        &self,
        missing: Vec<PathUri>,
        present: Option<PathUri>,
    ) -> Result<Option<MissingWatch>, FsError> {
        let mut connections = self.inner.connections();
        let mut params = FsWatchMissingParams { watch_id: WatchId(0), missing, present };
        loop {
            let attached = connections.next().await.map_err(RequestError::from)?;
            if !attached.peer.environment.capabilities.fs_watch_missing {
                return Err(RequestError::from(Unsupported("fsWatchMissing")).into());
            }
            let mailbox = self.inner.router.watches().open_missing();
            params.watch_id = mailbox.id;
            // There before it is asked for: who loses interest meanwhile ends it as well.
            let watch = MissingWatch { attached, mailbox, tasks: self.inner.tasks.clone() };
            match watch.attached.link.call::<FsWatchMissing>(&params).await.map_err(Outcome::from) {
                Ok(answer) => return Ok(answer.watching.then_some(watch)),
                Err(Outcome::Refused(error)) => return Err(error.into()),
                Err(Outcome::Lost { .. }) => {}
            }
        }
    }
}
