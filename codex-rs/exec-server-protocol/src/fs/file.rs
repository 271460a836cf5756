//! Whole files, and parts of them, without opening a handle.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::bytes::{Base64Bytes, Base64Error, late};
use crate::ids::RequestKey;
use crate::path_uri::PathUri;
use crate::sandbox::SandboxContext;

/// The longest file that `fs/readFile` returns, in bytes.
pub const MAX_READ_FILE_BYTES: u64 = 512 * 1024 * 1024;

/// Parameters of `fs/readFile`.
///
/// Regular files only. A longer file than [`MAX_READ_FILE_BYTES`] is refused with -32600; read it in parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsReadFileParams {
    /// The file.
    pub path: PathUri,
    /// Whether symbolic links may stand in the path; yes if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub follow_symlinks: Option<bool>,
    /// Confines this call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sandbox: Option<SandboxContext>,
}

/// Result of `fs/readFile`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsReadFileResponse {
    /// The whole file.
    pub data_base64: Base64Bytes,
}

/// Parameters of `fs/writeFile`: create the file, or replace what is in it.
///
/// Parents are not created. Unless `atomic` is set the file is truncated and written in place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsWriteFileParams {
    /// The file.
    pub path: PathUri,
    /// The whole new content. Bad base64 is -32600 here, and its message begins with
    /// `fs/writeFile requires valid base64 dataBase64: `.
    // A result, so that the fault reaches the method: everywhere else the decoder answers it with -32602.
    #[serde(with = "late")]
    #[schemars(with = "Base64Bytes")]
    #[ts(as = "Base64Bytes")]
    pub data_base64: Result<Base64Bytes, Base64Error>,
    /// Whether symbolic links may stand in the path; yes if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub follow_symlinks: Option<bool>,
    /// Confines this call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sandbox: Option<SandboxContext>,
    /// Write beside the file and move the result into place, so that a reader sees the old content or the new one and
    /// never half of it. Flag `fsExtended`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[ts(optional, as = "Option<bool>")]
    pub atomic: bool,
    /// Write only if the file still has this etag, or, if this is the empty string, only if there is no file; otherwise
    /// -32600. Flag `fsExtended`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub if_match: Option<String>,
    /// Permission bits of the written file, 0 to 0o7777; absent leaves those of an old file and the system's default
    /// for a new one. Flag `fsExtended`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub mode: Option<u32>,
    /// A repeat of this write with the same key joins it or gets its answer. Flag `idempotentRequests`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub request_key: Option<RequestKey>,
}

/// Result of `fs/writeFile`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsWriteFileResponse {
    /// Etag of what was written, for the next `ifMatch`. Flag `fsExtended`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub etag: Option<String>,
}

/// Parameters of `fs/append`: write behind the end of a file, in one piece as far as the system can. Flag `fsExtended`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsAppendParams {
    /// The file.
    pub path: PathUri,
    /// What to add.
    pub data_base64: Base64Bytes,
    /// Make the file if there is none; otherwise that is -32004.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[ts(optional, as = "Option<bool>")]
    pub create: bool,
    /// Whether symbolic links may stand in the path; yes if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub follow_symlinks: Option<bool>,
    /// Confines this call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sandbox: Option<SandboxContext>,
    /// A repeat of this call with the same key joins it or gets its answer. Flag `idempotentRequests`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub request_key: Option<RequestKey>,
}

/// Result of `fs/append`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsAppendResponse {
    /// Length of the file in bytes, right after the write.
    #[ts(type = "number")]
    pub size: u64,
}

/// Parameters of `fs/readRange`: a part of a regular file in one round trip. Flag `fsExtended`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsReadRangeParams {
    /// The file.
    pub path: PathUri,
    /// First byte, counted from 0; beyond the end the answer is empty.
    #[ts(type = "number")]
    pub offset: u64,
    /// How many bytes at most: 1 to [`MAX_BLOCK_BYTES`](super::MAX_BLOCK_BYTES).
    #[ts(type = "number")]
    pub len: u64,
    /// Whether symbolic links may stand in the path; yes if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub follow_symlinks: Option<bool>,
    /// Confines this call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sandbox: Option<SandboxContext>,
    /// Whether the client takes the answer as a binary message. It may come as JSON all the same, and does on a connection
    /// without `binaryOutput`. Flag `binaryRanges`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[ts(optional, as = "Option<bool>")]
    pub binary: bool,
}

/// Result of `fs/readRange`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsReadRangeResponse {
    /// The bytes; fewer than asked for only at the end.
    pub data_base64: Base64Bytes,
    /// Whether these bytes reach the end of the file.
    pub eof: bool,
    /// Length of the whole file in bytes, as it was for this read.
    #[ts(type = "number")]
    pub size: u64,
    /// Etag of the file as it was for this read: parts with different etags belong to different contents.
    pub etag: String,
}
