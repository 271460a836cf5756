//! The binary `codex-exec-server`. Everything it does is in the library.

use std::process::ExitCode;

use codex_exec_server_local::os::Heap;

#[global_allocator]
static HEAP: Heap = Heap;

fn main() -> ExitCode {
    codex_exec_server::cli::main()
}
