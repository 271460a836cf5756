//! The launcher as a program of its own, for programs that can't be their own. Other systems than Linux have none: there
//! it says so.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    if let Err(error) = codex_linux_sandbox::Launcher::enter() {
        eprintln!("codex-linux-sandbox: {error}");
    }
    eprintln!("codex-linux-sandbox is started by codex-exec-server, with a description of what to run");
    ExitCode::from(2)
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!(
        "codex-linux-sandbox: sandboxes are enforced on Linux only, nothing was run; on this system run commands \
         without one, or on a server on Linux"
    );
    ExitCode::from(2)
}
