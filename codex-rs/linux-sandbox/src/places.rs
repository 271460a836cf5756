//! What the symbolic places of an intent stand for.
//!
//! Plain data: whoever starts a process fills it in, so that resolving an intent asks nobody.

use std::path::PathBuf;

/// See the module. Every path is absolute.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// Where relative globs start when the intent names no directory: the process's own.
    pub cwd: Option<PathBuf>,
    /// What `~/` in a glob stands for when the intent names no home.
    pub home: Option<PathBuf>,
    /// The process's `TMPDIR`, if it is absolute and a directory.
    pub tmpdir: Option<PathBuf>,
    /// Whether `/tmp` is a directory.
    pub slash_tmp: bool,
    /// What programs need to run, as far as it exists.
    pub minimal: Vec<PathBuf>,
    /// What belongs to the server alone, such as the file with its credential: denied whatever the intent says.
    pub hidden: Vec<PathBuf>,
}

/// Candidates for [`Places::minimal`].
pub const MINIMAL: [&str; 8] =
    ["/bin", "/sbin", "/usr", "/etc", "/lib", "/lib64", "/nix/store", "/run/current-system/sw"];
