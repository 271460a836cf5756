//! What a process is given: bytes, the end of them, and the size of its terminal.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::bytes::Base64Bytes;
use crate::ids::{ProcessId, WriteId};

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
