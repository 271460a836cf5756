//! `codex-exec-server attach`: comes back to a command that was left running, as if it had never been left.

use std::process::ExitCode;
use std::time::Duration;

use codex_exec_server_client::{Lag, ProcessError};
use codex_exec_server_protocol::ids::Seq;

use super::Failure;
use super::console::{Console, OnQuit, Outcome, Screen, Signals, window_size};
use super::duration;
use super::found::{Access, Found, FoundArgs};
use super::kept::shell_words;
use super::lines::Line;
use super::run::{BROKEN_PIPE, FAREWELL, exit_code};
use super::teller::Teller;

/// What `--help` says below the flags.
const HELP: &str = "\
Prints what the command has said so far, as far as the server kept it, and then what it says. Standard input, signals and \
the terminal go to the command, and its exit code is that of this command. 125 when something other than the command failed.

Ctrl-C interrupts the command. Whatever else would end this command (a second Ctrl-C, SIGTERM, SIGHUP, SIGQUIT; on a \
terminal also the keys Ctrl-] d) leaves the command running.

Examples:
  codex-exec-server attach 3f2a9c01                  as `ps` lists it; 3f2 will do if no other begins so
  codex-exec-server attach 3f2a9c01 --since 120      what comes behind event 120, as `logs --json` numbers them
  codex-exec-server attach --connect ws://127.0.0.1:8765 --session 0a8c1b1e-7a54-4bb7-a0d4-6a0f9f6a2b11";

/// Flags of `attach`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct AttachArgs {
    #[command(flatten)]
    found: FoundArgs,
    /// Begin behind this event instead of at the first that is kept
    #[arg(
        long,
        value_name = "SEQ",
        default_value_t = 0,
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    since: u64,
    /// How long a lost connection is sought before this command gives up, such as 10m [default: 45s]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    resume_for: Option<Duration>,
    /// Write events as lines of JSON instead of the command's output
    #[arg(long)]
    json: bool,
}

pub(super) fn main(args: &AttachArgs) -> Result<ExitCode, Failure> {
    super::tell_failure(super::block_on(attach(args)), args.json).map(ExitCode::from)
}

async fn attach(args: &AttachArgs) -> Result<u8, Failure> {
    let found = args.found.open("attach", Access::Hold, args.resume_for, Teller::default()).await?;
    found.check_since(Seq(args.since))?;
    let outcome = attend(&found, args).await;
    let _ = tokio::time::timeout(FAREWELL, found.client.close()).await;
    conclude(outcome?, found, args).await
}

async fn attend(found: &Found, args: &AttachArgs) -> Result<Outcome, Failure> {
    let signals = Signals::catch()?;
    let client = &found.client;
    let (process, events) =
        client.adopt(found.process_id.clone(), Seq(args.since), Lag::HoldConnection).await?;
    let screen = if args.json { Screen::Lines } else { Screen::Streams };
    if args.json {
        let peer = client.peer();
        let line =
            Line::Started { id: found.kept.id(), session_id: &peer.session_id, process_id: process.id() };
        super::print_line(&line);
    }
    if found.tty
        && client.peer().environment.capabilities.process_resize
        && let Some(size) = window_size()
    {
        // One that has ended has no size.
        let _ = process.resize(size).await;
    }
    let console = Console { screen, tty: found.tty, on_quit: OnQuit::Leave };
    Ok(console.attend(client, &process, events, signals).await?)
}

async fn conclude(outcome: Outcome, mut found: Found, args: &AttachArgs) -> Result<u8, Failure> {
    let kept = &mut found.kept;
    match outcome {
        Outcome::Ended { exit, complete } => {
            kept.end().await;
            let Some(exit) = exit else {
                // It was told before the event from which on was asked.
                return match found.summary.and_then(|summary| summary.exit_code) {
                    Some(code) => Ok(exit_code(code)),
                    None => Err("the process ended, but its exit code was lost".into()),
                };
            };
            if !complete {
                Teller::default().tell(format_args!("output is incomplete (exit code {})", exit.code));
            }
            Ok(exit_code(exit.code))
        }
        Outcome::Quit(code) | Outcome::Left(code) => {
            kept.tell(args.json, Teller::default());
            Ok(code)
        }
        Outcome::BrokenPipe => {
            kept.tell(/*json*/ false, Teller::default());
            Ok(BROKEN_PIPE)
        }
        Outcome::OutputFailed(error) => {
            kept.tell(/*json*/ false, Teller::default());
            Err(format!("output can't be written: {error}").into())
        }
        Outcome::Lost(ProcessError::Client(error)) => {
            kept.remember(Teller::default());
            let attach = shell_words(&kept.attach());
            Err(format!("{error}; the command may run on there, attach to it again with: {attach}").into())
        }
        Outcome::Lost(error) => Err(error.into()),
    }
}
