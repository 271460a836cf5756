//! Makes a child's environment from the server's own, as an `envPolicy` asks.
//!
//! Pure: the server's environment is an argument, taken once when the server starts.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use codex_exec_server_protocol::process::{EnvInherit, EnvPolicy};
use wildmatch::WildMatch;

/// Names and values, as the operating system has them.
pub type Environment = BTreeMap<OsString, OsString>;

/// Names that look like credentials; dropped unless the policy says otherwise.
const DEFAULT_EXCLUDES: [&str; 3] = ["*KEY*", "*SECRET*", "*TOKEN*"];

/// What `core` keeps of the server's environment: what the reference peer keeps on Linux.
const CORE: [&str; 11] =
    ["HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "SHELL", "TEMP", "TMP", "TMPDIR", "USER"];

/// The environment of a child: exactly `overlay` without a policy, otherwise what the policy makes of `own`, with
/// `overlay` on top.
///
/// Each pattern is held against each name, so callers bound the size of a policy that a peer wrote.
pub fn child_environment(
    own: &Environment,
    policy: Option<&EnvPolicy>,
    overlay: &BTreeMap<String, String>,
) -> Environment {
    let mut env = match policy {
        Some(policy) => apply(own, policy),
        None => Environment::new(),
    };
    env.extend(overlay.iter().map(|(name, value)| (name.into(), value.into())));
    env
}

fn apply(own: &Environment, policy: &EnvPolicy) -> Environment {
    let mut env: Environment = match policy.inherit {
        EnvInherit::All => own.clone(),
        EnvInherit::Core => {
            own.iter().filter(|(name, _)| is_core(name)).map(|(k, v)| (k.clone(), v.clone())).collect()
        }
        EnvInherit::None => Environment::new(),
    };
    if !policy.ignore_default_excludes {
        let patterns = Patterns::new(DEFAULT_EXCLUDES);
        env.retain(|name, _| !patterns.match_any(name));
    }
    let patterns = Patterns::new(&policy.exclude);
    env.retain(|name, _| !patterns.match_any(name));
    env.extend(policy.set.iter().map(|(name, value)| (name.into(), value.into())));
    if !policy.include_only.is_empty() {
        let patterns = Patterns::new(&policy.include_only);
        env.retain(|name, _| patterns.match_any(name));
    }
    env
}

fn is_core(name: &OsStr) -> bool {
    CORE.iter().any(|core| core.as_bytes().eq_ignore_ascii_case(name.as_bytes()))
}

/// `*` and `?` are all that is special in a pattern; brackets, braces and backslashes stand for themselves.
struct Patterns(Vec<WildMatch>);

impl Patterns {
    fn new(patterns: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        Self(patterns.into_iter().map(|pattern| WildMatch::new_case_insensitive(pattern.as_ref())).collect())
    }

    fn match_any(&self, name: &OsStr) -> bool {
        let name = name.to_string_lossy();
        self.0.iter().any(|pattern| pattern.matches(&name))
    }
}

#[cfg(test)]
#[path = "env_tests.rs"]
mod tests;
