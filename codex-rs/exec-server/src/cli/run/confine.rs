//! Sandboxes by their short names.

use clap::ValueEnum;
use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_protocol::sandbox::{
    SandboxAccess, SandboxContext, SandboxEntry, SandboxFileSystem, SandboxNetwork, SandboxOverride,
    SandboxPath, SandboxPermissions, SandboxSpecialPath, WindowsSandboxLevel,
};

/// What `--sandbox` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum SandboxArg {
    ReadOnly,
    WorkspaceWrite,
    None,
}

/// What is asked for on the wire, for a command that runs in `cwd`.
pub(super) fn context(profile: SandboxArg, allow_net: bool, cwd: &PathUri) -> Option<SandboxContext> {
    let special = |value, access| SandboxEntry {
        path: SandboxPath::Special { value },
        access,
        missing_path_behavior: None,
    };
    let mut entries = vec![special(SandboxSpecialPath::Root, SandboxAccess::Read)];
    match profile {
        SandboxArg::None => return None,
        SandboxArg::ReadOnly => {}
        SandboxArg::WorkspaceWrite => {
            for place in [
                SandboxSpecialPath::ProjectRoots { subpath: None },
                SandboxSpecialPath::SlashTmp,
                SandboxSpecialPath::Tmpdir,
            ] {
                entries.push(special(place, SandboxAccess::Write));
            }
        }
    }
    Some(SandboxContext {
        permissions: SandboxPermissions::Managed {
            file_system: SandboxFileSystem::Restricted { entries, glob_scan_max_depth: None },
            network: if allow_net { SandboxNetwork::Enabled } else { SandboxNetwork::Restricted },
        },
        windows_sandbox_level: WindowsSandboxLevel::Disabled,
        cwd: Some(cwd.clone()),
        workspace_roots: vec![cwd.clone()],
        user_home_dir: None,
        temporary_directories: None,
        use_legacy_landlock: false,
        policy_context: None,
        windows_sandbox_proxy_settings_mode: None,
        sandbox_override: SandboxOverride::NoOverride,
    })
}
