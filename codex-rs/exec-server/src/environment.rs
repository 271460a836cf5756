//! Describes the machine and the server to clients. Every capability flag says what is true of this build.

use codex_exec_server_local::env::Environment;
use codex_exec_server_protocol::environment::{EnvironmentCapabilities, EnvironmentInfo};

/// The machine as its own services describe it, and what comes with being asked over a connection.
#[must_use]
pub fn describe(environment: &Environment) -> EnvironmentInfo {
    let machine = codex_exec_server_local::environment::describe(environment);
    let capabilities = EnvironmentCapabilities {
        session_takeover: true,
        session_lifetime: true,
        server_limits: true,
        binary_output: true,
        binary_ranges: true,
        output_window: true,
        output_packing: true,
        process_list: true,
        cancel: true,
        capability_discovery_v2: true,
        environment_config_read: true,
        http_header_env_vars: true,
        http_body_credit: true,
        http_failure_cause: true,
        ..machine.capabilities
    };
    EnvironmentInfo { capabilities, ..machine }
}
