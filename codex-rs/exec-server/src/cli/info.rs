//! `codex-exec-server info`: what a server's machine is like, what the server can do, and how far away it is.

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use codex_exec_server_client::{Client, ClientConfig, Peer};
use codex_exec_server_protocol::environment::{
    EnvironmentInfo, ProcessLimitsSupport, SandboxStandby, SandboxSupport,
};
use codex_exec_server_protocol::ids::SessionId;
use codex_exec_server_protocol::methods::{EnvironmentInfo as EnvironmentInfoMethod, NoParams};
use codex_exec_server_protocol::session::ServerLimits;
use serde::Serialize;
use serde_json::Value;

use super::Failure;
use super::duration::{millis, show};
use super::reach::{Goal, ReachArgs, Reached};
use super::teller::Teller;

/// Round trips that are measured; the shortest is told, as the others waited for something.
const ROUND_TRIPS: u32 = 5;

/// What `--help` says below the flags.
const HELP: &str = "\
Examples:
  codex-exec-server info --connect ws://127.0.0.1:8765
  codex-exec-server info --env box
  codex-exec-server info --connect ws://127.0.0.1:8765 --json | jq .limits";

/// Flags of `info`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct InfoArgs {
    #[command(flatten)]
    reach: ReachArgs,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Info<'a> {
    server: &'a Goal,
    round_trip_ms: f64,
    session_id: &'a SessionId,
    detached_lifetime_ms: Option<u64>,
    /// As on the wire.
    environment: &'a EnvironmentInfo,
    /// As on the wire.
    limits: Option<&'a ServerLimits>,
}

pub(super) fn main(args: InfoArgs) -> Result<ExitCode, Failure> {
    let goal = args.reach.find()?;
    super::block_on(async {
        // Its session holds nothing.
        let adjust = |config: &mut ClientConfig| config.detached_lifetime = Some(Duration::ZERO);
        let reached = Reached::open(&goal, "info", adjust, Teller::default()).await?;
        let told = tell(&reached.client, &goal, args.json).await;
        reached.client.close().await;
        reached.close().await;
        told.map(|()| ExitCode::SUCCESS)
    })
}

async fn tell(client: &Client, goal: &Goal, json: bool) -> Result<(), Failure> {
    let round_trip = round_trip(client).await?;
    let peer = client.peer();
    let info = Info {
        server: goal,
        round_trip_ms: round_trip.as_secs_f64() * 1_000.0,
        session_id: &peer.session_id,
        detached_lifetime_ms: peer.detached_lifetime.map(millis),
        environment: &peer.environment,
        limits: peer.limits.as_ref(),
    };
    if json { super::print_json(&info) } else { print(&info, &peer) }
}

/// The shortest of a few.
async fn round_trip(client: &Client) -> Result<Duration, Failure> {
    let mut shortest = Duration::MAX;
    for _ in 0..ROUND_TRIPS {
        let before = Instant::now();
        client.call::<EnvironmentInfoMethod>(&NoParams {}).await?;
        shortest = shortest.min(before.elapsed());
    }
    Ok(shortest)
}

fn print(info: &Info<'_>, peer: &Peer) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let mut row = |name: &str, value: &str| writeln!(out, "{name:<14}{value}");
    let environment = info.environment;
    let path = |uri: &Option<codex_exec_server_protocol::path_uri::PathUri>| {
        uri.as_ref().map_or_else(|| "not told".to_owned(), super::show_path)
    };
    row("server", &info.server.to_string())?;
    row("version", environment.executor_version.as_deref().unwrap_or("not told"))?;
    row("installation", environment.provider_id.as_deref().unwrap_or("not told"))?;
    row("platform", environment.platform_os.as_deref().unwrap_or("not told"))?;
    row("round trip", &format!("{:.2} ms", info.round_trip_ms))?;
    row("shell", &environment.shell.path)?;
    row("directory", &path(&environment.cwd))?;
    row("home", &path(&environment.user_home_dir))?;
    row("temporary", &path(&environment.temp_dir))?;
    row("sandbox", &sandbox(environment))?;
    row("limits", &process_limits(environment))?;
    row("session", peer.session_id.as_str())?;
    if let Some(limits) = info.limits {
        let own = show(Duration::from_millis(limits.detached_session_ms));
        let kept = match limits.detached_session_max_ms {
            Some(max) => {
                format!("{own} without a client, {} where asked for", show(Duration::from_millis(max)))
            }
            None => format!("{own} without a client"),
        };
        row("kept", &kept)?;
    }
    let (can, cannot) = capabilities(environment)?;
    row("can", &can)?;
    row("can't", &cannot)?;
    if let Some(limits) = info.limits {
        for (name, value) in members(limits)? {
            row("limit", &format!("{name} {value}"))?;
        }
    }
    Ok(())
}

fn sandbox(environment: &EnvironmentInfo) -> String {
    match &environment.sandbox {
        None => "not told".to_owned(),
        Some(SandboxSupport { processes: true, standby, .. }) => {
            format!("every profile can be enforced; {}", standing(standby.as_ref()))
        }
        Some(SandboxSupport { reason, .. }) => {
            format!("refused: {}", reason.as_deref().unwrap_or("no reason was told"))
        }
    }
}

fn standing(standby: Option<&SandboxStandby>) -> String {
    let Some(SandboxStandby { launchers, ready, hits, misses, zygote_os_pid }) = standby else {
        return "no launchers stand by".to_owned();
    };
    let by = match zygote_os_pid {
        Some(number) => format!("copies of process {number}"),
        None if hits + misses == 0 => "from the first sandbox on".to_owned(),
        None => "none is being made".to_owned(),
    };
    format!(
        "{launchers} launchers stand by ({ready} ready; {by}), {hits} starts found one ready and {misses} none"
    )
}

fn process_limits(environment: &EnvironmentInfo) -> String {
    match &environment.process_limits {
        None => "not told".to_owned(),
        Some(ProcessLimitsSupport { whole_trees: true, .. }) => {
            "memory and processes bound whole trees, by control groups".to_owned()
        }
        Some(ProcessLimitsSupport { reason, .. }) => format!(
            "resource limits, which are weaker: each process has them by itself; {}",
            reason.as_deref().unwrap_or("no reason was told")
        ),
    }
}

/// The names of the flags that are set, and of those that are not.
fn capabilities(environment: &EnvironmentInfo) -> Result<(String, String), Failure> {
    let flags = members(&environment.capabilities)?;
    let named = |wanted: bool| {
        let names =
            flags.iter().filter(|(_, value)| *value == Value::Bool(wanted)).map(|(name, _)| name.as_str());
        names.collect::<Vec<_>>().join(" ")
    };
    Ok((named(/*wanted*/ true), named(/*wanted*/ false)))
}

fn members(of: &impl Serialize) -> Result<Vec<(String, Value)>, Failure> {
    match serde_json::to_value(of)? {
        Value::Object(members) => Ok(members.into_iter().collect()),
        _ => Ok(Vec::new()),
    }
}
