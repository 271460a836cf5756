//! The life of a server as a whole: it takes connections, serves them side by side, and ends in good order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use codex_exec_server_core::sessions::ConnectionId;
use codex_exec_server_transport::{Connection, Listener};
use tokio_util::task::TaskTracker;

use crate::config::ServerConfig;
use crate::connection;
use crate::context::Context;

/// A server without a socket: give it connections with [`Self::serve`] or [`Self::serve_listener`].
pub struct Server {
    context: Arc<Context>,
    connections: TaskTracker,
    upkeep: TaskTracker,
    next_connection: AtomicU64,
}

impl Server {
    /// Makes a server. Must be called within a tokio runtime, whose tasks it uses.
    #[must_use]
    pub fn new(config: ServerConfig) -> Arc<Self> {
        let context = Arc::new(Context::new(config));
        let upkeep = TaskTracker::new();
        let expiring = Arc::clone(&context);
        upkeep.spawn(async move {
            tokio::select! {
                () = expiring.sessions.expire() => {}
                () = expiring.stopping.cancelled() => {}
            }
        });
        let connections = TaskTracker::new();
        Arc::new(Self { context, connections, upkeep, next_connection: AtomicU64::new(1) })
    }

    /// Serves one connection until it ends. Dropping the future drops the connection; its session is then detached.
    pub async fn serve(self: &Arc<Self>, connection: Connection) {
        let id = ConnectionId(self.next_connection.fetch_add(1, Ordering::Relaxed));
        // The first thing that a client is told is what it may ask for, and sandboxes are part of that.
        self.context.sandbox.tried().await;
        connection::serve(Arc::clone(&self.context), id, connection).await;
    }

    /// Accepts connections and serves them side by side, until the listener or the server ends.
    pub async fn serve_listener(self: &Arc<Self>, mut listener: Listener) {
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Some(connection) => {
                        let server = Arc::clone(self);
                        self.connections.spawn(async move { server.serve(connection).await });
                    }
                    None => return,
                },
                () = self.context.stopping.cancelled() => return,
            }
        }
    }

    /// Says good-bye to every connection, ends every process with its descendants, and returns when that is done.
    pub async fn shut_down(&self) {
        self.context.stopping.cancel();
        self.connections.close();
        self.upkeep.close();
        tokio::join!(self.connections.wait(), self.upkeep.wait(), self.context.sessions.shut_down());
    }
}
