//! `list`: what was run, and how it is.

use codex_exec_server_unified_exec::ProcessListing;
use rmcp::model::ToolAnnotations;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::report::state_name;
use super::tool::{AgentTool, Answer, ToolError, Workshop};

/// How much of a command is shown, in characters.
const COMMAND_CHARS: usize = 200;

/// See the module.
pub(crate) struct ListTool;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {}

impl AgentTool for ListTool {
    const NAME: &'static str = "list";
    const DESCRIPTION: &'static str = "Lists the processes that exec_command started: number, how it is, since when, how \
        much of its output no answer had yet, and the command.";
    type Arguments = Arguments;

    fn annotations() -> ToolAnnotations {
        ToolAnnotations::with_title("List processes").read_only(true).open_world(false)
    }

    async fn call(workshop: &Workshop, _: Arguments) -> Result<Answer, ToolError> {
        let processes = workshop.exec.list();
        let running = processes.iter().filter(|listing| listing.state.is_running()).count();
        let summary = match processes.len() {
            0 => "There are no processes. exec_command starts one.".to_owned(),
            known => format!("{known} known, {running} running."),
        };
        let output = processes.iter().map(line).collect();
        let facts = json!({ "processes": processes.iter().map(facts).collect::<Vec<_>>() });
        Ok(Answer { summary, output, facts })
    }
}

fn command(listing: &ProcessListing) -> String {
    // The shell line is what was asked for.
    let whole = listing.command.argv.last().map_or("", String::as_str).replace('\n', " ");
    match whole.char_indices().nth(COMMAND_CHARS) {
        Some((end, _)) => format!("{}…", &whole[..end]),
        None => whole,
    }
}

fn line(listing: &ProcessListing) -> String {
    let ProcessListing { process, state, age, unread_bytes, .. } = listing;
    let seconds = age.as_secs();
    format!("{process}\t{state}\t{seconds} s\t{unread_bytes} bytes unread\t{}\n", command(listing))
}

fn facts(listing: &ProcessListing) -> Value {
    json!({
        "process": listing.process.0,
        "state": state_name(&listing.state),
        "exitCode": listing.state.exit_code(),
        "tty": listing.tty,
        "ageMs": u64::try_from(listing.age.as_millis()).unwrap_or(u64::MAX),
        "unreadBytes": listing.unread_bytes,
        "command": command(listing),
    })
}
