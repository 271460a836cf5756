//! `process/start`: what to run and how.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;
use uuid::Uuid;

use crate::ids::{ProcessId, RequestKey};
use crate::network::{ManagedNetwork, NetworkProxyLaunch};
use crate::path_uri::PathUri;
use crate::sandbox::SandboxContext;

/// Parameters of `process/start`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct ProcessStartParams {
    /// Chosen by the client; free again once the process was closed and its retention has passed.
    pub process_id: ProcessId,
    /// Program and arguments; a program without a slash is searched in the child's own `PATH`.
    pub argv: Vec<String>,
    /// Working directory of the child.
    pub cwd: PathUri,
    /// The child's whole environment, or what is laid over `envPolicy`'s.
    pub env: BTreeMap<String, String>,
    /// Run on a pseudoterminal: one stream, echo, line discipline.
    pub tty: bool,
    /// Makes the environment from the server's own; absent means exactly `env`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub env_policy: Option<EnvPolicy>,
    /// Connect stdin to a pipe that `process/write` feeds; otherwise it is empty.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[ts(optional, as = "Option<bool>")]
    pub pipe_stdin: bool,
    /// What the child sees as `argv[0]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub arg0: Option<String>,
    /// What the process may touch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sandbox: Option<SandboxContext>,
    /// Refuse to start unless the managed network can be enforced.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[ts(optional, as = "Option<bool>")]
    pub enforce_managed_network: bool,
    /// Loopback access of a process with a managed network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub managed_network: Option<ManagedNetwork>,
    /// A proxy that the server runs for the process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub network_proxy: Option<NetworkProxyLaunch>,
    /// Lets a login shell begin with what its files left earlier in the same scope, instead of reading them. Variables that `env` or
    /// `envPolicy.set` name win over theirs. A start that is none of `[shell.path, "-lc", command, …]` is made as it is. Flag
    /// `shellSnapshotV2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub shell_snapshot: Option<ShellSnapshot>,
    /// Who asked, for logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub metadata: Option<ProcessMetadata>,
    /// How much output is kept, and what happens when that is full. Flag `outputBudget`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub output: Option<OutputBudget>,
    /// First size of the pseudoterminal; 24 rows and 80 columns otherwise. Flag `processResize`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub size: Option<PtySize>,
    /// Ends the process, descendants included, when it still runs after this many milliseconds. Flag `processTimeout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub timeout_ms: Option<u64>,
    /// Bounds on what the process may use. Flag `processLimits`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub limits: Option<ProcessLimits>,
    /// A repeat of this start with the same key joins it or gets its answer. Flag `idempotentRequests`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub request_key: Option<RequestKey>,
}

impl ProcessStartParams {
    /// Runs `argv` in `cwd` with an empty environment, without stdin or terminal, and with nothing optional.
    #[must_use]
    pub const fn new(process_id: ProcessId, argv: Vec<String>, cwd: PathUri) -> Self {
        Self {
            process_id,
            argv,
            cwd,
            env: BTreeMap::new(),
            tty: false,
            env_policy: None,
            pipe_stdin: false,
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
        }
    }
}

/// Result of `process/start`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct ProcessStartResponse {
    /// As in the request.
    pub process_id: ProcessId,
    /// What confines the process. Old peers do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sandbox_type: Option<SandboxType>,
}

/// What confines a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub enum SandboxType {
    /// Nothing.
    None,
    /// Namespaces, Landlock and seccomp on Linux.
    LinuxSeccomp,
    /// Seatbelt on macOS.
    MacosSeatbelt,
    /// A restricted token on Windows.
    WindowsRestrictedToken,
    /// A kind that this version does not know.
    #[serde(other)]
    Unknown,
}

/// How the child's environment is made from the server's own. All members are required.
///
/// Order: inherit; default excludes; `exclude`; `set`; `includeOnly`; and last the request's `env`, which wins.
/// Patterns are globs (`*`, `?`) on names, without regard to case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct EnvPolicy {
    /// What to begin with.
    pub inherit: EnvInherit,
    /// Keep names that look like credentials (`*KEY*`, `*SECRET*`, `*TOKEN*`).
    pub ignore_default_excludes: bool,
    /// Names to drop.
    pub exclude: Vec<String>,
    /// Variables to set.
    pub set: BTreeMap<String, String>,
    /// When not empty: the only names to keep, `set` included.
    pub include_only: Vec<String>,
}

/// What an [`EnvPolicy`] begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub enum EnvInherit {
    /// The server's whole environment.
    All,
    /// Home, path, shell, user, locale and temporary folder.
    Core,
    /// Nothing.
    None,
}

/// Names the login-shell snapshot of a scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct ShellSnapshot {
    /// Snapshots are shared within a scope of one session. 1 to 256 bytes.
    pub scope_id: String,
    /// The shell: `bash`, `zsh` or `sh`, and the path that `argv` begins with.
    pub shell: crate::environment::ShellInfo,
}

/// Who asked for a process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct ProcessMetadata {
    /// Conversation that the process belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "string")]
    pub thread_id: Option<Uuid>,
    /// Tool call that the process belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub tool_call_id: Option<String>,
}

/// How much output of a process is kept for those who have still to read it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct OutputBudget {
    /// Bytes to keep; the server's own bound otherwise, and at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub retain_bytes: Option<u64>,
    /// What happens at the budget. Absent: `wait` while a connection holds the session, `dropOldest` while none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub when_full: Option<WhenFull>,
}

/// What happens when a process's output budget is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub enum WhenFull {
    /// The process waits; nothing is dropped that nobody has had.
    Wait,
    /// The process runs on; the oldest output is dropped and accounted for.
    DropOldest,
}

/// Size of a pseudoterminal in character cells, each from 1 to 65,535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct PtySize {
    /// Height.
    pub rows: u16,
    /// Width.
    pub cols: u16,
}

/// Bounds on what a process and its descendants may use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct ProcessLimits {
    /// Memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub memory_bytes: Option<u64>,
    /// Processes at one time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub processes: Option<u64>,
    /// Processor time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub cpu_ms: Option<u64>,
    /// Open files of each process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub open_files: Option<u64>,
    /// Size of each file written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub file_bytes: Option<u64>,
}
