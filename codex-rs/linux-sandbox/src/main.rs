//! The launcher as a program of its own, for programs that can't be their own.

use std::process::ExitCode;

use codex_linux_sandbox::Launcher;

fn main() -> ExitCode {
    if let Err(error) = Launcher::enter() {
        eprintln!("codex-linux-sandbox: {error}");
    }
    eprintln!("codex-linux-sandbox is started by codex-exec-server, with a description of what to run");
    ExitCode::from(2)
}
