//! Operations on a file or a whole tree: remove, copy, rename.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::path_uri::PathUri;
use crate::sandbox::SandboxContext;

/// Parameters of `fs/remove`. A symbolic link is removed itself, never what it leads to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsRemoveParams {
    /// What to remove.
    pub path: PathUri,
    /// Remove a directory with everything in it; yes if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub recursive: Option<bool>,
    /// Be content if there is nothing to remove; yes if absent. Otherwise that is -32004.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub force: Option<bool>,
    /// Whether symbolic links may stand in the path; yes if absent. No is refused together with `recursive`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub follow_symlinks: Option<bool>,
    /// Confines this call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sandbox: Option<SandboxContext>,
}

impl FsRemoveParams {
    /// What `recursive` says, or means if absent.
    #[must_use]
    pub fn is_recursive(&self) -> bool {
        self.recursive.unwrap_or(true)
    }

    /// What `force` says, or means if absent.
    #[must_use]
    pub fn is_forced(&self) -> bool {
        self.force.unwrap_or(true)
    }
}

/// Parameters of `fs/copy`. Regular files, directories and symbolic links (as links) only; existing files are
/// overwritten, existing directories merged into.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsCopyParams {
    /// What to copy.
    pub source_path: PathUri,
    /// What it becomes; not the directory that it goes into.
    pub destination_path: PathUri,
    /// Required, and must be true, to copy a directory.
    pub recursive: bool,
    /// Confines this call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sandbox: Option<SandboxContext>,
}

/// Parameters of `fs/rename`: move within one file system, in one step. Flag `fsExtended`.
///
/// Between file systems it fails (-32603, `EXDEV`): copy and remove instead. Symbolic links are moved themselves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsRenameParams {
    /// What to move.
    pub source_path: PathUri,
    /// What it becomes; not the directory that it goes into.
    pub destination_path: PathUri,
    /// Replace a file, or an empty directory, that is there already; otherwise that is -32603 (`EEXIST`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[ts(optional, as = "Option<bool>")]
    pub overwrite: bool,
    /// Confines this call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sandbox: Option<SandboxContext>,
}
