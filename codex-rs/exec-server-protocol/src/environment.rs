//! What a client learns about the server's machine: shell, folders, platform, and the capability flags.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::path_uri::PathUri;

/// A shell that a client may use to run command lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct ShellInfo {
    /// File name of the shell, such as `bash`.
    pub name: String,
    /// Native absolute path of the shell.
    pub path: String,
}

/// Describes the server's machine. Only `shell` is guaranteed by old peers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentInfo {
    /// The login shell of the server's user.
    pub shell: ShellInfo,
    /// Version of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub executor_version: Option<String>,
    /// Opaque name of this installation, `sha256:` and 64 hex digits; the same again after a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub provider_id: Option<String>,
    /// Working directory of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub cwd: Option<PathUri>,
    /// Home folder of the server's user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub user_home_dir: Option<PathUri>,
    /// `linux`, `macos` or `windows`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub platform_os: Option<String>,
    /// Folders that the server puts before `PATH` for its children.
    #[serde(default)]
    #[ts(optional, as = "Option<Vec<PathUri>>")]
    pub prepend_path_dirs: Vec<PathUri>,
    /// Temporary folders beyond `tempDir`.
    #[serde(default)]
    #[ts(optional, as = "Option<Vec<PathUri>>")]
    pub temporary_directories: Vec<PathUri>,
    /// Where temporary files go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub temp_dir: Option<PathUri>,
    /// What this server can do; an absent flag means no.
    #[serde(default)]
    #[ts(optional, as = "Option<EnvironmentCapabilities>")]
    pub capabilities: EnvironmentCapabilities,
    /// Which sandboxes this server can enforce. Absent while that is not known, and from peers that do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sandbox: Option<SandboxSupport>,
    /// How `process/start.limits` are kept. Absent while that is not known, and from peers that do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub process_limits: Option<ProcessLimitsSupport>,
}

/// How a server keeps `process/start.limits`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct ProcessLimitsSupport {
    /// Whether `memoryBytes` and `processes` bound a process together with everybody below it, by a control group. Otherwise
    /// they are resource limits, which are weaker: each process has as much by itself.
    pub whole_trees: bool,
    /// Why not, and what the operator can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub reason: Option<String>,
}

/// Which sandboxes a server can enforce; what it can't is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct SandboxSupport {
    /// Whether processes can be confined.
    pub processes: bool,
    /// Why not, and what the operator can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub reason: Option<String>,
    /// How launchers stand by for the next process. Absent where none are to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub standby: Option<SandboxStandby>,
}

/// How launchers of sandboxes stand by at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct SandboxStandby {
    /// How many there are.
    pub launchers: u32,
    /// How many of these would begin at once.
    pub ready: u32,
    /// How many processes they have started since the server began.
    #[ts(type = "number")]
    pub hits: u64,
    /// How many starts that they could have served found none ready.
    #[ts(type = "number")]
    pub misses: u64,
    /// The process that makes them, if there is one just now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub zygote_os_pid: Option<i32>,
}

macro_rules! capabilities {
    ($($(#[$doc:meta])* $field:ident,)*) => {
        /// Flags of what a server can do. A peer that does not know a flag leaves it out, which means no.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
        #[serde(rename_all = "camelCase", default)]
        pub struct EnvironmentCapabilities {
            $($(#[$doc])* #[ts(optional, as = "Option<bool>")] pub $field: bool,)*
        }
    };
}

capabilities! {
    /// `process/start.networkProxy` is honoured.
    network_proxy_launch,
    /// The proxy asks the client about undecided hosts.
    network_proxy_review_domains,
    /// Credentials are masked in a proxied process's traffic.
    credential_masking,
    /// Masking takes providers that the client names.
    credential_masking_custom_providers,
    /// Capability discovery honours a sandbox.
    capability_discovery_sandbox,
    /// `fs/watchMissing`.
    fs_watch_missing,
    /// `capabilities/discoverV2`.
    #[serde(rename = "capabilityDiscoveryV2")]
    capability_discovery_v2,
    /// `environmentConfig/read`.
    environment_config_read,
    /// `http/request.headers[].valueEnvVar`.
    http_header_env_vars,
    /// `fs/open` and blocks honour a sandbox.
    sandboxed_file_streaming,
    /// `fs/open` in mode `replace`, `fs/writeBlock`.
    file_write_streaming,
    /// `process/start.shellSnapshot`.
    #[serde(rename = "shellSnapshotV2")]
    shell_snapshot_v2,
    /// Windows' MXC sandbox.
    windows_mxc,
    /// A sandbox that may write the root keeps device files usable.
    linux_root_write_preserves_devices,
    /// An approved write to the root keeps the other restrictions.
    linux_approved_root_write_preserves_restrictions,
    /// `initialize.takeover`.
    session_takeover,
    /// `initialize.detachedLifetimeMs`.
    session_lifetime,
    /// `initialize` result `limits`.
    server_limits,
    /// Output and bodies as binary messages.
    binary_output,
    /// `fs/readRange.binary`.
    binary_ranges,
    /// `dropped`, `outputBytes`, `offset` and `crc32c`.
    gap_accounting,
    /// `initialize.capabilities.outputWindowBytes` and `process/ack`.
    output_window,
    /// `initialize.capabilities.outputPackingMs`.
    output_packing,
    /// `process/start.output`.
    output_budget,
    /// `process/closeStdin`.
    process_stdin_close,
    /// `process/start.size` and `process/resize`.
    process_resize,
    /// `process/signal` beyond `interrupt`.
    process_signals,
    /// `process/terminate.graceMs` and `survivors`.
    process_terminate_grace,
    /// `process/list`.
    process_list,
    /// `process/start.timeoutMs`; `reason` and `signal` of an exit.
    process_timeout,
    /// `process/exited.usage`.
    process_usage,
    /// `process/start.limits`.
    process_limits,
    /// `requestKey`.
    idempotent_requests,
    /// `initialize.observeSessionId`: connections that watch a session without holding it.
    observers,
    /// More of `fs/*`.
    fs_extended,
    /// What copying between machines needs: `fs/writeRange`, `fs/digest`, `fs/readLink`, `fs/createLink`, pages of
    /// `fs/readDirectory`.
    fs_transfer,
    /// `fs/watch`.
    fs_watch,
    /// `fs/glob` and `fs/search`.
    fs_search,
    /// `$/cancel`.
    cancel,
    /// `process/exited.denials`.
    sandbox_denials,
    /// `net/*`.
    port_forward,
    /// `http/request.creditBytes` and `http/request/bodyCredit`.
    http_body_credit,
    /// `data.cause` of a failed `http/request`, and `cause` of a body that broke off.
    http_failure_cause,
}

/// Result of `environment/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct EnvironmentStatusResponse {
    /// How the environment is.
    pub status: EnvironmentStatus,
}

/// How the environment is. A server that answers is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub enum EnvironmentStatus {
    /// Requests are served.
    Ready,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_old_peer_that_tells_only_its_shell_is_understood() {
        let info: EnvironmentInfo =
            serde_json::from_value(json!({"shell": {"name": "sh", "path": "/bin/sh"}})).unwrap();
        assert_eq!(info.capabilities, EnvironmentCapabilities::default());
        assert_eq!(info.cwd, None);
    }

    #[test]
    fn flags_are_spelled_as_on_the_wire() {
        let flags = serde_json::to_value(EnvironmentCapabilities::default()).unwrap();
        for name in
            ["capabilityDiscoveryV2", "shellSnapshotV2", "fsWatchMissing", "windowsMxc", "processStdinClose"]
        {
            assert_eq!(flags.get(name), Some(&json!(false)), "{name}");
        }
    }
}
