//! `read`: reads output again that an answer left out.

use codex_exec_server_unified_exec::{ProcessNumber, ReadReport};
use rmcp::model::ToolAnnotations;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::report::{output_limit, state_name};
use super::tool::{AgentTool, Answer, ToolError, Workshop};

/// See the module.
pub(crate) struct ReadTool;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// Number of the process, as exec_command told it.
    process: u64,
    /// Where to begin, in bytes from the start of its output; the mark in an answer names it [default: 0].
    #[serde(default)]
    offset: u64,
    /// About how many tokens of output to give [default: 10000].
    max_output_tokens: Option<u32>,
}

impl AgentTool for ReadTool {
    const NAME: &'static str = "read";
    const DESCRIPTION: &'static str = "Reads output of a process again, from an offset on: what an answer left out, or \
        everything from 0. Does not wait, and takes nothing away from write_stdin. The machine keeps the newest output \
        only, a few MiB; what is gone is told.";
    type Arguments = Arguments;

    fn annotations() -> ToolAnnotations {
        ToolAnnotations::with_title("Read output again").read_only(true).open_world(false)
    }

    async fn call(workshop: &Workshop, arguments: Arguments) -> Result<Answer, ToolError> {
        let number = ProcessNumber(arguments.process);
        let limit = output_limit(arguments.max_output_tokens);
        let read = workshop.exec.read(number, arguments.offset, limit).await?;
        let ReadReport { process, state, text, offset, next_offset, lost_bytes, is_end } = read;
        let mut summary =
            format!("Output of process {process}, which {state}, from {offset} to {next_offset}.");
        if lost_bytes > 0 {
            summary.push_str(&format!(" {lost_bytes} bytes before that are gone."));
        }
        summary.push_str(&match (is_end, state.is_final()) {
            (true, true) => " That is the end of it.".to_owned(),
            (true, false) => " More may come; write_stdin waits for it.".to_owned(),
            (false, _) => format!(" Go on with offset {next_offset}."),
        });
        let facts = json!({
            "process": process.0,
            "state": state_name(&state),
            "exitCode": state.exit_code(),
            "offset": offset,
            "nextOffset": next_offset,
            "lostBytes": lost_bytes,
            "isEnd": is_end,
        });
        Ok(Answer { summary, output: text, facts })
    }
}
