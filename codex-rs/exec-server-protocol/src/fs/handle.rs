//! Files held open over several calls, read and written block by block.
//!
//! A handle belongs to its connection and is closed with it. At most [`MAX_FILE_HANDLES`] are open at once, those in
//! the act of opening included. A wrong block length leaves a handle open; a failed read or write closes it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::bytes::Base64Bytes;
use crate::path_uri::PathUri;
use crate::sandbox::SandboxContext;

/// Handles that one connection may hold.
pub const MAX_FILE_HANDLES: usize = 128;
/// Length of a handle's name, in bytes.
pub const MAX_FILE_HANDLE_ID_BYTES: usize = 32;
/// The longest block, in bytes. The shortest has one.
pub const MAX_BLOCK_BYTES: u64 = 1024 * 1024;

/// Names an open file on its connection. Chosen by the client; at most [`MAX_FILE_HANDLE_ID_BYTES`], and may be empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, TS)]
#[serde(transparent)]
#[ts(type = "string")]
pub struct FileHandleId(pub String);

/// What an open file is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub enum FsOpenMode {
    /// Reading; the file must exist.
    #[default]
    Read,
    /// Writing; the file is created, or emptied at once. Symbolic links are followed.
    Replace,
}

/// Parameters of `fs/open`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsOpenParams {
    /// A name that no open file of this connection has.
    pub handle_id: FileHandleId,
    /// The file.
    pub path: PathUri,
    /// What it is opened for; reading if absent.
    #[serde(default)]
    #[ts(optional, as = "Option<FsOpenMode>")]
    pub mode: FsOpenMode,
    /// Confines this call; the handle then works without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sandbox: Option<SandboxContext>,
}

/// Result of `fs/open`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsOpenResponse {
    /// As in the request.
    pub handle_id: FileHandleId,
}

/// Parameters of `fs/readBlock`. An unknown handle is -32004.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsReadBlockParams {
    /// A file opened for reading.
    pub handle_id: FileHandleId,
    /// First byte, counted from 0; beyond the end the answer is empty.
    #[ts(type = "number")]
    pub offset: u64,
    /// How many bytes at most: 1 to [`MAX_BLOCK_BYTES`], otherwise -32600.
    #[ts(type = "number")]
    pub len: u64,
}

/// Result of `fs/readBlock`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsReadBlockResponse {
    /// The bytes; fewer than asked for only at the end.
    pub chunk: Base64Bytes,
    /// Whether the block ended at, or was asked for beyond, the end of the file.
    pub eof: bool,
}

/// Parameters of `fs/writeBlock`. An unknown handle is -32004. Blocks may overlap, and may leave holes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsWriteBlockParams {
    /// A file opened for writing.
    pub handle_id: FileHandleId,
    /// Where the first byte goes, counted from 0.
    #[ts(type = "number")]
    pub offset: u64,
    /// The bytes: 1 to [`MAX_BLOCK_BYTES`], otherwise -32600.
    pub chunk: Base64Bytes,
}

/// Parameters of `fs/close`. An unknown handle is fine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsCloseParams {
    /// The file to close.
    pub handle_id: FileHandleId,
}
