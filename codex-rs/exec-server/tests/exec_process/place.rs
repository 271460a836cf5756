//! Where cases run: a backend of each kind, made for one case and ended after it.

use std::sync::Arc;

use codex_exec_server::ServerConfig;
use codex_exec_server_core::limits::Limits;
use codex_exec_server_core::service::ExecBackend;
use codex_exec_server_local::LocalBackend;
use codex_exec_server_testkit::PATIENCE;

use crate::support::places::{behind_reference, behind_server};

/// What a case is given.
pub(crate) type Backend = Arc<dyn ExecBackend>;

/// Runs `case` on this machine.
pub(crate) async fn on_local<C: Future<Output = ()>>(case: impl FnOnce(Backend) -> C) {
    let environment = std::env::vars_os().collect();
    // No clock decides whether a killed process is dead in time.
    let limits = Limits { kill_wait: PATIENCE, ..Limits::default() };
    let backend = Arc::new(LocalBackend::new(environment, limits, Some(std::env::temp_dir())));
    case(Arc::clone(&backend) as Backend).await;
    backend.shut_down().await;
}

/// Runs `case` over a WebSocket to a server of its own.
pub(crate) async fn on_remote<C: Future<Output = ()>>(case: impl FnOnce(Backend) -> C) {
    behind_server(ServerConfig::from_process(), |client| case(Arc::new(client))).await;
}

/// Runs `case` on the reference's server.
pub(crate) async fn on_reference<C: Future<Output = ()>>(case: impl FnOnce(Backend) -> C) {
    behind_reference(/*environment*/ None, |client| case(Arc::new(client))).await;
}
