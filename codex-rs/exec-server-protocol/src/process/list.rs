//! `process/list`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::DroppedOutput;
use crate::ids::{ProcessId, Seq};
use crate::path_uri::PathUri;

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
