//! The command line for people: which command, and how its outcome becomes an exit code.

mod run;
mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// Runs and controls processes for a client that is somewhere else.
///
/// Without a command it serves. Try `codex-exec-server run -- uname -a` for a first run with nothing else running.
#[derive(Debug, Parser)]
#[command(name = "codex-exec-server", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves clients until it is told to stop. The default.
    Serve(serve::ServeArgs),
    /// Runs a command, on another machine or on this one, as if it ran here.
    Run(run::RunArgs),
}

/// Exit code of a command that failed before it could do its work, as of `env` and `ssh`: not to be mistaken for the
/// code of a remote program that failed in the ordinary way.
const FAILED: u8 = 125;

/// Reads the command line, does what it asks, and returns the exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // Standard output carries the protocol or the remote program's output; words of our own go to standard error.
    let filter = EnvFilter::try_from_env("CODEX_EXEC_SERVER_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let outcome = match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Serve(args) => serve::main(args),
        Command::Run(args) => run::main(args),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("codex-exec-server: {error}");
        ExitCode::from(FAILED)
    })
}

/// What ends a command early; its text is for the person at the terminal.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The runtime that serves. Blocking threads start programs and end trees; they come and go with the load.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}
