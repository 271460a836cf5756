//! What all connections of a server share, and the life of the server as a whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use codex_exec_server_core::sessions::{ConnectionId, Sessions};
use codex_exec_server_local::process::ProcessHost;
use codex_exec_server_protocol::environment::EnvironmentInfo;
use codex_exec_server_protocol::session::ServerLimits;
use codex_exec_server_transport::{Connection, Listener};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::ServerConfig;
use crate::sessions::SessionRegistry;
use crate::{connection, environment};

/// A server without a socket: give it connections with [`Self::serve`] or [`Self::serve_listener`].
pub struct Server {
    pub(crate) config: ServerConfig,
    pub(crate) limits: ServerLimits,
    pub(crate) environment: EnvironmentInfo,
    pub(crate) sessions: SessionRegistry,
    pub(crate) stopping: CancellationToken,
    connections: TaskTracker,
    upkeep: TaskTracker,
    next_connection: AtomicU64,
}

impl Server {
    /// Makes a server. Must be called within a tokio runtime, whose tasks it uses.
    #[must_use]
    pub fn new(config: ServerConfig) -> Arc<Self> {
        let host = ProcessHost::new(config.environment.clone(), config.limits.clone());
        let rules = Sessions::new(config.limits.detached_session, config.limits.sessions);
        let server = Arc::new(Self {
            limits: config.server_limits(),
            environment: environment::describe(&config.environment),
            sessions: SessionRegistry::new(host, rules),
            stopping: CancellationToken::new(),
            connections: TaskTracker::new(),
            upkeep: TaskTracker::new(),
            next_connection: AtomicU64::new(1),
            config,
        });
        let expiring = Arc::clone(&server);
        server.upkeep.spawn(async move {
            tokio::select! {
                () = expiring.sessions.expire() => {}
                () = expiring.stopping.cancelled() => {}
            }
        });
        server
    }

    /// Serves one connection until it ends. Dropping the future drops the connection; its session is then detached.
    pub async fn serve(self: &Arc<Self>, connection: Connection) {
        let id = ConnectionId(self.next_connection.fetch_add(1, Ordering::Relaxed));
        connection::serve(Arc::clone(self), id, connection).await;
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
                () = self.stopping.cancelled() => return,
            }
        }
    }

    /// Says good-bye to every connection, ends every process with its descendants, and returns when that is done.
    pub async fn shut_down(&self) {
        self.stopping.cancel();
        self.connections.close();
        self.upkeep.close();
        tokio::join!(self.connections.wait(), self.upkeep.wait(), self.sessions.shut_down());
    }
}
