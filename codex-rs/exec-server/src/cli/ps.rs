//! `codex-exec-server ps`: what was left running, where, and how it is now.
//!
//! Every server that is remembered is asked, all at the same time. What a server does not know any more is forgotten here
//! as well; a server that can't be reached says nothing, so what runs there stays remembered.

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use codex_exec_server_client::ClientError;
use codex_exec_server_protocol::process::{DroppedOutput, ProcessSummary};
use serde::Serialize;
use tokio::task::JoinSet;

use super::Failure;
use super::duration::{millis, rough};
use super::found::{Hidden, list, look, state_name};
use super::kept::shell_words;
use super::records::{Record, Records};
use super::target::Address;
use super::teller::Teller;

/// Sessions that are asked at a time.
const AT_A_TIME: usize = 16;
/// How long a server may take: somebody waits for the whole list.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How much of a command line is shown.
const COMMAND_CHARS: usize = 60;

/// What `--help` says below the flags.
const HELP: &str = "\
Lists what `run --detach` and `run --keep` left running from this machine, and commands whose connection did not come \
back. States: starting, running, exited (with streams still open), closed (ended, with its exit code), held (another client \
is attached, and nobody may look on), unknown (the server can't list), unreachable. What its server does not know any more is forgotten.

Examples:
  codex-exec-server ps
  codex-exec-server ps --json | jq -r '.commands[] | select(.state == \"running\").id'";

/// Flags of `ps`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct PsArgs {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Listed {
    commands: Vec<Command>,
    /// Ids that are no more.
    forgotten: Vec<String>,
}

/// A command that was left running.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Command {
    id: String,
    state: &'static str,
    /// Why it is not known better.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    server: Address,
    session_id: String,
    process_id: String,
    argv: Vec<String>,
    tty: bool,
    started_at_ms: u64,
    kept_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped: Option<DroppedOutput>,
}

/// How a command is, as its server tells.
enum Found {
    Here(Box<ProcessSummary>),
    /// In one word, with a reason.
    Unclear(&'static str, Option<String>),
    Gone,
}

pub(super) fn main(args: &PsArgs) -> Result<ExitCode, Failure> {
    super::block_on(ps(args)).map(|()| ExitCode::SUCCESS)
}

async fn ps(args: &PsArgs) -> Result<(), Failure> {
    let (records, teller) = (Records::of_this_user()?, Teller::default());
    let listing = records.all()?;
    for (path, reason) in &listing.unreadable {
        teller.tell(format_args!("{} is no record of a command: {reason}", path.display()));
    }
    let found = teller.waiting(format_args!("asking servers"), ask_all(listing.records)).await;
    let mut listed = Listed { commands: Vec::new(), forgotten: Vec::new() };
    for (record, found) in found {
        if matches!(found, Found::Gone) {
            records.remove(&record.id)?;
            listed.forgotten.push(record.id);
        } else {
            listed.commands.push(command(record, found));
        }
    }
    if args.json { super::print_json(&listed) } else { print(&listed, teller) }
}

/// In the order of the records.
async fn ask_all(records: Vec<Record>) -> Vec<(Record, Found)> {
    let mut asking = JoinSet::new();
    let mut answers = Vec::with_capacity(records.len());
    for (place, record) in records.into_iter().enumerate() {
        if asking.len() >= AT_A_TIME {
            answers.extend(asking.join_next().await.and_then(Result::ok));
        }
        asking.spawn(async move {
            let found = match tokio::time::timeout(ANSWER_WITHIN, ask(&record)).await {
                Ok(found) => found,
                Err(_) => {
                    let reason = format!("no answer within {} s", ANSWER_WITHIN.as_secs());
                    Found::Unclear("unreachable", Some(reason))
                }
            };
            (place, record, found)
        });
    }
    while let Some(answer) = asking.join_next().await {
        answers.extend(answer.ok());
    }
    answers.sort_by_key(|(place, ..)| *place);
    answers.into_iter().map(|(_, record, found)| (record, found)).collect()
}

async fn ask(record: &Record) -> Found {
    let config = match record.address.client_config("ps") {
        Ok(config) => config,
        Err(error) => return Found::Unclear("unreachable", Some(error.to_string())),
    };
    // Whoever is attached, or about to be, must not notice that somebody asks.
    let client = match look(&record.address, record.session_id.as_str(), config).await {
        Ok(client) => client,
        Err(Hidden::Held(why)) => {
            let why = why.map_or_else(|| "the server lets nobody look on".to_owned(), |error| error.message);
            return Found::Unclear("held", Some(why));
        }
        Err(Hidden::Otherwise(ClientError::SessionLost { .. })) => return Found::Gone,
        Err(Hidden::Otherwise(error)) => {
            return Found::Unclear("unreachable", Some(record.address.advice(&error)));
        }
    };
    let found = match list(&client).await {
        Ok(Some(all)) => match all.into_iter().find(|summary| summary.process_id == record.process_id) {
            Some(summary) => Found::Here(Box::new(summary)),
            None => Found::Gone,
        },
        Ok(None) => Found::Unclear("unknown", Some("the server does not list processes".to_owned())),
        Err(error) => Found::Unclear("unknown", Some(error.to_string())),
    };
    client.close().await;
    found
}

fn command(record: Record, found: Found) -> Command {
    let mut command = Command {
        id: record.id,
        state: "unknown",
        reason: None,
        exit_code: None,
        server: record.address,
        session_id: record.session_id.to_string(),
        process_id: record.process_id.to_string(),
        argv: record.argv,
        tty: record.tty,
        started_at_ms: record.started_at_ms,
        kept_ms: record.kept_ms,
        last_seq: None,
        output_bytes: None,
        dropped: None,
    };
    match found {
        Found::Here(summary) => {
            command.state = state_name(summary.state);
            command.exit_code = summary.exit_code;
            command.last_seq = Some(summary.last_seq.0);
            command.output_bytes = Some(summary.output_bytes);
            command.dropped = summary.dropped;
        }
        Found::Unclear(state, reason) => (command.state, command.reason) = (state, reason),
        Found::Gone => {}
    }
    command
}

fn print(listed: &Listed, teller: Teller) -> Result<(), Failure> {
    let now = millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
    let heading = ["ID", "STATE", "AGE", "SERVER", "COMMAND"].map(str::to_owned);
    let rows: Vec<[String; 5]> = std::iter::once(heading)
        .chain(listed.commands.iter().map(|command| {
            let state = match command.exit_code {
                Some(code) => format!("{} {code}", command.state),
                None => command.state.to_owned(),
            };
            let age = rough(Duration::from_millis(now.saturating_sub(command.started_at_ms)));
            [
                command.id.clone(),
                state,
                age,
                command.server.to_string(),
                shortened(&shell_words(&command.argv)),
            ]
        }))
        .collect();
    if listed.commands.is_empty() {
        teller.tell(format_args!("nothing that was left running is remembered here"));
    } else {
        let widths: [usize; 5] =
            std::array::from_fn(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0));
        let mut out = std::io::stdout().lock();
        for row in &rows {
            let line: Vec<String> =
                row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            writeln!(out, "{}", line.join("  ").trim_end())?;
        }
    }
    for command in &listed.commands {
        if let Some(reason) = &command.reason {
            teller.tell(format_args!("{}: {reason}", command.id));
        }
    }
    if !listed.forgotten.is_empty() {
        teller.tell(format_args!(
            "forgotten, as their servers don't know them any more: {}",
            listed.forgotten.join(", ")
        ));
    }
    Ok(())
}

/// One line, without anything that a terminal would take for a command.
fn shortened(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() { '?' } else { c });
    if text.chars().count() <= COMMAND_CHARS {
        return clean.collect();
    }
    clean.take(COMMAND_CHARS - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_shown_in_one_short_harmless_line() {
        assert_eq!(shortened("make test"), "make test");
        assert_eq!(shortened("a\n\x1b[2Jb"), "a??[2Jb");
        let long = shortened(&"ä".repeat(100));
        assert_eq!((long.chars().count(), long.chars().last()), (COMMAND_CHARS, Some('…')));
    }
}
