//! The binary `codex-exec-server`. Everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    codex_exec_server::cli::main()
}
