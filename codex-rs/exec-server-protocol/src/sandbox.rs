//! What a process or a file call may touch, as it is asked for on the wire.
//!
//! Portable intent only. How the entries combine, what the symbolic places resolve to and what can be enforced on a
//! machine is for those who enforce it. Members that are not known here are ignored, unknown words are errors.
//! Names inside `permissions` are snake_case and all others camelCase: history, kept for the peers that speak it.

use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::path_uri::PathUri;

/// A sandbox, and what is needed to give its symbolic places a meaning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct SandboxContext {
    /// What is allowed.
    pub permissions: SandboxPermissions,
    /// How Windows would enforce it; required everywhere, of importance only there.
    pub windows_sandbox_level: WindowsSandboxLevel,
    /// Where relative globs start. A process falls back to its own working directory; a file call whose entries need it
    /// is refused without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub cwd: Option<PathUri>,
    /// What `project_roots` stands for; with none it stands for nothing.
    #[serde(default)]
    #[ts(optional, as = "Option<Vec<PathUri>>")]
    pub workspace_roots: Vec<PathUri>,
    /// What `~/` in a glob stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub user_home_dir: Option<PathUri>,
    /// The client's idea of temporary directories.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub temporary_directories: Option<Vec<PathUri>>,
    /// Ask for the old Linux mechanism. What it can't express is refused, never left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[ts(optional, as = "Option<bool>")]
    pub use_legacy_landlock: bool,
    /// Newer home of `cwd` and `workspaceRoots`; where both are given, this one counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub policy_context: Option<SandboxPolicyContext>,
    /// What Windows does about proxy settings of the sandbox's user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub windows_sandbox_proxy_settings_mode: Option<WindowsSandboxProxySettingsMode>,
    /// Whether someone approved a departure from the sandbox.
    #[serde(default, skip_serializing_if = "SandboxOverride::is_none")]
    #[ts(optional, as = "Option<SandboxOverride>")]
    pub sandbox_override: SandboxOverride,
}

impl SandboxContext {
    /// Where relative globs start, from whichever place holds it.
    #[must_use]
    pub fn effective_cwd(&self) -> Option<&PathUri> {
        match &self.policy_context {
            Some(context) => context.cwd.as_ref(),
            None => self.cwd.as_ref(),
        }
    }

    /// What `project_roots` stands for, from whichever place holds it.
    #[must_use]
    pub fn effective_workspace_roots(&self) -> &[PathUri] {
        match &self.policy_context {
            Some(context) => &context.workspace_roots,
            None => &self.workspace_roots,
        }
    }
}

/// See [`SandboxContext::policy_context`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct SandboxPolicyContext {
    /// As in [`SandboxContext`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub cwd: Option<PathUri>,
    /// As in [`SandboxContext`].
    #[serde(default)]
    #[ts(optional, as = "Option<Vec<PathUri>>")]
    pub workspace_roots: Vec<PathUri>,
}

/// How Windows would enforce a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "kebab-case")]
pub enum WindowsSandboxLevel {
    /// Not at all.
    Disabled,
    /// With a restricted token of the same user.
    RestrictedToken,
    /// With a user made for it.
    Elevated,
    /// With the system's own container. Other systems refuse it: they can't give what was asked for.
    Mxc,
}

/// What Windows does about proxy settings of the sandbox's user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub enum WindowsSandboxProxySettingsMode {
    /// Make them fit the sandbox.
    Reconcile,
    /// Leave them alone.
    Preserve,
}

/// Whether someone approved a departure from the sandbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub enum SandboxOverride {
    /// No.
    #[default]
    NoOverride,
    /// More than usual, but not everything.
    EscalatedSandboxWithRestrictions,
    /// The first attempt runs outside.
    BypassSandboxFirstAttempt,
}

impl SandboxOverride {
    fn is_none(&self) -> bool {
        *self == Self::NoOverride
    }
}

/// What is allowed, and who sees to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SandboxPermissions {
    /// The server enforces both rules.
    Managed {
        /// Files.
        file_system: SandboxFileSystem,
        /// Network.
        network: SandboxNetwork,
    },
    /// Nothing is confined.
    Disabled,
    /// Someone else confines files; the server enforces the network rule.
    External {
        /// Network.
        network: SandboxNetwork,
    },
}

/// Which files may be touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SandboxFileSystem {
    /// What the entries allow, and nothing else.
    Restricted {
        /// In any order: of all entries that contain a path the deepest counts, and at one depth deny beats write beats
        /// read.
        entries: Vec<SandboxEntry>,
        /// How many levels deep globs look for files; at least 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional, type = "number")]
        glob_scan_max_depth: Option<NonZeroUsize>,
    },
    /// Whatever the user may.
    Unrestricted,
}

/// Whether the network may be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "snake_case")]
pub enum SandboxNetwork {
    /// No.
    Restricted,
    /// Yes.
    Enabled,
}

/// One rule about files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct SandboxEntry {
    /// Where it holds, with everything below.
    pub path: SandboxPath,
    /// What it says.
    pub access: SandboxAccess,
    /// What to do if there is nothing at `path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub missing_path_behavior: Option<MissingPathBehavior>,
}

/// What may be done with files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "snake_case")]
pub enum SandboxAccess {
    /// Read them.
    Read,
    /// Read and write them.
    Write,
    /// Nothing. Also understood as `none`.
    #[serde(alias = "none")]
    Deny,
}

/// What to do about an entry whose path does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "snake_case")]
pub enum MissingPathBehavior {
    /// Leave the entry out.
    Skip,
}

/// Where a rule holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SandboxPath {
    /// At one path.
    Path {
        /// The path.
        path: PathUri,
    },
    /// At whatever a glob matches when the process starts; of use only to deny.
    GlobPattern {
        /// `*` and `?` stay within one component; relative to the working directory, `~/` to the user's home.
        pattern: String,
    },
    /// At a place with a meaning.
    Special {
        /// The place.
        value: SandboxSpecialPath,
    },
}

/// A place with a meaning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SandboxSpecialPath {
    /// The whole file system.
    Root,
    /// What programs need to run.
    Minimal,
    /// Older name of the workspace roots themselves.
    CurrentWorkingDirectory,
    /// Every workspace root.
    ProjectRoots {
        /// A place within each root, which it must not leave.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        subpath: Option<String>,
    },
    /// The process's `TMPDIR`.
    Tmpdir,
    /// `/tmp`.
    SlashTmp,
    /// A place that this version does not know. It never widens access.
    Unknown {
        /// Its name.
        path: String,
        /// A place within.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        subpath: Option<String>,
    },
}

#[cfg(test)]
#[path = "sandbox_tests.rs"]
mod tests;
