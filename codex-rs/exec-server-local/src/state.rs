//! Where this program keeps what is too large for memory, when nobody names a place.

use std::ffi::OsStr;
use std::path::PathBuf;

use crate::env::Environment;

/// The name of this program's folder among those of others.
const FOLDER: &str = "codex-exec-server";

/// `$XDG_STATE_HOME`, the system's folder for a root that has set none, or the user's own; `None` for a user without a
/// home. Nothing is made before it is needed.
#[must_use]
pub fn default_state_directory(environment: &Environment) -> Option<PathBuf> {
    directory(environment, rustix::process::geteuid().is_root())
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
