//! How a process ends: signals, termination, and the notifications of exit and close.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::ids::{ProcessId, RequestKey, Seq};
use crate::path_uri::PathUri;

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
    /// The key its start was sent with: a process of that id that was started otherwise is left alone and not spoken of,
    /// as if the id were unknown. Absent: whichever process has the id. Flag `idempotentRequests`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub request_key: Option<RequestKey>,
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
    /// What the sandbox kept it from, in the order in which that was first tried, each once, the first 32. Absent if that is not
    /// known. Flag `sandboxDenials`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub denials: Option<Vec<SandboxDenial>>,
}

/// Something that a sandbox kept a process from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct SandboxDenial {
    /// The system call, by its name.
    pub operation: String,
    /// The file that it was about, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub path: Option<PathUri>,
    /// The address that it was about, if any: `192.0.2.1:80`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub address: Option<String>,
    /// What decided, for people: `read /`, `deny /home/me/.ssh`, `protected /srv/app/.git`, `network restricted`, `never allowed`.
    pub rule: String,
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
