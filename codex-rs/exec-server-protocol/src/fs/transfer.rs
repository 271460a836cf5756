//! What copying between machines needs beyond reading and writing: parts written by name, links, and digests. All of it has
//! the flag `fsTransfer`, and so has listing a directory in pages.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::bytes::Base64Bytes;
use crate::path_uri::PathUri;
use crate::sandbox::SandboxContext;

/// The longest target of a symbolic link, in bytes.
pub const MAX_LINK_TARGET_BYTES: usize = 4095;

/// Parameters of `fs/writeRange`: write a part of a regular file in one round trip, and leave the rest alone.
///
/// To repeat it does no harm, so it survives a lost connection, as a handle does not. Parts may overlap, leave holes, and be
/// sent together; those that overlap take effect in any order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsWriteRangeParams {
    /// The file.
    pub path: PathUri,
    /// Where the first byte goes, counted from 0.
    #[ts(type = "number")]
    pub offset: u64,
    /// The bytes: at most [`MAX_BLOCK_BYTES`](super::MAX_BLOCK_BYTES), otherwise -32600. None at all is fine.
    pub data_base64: Base64Bytes,
    /// Make the file if there is none; otherwise that is -32004.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[ts(optional, as = "Option<bool>")]
    pub create: bool,
    /// Permission bits of a file that is made by this, 0 to 0o7777, otherwise -32602; absent is the system's default. The
    /// system takes away those that it denies to new files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub mode: Option<u32>,
    /// Answer when all of the file is on its disk, and not only in memory.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[ts(optional, as = "Option<bool>")]
    pub sync: bool,
    /// Whether symbolic links may stand in the path; yes if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub follow_symlinks: Option<bool>,
    /// Confines this call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sandbox: Option<SandboxContext>,
}

/// Result of `fs/writeRange`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsWriteRangeResponse {
    /// Length of the file in bytes, right after the write.
    #[ts(type = "number")]
    pub size: u64,
}

/// Parameters of `fs/digest`: a checksum of a regular file, or of its beginning, without moving it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsDigestParams {
    /// The file.
    pub path: PathUri,
    /// Only so many bytes from the beginning; absent is all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub len: Option<u64>,
    /// Whether symbolic links may stand in the path; yes if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub follow_symlinks: Option<bool>,
    /// Confines this call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sandbox: Option<SandboxContext>,
}

/// Result of `fs/digest`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsDigestResponse {
    /// SHA-256, as 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// How many bytes it covers; fewer than asked for only at the end.
    #[ts(type = "number")]
    pub len: u64,
    /// Etag of the file as it was after the last byte was read.
    pub etag: String,
}

/// Parameters of `fs/readLink`. Anything but a symbolic link is -32600.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsReadLinkParams {
    /// The link.
    pub path: PathUri,
    /// Confines this call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sandbox: Option<SandboxContext>,
}

/// Result of `fs/readLink`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsReadLinkResponse {
    /// The text of the link, byte for byte: a path, which may be relative and lead nowhere.
    pub target_base64: Base64Bytes,
}

/// Parameters of `fs/createLink`: make a symbolic link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsCreateLinkParams {
    /// The link.
    pub path: PathUri,
    /// Its text: 1 to [`MAX_LINK_TARGET_BYTES`] bytes without a NUL, otherwise -32600. It need not lead anywhere.
    pub target_base64: Base64Bytes,
    /// Replace a file or a link that is there already, in one step; otherwise that is -32603 (`EEXIST`). A directory never
    /// is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[ts(optional, as = "Option<bool>")]
    pub overwrite: bool,
    /// Confines this call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sandbox: Option<SandboxContext>,
}
