//! `codex-exec-server run`: a command on another machine, or on this one, as if it ran in this shell.
//!
//! Standard streams, signals, the terminal and the exit code are passed through; the connection may break meanwhile. With
//! `--detach` and `--keep` the command may outlive this one. `args` says what can be asked for, `place` where it runs,
//! `cold` when connecting there and starting it are one, `console` attends to it; this file puts them together and turns
//! outcomes into exit codes.

mod args;
mod cold;
mod confine;
mod place;

use std::cell::Cell;
use std::io::Write;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::Duration;

use codex_exec_server_client::{Client, ClientError, Lag, ProcessError, RemoteProcess, StartError};
use codex_exec_server_protocol::error_code::{ErrorCode, RpcError};
use codex_exec_server_protocol::process::ExitReason;
use serde::Serialize;

pub(super) use self::args::RunArgs;
use self::cold::{Begun, Cold};
use self::place::Place;
use super::Failure;
use super::console::{Console, OnQuit, Outcome, Screen, Signals};
use super::kept::{Kept, shell_words};
use super::lines::Line;
use super::teller::Teller;

/// The program was found but can't be run; as shells say it.
const NOT_RUNNABLE: u8 = 126;
/// There is no such program; as shells say it.
const NOT_FOUND: u8 = 127;
/// The time was over; as `timeout` says it.
const TIMED_OUT: u8 = 124;
/// Nobody reads the output any more: 128 + SIGPIPE, as shells say it.
pub(super) const BROKEN_PIPE: u8 = 128 + 13;
/// Error numbers of a program that is not there, on every system that this client meets.
const ENOENT: i64 = 2;
/// How long the server may take to say good-bye; nothing depends on it.
pub(super) const FAREWELL: Duration = Duration::from_millis(50);
/// How long a process that is no longer wanted may take to end.
const END_WITHIN: Duration = Duration::from_secs(2);

pub(super) fn main(args: RunArgs) -> Result<ExitCode, Failure> {
    let json = args.json && !args.detach;
    super::tell_failure(super::block_on(run(args)), json).map(ExitCode::from)
}

async fn run(args: RunArgs) -> Result<u8, Failure> {
    let goal = args.goal()?;
    let (place, begun) = match Cold::plan(&args, &goal)? {
        Some(cold) => match cold.begin().await? {
            ControlFlow::Continue((place, begun)) => (place, Some(begun)),
            ControlFlow::Break(code) => return Ok(code),
        },
        None => (Place::find(&args, &goal).await?, None),
    };
    let client = place.0.client.clone();
    let outcome = run_on(&client, &place, &args, begun).await;
    // Neither changes what came of the command.
    let _ = tokio::time::timeout(FAREWELL, client.close()).await;
    let (outcome, over) = match outcome {
        Ok((code, over)) => (Ok(code), over),
        Err(error) => (Err(error), None),
    };
    if let Some(kept) = over {
        kept.end().await;
    }
    place.0.close().await;
    outcome
}

/// Starts the command. Breaks, with the exit code, when someone does not want to wait for that.
async fn begin(client: &Client, place: &Place, args: &RunArgs) -> Result<ControlFlow<u8, Begun>, Failure> {
    let mut signals = Signals::catch()?;
    let params = place.start_params(args)?;
    let starting = client.start(params.clone(), Lag::HoldConnection);
    let starting = Teller::default().waiting(format_args!("starting the command"), starting);
    let started = tokio::select! {
        started = starting => started,
        code = signals.insisted() => return Ok(ControlFlow::Break(code)),
    };
    Ok(ControlFlow::Continue(Begun { signals, params, started }))
}

/// Returns the exit code, and what is over now although it was to be kept.
async fn run_on(
    client: &Client,
    place: &Place,
    args: &RunArgs,
    begun: Option<Begun>,
) -> Result<(u8, Option<Kept>), Failure> {
    let begun = match begun {
        Some(begun) => ControlFlow::Continue(begun),
        None => begin(client, place, args).await?,
    };
    let Begun { signals, params, started } = match begun {
        ControlFlow::Continue(begun) => begun,
        ControlFlow::Break(code) => return Ok((code, None)),
    };
    let mut kept = place
        .0
        .address
        .as_ref()
        .map(|address| Kept::new(client, address, &params.process_id, &args.command, args.tty));
    let (process, events) = match started {
        Ok(started) => started,
        Err(StartError::Refused(error)) => return Ok((start_refused(&error, args)?, None)),
        Err(StartError::Client(error)) => return Err(lost(&error, kept.as_mut())),
        Err(error) => return Err(error.into()),
    };
    if let Some(kept) = kept.as_mut().filter(|_| args.is_kept()) {
        kept.remember(Teller::default());
    }
    if let (true, Some(kept)) = (args.detach, &kept) {
        return Ok((detached(client, &process, kept, args)?, None));
    }
    if args.json {
        let (id, peer) = (kept.as_ref().and_then(Kept::id), client.peer());
        super::print_line(&Line::Started { id, session_id: &peer.session_id, process_id: process.id() });
    }
    let console = Console {
        screen: if args.json { Screen::Lines } else { Screen::Streams },
        tty: args.tty,
        on_quit: if args.is_kept() { OnQuit::Leave } else { OnQuit::End },
    };
    let timed_out_here = args.timeout.filter(|_| params.timeout_ms.is_none());
    let expired = Cell::new(false);
    let outcome = tokio::select! {
        outcome = console.attend(client, &process, events, signals) => outcome?,
        () = end_in_time(&process, timed_out_here, &expired) => return Ok((timed_out(args), kept)),
    };
    conclude(outcome, &process, kept, args, expired.get()).await
}

/// What came of a command that was attended to.
async fn conclude(
    outcome: Outcome,
    process: &RemoteProcess,
    mut kept: Option<Kept>,
    args: &RunArgs,
    expired: bool,
) -> Result<(u8, Option<Kept>), Failure> {
    let runs_on = kept.as_ref().filter(|_| args.is_kept());
    match (outcome, runs_on) {
        (Outcome::Ended { exit: None, .. }, _) => Err("the process ended, but its exit code was lost".into()),
        (Outcome::Ended { exit: Some(exit), complete }, _) => {
            let in_time = !expired && exit.reason != Some(ExitReason::TimedOut);
            if in_time && !complete {
                return Err(format!("output is incomplete (exit code {})", exit.code).into());
            }
            Ok((if in_time { exit_code(exit.code) } else { timed_out(args) }, kept))
        }
        (Outcome::Quit(code), _) => Ok((code, kept)),
        (Outcome::Left(code), Some(kept)) => {
            kept.tell(args.json, Teller::default());
            Ok((code, None))
        }
        (Outcome::Left(code), None) => Ok((code, None)),
        (Outcome::BrokenPipe, Some(kept)) => {
            kept.tell(/*json*/ false, Teller::default());
            Ok((BROKEN_PIPE, None))
        }
        (Outcome::BrokenPipe, None) => {
            // Nobody reads any more; whether the process has ended by then makes no difference to anybody.
            let _ = tokio::time::timeout(END_WITHIN, process.terminate(/*grace*/ None)).await;
            Ok((BROKEN_PIPE, None))
        }
        (Outcome::OutputFailed(error), runs_on) => {
            match runs_on {
                Some(kept) => kept.tell(/*json*/ false, Teller::default()),
                None => {
                    let _ = tokio::time::timeout(END_WITHIN, process.terminate(/*grace*/ None)).await;
                }
            }
            Err(format!("output can't be written: {error}").into())
        }
        (Outcome::Lost(ProcessError::Client(error)), _) => Err(lost(&error, kept.as_mut())),
        (Outcome::Lost(error), _) => Err(error.into()),
    }
}

/// There is no connection any more. If the command may run on, it is remembered, and told how to find.
fn lost(error: &ClientError, kept: Option<&mut Kept>) -> Failure {
    match (error, kept) {
        (ClientError::GaveUp { .. } | ClientError::TakenOver(_), Some(kept)) => {
            kept.remember(Teller::default());
            let attach = shell_words(&kept.attach());
            format!("{error}; the command may run on there, attach to it again with: {attach}").into()
        }
        (error, _) => error.clone().into(),
    }
}

/// Leaves a command that was started for that.
fn detached(client: &Client, process: &RemoteProcess, kept: &Kept, args: &RunArgs) -> Result<u8, Failure> {
    /// What `--detach --json` prints.
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Detached<'a> {
        id: Option<&'a str>,
        session_id: &'a str,
        process_id: &'a str,
        kept_ms: Option<u64>,
        attach: &'a [String],
    }
    let (peer, attach) = (client.peer(), kept.attach());
    if args.json {
        let told = Detached {
            id: kept.id(),
            session_id: peer.session_id.as_str(),
            process_id: process.id().as_str(),
            kept_ms: peer.detached_lifetime.map(super::duration::millis),
            attach: &attach,
        };
        super::print_json(&told)?;
    } else {
        if let Some(id) = kept.id() {
            writeln!(std::io::stdout(), "{id}")?;
        }
        kept.tell(/*json*/ false, Teller::default());
    }
    Ok(0)
}

pub(super) fn exit_code(code: i32) -> u8 {
    u8::try_from(code).unwrap_or(u8::MAX)
}

fn timed_out(args: &RunArgs) -> u8 {
    let limit = args.timeout.unwrap_or_default().as_secs_f64();
    Teller::default().tell(format_args!("the command was ended after {limit} s (--timeout)"));
    TIMED_OUT
}

/// For a server that has no clock for its processes: ends the process when its time is over, and notes that. Resolves
/// only when the process does not end then.
async fn end_in_time(process: &RemoteProcess, limit: Option<Duration>, expired: &Cell<bool>) {
    match limit {
        Some(limit) => {
            tokio::time::sleep(limit).await;
            expired.set(true);
            let _ = tokio::time::timeout(END_WITHIN, process.terminate(/*grace*/ None)).await;
            // Its last words may still be on their way.
            tokio::time::sleep(END_WITHIN).await;
        }
        None => std::future::pending().await,
    }
}

/// The server's refusal of a start, as a shell would put it.
fn start_refused(error: &RpcError, args: &RunArgs) -> Result<u8, Failure> {
    let data = error.data.as_ref();
    let what = data.and_then(|data| data.get("what")?.as_str());
    let errno = data.and_then(|data| data.get("errno")?.as_i64());
    let program = args.command.first().map(String::as_str).unwrap_or_default();
    let code = match (what, errno) {
        (Some("program"), Some(ENOENT)) => NOT_FOUND,
        (Some("program"), _) => NOT_RUNNABLE,
        (Some(_), _) => return Err(error.message.clone().into()),
        // A server that does not tell what was wrong with what.
        (None, _) if error.code == ErrorCode::Internal.number() => {
            Teller::default().tell(format_args!("{program} can't be run: {}", error.message));
            return Ok(NOT_RUNNABLE);
        }
        (None, _) => return Err(format!("{program} was not started: {error}").into()),
    };
    Teller::default().tell(format_args!("{}", error.message));
    Ok(code)
}
