//! Sandboxes of single calls. None is enforced here yet, so one that would restrict anything is refused: to ignore it would
//! be worse than not to have it.

use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_protocol::sandbox::{SandboxContext, SandboxFileSystem, SandboxPermissions};

/// Fails if `sandbox` restricts files. What restricts the network only has nothing to do with them.
pub(super) fn check(sandbox: Option<&SandboxContext>) -> Result<(), FsFault> {
    match sandbox.map(|sandbox| &sandbox.permissions) {
        None
        | Some(
            SandboxPermissions::Disabled
            // Somebody else confines the files.
            | SandboxPermissions::External { .. }
            | SandboxPermissions::Managed { file_system: SandboxFileSystem::Unrestricted, .. },
        ) => Ok(()),
        Some(SandboxPermissions::Managed { .. }) => Err(FsFault::Sandbox),
    }
}
