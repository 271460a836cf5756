//! Makes a child's environment from the server's own, as an `envPolicy` asks.
//!
//! Pure: the server's environment is an argument, taken once when the server starts.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use codex_exec_server_protocol::process::{EnvInherit, EnvPolicy};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// Names and values, as the operating system has them.
pub type Environment = BTreeMap<OsString, OsString>;

/// Names that look like credentials; dropped unless the policy says otherwise.
const DEFAULT_EXCLUDES: [&str; 3] = ["*KEY*", "*SECRET*", "*TOKEN*"];

/// What `core` keeps of the server's environment: what the reference peer keeps on Linux.
const CORE: [&str; 11] =
    ["HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "SHELL", "TEMP", "TMP", "TMPDIR", "USER"];

/// A pattern that can't be used, for its size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("envPolicy pattern `{pattern}` is invalid: {reason}")]
pub struct PatternError {
    /// The pattern.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

/// The environment of a child: exactly `overlay` without a policy, otherwise what the policy makes of `own`, with
/// `overlay` on top.
pub fn child_environment(
    own: &Environment,
    policy: Option<&EnvPolicy>,
    overlay: &BTreeMap<String, String>,
) -> Result<Environment, PatternError> {
    let mut env = match policy {
        Some(policy) => apply(own, policy)?,
        None => Environment::new(),
    };
    env.extend(overlay.iter().map(|(name, value)| (name.into(), value.into())));
    Ok(env)
}

fn apply(own: &Environment, policy: &EnvPolicy) -> Result<Environment, PatternError> {
    let mut env: Environment = match policy.inherit {
        EnvInherit::All => own.clone(),
        EnvInherit::Core => {
            own.iter().filter(|(name, _)| is_core(name)).map(|(k, v)| (k.clone(), v.clone())).collect()
        }
        EnvInherit::None => Environment::new(),
    };
    if !policy.ignore_default_excludes {
        let excluded = patterns(DEFAULT_EXCLUDES)?;
        env.retain(|name, _| !matches(&excluded, name));
    }
    let excluded = patterns(&policy.exclude)?;
    env.retain(|name, _| !matches(&excluded, name));
    env.extend(policy.set.iter().map(|(name, value)| (name.into(), value.into())));
    if !policy.include_only.is_empty() {
        let included = patterns(&policy.include_only)?;
        env.retain(|name, _| matches(&included, name));
    }
    Ok(env)
}

fn is_core(name: &OsStr) -> bool {
    CORE.iter().any(|core| core.as_bytes().eq_ignore_ascii_case(name.as_bytes()))
}

fn patterns(globs: impl IntoIterator<Item = impl AsRef<str>>) -> Result<GlobSet, PatternError> {
    let mut set = GlobSetBuilder::new();
    for pattern in globs {
        let invalid = |error: globset::Error| PatternError {
            pattern: pattern.as_ref().to_owned(),
            reason: error.kind().to_string(),
        };
        set.add(
            GlobBuilder::new(&only_wildcards(pattern.as_ref()))
                .case_insensitive(true)
                .backslash_escape(false)
                .build()
                .map_err(invalid)?,
        );
    }
    set.build().map_err(|error| PatternError {
        pattern: error.glob().unwrap_or_default().to_owned(),
        reason: error.kind().to_string(),
    })
}

/// `*` and `?` are all that is special in a pattern; brackets, braces and backslashes stand for themselves.
fn only_wildcards(pattern: &str) -> String {
    let mut glob = String::with_capacity(pattern.len());
    for part in pattern.split_inclusive(['*', '?']) {
        let (literal, wildcard) =
            part.strip_suffix(['*', '?']).map_or((part, ""), |rest| part.split_at(rest.len()));
        glob.push_str(&globset::escape(literal));
        glob.push_str(wildcard);
    }
    glob
}

fn matches(set: &GlobSet, name: &OsStr) -> bool {
    set.is_match(name)
}

#[cfg(test)]
#[path = "env_tests.rs"]
mod tests;
