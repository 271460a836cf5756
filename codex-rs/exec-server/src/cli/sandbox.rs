//! This program as the launcher of its own sandboxes.

use std::sync::OnceLock;

use codex_exec_server_local::Sandbox;
use codex_linux_sandbox::Launcher;

/// Set once, at the start.
static SANDBOX: OnceLock<Sandbox> = OnceLock::new();

/// Comes first in `main`. Never returns if this program was started to build a sandbox.
pub(super) fn enter() {
    let sandbox = match Launcher::enter_serving(codex_exec_server_local::fs::serve) {
        Ok(launcher) => Sandbox::new(launcher),
        // Without `/proc` there is none; what asks for one is refused.
        Err(_) => Sandbox::unavailable(),
    };
    // Nobody else sets it.
    let _ = SANDBOX.set(sandbox);
}

/// The sandboxes of this program.
pub(super) fn sandbox() -> Sandbox {
    SANDBOX.get().cloned().unwrap_or_else(Sandbox::unavailable)
}
