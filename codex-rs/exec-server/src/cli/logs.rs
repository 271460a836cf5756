//! `codex-exec-server logs`: what a command that was left running has said, as far as the server kept it.

use std::process::ExitCode;

use codex_exec_server_client::{Client, ClientError, Lag, ProcessError};
use codex_exec_server_protocol::ids::{ProcessId, Seq};
use codex_exec_server_protocol::methods::ProcessRead;
use codex_exec_server_protocol::process::ProcessReadParams;

use super::Failure;
use super::console::{Outcome, Screen, play, tell_status};
use super::found::{Access, Found, FoundArgs};
use super::lines::Line;
use super::run::{BROKEN_PIPE, FAREWELL};
use super::teller::Teller;

/// What `--help` says below the flags.
const HELP: &str = "\
Standard output and standard error of the command go to those of this command. Output that the server no longer holds is \
told on standard error, with the number of bytes. Whoever is attached is left alone, and the command does not wait for this \
reader, if the server can do that. The exit code is 0 whatever the command's was; `attach` and `ps` tell that.

Examples:
  codex-exec-server logs 3f2a9c01
  codex-exec-server logs 3f2a9c01 --follow
  codex-exec-server logs 3f2a9c01 --json | jq -r 'select(.type == \"output\").text'";

/// Flags of `logs`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct LogsArgs {
    #[command(flatten)]
    found: FoundArgs,
    /// Go on with what it says from now on, until it is closed
    #[arg(long, short)]
    follow: bool,
    /// Begin behind this event instead of at the first that is kept
    #[arg(
        long,
        value_name = "SEQ",
        default_value_t = 0,
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    since: u64,
    /// Write events as lines of JSON instead of the command's output
    #[arg(long)]
    json: bool,
}

pub(super) fn main(args: &LogsArgs) -> Result<ExitCode, Failure> {
    super::tell_failure(super::block_on(logs(args)), args.json).map(ExitCode::from)
}

async fn logs(args: &LogsArgs) -> Result<u8, Failure> {
    let found = args.found.open("logs", Access::Look, /*resume_for*/ None, Teller::default()).await?;
    found.check_since(Seq(args.since))?;
    let outcome = print(&found, args).await;
    let _ = tokio::time::timeout(FAREWELL, found.client.close()).await;
    match outcome? {
        Outcome::BrokenPipe => Ok(BROKEN_PIPE),
        Outcome::OutputFailed(error) => Err(format!("output can't be written: {error}").into()),
        // Whoever is attached lets the session go once it has seen the end.
        Outcome::Lost(ProcessError::Client(error @ ClientError::SessionLost { .. }))
            if found.client.peer().observes =>
        {
            let why = "whoever was attached has let it go, or its time was over";
            Err(format!("{error}; {why}, and the last of its output may be missing here").into())
        }
        Outcome::Lost(error) => Err(error.into()),
        Outcome::Ended { .. } | Outcome::Quit(_) | Outcome::Left(_) => Ok(0),
    }
}

async fn print(found: &Found, args: &LogsArgs) -> Result<Outcome, Failure> {
    let (client, since) = (&found.client, Seq(args.since));
    let until = match (&found.summary, args.follow) {
        (_, true) => None,
        (Some(summary), false) => Some(summary.last_seq),
        (None, false) => Some(last_seq(client, &found.process_id).await?),
    };
    if args.json {
        let peer = client.peer();
        let (id, process_id) = (found.kept.id(), &found.process_id);
        super::print_line(&Line::Started { id, session_id: &peer.session_id, process_id });
    }
    if until.is_some_and(|until| until <= since) {
        return Ok(Outcome::Ended { exit: None, complete: true });
    }
    let (_process, events) = client.adopt(found.process_id.clone(), since, Lag::HoldConnection).await?;
    let screen = if args.json { Screen::Lines } else { Screen::Streams };
    let teller = Teller::default();
    Ok(tokio::select! {
        outcome = play(events, screen, until, teller) => outcome,
        never = tell_status(client.status(), teller) => match never {},
    })
}

/// For servers that don't list processes.
async fn last_seq(client: &Client, process: &ProcessId) -> Result<Seq, Failure> {
    let params = ProcessReadParams {
        process_id: process.clone(),
        after_seq: Some(Seq::START),
        max_bytes: None,
        wait_ms: Some(0),
    };
    let read = client.call::<ProcessRead>(&params).await?;
    Ok(Seq(read.next_seq.0.saturating_sub(1)))
}
