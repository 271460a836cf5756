//! What a process says: chunks, reads and pushed output.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::bytes::Base64Bytes;
use crate::ids::{ProcessId, Seq};

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

/// Parameters of the notification `process/ack`: how far the client's readers of a process are. Between a reader that stands
/// still and the process nothing but the server's log fills up. Only from a client that announced `outputWindowBytes`; of a
/// process that is unknown, or gone, it means nothing. Flag `outputWindow`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct ProcessAckNotification {
    /// Whose output.
    pub process_id: ProcessId,
    /// The slowest reader has everything through here: what comes behind it is kept. Less than was said before changes
    /// nothing, and a position that is still to come means the last one. Absent: there is no reader. No output is pushed,
    /// or kept for this client, until a position is said again; exit and close are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub through_seq: Option<Seq>,
    /// The furthest reader has everything through here: what comes behind it is pushed, as far as the window reaches.
    /// Absent: as `throughSeq`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub after_seq: Option<Seq>,
}
