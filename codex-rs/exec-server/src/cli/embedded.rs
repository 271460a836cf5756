//! A server inside this process, for a command that runs here: the same code as over any socket, without the socket.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use codex_exec_server_client::{DialError, Dialer};
use codex_exec_server_local::Orphans;
use codex_exec_server_transport::memory;
use tokio_util::task::TaskTracker;

use super::sandbox::sandbox;
use crate::{Server, ServerConfig};

/// How long processes may take to end when the server is told to stop.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct Embedded {
    server: Arc<Server>,
    connections: TaskTracker,
    /// Held for as long as there may be any.
    _orphans: Orphans,
}

impl Embedded {
    /// Starts a server that adopts what its processes leave behind.
    pub(super) fn start() -> io::Result<Self> {
        let orphans = Orphans::adopt()?;
        let server = Server::new(ServerConfig { sandbox: sandbox(), ..ServerConfig::from_process() });
        Ok(Self { server, connections: TaskTracker::new(), _orphans: orphans })
    }

    /// Connections to it.
    pub(super) fn dialer(&self) -> Dialer {
        let (server, connections) = (Arc::clone(&self.server), self.connections.clone());
        Dialer::new(move || {
            let (ours, theirs) = memory::pair();
            let server = Arc::clone(&server);
            let accepted = !connections.is_closed();
            if accepted {
                connections.spawn(async move { server.serve(theirs).await });
            }
            async move { if accepted { Ok(ours) } else { Err(DialError::Gone("server is shutting down".into())) } }
        })
    }

    /// Ends every process with its descendants, then the server.
    pub(super) async fn shut_down(self) {
        self.connections.close();
        let stopping = async {
            self.server.shut_down().await;
            self.connections.wait().await;
        };
        if tokio::time::timeout(STOP_WITHIN, stopping).await.is_err() {
            tracing::warn!("gave up waiting for processes to end");
        }
    }
}
