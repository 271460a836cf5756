//! `process/*`: start a program, follow its output, feed it, signal it, end it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;
use uuid::Uuid;

use crate::bytes::Base64Bytes;
use crate::ids::{ProcessId, RequestKey, Seq, WriteId};
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
    /// Lets the server start the login shell from a snapshot. A hint: the outcome is the same without it.
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
    /// Snapshots are shared within a scope.
    pub scope_id: String,
    /// The shell that is snapshotted.
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

/// How much output of a process is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct OutputBudget {
    /// Bytes to keep; the server's own bound otherwise, and at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub retain_bytes: Option<u64>,
    /// What happens at the budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub when_full: Option<WhenFull>,
}

/// What happens when a process's output budget is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub enum WhenFull {
    /// The process waits; nothing is dropped.
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

/// Where output came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub enum OutputStream {
    /// The child's standard output.
    Stdout,
    /// The child's standard error.
    Stderr,
    /// The pseudoterminal, which carries both.
    Pty,
}

impl OutputStream {
    /// As spelled on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Pty => "pty",
        }
    }
}

/// Parameters of `process/read`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct ProcessReadParams {
    /// Whose output.
    pub process_id: ProcessId,
    /// Read what comes after this position; 0 or absent for everything retained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub after_seq: Option<Seq>,
    /// Stop before a chunk that would pass this many raw bytes; at least one chunk is returned. Unlimited otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub max_bytes: Option<u64>,
    /// How long to wait for the next event when nothing is there; 0 or absent does not wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub wait_ms: Option<u64>,
}

/// Result of `process/read`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct ProcessReadResponse {
    /// Retained output after `afterSeq`, in order. A jump in `seq` that is no exit or close is output that was dropped.
    pub chunks: Vec<ProcessOutputChunk>,
    /// Pass `nextSeq - 1` as the next `afterSeq`.
    pub next_seq: Seq,
    /// Whether the process itself has ended. Output may still follow.
    pub exited: bool,
    /// Its exit code, 128 + n after signal n; null until it exited.
    pub exit_code: Option<i32>,
    /// Whether all its streams have ended. Nothing follows.
    pub closed: bool,
    /// Why the process can't be followed any more; made by clients, always null from a server.
    pub failure: Option<String>,
    /// Whether the sandbox refused something. Old peers do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sandbox_denied: Option<bool>,
    /// What can't be read any more; absent when nothing was dropped. Flag `gapAccounting`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub dropped: Option<DroppedOutput>,
    /// Bytes of output so far, dropped ones included. Flag `gapAccounting`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub output_bytes: Option<u64>,
}

/// A stretch of one stream's output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct ProcessOutputChunk {
    /// Its position.
    pub seq: Seq,
    /// Where it came from.
    pub stream: OutputStream,
    /// The bytes.
    pub chunk: Base64Bytes,
    /// Output bytes of the process before this chunk, over all its streams. Flag `gapAccounting`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub offset: Option<u64>,
}

/// Output that is gone: always the oldest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct DroppedOutput {
    /// The last position whose output was dropped.
    pub through_seq: Seq,
    /// Bytes dropped in all.
    #[ts(type = "number")]
    pub bytes: u64,
}

/// Parameters of `process/write`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct ProcessWriteParams {
    /// Whose stdin.
    pub process_id: ProcessId,
    /// The bytes; none are fine.
    pub chunk: Base64Bytes,
    /// Not empty. A repeat is answered `accepted` and not written again.
    pub write_id: WriteId,
}

/// Result of `process/write` and `process/closeStdin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct ProcessWriteResponse {
    /// What became of it.
    pub status: WriteStatus,
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub enum WriteStatus {
    /// Queued in order; the child may not have taken it yet.
    Accepted,
    /// No such process in this session.
    UnknownProcess,
    /// The process has no stdin, or it was closed.
    StdinClosed,
    /// The process is still being started.
    Starting,
}

/// Parameters of `process/closeStdin`: ends stdin behind everything that was written. Flag `processStdinClose`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct ProcessCloseStdinParams {
    /// Whose stdin.
    pub process_id: ProcessId,
    /// As for `process/write`, from the same space.
    pub write_id: WriteId,
}

/// Parameters of `process/resize`. Flag `processResize`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct ProcessResizeParams {
    /// A process with a pseudoterminal.
    pub process_id: ProcessId,
    /// New height.
    pub rows: u16,
    /// New width.
    pub cols: u16,
}

/// A result without members.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct EmptyResponse {}

/// Parameters of `process/signal`: goes to the process group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct ProcessSignalParams {
    /// Whom.
    pub process_id: ProcessId,
    /// What.
    pub signal: ProcessSignal,
}

/// Signals by name. All but `interrupt` need the flag `processSignals`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub enum ProcessSignal {
    /// SIGINT
    Interrupt,
    /// SIGTERM
    Terminate,
    /// SIGKILL
    Kill,
    /// SIGHUP
    Hangup,
    /// SIGQUIT
    Quit,
    /// SIGSTOP
    Stop,
    /// SIGCONT
    Continue,
    /// SIGUSR1
    Usr1,
    /// SIGUSR2
    Usr2,
}

/// Parameters of `process/terminate`: ends the process and every descendant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct ProcessTerminateParams {
    /// Whom.
    pub process_id: ProcessId,
    /// Send SIGTERM first and kill only what still runs after this long; absent or 0 kills at once.
    /// Flag `processTerminateGrace`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub grace_ms: Option<u64>,
}

/// Result of `process/terminate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct ProcessTerminateResponse {
    /// Whether the process was alive when the request came.
    pub running: bool,
    /// Descendants that could not be ended; 0 means the kill is complete. Absent when there was nothing to end.
    /// Flag `processTerminateGrace`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub survivors: Option<u64>,
}

/// Result of `process/list`. Flag `processList`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct ProcessListResponse {
    /// This session's processes, by their time of start.
    pub processes: Vec<ProcessSummary>,
}

/// One process of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct ProcessSummary {
    /// Its id.
    pub process_id: ProcessId,
    /// How far it is.
    pub state: ProcessState,
    /// As it was started.
    pub argv: Vec<String>,
    /// As it was started.
    pub cwd: PathUri,
    /// As it was started.
    pub tty: bool,
    /// The operating system's number; absent while it is being started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub os_pid: Option<u32>,
    /// Milliseconds since the Unix epoch.
    #[ts(type = "number")]
    pub started_at_ms: u64,
    /// Its exit code, once it exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub exit_code: Option<i32>,
    /// The last position in its log.
    pub last_seq: Seq,
    /// Bytes of output so far.
    #[ts(type = "number")]
    pub output_bytes: u64,
    /// What can't be read any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub dropped: Option<DroppedOutput>,
}

/// How far a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub enum ProcessState {
    /// Being started.
    Starting,
    /// Alive.
    Running,
    /// Ended itself, with streams still open.
    Exited,
    /// Ended, and nothing more will be written.
    Closed,
}

/// Notification `process/output`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct ProcessOutputNotification {
    /// Whose.
    pub process_id: ProcessId,
    /// Its position.
    pub seq: Seq,
    /// Where it came from.
    pub stream: OutputStream,
    /// The bytes.
    pub chunk: Base64Bytes,
    /// Output bytes of the process before this chunk, over all its streams. Flag `gapAccounting`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub offset: Option<u64>,
}

/// Notification `process/exited`: the process itself ended; output may still follow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct ProcessExitedNotification {
    /// Whose.
    pub process_id: ProcessId,
    /// Its position.
    pub seq: Seq,
    /// Exit code, or 128 + n after signal n.
    pub exit_code: i32,
    /// Whether the sandbox refused something. Old peers do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sandbox_denied: Option<bool>,
    /// Why it ended. Flag `processTimeout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub reason: Option<ExitReason>,
    /// Number of the signal that ended it. Flag `processTimeout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub signal: Option<i32>,
    /// What it used. Flag `processUsage`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub usage: Option<ProcessUsage>,
}

/// Why a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub enum ExitReason {
    /// It returned.
    Exited,
    /// A signal ended it that this server did not send to end it.
    Signalled,
    /// Its `timeoutMs` ran out.
    TimedOut,
    /// `process/terminate`, or the end of its session.
    Terminated,
}

/// What a process used, descendants that it waited for included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct ProcessUsage {
    /// From start to exit.
    #[ts(type = "number")]
    pub wall_ms: u64,
    /// Processor time in the program.
    #[ts(type = "number")]
    pub user_ms: u64,
    /// Processor time in the kernel.
    #[ts(type = "number")]
    pub system_ms: u64,
    /// Largest resident set of any of them. Absent when it was below the server's own, which masks smaller ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub max_rss_bytes: Option<u64>,
}

/// Notification `process/closed`: always a process's last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct ProcessClosedNotification {
    /// Whose.
    pub process_id: ProcessId,
    /// Its position.
    pub seq: Seq,
    /// Bytes of output in all. Flag `gapAccounting`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub output_bytes: Option<u64>,
    /// CRC-32C of all output in log order, over all streams: eight lower-case hex digits. Flag `gapAccounting`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub crc32c: Option<String>,
}
