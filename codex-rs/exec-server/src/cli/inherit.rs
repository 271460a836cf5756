//! What a program takes over from where it is run: the environment and the working directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_protocol::process::{EnvInherit, EnvPolicy};

use super::Failure;

/// What a program gets of a machine's own environment. Another machine's is not ours to hand on, least of all its secrets;
/// our own (`here`) goes on as it is.
pub(super) fn env_policy(here: bool) -> EnvPolicy {
    EnvPolicy {
        inherit: if here { EnvInherit::All } else { EnvInherit::Core },
        ignore_default_excludes: here,
        exclude: Vec::new(),
        set: BTreeMap::new(),
        include_only: Vec::new(),
    }
}

/// Where a program runs: as `asked`, of which a relative path starts from where it would run without. That is this folder
/// if `here`, and the server's own elsewhere, as far as the server `told` it.
pub(super) fn cwd(
    asked: Option<&Path>,
    here: bool,
    told: Option<&PathUri>,
) -> Result<Option<PathUri>, Failure> {
    let base: PathBuf = match (asked, told) {
        (Some(path), _) if path.is_absolute() => return Ok(Some(PathUri::try_from(path)?)),
        _ if here => std::env::current_dir()?,
        (None, told) => return Ok(told.cloned()),
        (Some(_), Some(told)) => told.to_path()?,
        (Some(_), None) => return Err(UNTOLD.into()),
    };
    Ok(Some(PathUri::try_from(base.join(asked.unwrap_or(Path::new(""))).as_path())?))
}

/// What to do about a server that keeps its working directory to itself.
pub(super) const UNTOLD: &str =
    "the server does not tell its working directory; give an absolute one with --cwd";
