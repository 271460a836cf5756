//! What a path is, where it really leads, and what it permits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::error_code::RpcError;
use crate::path_uri::PathUri;
use crate::sandbox::SandboxContext;

/// Paths of one `fs/statMany`.
pub const MAX_STAT_PATHS: usize = 4096;

/// Parameters of `fs/getMetadata`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsGetMetadataParams {
    /// What to describe.
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

/// Result of `fs/getMetadata`. Everything but `isSymlink` describes what a symbolic link leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsGetMetadataResponse {
    /// Whether it is a directory.
    pub is_directory: bool,
    /// Whether it is a regular file.
    pub is_file: bool,
    /// Whether the path itself is a symbolic link.
    pub is_symlink: bool,
    /// Length in bytes.
    #[ts(type = "number")]
    pub size: u64,
    /// Time of creation, in milliseconds since 1970; 0 if the system does not know.
    #[ts(type = "number")]
    pub created_at_ms: i64,
    /// Time of the last change of content, in milliseconds since 1970; 0 if the system does not know.
    #[ts(type = "number")]
    pub modified_at_ms: i64,
    /// Permission bits, 0 to 0o7777. Flag `fsExtended`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub mode: Option<u32>,
    /// Number of the owner. Flag `fsExtended`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub uid: Option<u32>,
    /// Number of the group. Flag `fsExtended`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub gid: Option<u32>,
    /// Device and inode as `device:inode` in decimal. A text, because it is only ever compared and its numbers may not
    /// fit into a double. Flag `fsExtended`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub inode: Option<String>,
    /// Changes whenever the content may have changed; means nothing else. Flag `fsExtended`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub etag: Option<String>,
}

/// Parameters of `fs/statMany`: many `fs/getMetadata` in one round trip. Flag `fsExtended`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsStatManyParams {
    /// What to describe: at most [`MAX_STAT_PATHS`], otherwise -32600.
    pub paths: Vec<PathUri>,
    /// Whether symbolic links may stand in the paths; yes if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub follow_symlinks: Option<bool>,
    /// Confines this call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sandbox: Option<SandboxContext>,
}

/// Result of `fs/statMany`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsStatManyResponse {
    /// One for each path, in the order of the request. One failure does not spoil the others.
    pub results: Vec<FsStatResult>,
}

/// What `fs/getMetadata` would have answered for one path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum FsStatResult {
    /// It exists.
    Found {
        /// What it is.
        metadata: FsGetMetadataResponse,
    },
    /// It does not, or can't be looked at.
    Failed {
        /// The error that the single call would have had.
        error: RpcError,
    },
}

/// Parameters of `fs/canonicalize`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsCanonicalizeParams {
    /// An existing path.
    pub path: PathUri,
    /// Confines this call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sandbox: Option<SandboxContext>,
}

/// Result of `fs/canonicalize`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsCanonicalizeResponse {
    /// The same place without symbolic links.
    pub path: PathUri,
}

/// Parameters of `fs/setPermissions`. Flag `fsExtended`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsSetPermissionsParams {
    /// An existing file or directory.
    pub path: PathUri,
    /// The new permission bits, 0 to 0o7777, otherwise -32602.
    pub mode: u32,
    /// When it is to have been changed last, in milliseconds since 1970; what a copy keeps of its original. Flag `fsTransfer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub modified_at_ms: Option<i64>,
    /// Whether symbolic links may stand in the path; yes if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub follow_symlinks: Option<bool>,
    /// Confines this call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sandbox: Option<SandboxContext>,
}
