//! `codex-exec-server mcp`: running commands and using files on a machine, as tools for any MCP client.

use std::process::ExitCode;

use codex_exec_server_mcp::{ServeError, ToolServer};

use super::Failure;
use super::machine::Machine;
use super::reach::ReachArgs;
use super::stop::Stop;

/// What `--help` says below the flags.
const HELP: &str = "\
For the configuration of an MCP client. The tools are exec_command, write_stdin, read, list and terminate for commands; \
read_file, write_file, list_directory, find_files and search_files for files. Whatever the client asks for is done: let it ask you first.

A lost connection to the machine is resumed while calls wait. A call that the client cancels ends its command. When the \
client goes away, or on SIGTERM, SIGINT or SIGHUP, everything that still runs is ended.

Examples:
  codex-exec-server mcp                                      on this machine
  codex-exec-server mcp --env buildbox                       on another, by its name
  codex-exec-server mcp --connect ws://127.0.0.1:8765        on another, by its address";

/// Flags of `mcp`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct McpArgs {
    #[command(flatten)]
    machine: ReachArgs,
}

pub(super) fn main(args: &McpArgs) -> Result<ExitCode, Failure> {
    super::block_on(async {
        let mut stop = Stop::catch()?;
        let machine = tokio::select! {
            machine = Machine::find(&args.machine, "mcp") => machine?,
            code = stop.signalled() => return Ok(super::exit_code(code)),
        };
        let served = serve(&machine, &mut stop).await;
        machine.close().await;
        served.map(super::exit_code)
    })
}

/// Serves until the client is gone or a signal comes; returns the exit code.
async fn serve(machine: &Machine, stop: &mut Stop) -> Result<i32, Failure> {
    let tools = ToolServer::new(machine.backend.clone(), machine.files());
    let serving = tools.serve(tokio::io::stdin(), tokio::io::stdout());
    let outcome = tokio::select! {
        served = serving => served.map(|()| 0),
        code = stop.signalled() => Ok(code),
        never = machine.tell_status() => match never {},
    };
    tools.shut_down().await;
    match outcome {
        Ok(code) => Ok(code),
        // Somebody had a look, and that was all.
        Err(ServeError::NoHandshake) => Ok(0),
        Err(error) => Err(error.into()),
    }
}
