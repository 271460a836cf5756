//! What all connections of a server share.

use std::sync::Arc;

use codex_exec_server_core::limits::Limits;
use codex_exec_server_core::sessions::{Lifetimes, Sessions};
use codex_exec_server_local::Sandbox;
use codex_exec_server_local::env::Environment;
use codex_exec_server_local::fs::FsHost;
use codex_exec_server_local::http::LocalHttp;
use codex_exec_server_local::os;
use codex_exec_server_local::process::ProcessHost;
use codex_exec_server_protocol::environment::{EnvironmentInfo, ProcessLimitsSupport, SandboxSupport};
use codex_exec_server_protocol::session::ServerLimits;
use tokio_util::sync::CancellationToken;

use crate::config::ServerConfig;
use crate::environment;
use crate::sessions::SessionRegistry;
use crate::welcome::{Common, LastTold};

/// See the module.
pub(crate) struct Context {
    pub(crate) limits: Limits,
    /// The bounds as clients are told them.
    told_limits: ServerLimits,
    environment: EnvironmentInfo,
    last_told: LastTold,
    /// The server's own variables.
    pub(crate) own_environment: Arc<Environment>,
    pub(crate) sandbox: Sandbox,
    pub(crate) sessions: SessionRegistry,
    /// Set when the server is to end.
    pub(crate) stopping: CancellationToken,
}

impl Context {
    pub(crate) fn new(config: ServerConfig) -> Self {
        let told_limits = config.server_limits();
        let environment = environment::describe(&config.environment);
        let own_environment = Arc::new(config.environment.clone());
        let lifetimes =
            Lifetimes { default: config.limits.detached_session, max: config.limits.detached_session_max };
        let rules = Sessions::new(lifetimes, config.limits.sessions, config.limits.observers_per_session);
        let http = LocalHttp::new(config.environment.clone(), config.limits.http);
        let files = FsHost::with_sandbox(config.limits.files, config.sandbox.clone());
        let request_keys = config.limits.remembered_request_keys;
        let (limits, sandbox) = (config.limits.clone(), config.sandbox.clone());
        let host = ProcessHost::with_sandbox(config.environment, limits, config.state_directory, sandbox);
        Self {
            limits: config.limits,
            told_limits,
            environment,
            last_told: LastTold::default(),
            own_environment,
            sandbox: config.sandbox,
            sessions: SessionRegistry::new(host, http, files, request_keys, rules),
            stopping: CancellationToken::new(),
        }
    }

    /// The machine and the server as clients are told, with what is known of its sandboxes by now.
    pub(crate) fn environment(&self) -> EnvironmentInfo {
        self.environment_with(self.sandbox.told_support())
    }

    /// The same and the bounds, as the text that each connection is told.
    pub(crate) fn common(&self) -> Arc<Common> {
        let sandbox = self.sandbox.told_support();
        self.last_told.with(sandbox, &self.told_limits, |sandbox| self.environment_with(sandbox))
    }

    fn environment_with(&self, sandbox: Option<SandboxSupport>) -> EnvironmentInfo {
        let mut environment = EnvironmentInfo { sandbox, ..self.environment.clone() };
        environment.process_limits = Some(told_process_limits());
        let confines = environment.sandbox.as_ref().is_some_and(|support| support.processes);
        environment.capabilities.sandboxed_file_streaming = confines;
        environment.capabilities.capability_discovery_sandbox = confines;
        environment.capabilities.sandbox_denials = environment.capabilities.sandboxed_file_streaming;
        environment
    }
}

/// How `process/start.limits` are kept.
fn told_process_limits() -> ProcessLimitsSupport {
    let reason = match os::control_groups() {
        Some(Ok(_)) => return ProcessLimitsSupport { whole_trees: true, reason: None },
        Some(Err(reason)) => reason,
        None => "this program does not divide its control group",
    };
    ProcessLimitsSupport { whole_trees: false, reason: Some(reason.to_owned()) }
}
