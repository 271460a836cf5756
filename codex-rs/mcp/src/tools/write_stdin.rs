//! `write_stdin`: gives input to a process, interrupts it, or waits for it.

use std::time::Duration;

use codex_exec_server_unified_exec::{Collect, ProcessNumber, WriteStdin};
use rmcp::model::ToolAnnotations;
use schemars::JsonSchema;
use serde::Deserialize;

use super::report::{answer, millis, output_limit};
use super::tool::{AgentTool, Answer, ToolError, Workshop};

/// Waited for behind input when nothing is said: programs that answer, answer soon.
const YIELD_AFTER_INPUT: Duration = Duration::from_secs(1);
/// Waited for when there is no input, which means waiting.
const YIELD_TIME: Duration = Duration::from_secs(10);

/// See the module.
pub(crate) struct WriteStdinTool;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// Number of the process, as exec_command told it.
    process: u64,
    /// What to write, with a newline where one is meant. Nothing only waits for output. Exactly "\u0003" (Ctrl-C)
    /// interrupts [default: nothing].
    #[serde(default)]
    chars: String,
    /// End stdin behind that [default: false].
    #[serde(default)]
    close: bool,
    /// How long to wait for the end of the process, in milliseconds; after that the answer has the new output so far
    /// [default: 1000 with chars, 10000 without; at most 600000].
    yield_time_ms: Option<u32>,
    /// About how many tokens of output to give; the middle of what is longer is left out [default: 10000].
    max_output_tokens: Option<u32>,
}

impl AgentTool for WriteStdinTool {
    const NAME: &'static str = "write_stdin";
    const DESCRIPTION: &'static str = "Writes to a process that exec_command left running, or only waits for it when chars \
        is empty, and answers with what it said since the last answer. The process must run with tty or stdin to be \
        written to; to be interrupted or waited for it need not.";
    type Arguments = Arguments;

    fn annotations() -> ToolAnnotations {
        ToolAnnotations::with_title("Give input to a process, or wait for it")
            .read_only(false)
            .destructive(true)
            .open_world(true)
    }

    async fn call(workshop: &Workshop, arguments: Arguments) -> Result<Answer, ToolError> {
        let waits = arguments.chars.is_empty() && !arguments.close;
        let input = WriteStdin {
            chars: arguments.chars,
            close: arguments.close,
            collect: Collect {
                yield_time: millis(
                    arguments.yield_time_ms,
                    if waits { YIELD_TIME } else { YIELD_AFTER_INPUT },
                ),
                max_output: output_limit(arguments.max_output_tokens),
            },
        };
        Ok(answer(workshop.exec.write_stdin(ProcessNumber(arguments.process), input).await?))
    }
}
