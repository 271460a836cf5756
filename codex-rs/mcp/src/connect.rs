//! The usual way to use a server: start it, shake hands, and if that fails, say why.

use codex_exec_server_core::service::ExecBackend;
use rmcp::RoleClient;
use rmcp::service::{ClientInitializeError, RunningService, Service, ServiceExt};
use tokio::time::timeout;

use crate::config::ServerConfig;
use crate::error::ServerError;
use crate::fate::ServerWatch;
use crate::transport::StdioServer;

/// Why there is no session with an MCP server.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// It did not start, or ended before it had answered.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// It answered, but not as MCP wants. It was ended.
    #[error("MCP server {server} did not shake hands: {source}")]
    Handshake {
        /// Its name.
        server: String,
        /// What was wrong.
        source: Box<ClientInitializeError>,
    },
    /// It did not answer in time. It was ended.
    #[error("MCP server {server} did not answer within {seconds} s; is it a stdio MCP server?")]
    TimedOut {
        /// Its name.
        server: String,
        /// How long it was waited for.
        seconds: u64,
    },
}

/// Starts the server that `config` describes and shakes hands with it. `client` handles what the server asks.
///
/// The watch says what became of the server when the session ends without being asked to.
pub async fn connect<S: Service<RoleClient>>(
    client: S,
    backend: &dyn ExecBackend,
    config: &ServerConfig,
) -> Result<(RunningService<RoleClient, S>, ServerWatch), ConnectError> {
    let transport = StdioServer::start(backend, config).await?;
    let mut watch = transport.watch();
    match timeout(config.patience.initialize, client.serve(transport)).await {
        Ok(Ok(session)) => Ok((session, watch)),
        // With the transport gone its server ends soon, and then it is known why.
        Ok(Err(
            ClientInitializeError::ConnectionClosed(_) | ClientInitializeError::TransportError { .. },
        )) => Err(watch.ended().await.into()),
        Ok(Err(error)) => {
            Err(ConnectError::Handshake { server: config.name.clone(), source: Box::new(error) })
        }
        Err(_) => Err(ConnectError::TimedOut {
            server: config.name.clone(),
            seconds: config.patience.initialize.as_secs(),
        }),
    }
}
