//! `fs/*`: files and directories of the server's machine.
//!
//! One file per kind of work: whole files, open handles, directories, what a path is, watching, searching. These are
//! shapes only; what a call does, and in which sandbox, is the business of the file service.
//!
//! Common to all of them: paths are [`PathUri`]s; `sandbox`, where it exists, confines this
//! one call; `followSymlinks: false` refuses a path that has a symbolic link anywhere, and it is true if absent.
//! A failure carries the system's own words; not found is -32004, permission and argument errors are -32600, all else
//! is -32603. With flag `fsExtended`, its `data` is an [`FsErrorData`].

mod directory;
mod file;
mod handle;
mod metadata;
mod search;
mod transfer;
mod tree;
mod watch;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

pub use self::directory::*;
pub use self::file::*;
pub use self::handle::*;
pub use self::metadata::*;
pub use self::search::*;
pub use self::transfer::*;
pub use self::tree::*;
pub use self::watch::*;
use crate::path_uri::PathUri;

/// What a failed file operation says to programs. Flag `fsExtended`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct FsErrorData {
    /// The system's name of the error, for example `ENOENT`; absent if the server itself refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub errno: Option<String>,
    /// The path that the operation failed at; of two paths, the one at fault.
    pub path: PathUri,
    /// With an `ifMatch` that does not hold, and only then: the etag that the file has instead, or the empty string if
    /// there is no file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub etag: Option<String>,
}

/// What `followSymlinks` means where it is absent, said once for every call that has it.
macro_rules! follows_symlinks {
    ($($params:ty),* $(,)?) => {$(
        impl $params {
            /// Whether symbolic links may stand in the path.
            #[must_use]
            pub fn follows_symlinks(&self) -> bool {
                self.follow_symlinks.unwrap_or(true)
            }
        }
    )*};
}

follows_symlinks!(
    FsReadFileParams,
    FsWriteFileParams,
    FsAppendParams,
    FsReadRangeParams,
    FsWriteRangeParams,
    FsDigestParams,
    FsCreateDirectoryParams,
    FsGetMetadataParams,
    FsStatManyParams,
    FsSetPermissionsParams,
    FsRemoveParams,
);

#[cfg(test)]
#[path = "fs_tests.rs"]
mod tests;
