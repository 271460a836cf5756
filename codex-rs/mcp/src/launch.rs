//! Starting an MCP server as a process of a backend.

use std::sync::Arc;

use codex_exec_server_core::service::{ExecBackend, ExecProcess};
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

/// Starts the server that `config` describes on `backend`.
pub async fn launch(backend: &dyn ExecBackend, config: &ServerConfig) -> Result<Launched, ServerError> {
    let server: Arc<str> = config.name.as_str().into();
    let fail = |reason| ServerError { server: Arc::clone(&server), reason, stderr: Default::default() };
    let params = start_params(backend, config).map_err(fail)?;
    let started = backend.start(params).await;
    let process = started.map_err(|error| fail(Reason::NotStarted(error)))?;
    let events = process.subscribe(Seq::START);
    let incoming = Incoming::new(Arc::clone(&server), events, config);
    Ok(Launched { process, incoming })
}

fn start_params(backend: &dyn ExecBackend, config: &ServerConfig) -> Result<ProcessStartParams, Reason> {
    if config.argv.is_empty() {
        return Err(Reason::NoCommand);
    }
    let cwd = config.cwd.clone().or_else(|| backend.environment().cwd.clone());
    Ok(ProcessStartParams {
        process_id: ProcessId::from(format!("mcp-{}-{}", config.name, Uuid::new_v4())),
        argv: config.argv.clone(),
        cwd: cwd.ok_or(Reason::NoWorkingDirectory)?,
        env: config.env.clone(),
        tty: false,
        env_policy: Some(config.env_policy.clone()),
        pipe_stdin: true,
        arg0: None,
        sandbox: None,
        enforce_managed_network: false,
        managed_network: None,
        network_proxy: None,
        shell_snapshot: None,
        metadata: None,
        output: None,
        size: None,
        timeout_ms: None,
        limits: None,
        request_key: None,
    })
}
