//! Watches of the files of the server's machine.
//!
//! A watch ends with its connection and is set again on the next one. What happened in between nobody saw, which is told as a
//! reason to look again.

use std::fmt;
use std::sync::Arc;

use codex_exec_server_core::service::{Changes, FileWatch, FsError, ServiceFuture};
use codex_exec_server_protocol::fs::{FsUnwatchParams, FsWatchParams};
use codex_exec_server_protocol::methods::{FsUnwatch, FsWatch};
use codex_exec_server_protocol::path_uri::PathUri;
use tokio_util::task::TaskTracker;

use crate::client::Client;
use crate::error::{Outcome, RequestError, Unsupported};
use crate::session::Attached;
use crate::state::Connections;
use crate::watches::Mailbox;

/// See the module.
pub(super) struct RemoteWatch {
    client: Client,
    connections: Connections,
    params: FsWatchParams,
    path: PathUri,
    stage: Stage,
}

enum Stage {
    Standing(Standing),
    /// Its connection was lost.
    Lost,
    Over,
}

impl fmt::Debug for RemoteWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteWatch").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A watch on one connection. Dropping it ends it there.
struct Standing {
    attached: Arc<Attached>,
    mailbox: Mailbox,
    tasks: TaskTracker,
}

impl Drop for Standing {
    fn drop(&mut self) {
        // Without a runtime there is no connection to say it on either.
        if tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let (attached, watch_id) = (Arc::clone(&self.attached), self.mailbox.id);
        // One that has ended by itself, or with its connection, is unknown there, which is fine.
        self.tasks.spawn(async move {
            let _ = attached.link.call::<FsUnwatch>(&FsUnwatchParams { watch_id }).await;
        });
    }
}

/// Sets a watch.
pub(super) async fn watch(client: &Client, params: FsWatchParams) -> Result<RemoteWatch, FsError> {
    let mut connections = client.inner.connections();
    let (standing, path) = set(client, &mut connections, &params).await?;
    Ok(RemoteWatch { client: client.clone(), connections, params, path, stage: Stage::Standing(standing) })
}

/// On the present connection, or the one that follows it when that is lost.
async fn set(
    client: &Client,
    connections: &mut Connections,
    params: &FsWatchParams,
) -> Result<(Standing, PathUri), FsError> {
    loop {
        let attached = connections.next().await.map_err(RequestError::from)?;
        if !attached.peer.environment.capabilities.fs_watch {
            return Err(RequestError::from(Unsupported("fsWatch")).into());
        }
        let mailbox = client.inner.router.watches().open();
        let params = FsWatchParams { watch_id: mailbox.id, ..params.clone() };
        // There before it is asked for: who loses interest meanwhile ends it as well.
        let standing = Standing { attached, mailbox, tasks: client.inner.tasks.clone() };
        match standing.attached.link.call::<FsWatch>(&params).await.map_err(Outcome::from) {
            Ok(answer) => return Ok((standing, answer.path)),
            Err(Outcome::Refused(error)) => return Err(error.into()),
            Err(Outcome::Lost { .. }) => {}
        }
    }
}

impl RemoteWatch {
    async fn next_changes(&mut self) -> Option<Result<Changes, FsError>> {
        loop {
            match &self.stage {
                Stage::Over => return None,
                Stage::Standing(standing) => {
                    if let Some(changes) = standing.mailbox.take() {
                        if changes.ended {
                            self.stage = Stage::Over;
                        }
                        return Some(Ok(changes));
                    }
                    tokio::select! {
                        // What came before the end of the connection is told first.
                        biased;
                        () = standing.mailbox.news() => continue,
                        _ = standing.attached.link.ended() => {}
                    }
                    self.stage = Stage::Lost;
                }
                Stage::Lost => match set(&self.client, &mut self.connections, &self.params).await {
                    Ok((standing, path)) => {
                        (self.stage, self.path) = (Stage::Standing(standing), path);
                        return Some(Ok(Changes { resync: true, ..Changes::default() }));
                    }
                    Err(FsError::NotFound(_)) => {
                        self.stage = Stage::Over;
                        return Some(Ok(Changes { resync: true, ended: true, ..Changes::default() }));
                    }
                    Err(error) => {
                        self.stage = Stage::Over;
                        return Some(Err(error));
                    }
                },
            }
        }
    }
}

impl FileWatch for RemoteWatch {
    fn path(&self) -> &PathUri {
        &self.path
    }

    fn next(&mut self) -> ServiceFuture<'_, Option<Result<Changes, FsError>>> {
        Box::pin(self.next_changes())
    }
}
