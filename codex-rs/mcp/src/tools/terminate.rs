//! `terminate`: ends a process with everything that it started.

use std::time::Duration;

use codex_exec_server_unified_exec::ProcessNumber;
use rmcp::model::ToolAnnotations;
use schemars::JsonSchema;
use serde::Deserialize;

use super::report::{answer, output_limit};
use super::tool::{AgentTool, Answer, ToolError, Workshop};

/// The longest grace that may be asked for.
const MAX_GRACE_MS: u32 = 60_000;

/// See the module.
pub(crate) struct TerminateTool;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// Number of the process, as exec_command told it.
    process: u64,
    /// Ask it to end at first, by SIGTERM, and kill only what still runs after this long, in milliseconds
    /// [default: 0, kill at once; at most 60000].
    #[serde(default)]
    grace_ms: u32,
    /// About how many tokens of its last output to give [default: 10000].
    max_output_tokens: Option<u32>,
}

impl AgentTool for TerminateTool {
    const NAME: &'static str = "terminate";
    const DESCRIPTION: &'static str = "Ends a process with everything that it started, and answers with the last of its \
        output. To only interrupt it, as Ctrl-C does, give write_stdin the chars \"\\u0003\".";
    type Arguments = Arguments;

    fn annotations() -> ToolAnnotations {
        ToolAnnotations::with_title("End a process")
            .read_only(false)
            .destructive(true)
            .idempotent(true)
            .open_world(false)
    }

    async fn call(workshop: &Workshop, arguments: Arguments) -> Result<Answer, ToolError> {
        let Arguments { process, grace_ms, max_output_tokens } = arguments;
        if grace_ms > MAX_GRACE_MS {
            let refused = format!("grace_ms must be at most {MAX_GRACE_MS}, got {grace_ms}");
            return Err(ToolError::Arguments(refused));
        }
        let grace = (grace_ms > 0).then(|| Duration::from_millis(grace_ms.into()));
        let limit = output_limit(max_output_tokens);
        Ok(answer(workshop.exec.terminate(ProcessNumber(process), grace, limit).await?))
    }
}
