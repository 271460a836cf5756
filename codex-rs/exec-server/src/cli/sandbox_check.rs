//! `codex-exec-server sandbox-check`: which sandboxes this machine can enforce.

use std::io::Write as _;
use std::process::ExitCode;

use codex_exec_server_local::Support;
use codex_exec_server_local::os::look_for_control_groups;
use codex_linux_sandbox::trial_names;
use serde::Serialize;

use super::Failure;
use super::sandbox::sandbox;

/// What `--help` says below the flags.
const HELP: &str = "\
A sandbox is really built, with nothing that may be written and no network, and each of these is tried in it. The exit \
code is 0 if none gets through, and 1 if something does or there is no sandbox: then a server here refuses to start what \
asks for one.";

/// Flags of `sandbox-check`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct SandboxCheckArgs {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Check {
    enforced: bool,
    reason: Option<String>,
    tried: Vec<&'static str>,
    limits: Limits,
    standby: &'static str,
}

/// How a server here would keep `process/start.limits`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Limits {
    whole_trees: bool,
    reason: Option<String>,
}

/// A check is over before a launcher could stand by.
const STANDBY: &str = "launchers stand by in a server, from its first sandbox on; its `info` tells how many";

pub(super) fn main(args: SandboxCheckArgs) -> Result<ExitCode, Failure> {
    let sandbox = sandbox();
    let reason = match sandbox.support() {
        Support::Full => None,
        Support::None { reason } => Some(reason.clone()),
    };
    let check = Check {
        enforced: reason.is_none(),
        reason,
        tried: trial_names().collect(),
        limits: limits(),
        standby: STANDBY,
    };
    if args.json {
        super::print_json(&check)?;
    } else {
        print(&check)?;
    }
    Ok(if check.enforced { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn limits() -> Limits {
    let reason = look_for_control_groups().err();
    Limits { whole_trees: reason.is_none(), reason }
}

fn print(check: &Check) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match &check.reason {
        None => {
            writeln!(out, "every sandbox can be enforced; none of these got through:")?;
            check.tried.iter().try_for_each(|name| writeln!(out, "  {name}"))?;
            writeln!(out, "{}", check.standby)?;
        }
        Some(reason) => writeln!(out, "no sandbox can be enforced: {reason}")?,
    }
    match &check.limits.reason {
        None => writeln!(out, "limits of memory and processes bound whole trees, by control groups"),
        Some(reason) => writeln!(
            out,
            "limits of memory and processes are resource limits, which are weaker: each process has them by itself; {reason}"
        ),
    }
}
