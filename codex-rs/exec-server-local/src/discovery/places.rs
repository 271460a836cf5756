//! Where configuration and what is installed lie on a machine.

use std::ffi::OsStr;
use std::path::PathBuf;

use crate::env::Environment;

/// Where an administrator keeps configuration.
const SYSTEM: &str = "/etc/codex";

/// Where configuration lies on a machine.
#[derive(Debug, Clone)]
pub(super) struct Places {
    pub(super) system: PathBuf,
    pub(super) user_home: PathBuf,
    pub(super) codex_home: PathBuf,
}

impl Places {
    /// As `environment` has them; `None` without a home.
    pub(super) fn of(environment: &Environment) -> Option<Self> {
        let var = |name: &str| environment.get(OsStr::new(name)).filter(|value| !value.is_empty());
        let user_home = var("HOME").map(PathBuf::from).filter(|home| home.is_absolute())?;
        let codex_home = match var("CODEX_HOME") {
            None => user_home.join(".codex"),
            // One that is not there yet is named as it will be.
            Some(given) => std::fs::canonicalize(given).or_else(|_| std::path::absolute(given)).ok()?,
        };
        Some(Self { system: SYSTEM.into(), user_home, codex_home })
    }
}
