//! `codex-exec-server envs`: the environments, which is meant when none is named, and whether they can be reached.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use codex_exec_server_client::environments::{
    DefaultEnvironment, Environment, EnvironmentError, EnvironmentKind, EnvironmentManager,
};
use codex_exec_server_client::{ClientError, DialError};
use codex_exec_server_transport::client::ConnectError;
use serde::Serialize;
use tokio::task::JoinSet;

use super::Failure;
use super::target::{client_config, settings};
use super::teller::Teller;

/// What `--help` says below the flags.
const HELP: &str = "\
Environments are machines by name: `local` is this one, the others stand in environments.toml, or the one named `remote` in \
CODEX_EXEC_SERVER_URL. --check connects to each, all at the same time, and says whether it is ready, refused us (a \
credential is missing or wrong), or failed, and why; then the exit code is 1 unless all are ready.

Examples:
  codex-exec-server envs
  codex-exec-server envs --check
  codex-exec-server run --env box -- make test";

/// Exit code when something can't be reached.
const NOT_READY: u8 = 1;

/// Flags of `envs`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct EnvsArgs {
    /// Connect to each and say how that went
    #[arg(long)]
    check: bool,
    /// File of environments [default: environments.toml in the user's configuration]
    #[arg(long, value_name = "PATH")]
    environments: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    /// The one that is meant when none is named; null when execution is disabled then.
    default: Option<String>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled: Option<String>,
    environments: Vec<Row>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    id: String,
    kind: &'static str,
    /// An address or a command line, without secrets.
    description: String,
    is_default: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<Check>,
}

/// How connecting went.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Check {
    /// `ready`, `refused` or `failed`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// From the beginning to the answer.
    connect_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
}

pub(super) fn main(args: &EnvsArgs) -> Result<ExitCode, Failure> {
    super::block_on(envs(args)).map(ExitCode::from)
}

async fn envs(args: &EnvsArgs) -> Result<u8, Failure> {
    let settings = settings(args.environments.as_deref())?;
    let mut config = settings.client;
    config.client_name = client_config("envs").client_name;
    // Its sessions hold nothing.
    config.detached_lifetime = Some(Duration::ZERO);
    let manager = EnvironmentManager::new(settings.environments, &config, /*local*/ None);
    let checks = if args.check {
        let checking = check_all(manager.environments());
        Teller::default().waiting(format_args!("connecting to environments"), checking).await
    } else {
        Vec::new()
    };
    let rows = manager.environments().iter().enumerate().map(|(place, environment)| Row {
        id: environment.id().to_string(),
        kind: environment.kind().as_str(),
        description: environment.description().to_owned(),
        is_default: manager.is_default(environment.id()),
        check: checks.get(place).cloned(),
    });
    let (default, disabled) = match manager.default_choice() {
        DefaultEnvironment::Is(id) => (Some(id.to_string()), None),
        DefaultEnvironment::Disabled(by) => (None, Some(EnvironmentError::Disabled(*by).to_string())),
    };
    let listed = Listed { default, disabled, environments: rows.collect() };
    manager.close().await;
    if args.json {
        super::print_json(&listed)?
    } else {
        print(&listed)?
    }
    Ok(if checks.iter().all(|check| check.state == "ready") { 0 } else { NOT_READY })
}

/// In the order of the environments. As many at a time as a file names: people write those by hand.
async fn check_all(environments: &[Arc<Environment>]) -> Vec<Check> {
    let mut checking = JoinSet::new();
    for (place, environment) in environments.iter().enumerate() {
        let environment = Arc::clone(environment);
        checking.spawn(async move { (place, check(&environment).await) });
    }
    let mut checks = checking.join_all().await;
    checks.sort_by_key(|(place, _)| *place);
    checks.into_iter().map(|(_, check)| check).collect()
}

async fn check(environment: &Environment) -> Check {
    let before = Instant::now();
    let version = Some(env!("CARGO_PKG_VERSION").to_owned());
    let (state, reason, version) = match environment.kind() {
        EnvironmentKind::Local => ("ready", None, version),
        EnvironmentKind::Url | EnvironmentKind::Program | EnvironmentKind::Custom => {
            match environment.client().await {
                Ok(client) => ("ready", None, client.peer().environment.executor_version.clone()),
                Err(error) => (failed_state(&error), Some(error.to_string()), None),
            }
        }
    };
    Check { state, reason, connect_ms: before.elapsed().as_secs_f64() * 1_000.0, version }
}

/// Whether a server is there that does not want us.
fn failed_state(error: &EnvironmentError) -> &'static str {
    let EnvironmentError::Connect { source: ClientError::Dial(dial), .. } = error else { return "failed" };
    match &**dial {
        DialError::Connect(ConnectError::Unauthorized { .. } | ConnectError::Forbidden) => "refused",
        DialError::Connect(_) | DialError::Gone(_) => "failed",
    }
}

fn print(listed: &Listed) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let wide =
        |cell: fn(&Row) -> &str| listed.environments.iter().map(|row| cell(row).len()).max().unwrap_or(0);
    let (id_width, description_width) = (wide(|row| &row.id), wide(|row| &row.description));
    for row in &listed.environments {
        let default = if row.is_default { '*' } else { ' ' };
        let state = match &row.check {
            None => String::new(),
            Some(Check { state, reason: Some(reason), .. }) => format!("{state}: {reason}"),
            Some(Check { state, connect_ms, version, .. }) => {
                format!("{state} in {connect_ms:.1} ms, version {}", version.as_deref().unwrap_or("not told"))
            }
        };
        let Row { id, kind, description, .. } = row;
        let line =
            format!("{default} {id:<id_width$}  {kind:<7}  {description:<description_width$}  {state}");
        writeln!(out, "{}", line.trim_end())?;
    }
    if let Some(disabled) = &listed.disabled {
        Teller::default().tell(format_args!("without --env, {disabled}"));
    }
    Ok(())
}
