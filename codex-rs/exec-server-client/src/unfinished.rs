//! What is under way on the server for a caller who may lose interest.

use std::fmt;
use std::sync::Arc;

use codex_exec_server_protocol::methods::{CancelNotification, ClientNotification};
use codex_exec_server_protocol::rpc::RequestId;
use tokio_util::task::TaskTracker;

use crate::session::Attached;

/// A request that is under way on the server. Dropping this tells the server that nobody wants it any longer.
pub(crate) struct Unfinished {
    attached: Arc<Attached>,
    request: RequestId,
    tasks: TaskTracker,
    /// Whether the server is to be told: it must know the message, and the request not be over.
    tell: bool,
}

impl Unfinished {
    /// For a request that was sent over this connection.
    pub(crate) fn new(attached: &Arc<Attached>, request: RequestId, tasks: &TaskTracker) -> Self {
        let tell = attached.peer.environment.capabilities.cancel;
        Self { attached: Arc::clone(attached), request, tasks: tasks.clone(), tell }
    }

    /// It is over: there is nothing to tell.
    pub(crate) fn finish(mut self) {
        self.tell = false;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.tell {
            return;
        }
        let cancel = ClientNotification::Cancel(CancelNotification { id: self.request.clone() });
        // There is always a runtime, except when it is about to end, and then so is the connection.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let attached = Arc::clone(&self.attached);
        self.tasks.spawn_on(
            async move {
                // If the connection is gone, so is the request.
                let _ = attached.link.notify(&cancel).await;
            },
            &runtime,
        );
    }
}

impl fmt::Debug for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unfinished").field("request", &self.request).finish_non_exhaustive()
    }
}
