//! `codex-exec-server mcp-stdio`: a stdio MCP server that runs on another machine, for an MCP client that starts its
//! servers on this one.
//!
//! The client can't tell it from the server itself: bytes, exit code and the ends of both streams are passed through, and
//! a lost connection is resumed without it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use codex_exec_server_client::{Lag, StartError};
use codex_exec_server_core::service::ExecError;
use codex_exec_server_mcp::{
    BridgeError, Launched, Pipes, Reason, ServerConfig, bridge, launch, start_params,
};
use codex_exec_server_protocol::error_code::RpcError;

use super::Failure;
use super::machine::Machine;
use super::reach::ReachArgs;
use super::stop::Stop;

/// What `--help` says below the flags.
const HELP: &str = "\
For the configuration of an MCP client, in place of the server's own command. The exit code is the server's, 128 + n after \
signal n, and 125 when something else failed, which standard error tells.

On another machine the server gets its basic environment (such as HOME, LANG, PATH, SHELL, USER, TMPDIR) and --set-env; \
here it gets that of this command as well. When the client ends its input, so does the server's; SIGTERM, SIGINT and \
SIGHUP end the server with all its descendants.

Examples:
  codex-exec-server mcp-stdio --env buildbox -- npx -y @modelcontextprotocol/server-filesystem /srv
  codex-exec-server mcp-stdio --connect ws://127.0.0.1:8765 --set-env TZ=UTC -- uvx mcp-server-time";

/// Flags of `mcp-stdio`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct McpStdioArgs {
    #[command(flatten)]
    machine: ReachArgs,
    /// Working directory of the server [default: that of the machine's server, or this one]
    #[arg(long, value_name = "DIR")]
    cwd: Option<PathBuf>,
    /// Variable to add to the server's environment; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_variable)]
    set_env: Vec<(String, String)>,
    /// The MCP server and its arguments; no shell is involved unless it is the server
    #[arg(value_name = "SERVER", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    server: Vec<String>,
}

fn parse_variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as --set-env NAME=VALUE".to_owned()),
    }
}

pub(super) fn main(args: &McpStdioArgs) -> Result<ExitCode, Failure> {
    super::block_on(async {
        let mut stop = Stop::catch()?;
        let machine = tokio::select! {
            machine = Machine::find(&args.machine, "mcp-stdio") => machine?,
            code = stop.signalled() => return Ok(super::exit_code(code)),
        };
        let carried = carry(&machine, args, stop).await;
        machine.close().await;
        carried.map(super::exit_code)
    })
}

/// Runs the server and carries its pipes; returns the exit code.
async fn carry(machine: &Machine, args: &McpStdioArgs, mut stop: Stop) -> Result<i32, Failure> {
    let config = ServerConfig {
        cwd: machine.cwd(args.cwd.as_deref())?,
        env: args.set_env.iter().cloned().collect(),
        env_policy: machine.env_policy(),
        ..ServerConfig::new(args.server.clone())
    };
    let launching = start(machine, &config);
    let launched = tokio::select! {
        launched = launching => launched?,
        code = stop.signalled() => return Ok(code),
    };
    let pipes = Pipes { stdin: tokio::io::stdin(), stdout: tokio::io::stdout(), stderr: tokio::io::stderr() };
    // Which signal it was.
    let mut signalled = 0;
    let bridging = bridge(launched, pipes, &config.patience, async {
        signalled = stop.signalled().await;
    });
    let outcome = tokio::select! {
        outcome = bridging => outcome,
        never = machine.tell_status() => match never {},
    };
    match outcome {
        Ok(exit) => Ok(exit.code),
        Err(BridgeError::Stopped) => Ok(signalled),
        Err(error) => Err(error.into()),
    }
}

/// Starts the server. The connection is its own, so it may wait for a client that does not read, as a pipe would.
async fn start(machine: &Machine, config: &ServerConfig) -> Result<Launched, Failure> {
    // The machine's words name the program and what is wrong with it.
    let refused = |refusal: RpcError| Failure::from(refusal.message);
    match machine.client() {
        Some(client) => {
            let params = start_params(&machine.backend.environment(), config)?;
            match client.start(params, Lag::HoldConnection).await {
                Ok((process, events)) => Ok(Launched::new(Arc::new(process), Box::new(events), config)),
                Err(StartError::Refused(refusal)) => Err(refused(refusal)),
                Err(error) => Err(error.into()),
            }
        }
        None => launch(&*machine.backend, config).await.map_err(|error| match error.reason {
            Reason::NotStarted(ExecError::Refused(refusal)) => refused(refusal),
            _ => error.into(),
        }),
    }
}
