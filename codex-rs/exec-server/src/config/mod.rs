//! What a server and a client are told from outside.
//!
//! ```text
//! defaults → /etc/codex-exec-server/config.toml → ~/.config/codex-exec-server/config.toml → variables → flags
//!          → effective settings, each with its origin → ServeSettings, ClientSettings
//! ```
//!
//! `keys` says what can be set, once; [`sources`] finds and reads files and variables; [`serve`] and [`client`] turn what
//! holds into what is checked as a whole. Only `sources` touches the machine: tests pass texts. [`ServerConfig`] is what
//! a [`Server`](crate::Server) itself is made with.

pub mod client;
pub(crate) mod keys;
pub mod serve;
pub mod sources;

use std::path::PathBuf;

use codex_exec_server_core::limits::Limits;
use codex_exec_server_local::env::Environment;
use codex_exec_server_local::{Sandbox, default_state_directory};
use codex_exec_server_protocol::scan::{MAX_DEPTH, MAX_VALUES};
use codex_exec_server_protocol::session::ServerLimits;
use codex_exec_server_settings::Effective;
use codex_exec_server_transport::WireLimits;

/// A server's settings.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Bounds on what clients can make the server hold.
    pub limits: Limits,
    /// Bounds of frames and messages, told to clients; the listener is given its own copy.
    pub wire: WireLimits,
    /// What children may inherit.
    pub environment: Environment,
    /// What confines them.
    pub sandbox: Sandbox,
    /// Where output goes that memory has no room for; made when it is needed. Without one, memory is all there is.
    pub state_directory: Option<PathBuf>,
}

impl ServerConfig {
    /// Default bounds, this process's own environment, and no sandbox: what asks for one is refused.
    #[must_use]
    pub fn from_process() -> Self {
        let environment: Environment = std::env::vars_os().collect();
        Self {
            limits: Limits::default(),
            wire: WireLimits::for_server(),
            state_directory: default_state_directory(&environment),
            environment,
            sandbox: Sandbox::unavailable(),
        }
    }

    /// As [`from_process`](Self::from_process), with bounds of the caller's choice.
    #[must_use]
    pub fn with_limits(limits: Limits) -> Self {
        Self { limits, ..Self::from_process() }
    }

    /// The bounds as clients are told them.
    #[must_use]
    pub fn server_limits(&self) -> ServerLimits {
        let count = |n: usize| n as u64;
        let ms = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        ServerLimits {
            inbound_frame_bytes: count(self.wire.frame_bytes),
            inbound_message_bytes: count(self.wire.message_bytes),
            message_values: count(MAX_VALUES),
            message_depth: count(MAX_DEPTH),
            requests_in_flight: count(self.limits.requests_in_flight),
            request_bytes_in_flight: count(self.limits.request_bytes_in_flight),
            observers_per_session: Some(count(self.limits.observers_per_session)),
            processes_per_session: count(self.limits.processes_per_session),
            retained_output_bytes: count(self.limits.log.retain_bytes),
            retained_output_chunks: count(self.limits.log.memory_chunks),
            retained_output_total_bytes: Some(self.limits.retained_output_total_bytes),
            read_output_bytes: Some(count(self.limits.log.read_bytes)),
            output_window_bytes: Some(count(self.limits.log.in_flight_bytes)),
            output_chunk_bytes: count(self.limits.log.chunk_bytes),
            closed_process_retention_ms: ms(self.limits.closed_process_retention),
            detached_session_ms: ms(self.limits.detached_session),
            detached_session_max_ms: Some(ms(self.limits.detached_session_max)),
            remembered_write_ids: count(self.limits.remembered_write_ids),
            remembered_request_keys: count(self.limits.remembered_request_keys),
            queued_stdin_bytes: count(self.limits.queued_stdin_bytes),
        }
    }
}

/// The settings of server and client that hold, as a file that would set them, with the origin of each.
#[must_use]
pub fn print(effective: &Effective) -> String {
    codex_exec_server_settings::print(effective, keys::SETTINGS)
}
