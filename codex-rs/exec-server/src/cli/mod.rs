//! The command line for people: which command, and how its outcome becomes an exit code.

mod attach;
mod cat;
mod completions;
mod console;
mod cp;
mod duration;
mod edit;
mod embedded;
mod envs;
mod exit;
mod fetch;
mod files;
mod found;
mod info;
mod inherit;
mod kept;
mod kill;
mod lines;
mod logs;
mod ls;
mod machine;
mod man;
mod mcp;
mod mcp_stdio;
mod ps;
mod reach;
mod records;
mod run;
mod sandbox;
mod sandbox_check;
mod serve;
mod stop;
mod target;
mod teller;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use codex_exec_server_protocol::path_uri::PathUri;
use serde::Serialize;
use tracing_subscriber::EnvFilter;

/// Runs and controls processes for a client that is somewhere else.
///
/// Without a command it serves. Try `codex-exec-server run -- uname -a` for a first run with nothing else running.
#[derive(Debug, Parser)]
#[command(name = "codex-exec-server", version, args_conflicts_with_subcommands = true, after_help = HELP)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Say nothing of the connection and of what is waited for; what fails is said all the same
    #[arg(long, short, global = true)]
    quiet: bool,
    #[command(flatten)]
    serve: serve::ServeArgs,
}

/// What `--help` says below the flags.
const HELP: &str = "\
Examples:
  codex-exec-server --listen ws://127.0.0.1:8765                        on the machine where things are to run
  codex-exec-server run --connect ws://127.0.0.1:8765 -- make test      from anywhere that reaches it
  codex-exec-server run --connect ws://127.0.0.1:8765 --detach -- make  left to itself
  codex-exec-server ps                                                  what was left running, and where

CODEX_EXEC_SERVER_LOG=debug makes any command talkative, on standard error.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve clients until told to stop. The default
    Serve(serve::ServeArgs),
    /// Run a command, on another machine or on this one, as if it ran here
    Run(run::RunArgs),
    /// List what was left running, and how it is now
    Ps(ps::PsArgs),
    /// Come back to a command that was left running
    Attach(attach::AttachArgs),
    /// Print what a command that was left running has said
    Logs(logs::LogsArgs),
    /// End a command that was left running, or send it a signal
    Kill(kill::KillArgs),
    /// Print what is in files of another machine, or of this one
    Cat(cat::CatArgs),
    /// Copy files and directories to another machine, or from it
    Cp(cp::CpArgs),
    /// List a directory of another machine, or of this one
    Ls(ls::LsArgs),
    /// Edit a file of another machine in the editor of this one
    Edit(edit::EditArgs),
    /// Send an HTTP request from another machine, or from this one
    Fetch(fetch::FetchArgs),
    /// Tell what a server's machine is like, what the server can do, and how far away it is
    Info(info::InfoArgs),
    /// List the environments, and whether they can be reached
    Envs(envs::EnvsArgs),
    /// Serve an MCP client with tools that run commands and use files on another machine, or on this one
    Mcp(mcp::McpArgs),
    /// Run a stdio MCP server on another machine, for an MCP client on this one
    McpStdio(mcp_stdio::McpStdioArgs),
    /// Tell which sandboxes this machine can enforce, by trying
    SandboxCheck(sandbox_check::SandboxCheckArgs),
    /// Write completions for a shell to standard output
    Completions(completions::CompletionsArgs),
    /// Write the manual, as roff, to standard output
    Man(man::ManArgs),
}

/// Reads the command line, does what it asks, and returns the exit code.
#[must_use]
pub fn main() -> ExitCode {
    // Before anything else: this may be the start of a sandbox.
    sandbox::enter();
    let cli = Cli::parse();
    // Standard output carries the protocol or the remote program's output; words of our own go to standard error.
    let filter = EnvFilter::try_from_env("CODEX_EXEC_SERVER_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    if cli.quiet {
        teller::be_quiet();
    }
    let outcome = match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Serve(args) => serve::main(args),
        Command::Run(args) => run::main(args),
        Command::Ps(args) => ps::main(&args),
        Command::Attach(args) => attach::main(&args),
        Command::Logs(args) => logs::main(&args),
        Command::Kill(args) => kill::main(&args),
        Command::Cat(args) => cat::main(&args),
        Command::Cp(args) => cp::main(&args),
        Command::Ls(args) => ls::main(&args),
        Command::Edit(args) => edit::main(&args),
        Command::Fetch(args) => fetch::main(args),
        Command::Info(args) => info::main(args),
        Command::Envs(args) => envs::main(&args),
        Command::Mcp(args) => mcp::main(&args),
        Command::McpStdio(args) => mcp_stdio::main(&args),
        Command::SandboxCheck(args) => sandbox_check::main(args),
        Command::Completions(args) => completions::completions(&args),
        Command::Man(args) => man::main(&args),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("codex-exec-server: {error}");
        ExitCode::from(exit::code(&error))
    })
}

/// What ends a command early; its text is for the person at the terminal.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The runtime that serves, on `threads` of its own. Blocking threads start programs and end trees; they come and go with
/// the load.
///
/// Half of the processors, if nobody has chosen: a server's work is done between a program that writes and a client that
/// reads, which need the others. A flood that is read on one thread and sent on another costs half as much again, since
/// each chunk goes from one processor's cache to another's and wakes a thread on its way.
fn runtime(threads: Option<usize>) -> std::io::Result<tokio::runtime::Runtime> {
    codex_exec_server_local::os::share_heap();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.unwrap_or_else(|| processors.div_ceil(2));
    tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()
}

/// Runs a command for people. One thread is enough for it, and spares its output the way from one to another.
fn block_on<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(command);
    // Standard input may still be waited for by a thread that can't be interrupted.
    runtime.shutdown_background();
    outcome
}

/// An exit code that another program chose. One that does not fit is a failure all the same.
fn exit_code(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}

/// Prints one event as a line of JSON.
fn print_line(line: &lines::Line<'_>) {
    // Whoever does not read is noticed by the output that follows.
    let _ = std::io::stdout().write_all(&line.to_bytes());
}

/// Makes a failure the last event of those that were printed as JSON.
fn tell_failure<T>(outcome: Result<T, Failure>, json: bool) -> Result<T, Failure> {
    if let (Err(error), true) = (&outcome, json) {
        print_line(&lines::Line::Failed { message: &error.to_string() });
    }
    outcome
}

/// Prints one document of JSON.
fn print_json(document: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_vec_pretty(document)?;
    text.push(b'\n');
    std::io::stdout().write_all(&text)?;
    Ok(())
}

/// A server's path as people write it.
fn show_path(uri: &PathUri) -> String {
    uri.to_path().map_or_else(|_| uri.to_string(), |path| path.display().to_string())
}
