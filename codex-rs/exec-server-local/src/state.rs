//! Where this program keeps what is too large for memory: the place when nobody names one, and what to do about one that
//! can't be used.

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use crate::env::Environment;
use crate::os;

/// The name of this program's folder among those of others.
const FOLDER: &str = "codex-exec-server";

/// `$XDG_STATE_HOME`, the system's folder for a root that has set none, or the user's own; `None` for a user without a
/// home. Nothing is made before it is needed.
#[must_use]
pub fn default_state_directory(environment: &Environment) -> Option<PathBuf> {
    directory(environment, geteuid().is_root())
}

fn directory(environment: &Environment, is_root: bool) -> Option<PathBuf> {
    // Relative ones are to be ignored, says the specification.
    let absolute =
        |name: &str| environment.get(OsStr::new(name)).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = match absolute("XDG_STATE_HOME") {
        Some(state) => state,
        None if is_root => "/var/lib".into(),
        None => absolute("HOME")?.join(".local/state"),
    };
    Some(state.join(FOLDER))
}

/// Makes a state directory if it is missing, and a file in it that is gone at once.
///
/// # Errors
/// Where that does not work, with the operating system's reason and with what can be done about it.
pub fn check_state_directory(directory: &Path) -> Result<(), StateDirectoryError> {
    match os::nameless_file(directory) {
        Ok(_) => Ok(()),
        Err(source) => Err(StateDirectoryError {
            advice: advice(directory, &source),
            directory: directory.into(),
            source,
        }),
    }
}

/// Why a state directory can't be used.
#[derive(Debug, thiserror::Error)]
#[error("state directory {} can't be used: {source}{advice}", directory.display())]
pub struct StateDirectoryError {
    directory: PathBuf,
    source: io::Error,
    advice: String,
}

impl StateDirectoryError {
    /// Whether it stays so until somebody changes it: it is another user's, or no directory. A disk that is full, broken or
    /// read-only may be used again later.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        use io::ErrorKind::{AlreadyExists, NotADirectory, PermissionDenied};
        matches!(self.source.kind(), AlreadyExists | NotADirectory | PermissionDenied)
    }
}

/// Whose it is and what to do, to follow the error; empty where the error says it all.
pub(crate) fn advice(directory: &Path, error: &io::Error) -> String {
    let Some((at, found)) = directory.ancestors().find_map(|at| Some((at, at.metadata().ok()?))) else {
        return String::new();
    };
    let at = at.display();
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            let (us, owner, mode) = (geteuid().as_raw(), found.uid(), found.mode() & 0o7777);
            let command = if owner == us { "chmod u+rwx".to_owned() } else { format!("chown {us}") };
            format!(
                "; {at} belongs to user {owner} (mode {mode:03o}) and this is user {us}: let {us} write there \
                 ({command} {at}), or name another directory with --state-dir"
            )
        }
        _ if !found.is_dir() => {
            format!("; {at} is no directory: remove it, or name another with --state-dir")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_where_the_specification_says_or_where_systems_keep_it() {
        let environment = |pairs: &[(&str, &str)]| -> Environment {
            pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
        };
        let both = environment(&[("XDG_STATE_HOME", "/state"), ("HOME", "/home/me")]);
        let home = environment(&[("XDG_STATE_HOME", "relative"), ("HOME", "/home/me")]);
        for (environment, is_root, expected) in [
            (&both, false, Some("/state/codex-exec-server")),
            (&both, true, Some("/state/codex-exec-server")),
            (&home, false, Some("/home/me/.local/state/codex-exec-server")),
            (&home, true, Some("/var/lib/codex-exec-server")),
            (&environment(&[]), false, None),
        ] {
            assert_eq!(directory(environment, is_root), expected.map(PathBuf::from));
        }
    }
}
