//! Which starts are made from a snapshot, and which of them from the same.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use codex_exec_server_core::error::ServiceError;
use codex_exec_server_protocol::process::{ProcessStartParams, ShellSnapshot};

use super::dialect::Dialect;
use crate::env::Environment;
use crate::os;

/// The longest name of a scope, as the reference has it.
const SCOPE_BYTES: usize = 256;

/// Variables that decide which login files a shell reads.
const LEADING: [&str; 6] = ["BASH_ENV", "ENV", "HOME", "LOGNAME", "USER", "ZDOTDIR"];

/// A start that is made from a snapshot.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Wanted {
    pub(super) key: Key,
    /// Variables that the request names itself.
    pub(super) explicit: BTreeSet<OsString>,
}

/// Starts with equal keys begin with the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) scope: String,
    dialect: Dialect,
    /// Its path, as the client wrote it.
    pub(super) shell: String,
    cwd: PathBuf,
    leading: Vec<Option<OsString>>,
    /// What the login files are confined by, which is what the command is confined by: they may have been written by one
    /// that was confined.
    bounds: String,
}

impl Wanted {
    pub(super) const fn dialect(&self) -> Dialect {
        self.key.dialect
    }
}

/// What `command`, which was made of `params`, is to be made from; `None` if it is to be started as it is.
///
/// # Errors
/// [`ServiceError::InvalidArgument`]: a scope without a name or with too long a one, a shell of another kind.
pub(in super::super) fn wanted(
    params: &ProcessStartParams,
    command: &os::Command,
    env: &Environment,
) -> Result<Option<Wanted>, ServiceError> {
    let Some(ShellSnapshot { scope_id, shell }) = &params.shell_snapshot else { return Ok(None) };
    if scope_id.is_empty() || scope_id.len() > SCOPE_BYTES {
        return Err(ServiceError::InvalidArgument(format!(
            "shell snapshot scope must be non-empty and at most {SCOPE_BYTES} bytes"
        )));
    }
    let [program, flags, _, ..] = &params.argv[..] else { return Ok(None) };
    if *program != shell.path || flags != "-lc" {
        return Ok(None);
    }
    let Some(dialect) = Dialect::of(&shell.name) else {
        return Err(ServiceError::InvalidArgument(format!(
            "shell snapshots are unsupported for shell `{}`: name bash, zsh or sh, or leave shellSnapshot out",
            shell.name
        )));
    };
    // By another name a shell may be of another kind.
    if params.arg0.is_some() || dialect.is_disturbed_by(env) {
        return Ok(None);
    }
    let set = params.env_policy.iter().flat_map(|policy| policy.set.keys());
    Ok(Some(Wanted {
        key: Key {
            scope: scope_id.clone(),
            dialect,
            shell: shell.path.clone(),
            cwd: command.cwd.clone(),
            leading: LEADING.map(|name| env.get(OsStr::new(name)).cloned()).into(),
            bounds: format!("{:?} {} {:?}", params.sandbox, params.enforce_managed_network, params.limits),
        },
        explicit: params.env.keys().chain(set).map(OsString::from).collect(),
    }))
}

#[cfg(test)]
#[path = "wanted_tests.rs"]
mod tests;

#[cfg(test)]
impl Key {
    pub(super) fn example(scope: &str) -> Self {
        Self {
            scope: scope.to_owned(),
            dialect: Dialect::Bash,
            shell: "/bin/bash".into(),
            cwd: "/".into(),
            leading: Vec::new(),
            bounds: String::new(),
        }
    }
}
