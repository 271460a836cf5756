//! Making and listing directories.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::path_uri::PathUri;
use crate::sandbox::SandboxContext;

/// Levels below the root that `fs/walk` may be asked to enter.
pub const MAX_WALK_DEPTH: u64 = 64;
/// Directories that `fs/walk` may be asked to open.
pub const MAX_WALK_DIRECTORIES: u64 = 10_000;
/// Entries that `fs/walk` may be asked to return.
pub const MAX_WALK_ENTRIES: u64 = 50_000;

/// Parameters of `fs/createDirectory`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsCreateDirectoryParams {
    /// The directory.
    pub path: PathUri,
    /// Make missing parents too, and be content with a directory that exists; yes if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub recursive: Option<bool>,
    /// Whether symbolic links may stand in the path; yes if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub follow_symlinks: Option<bool>,
    /// Confines this call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sandbox: Option<SandboxContext>,
}

impl FsCreateDirectoryParams {
    /// What `recursive` says, or means if absent.
    #[must_use]
    pub fn is_recursive(&self) -> bool {
        self.recursive.unwrap_or(true)
    }
}

/// Entries that one answer to `fs/readDirectory` may be asked to hold.
pub const MAX_LISTED_ENTRIES: u64 = 50_000;

/// Parameters of `fs/readDirectory`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsReadDirectoryParams {
    /// The directory.
    pub path: PathUri,
    /// List in pages: no more than so many entries, 1 to [`MAX_LISTED_ENTRIES`], otherwise -32600, in the order of the bytes
    /// of their names. What is there all the while is in one of the pages. Without it a directory of more entries than one
    /// answer holds is -32600. Flag `fsTransfer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub max_entries: Option<u64>,
    /// With `maxEntries`: only names behind the last component of this path, which is that of the last entry of the page
    /// before. It need not exist any more. Flag `fsTransfer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub after: Option<PathUri>,
    /// Confines this call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sandbox: Option<SandboxContext>,
}

/// Result of `fs/readDirectory`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsReadDirectoryResponse {
    /// What the directory holds; without `maxEntries` in no particular order.
    pub entries: Vec<FsDirectoryEntry>,
    /// With `maxEntries`: others come behind these. Flag `fsTransfer`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[ts(optional, as = "Option<bool>")]
    pub more: bool,
}

/// One entry of a directory. Both flags follow symbolic links; neither is set for anything but files and directories.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsDirectoryEntry {
    /// The bare name; what is not UTF-8 in it is replaced.
    pub file_name: String,
    /// Whether it is, or leads to, a directory.
    pub is_directory: bool,
    /// Whether it is, or leads to, a regular file.
    pub is_file: bool,
    /// Whether the entry itself is a symbolic link; with both other flags unset, it may lead nowhere. Flag `fsExtended`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[ts(optional, as = "Option<bool>")]
    pub is_symlink: bool,
    /// Where it is; only for a name that is not UTF-8, which `fileName` can't tell. Flag `fsExtended`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub path: Option<PathUri>,
}

/// Parameters of `fs/walk`: a whole tree, breadth first, names in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsWalkParams {
    /// Where to begin. Anything but a directory gives an empty answer; nothing at all is -32004.
    pub path: PathUri,
    /// How far to go.
    pub options: FsWalkOptions,
    /// Confines this call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sandbox: Option<SandboxContext>,
}

/// How far `fs/walk` goes. Values beyond the maxima, and 0 for the latter two bounds, are -32600.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsWalkOptions {
    /// Levels below the direct children: 0 to [`MAX_WALK_DEPTH`].
    #[ts(type = "number")]
    pub max_depth: u64,
    /// Directories to open: 1 to [`MAX_WALK_DIRECTORIES`].
    #[ts(type = "number")]
    pub max_directories: u64,
    /// Entries to return: 1 to [`MAX_WALK_ENTRIES`].
    #[ts(type = "number")]
    pub max_entries: u64,
    /// Treat a symbolic link to a directory as one; each target is entered once.
    pub follow_directory_symlinks: bool,
    /// List directories whose name begins with a dot, but do not enter them.
    #[serde(default)]
    #[ts(optional, as = "Option<bool>")]
    pub prune_hidden_directories: bool,
}

/// Result of `fs/walk`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsWalkResponse {
    /// Directories and regular files; links to files, broken links and special files are left out.
    pub entries: Vec<FsWalkEntry>,
    /// What could not be read.
    pub errors: Vec<FsWalkError>,
    /// Whether a bound cut the answer short.
    pub truncated: bool,
}

/// One file or directory below the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsWalkEntry {
    /// Where it is.
    pub path: PathUri,
    /// What it is.
    pub kind: FsEntryKind,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub enum FsEntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
}

/// One entry that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsWalkError {
    /// Where.
    pub path: PathUri,
    /// The system's words.
    pub message: String,
}
