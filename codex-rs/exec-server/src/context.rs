//! What all connections of a server share.

use codex_exec_server_core::limits::Limits;
use codex_exec_server_core::sessions::{Lifetimes, Sessions};
use codex_exec_server_local::http::LocalHttp;
use codex_exec_server_local::process::ProcessHost;
use codex_exec_server_protocol::environment::EnvironmentInfo;
use codex_exec_server_protocol::session::ServerLimits;
use tokio_util::sync::CancellationToken;

use crate::config::ServerConfig;
use crate::environment;
use crate::sessions::SessionRegistry;

/// See the module.
pub(crate) struct Context {
    pub(crate) limits: Limits,
    /// The bounds as clients are told them.
    pub(crate) told_limits: ServerLimits,
    pub(crate) environment: EnvironmentInfo,
    pub(crate) sessions: SessionRegistry,
    /// Set when the server is to end.
    pub(crate) stopping: CancellationToken,
}

impl Context {
    pub(crate) fn new(config: ServerConfig) -> Self {
        let told_limits = config.server_limits();
        let environment = environment::describe(&config.environment);
        let lifetimes =
            Lifetimes { default: config.limits.detached_session, max: config.limits.detached_session_max };
        let rules = Sessions::new(lifetimes, config.limits.sessions);
        let http = LocalHttp::new(config.environment.clone(), config.limits.http);
        let request_keys = config.limits.remembered_request_keys;
        let host = ProcessHost::new(config.environment, config.limits.clone());
        Self {
            limits: config.limits,
            told_limits,
            environment,
            sessions: SessionRegistry::new(host, http, request_keys, rules),
            stopping: CancellationToken::new(),
        }
    }
}
