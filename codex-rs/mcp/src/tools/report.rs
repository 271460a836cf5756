//! How reports and limits of unified-exec look to an agent.

use std::time::Duration;

use codex_exec_server_unified_exec::{OutputLimit, ProcessState, Report};
use serde_json::json;

use super::tool::Answer;

/// A limit as agents give it.
pub(crate) fn output_limit(max_output_tokens: Option<u32>) -> OutputLimit {
    max_output_tokens.map_or_else(OutputLimit::default, |tokens| {
        OutputLimit::Tokens(usize::try_from(tokens).unwrap_or(usize::MAX))
    })
}

/// A time as agents give it.
pub(crate) const fn millis(ms: Option<u32>, otherwise: Duration) -> Duration {
    match ms {
        Some(ms) => Duration::from_millis(ms as u64),
        None => otherwise,
    }
}

/// How a process is, and what can be done about it.
pub(crate) fn answer(report: Report) -> Answer {
    let Report { process, state, output, wall_time, sandbox_review: _ } = report;
    let seconds = wall_time.as_secs_f64();
    let summary = match &state {
        ProcessState::Running => format!(
            "Process {process} still runs after {seconds:.1} s. Call write_stdin with process {process} to wait for more \
             output or to give it input, terminate to end it."
        ),
        ProcessState::Exited { output_open: true, .. } => format!(
            "Process {process} {state}: something that it started in the background goes on. Call write_stdin with \
             process {process} and no chars to wait for more of its output, terminate to end what is left."
        ),
        ProcessState::Exited { output_open: false, .. } => {
            format!("Process {process} {state} after {seconds:.1} s.")
        }
        ProcessState::Failed { .. } => {
            format!(
                "Process {process} {state}. It may still run there; what follows is all that is known of it."
            )
        }
    };
    let omitted = output.omitted.map(|omitted| json!({"offset": omitted.offset, "bytes": omitted.bytes}));
    let facts = json!({
        "process": process.0,
        "state": state_name(&state),
        "exitCode": state.exit_code(),
        "signal": state.exit().and_then(|exit| exit.signal),
        "wallTimeMs": u64::try_from(wall_time.as_millis()).unwrap_or(u64::MAX),
        "offset": output.offset,
        "endOffset": output.end_offset,
        "omitted": omitted,
    });
    Answer { summary, output: output.text, facts }
}

/// A state in one word.
pub(crate) const fn state_name(state: &ProcessState) -> &'static str {
    match state {
        ProcessState::Running => "running",
        ProcessState::Exited { .. } => "exited",
        ProcessState::Failed { .. } => "failed",
    }
}
