//! Starting an MCP server as a process of a backend.

use std::sync::Arc;

use codex_exec_server_core::service::{ExecBackend, ExecEvents, ExecProcess};
use codex_exec_server_protocol::environment::EnvironmentInfo;
use codex_exec_server_protocol::ids::{ProcessId, Seq};
use codex_exec_server_protocol::process::ProcessStartParams;
use uuid::Uuid;

use crate::config::ServerConfig;
use crate::error::{Reason, ServerError};
use crate::incoming::Incoming;

/// A server that was started.
#[derive(Debug)]
pub struct Launched {
    /// What it is acted on through.
    pub process: Arc<dyn ExecProcess>,
    /// What it writes.
    pub incoming: Incoming,
}

impl Launched {
    /// What `config` describes, started as a process by [`start_params`] and followed by `events` from its start on.
    #[must_use]
    pub fn new(process: Arc<dyn ExecProcess>, events: Box<dyn ExecEvents>, config: &ServerConfig) -> Self {
        Self { process, incoming: Incoming::new(config.name.as_str().into(), events, config) }
    }
}

/// Starts the server that `config` describes on `backend`.
pub async fn launch(backend: &dyn ExecBackend, config: &ServerConfig) -> Result<Launched, ServerError> {
    let params = start_params(&backend.environment(), config)?;
    let started = backend.start(params).await;
    let process = started.map_err(|error| failure(config, Reason::NotStarted(error)))?;
    let events = process.subscribe(Seq::START);
    Ok(Launched::new(process, events, config))
}

/// An error before there is a server.
fn failure(config: &ServerConfig, reason: Reason) -> ServerError {
    ServerError { server: config.name.as_str().into(), reason, stderr: Default::default() }
}

/// What to start on a machine like `environment`, for callers who start it themselves.
pub fn start_params(
    environment: &EnvironmentInfo,
    config: &ServerConfig,
) -> Result<ProcessStartParams, ServerError> {
    if config.argv.is_empty() {
        return Err(failure(config, Reason::NoCommand));
    }
    let cwd = config.cwd.clone().or_else(|| environment.cwd.clone());
    let process_id = ProcessId::from(format!("mcp-{}-{}", config.name, Uuid::new_v4()));
    let cwd = cwd.ok_or_else(|| failure(config, Reason::NoWorkingDirectory))?;
    Ok(ProcessStartParams {
        env: config.env.clone(),
        env_policy: Some(config.env_policy.clone()),
        pipe_stdin: true,
        ..ProcessStartParams::new(process_id, config.argv.clone(), cwd)
    })
}
