//! `codex-exec-server kill`: ends a command that was left running, or sends it a signal.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use codex_exec_server_client::Lag;
use codex_exec_server_protocol::ids::Seq;
use codex_exec_server_protocol::process::{ProcessSignal, ProcessTerminateResponse};
use serde::Serialize;

use super::Failure;
use super::duration;
use super::found::{Access, Found, FoundArgs};
use super::run::FAREWELL;
use super::teller::Teller;

/// Exit code when something of the command lives on.
const INCOMPLETE: u8 = 1;
/// What a command gets between SIGTERM and SIGKILL, unless told otherwise.
const GRACE: Duration = Duration::from_secs(2);

/// What `--help` says below the flags.
const HELP: &str = "\
Without --signal the command is ended with every descendant: SIGTERM first, and what still runs after --grace is killed. \
The answer comes when that is done and says whether anything survived; then the exit code is 1. What the command has said \
stays readable with `logs`.

Examples:
  codex-exec-server kill 3f2a9c01
  codex-exec-server kill 3f2a9c01 --grace 0            at once
  codex-exec-server kill 3f2a9c01 --signal hangup      to its process group, once";

/// Flags of `kill`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct KillArgs {
    #[command(flatten)]
    found: FoundArgs,
    /// Send this signal instead: interrupt, terminate, kill, hangup, quit, stop, continue, usr1, usr2, or as in SIGHUP
    #[arg(long, short, value_name = "NAME", value_parser = parse_signal)]
    signal: Option<ProcessSignal>,
    /// What the command gets between SIGTERM and SIGKILL, such as 500ms or 10s; 0 kills at once [default: 2s]
    #[arg(long, value_name = "TIME", value_parser = parse_grace, conflicts_with = "signal")]
    grace: Option<Duration>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "action")]
enum Done<'a> {
    Terminate {
        id: Option<&'a str>,
        process_id: &'a str,
        /// Whether it was alive.
        running: bool,
        /// Descendants that could not be ended; null where the server does not say, or there was nothing to end.
        survivors: Option<u64>,
    },
    Signal {
        id: Option<&'a str>,
        process_id: &'a str,
        signal: ProcessSignal,
    },
}

fn parse_signal(text: &str) -> Result<ProcessSignal, String> {
    let name = text.to_ascii_lowercase();
    Ok(match name.strip_prefix("sig").unwrap_or(&name) {
        "interrupt" | "int" => ProcessSignal::Interrupt,
        "terminate" | "term" => ProcessSignal::Terminate,
        "kill" => ProcessSignal::Kill,
        "hangup" | "hup" => ProcessSignal::Hangup,
        "quit" => ProcessSignal::Quit,
        "stop" => ProcessSignal::Stop,
        "continue" | "cont" => ProcessSignal::Continue,
        "usr1" => ProcessSignal::Usr1,
        "usr2" => ProcessSignal::Usr2,
        _ => {
            return Err(
                "use interrupt, terminate, kill, hangup, quit, stop, continue, usr1 or usr2".to_owned()
            );
        }
    })
}

fn parse_grace(text: &str) -> Result<Duration, String> {
    if text == "0" { Ok(Duration::ZERO) } else { duration::parse(text) }
}

pub(super) fn main(args: &KillArgs) -> Result<ExitCode, Failure> {
    super::block_on(async {
        let found = args.found.open("kill", Access::Hold, /*resume_for*/ None, Teller::default()).await?;
        let done = kill(&found, args).await;
        let _ = tokio::time::timeout(FAREWELL, found.client.close()).await;
        done.map(ExitCode::from)
    })
}

async fn kill(found: &Found, args: &KillArgs) -> Result<u8, Failure> {
    let last = found.summary.as_ref().map_or(Seq::START, |summary| summary.last_seq);
    let (process, events) = found.client.adopt(found.process_id.clone(), last, Lag::ReadLater).await?;
    // What it says meanwhile is for `logs`.
    drop(events);
    let (id, process_id) = (found.kept.id(), found.process_id.as_str());
    if let Some(signal) = args.signal {
        process.signal(signal).await?;
        if args.json {
            super::print_json(&Done::Signal { id, process_id, signal })?;
        }
        return Ok(0);
    }
    let has_grace = found.client.peer().environment.capabilities.process_terminate_grace;
    if args.grace.is_some_and(|grace| !grace.is_zero()) && !has_grace {
        return Err("this server kills at once; leave --grace out".into());
    }
    let grace = has_grace.then_some(args.grace.unwrap_or(GRACE));
    let ending = process.terminate(grace);
    let ended = Teller::default().waiting(format_args!("ending the command"), ending).await?;
    if args.json {
        let ProcessTerminateResponse { running, survivors } = ended;
        super::print_json(&Done::Terminate { id, process_id, running, survivors })?;
    } else {
        writeln!(std::io::stdout(), "{}", words(&ended))?;
    }
    Ok(if ended.survivors.unwrap_or(0) == 0 { 0 } else { INCOMPLETE })
}

/// How complete it was.
fn words(ended: &ProcessTerminateResponse) -> String {
    match (ended.running, ended.survivors) {
        (true, Some(0)) => "ended, with every descendant".to_owned(),
        (true, None) => "ended; the server does not say whether descendants live on".to_owned(),
        (false, Some(0)) => {
            "had ended already; descendants that held its streams are ended as well".to_owned()
        }
        (false, None) => "had ended already".to_owned(),
        (_, Some(survivors)) => format!("{survivors} descendants could not be ended"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_go_by_the_wires_names_and_by_the_kernels() {
        for (text, signal) in [
            ("hangup", ProcessSignal::Hangup),
            ("HUP", ProcessSignal::Hangup),
            ("SIGUSR1", ProcessSignal::Usr1),
        ] {
            assert_eq!(parse_signal(text), Ok(signal));
        }
        for text in ["", "sig", "9", "hang", "SIGSEGV"] {
            assert!(parse_signal(text).unwrap_err().contains("usr2"), "{text}");
        }
    }

    #[test]
    fn the_answer_says_how_complete_it_was() {
        let ended = |running, survivors| words(&ProcessTerminateResponse { running, survivors });
        assert_eq!(ended(/*running*/ true, Some(0)), "ended, with every descendant");
        assert_eq!(ended(/*running*/ false, /*survivors*/ None), "had ended already");
        assert_eq!(ended(/*running*/ true, Some(2)), "2 descendants could not be ended");
    }
}
