//! `exec_command`: runs a command.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_protocol::process::PtySize;
use codex_exec_server_unified_exec::{Collect, ExecCommand, Program};
use rmcp::model::ToolAnnotations;
use schemars::JsonSchema;
use serde::Deserialize;

use super::report::{answer, millis, output_limit};
use super::tool::{AgentTool, Answer, ToolError, Workshop};

/// Waited for when nothing is said.
const YIELD_TIME: Duration = Duration::from_secs(10);

/// See the module.
pub(crate) struct ExecCommandTool;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// Command line for the shell of the machine's user.
    cmd: String,
    /// Working directory; a relative one starts from the machine's own [default: the machine's own].
    workdir: Option<String>,
    /// Environment variables to add.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// Run in a login shell, with the user's login scripts [default: false].
    #[serde(default)]
    login: bool,
    /// Run on a terminal of 24 rows and 80 columns, for programs that behave differently without one; write_stdin then
    /// types [default: false].
    #[serde(default)]
    tty: bool,
    /// Without a terminal: keep stdin open for write_stdin. Otherwise it is empty, so that nothing waits for input
    /// [default: false].
    #[serde(default)]
    stdin: bool,
    /// How long to wait for the end of the command, in milliseconds. After that the answer has the output so far, and
    /// the command goes on. Your own client may give up waiting before [default: 10000; at most 600000].
    yield_time_ms: Option<u32>,
    /// About how many tokens of output to give; the middle of what is longer is left out [default: 10000].
    max_output_tokens: Option<u32>,
    /// End the command when it runs for longer than this, in milliseconds [default: never].
    timeout_ms: Option<u32>,
}

impl AgentTool for ExecCommandTool {
    const NAME: &'static str = "exec_command";
    const DESCRIPTION: &'static str = "Runs a shell command on the machine. Answers with its output and exit code when it \
        ends within yield_time_ms; otherwise it goes on running, and the answer has the output so far and a process \
        number for write_stdin, read and terminate. Start servers and watchers with a short yield_time_ms. Output that is \
        too long loses its middle; a mark in it says from which offset read gets that. A call that is cancelled ends its \
        command.";
    type Arguments = Arguments;

    fn annotations() -> ToolAnnotations {
        ToolAnnotations::with_title("Run a command").read_only(false).destructive(true).open_world(true)
    }

    async fn call(workshop: &Workshop, arguments: Arguments) -> Result<Answer, ToolError> {
        let cwd = arguments.workdir.as_deref().map(|workdir| cwd(workshop, workdir)).transpose()?;
        let program = Program::Shell { script: arguments.cmd, login: arguments.login };
        let command = ExecCommand {
            cwd,
            env: arguments.env,
            tty: arguments.tty,
            size: None::<PtySize>,
            stdin: arguments.stdin,
            timeout: arguments.timeout_ms.map(|ms| Duration::from_millis(ms.into())),
            end_if_dropped: true,
            collect: Collect {
                yield_time: millis(arguments.yield_time_ms, YIELD_TIME),
                max_output: output_limit(arguments.max_output_tokens),
            },
            ..ExecCommand::new(program)
        };
        Ok(answer(workshop.exec.exec_command(command).await?))
    }
}

/// A path of the machine.
fn cwd(workshop: &Workshop, workdir: &str) -> Result<PathUri, ToolError> {
    let refused = |why: &dyn std::fmt::Display| ToolError::Arguments(format!("workdir {workdir:?}: {why}"));
    let path = Path::new(workdir);
    if path.is_absolute() {
        return PathUri::try_from(path).map_err(|error| refused(&error));
    }
    let machine = workshop.backend.environment();
    let own = machine.cwd.as_ref();
    let own =
        own.ok_or_else(|| refused(&"the machine does not tell its own directory; give an absolute path"))?;
    let own = own.to_path().map_err(|error| refused(&error))?;
    PathUri::try_from(own.join(path).as_path()).map_err(|error| refused(&error))
}
