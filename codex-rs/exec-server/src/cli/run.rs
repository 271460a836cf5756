//! `codex-exec-server run`: a command on another machine, or on this one, as if it ran in this shell.
//!
//! Standard streams, signals, the terminal and the exit code are passed through; the connection may break meanwhile. The
//! parts are in the modules below, this file puts them together and turns outcomes into exit codes.

mod embedded;
mod input;
mod output;
mod place;
mod signals;
mod terminal;

use std::cell::Cell;
use std::convert::Infallible;
use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use codex_exec_server_client::{Client, Events, Lag, RemoteProcess, StartError, Status, StatusWatch};
use codex_exec_server_protocol::error_code::{ErrorCode, RpcError};
use codex_exec_server_protocol::process::{ExitReason, ProcessStartParams};

use self::output::{Finish, play};
use self::place::Place;
use self::signals::Signals;
use self::terminal::RawMode;
use super::Failure;

/// The program was found but can't be run; as shells say it.
const NOT_RUNNABLE: u8 = 126;
/// There is no such program; as shells say it.
const NOT_FOUND: u8 = 127;
/// The time was over; as `timeout` says it.
const TIMED_OUT: u8 = 124;
/// Nobody reads the output any more: 128 + SIGPIPE, as shells say it.
const BROKEN_PIPE: u8 = 128 + 13;
/// Error numbers of a program that is not there, on every system that this client meets.
const ENOENT: i64 = 2;
/// How long the server may take to say good-bye; nothing depends on it.
const FAREWELL: Duration = Duration::from_millis(50);
/// How long a process that is no longer wanted may take to end.
const END_WITHIN: Duration = Duration::from_secs(2);

/// What `--help` says below the flags.
const HELP: &str = "\
The command's standard streams, signals and exit code are those of this command; 128 + n after signal n. \
Exit codes of our own: 124 after --timeout, 125 when something other than the command failed, 126 when the command \
can't be run, 127 when it is not there.

With --connect the command gets the server's basic environment (such as HOME, LANG, PATH, SHELL, USER, TMPDIR) and \
--env, and a lost connection is resumed without loss. Without --connect it gets the environment of this command, and \
everything that it started ends with it.

Ctrl-C interrupts the command; a second one within two seconds ends it. With --tty all keys go to the command.";

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct RunArgs {
    /// Server to run on: ws://HOST:PORT or unix:///PATH. Without it the command runs on this machine, in this process
    #[arg(long, value_name = "URL")]
    connect: Option<String>,
    /// File that holds the token to show to the server
    #[arg(long, value_name = "PATH", requires = "connect")]
    token_file: Option<PathBuf>,
    /// Run on a terminal: line editing, colors, programs that fill the screen
    #[arg(long)]
    tty: bool,
    /// Working directory; a relative one starts from where the command would run without [default: the server's own
    /// directory, or this one]
    #[arg(long, value_name = "DIR")]
    cwd: Option<PathBuf>,
    /// Variable to add to the environment; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_variable)]
    env: Vec<(String, String)>,
    /// End the command when it still runs after this long; fractions are fine
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    timeout: Option<Duration>,
    /// The command and its arguments; no shell is involved unless it is the command
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

fn parse_variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as --env NAME=VALUE".to_owned()),
    }
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "write a number of seconds, such as 1.5".to_owned())?;
    let limit = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    if limit.is_zero() { Err("must be more than 0".to_owned()) } else { Ok(limit) }
}

pub(super) fn main(args: RunArgs) -> Result<ExitCode, Failure> {
    // One thread is enough for one command, and spares its output the way from one to another.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(run(args));
    // Standard input may still be waited for by a thread that can't be interrupted.
    runtime.shutdown_background();
    outcome.map(ExitCode::from)
}

async fn run(args: RunArgs) -> Result<u8, Failure> {
    let place = Place::find(&args).await?;
    let outcome = run_on(&place.client, &place, &args).await;
    // Neither changes what came of the command.
    let _ = tokio::time::timeout(FAREWELL, place.client.close()).await;
    if let Some(embedded) = place.embedded {
        embedded.shut_down().await;
    }
    outcome
}

async fn run_on(client: &Client, place: &Place, args: &RunArgs) -> Result<u8, Failure> {
    let mut signals = Signals::catch()?;
    let status = client.status();
    let params = place.start_params(args)?;
    let starting = client.start(params.clone(), Lag::HoldConnection);
    let (process, events) = tokio::select! {
        started = starting => match started {
            Ok(started) => started,
            Err(StartError::Refused(error)) => return start_refused(&error, args),
            Err(error) => return Err(error.into()),
        },
        code = signals.insisted() => return Ok(code),
    };
    let raw = if args.tty { RawMode::enter()? } else { None };
    let teller = Teller { raw: raw.is_some() };
    let code = attend(client, &process, events, signals, status, args, &params, teller).await;
    drop(raw);
    code
}

/// Sees the process through to its end, or to ours.
#[expect(clippy::too_many_arguments, reason = "the parts of one command meet here and nowhere else")]
async fn attend(
    client: &Client,
    process: &RemoteProcess,
    events: Events,
    signals: Signals,
    status: StatusWatch,
    args: &RunArgs,
    params: &ProcessStartParams,
    teller: Teller,
) -> Result<u8, Failure> {
    let flags = client.peer().environment.capabilities.clone();
    let timed_out_here = args.timeout.filter(|_| params.timeout_ms.is_none());
    let expired = Cell::new(false);
    let finish = tokio::select! {
        finish = play(events, teller) => finish,
        code = signals.pass_on(process, &flags, args.tty, teller) => return Ok(code),
        never = input::forward(process, &flags, args.tty, teller) => match never {},
        never = tell_status(status, teller) => match never {},
        () = end_in_time(process, timed_out_here, &expired) => return Ok(timed_out(args, teller)),
    };
    match finish {
        Finish::Ended { exit: None, .. } => Err("the process ended, but its exit code was lost".into()),
        Finish::Ended { exit: Some(exit), complete } => {
            if expired.get() || exit.reason == Some(ExitReason::TimedOut) {
                return Ok(timed_out(args, teller));
            }
            if !complete {
                return Err(format!("output is incomplete (exit code {})", exit.code).into());
            }
            Ok(u8::try_from(exit.code).unwrap_or(u8::MAX))
        }
        Finish::BrokenPipe => {
            // Nobody reads any more; whether the process has ended by then makes no difference to anybody.
            let _ = tokio::time::timeout(END_WITHIN, process.terminate(None)).await;
            Ok(BROKEN_PIPE)
        }
        Finish::OutputFailed(error) => {
            let _ = tokio::time::timeout(END_WITHIN, process.terminate(None)).await;
            Err(format!("output can't be written: {error}").into())
        }
        Finish::Lost(error) => Err(error.into()),
    }
}

fn timed_out(args: &RunArgs, teller: Teller) -> u8 {
    let limit = args.timeout.unwrap_or_default().as_secs_f64();
    teller.tell(format_args!("the command was ended after {limit} s (--timeout)"));
    TIMED_OUT
}

/// For a server that has no clock for its processes: ends the process when its time is over, and notes that. Resolves
/// only when the process does not end then.
async fn end_in_time(process: &RemoteProcess, limit: Option<Duration>, expired: &Cell<bool>) {
    match limit {
        Some(limit) => {
            tokio::time::sleep(limit).await;
            expired.set(true);
            let _ = tokio::time::timeout(END_WITHIN, process.terminate(None)).await;
            // Its last words may still be on their way.
            tokio::time::sleep(END_WITHIN).await;
        }
        None => std::future::pending().await,
    }
}

/// Says when the connection is lost; what becomes of it shows by itself.
async fn tell_status(mut status: StatusWatch, teller: Teller) -> Infallible {
    loop {
        if let Status::Recovering { .. } = status.changed().await {
            teller.tell(format_args!("connection lost, resuming…"));
        }
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

/// Words for the person at the terminal, beside the command's own output.
#[derive(Debug, Clone, Copy, Default)]
struct Teller {
    /// A raw terminal does not return to the first column by itself.
    raw: bool,
}

impl Teller {
    fn tell(self, words: fmt::Arguments<'_>) {
        let end = if self.raw { "\r\n" } else { "\n" };
        // In one piece, as the command's own words may be on their way from another thread.
        let line = format!("codex-exec-server: {words}{end}");
        // Without standard error there is nobody to tell.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}
