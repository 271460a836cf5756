//! What an agent may ask for: a command, its surroundings, and how long and how much to wait for.

use std::collections::BTreeMap;
use std::time::Duration;

use codex_exec_server_protocol::environment::EnvironmentInfo;
use codex_exec_server_protocol::ids::ProcessId;
use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_protocol::process::{EnvInherit, EnvPolicy, ProcessStartParams, PtySize};
use codex_exec_server_protocol::sandbox::SandboxContext;

use crate::error::UnifiedExecError;
use crate::excerpt::OutputLimit;

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// A program and its arguments.
    Argv(Vec<String>),
    /// A line for the shell of the machine's user, with or without that user's login scripts.
    Shell {
        /// The line.
        script: String,
        /// Whether it is a login shell.
        login: bool,
    },
}

/// How long to wait for output, and how much of it to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Collect {
    /// The answer comes when the process has ended, and after this long at the latest. Zero gives what is there.
    pub yield_time: Duration,
    /// Output beyond it loses its middle.
    pub max_output: OutputLimit,
}

impl Default for Collect {
    fn default() -> Self {
        Self { yield_time: Duration::from_secs(10), max_output: OutputLimit::default() }
    }
}

/// A command to run.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecCommand {
    /// What to run.
    pub program: Program,
    /// Where; the machine's own working directory otherwise.
    pub cwd: Option<PathUri>,
    /// Variables on top of those that `env_policy` gives.
    pub env: BTreeMap<String, String>,
    /// What is inherited from the machine's environment: all but what looks like a credential, unless told otherwise.
    /// `None` for nothing at all.
    pub env_policy: Option<EnvPolicy>,
    /// On a terminal: one stream, line discipline, and stdin.
    pub tty: bool,
    /// Size of the terminal.
    pub size: Option<PtySize>,
    /// Without a terminal: keep stdin open for [`write_stdin`](crate::UnifiedExec::write_stdin). Otherwise it is empty.
    pub stdin: bool,
    /// What the process may touch; anything its user may without.
    pub sandbox: Option<SandboxContext>,
    /// Ends the process with its descendants when it runs for longer than this.
    pub timeout: Option<Duration>,
    /// Whether dropping the call that runs it ends it also when it has started already. For callers who would not learn
    /// its number.
    pub end_if_dropped: bool,
    /// How long to wait, and how much to give.
    pub collect: Collect,
}

impl ExecCommand {
    /// `program` where the machine is, without a terminal, with the usual environment and limits.
    #[must_use]
    pub fn new(program: Program) -> Self {
        Self {
            program,
            cwd: None,
            env: BTreeMap::new(),
            env_policy: Some(EnvPolicy {
                inherit: EnvInherit::All,
                ignore_default_excludes: false,
                exclude: Vec::new(),
                set: BTreeMap::new(),
                include_only: Vec::new(),
            }),
            tty: false,
            size: None,
            stdin: false,
            sandbox: None,
            timeout: None,
            end_if_dropped: false,
            collect: Collect::default(),
        }
    }

    /// A program and its arguments.
    pub fn argv(argv: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::new(Program::Argv(argv.into_iter().map(Into::into).collect()))
    }

    /// A line for the shell.
    pub fn shell(script: impl Into<String>) -> Self {
        Self::new(Program::Shell { script: script.into(), login: false })
    }

    /// What will be run on a machine like `environment`: program with arguments, and where.
    pub(crate) fn resolve(&self, environment: &EnvironmentInfo) -> Result<Resolved, UnifiedExecError> {
        let argv = match &self.program {
            Program::Argv(argv) => argv.clone(),
            Program::Shell { script, login } => {
                let flag = if *login { "-lc" } else { "-c" };
                vec![environment.shell.path.clone(), flag.to_owned(), script.clone()]
            }
        };
        if argv.is_empty() {
            return Err(UnifiedExecError::InvalidArgument(
                "argv must not be empty; name a program to run".into(),
            ));
        }
        let cwd = self.cwd.clone().or_else(|| environment.cwd.clone()).ok_or_else(|| {
            UnifiedExecError::InvalidArgument(
                "cwd must be given, because the machine does not tell a working directory of its own".into(),
            )
        })?;
        Ok(Resolved { argv, cwd })
    }

    pub(crate) fn start_params(
        &self,
        process_id: ProcessId,
        resolved: &Resolved,
        sandbox: Option<SandboxContext>,
    ) -> ProcessStartParams {
        ProcessStartParams {
            env: self.env.clone(),
            tty: self.tty,
            env_policy: self.env_policy.clone(),
            pipe_stdin: self.stdin && !self.tty,
            sandbox,
            size: self.size,
            timeout_ms: self.timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
            ..ProcessStartParams::new(process_id, resolved.argv.clone(), resolved.cwd.clone())
        }
    }
}

/// A command as the machine will see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Where it runs.
    pub cwd: PathUri,
}

/// Input for a process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WriteStdin {
    /// What to write. Nothing only waits for output. Exactly U+0003 for a process without a terminal is no text but an
    /// interrupt, as a terminal would make of it.
    pub chars: String,
    /// Whether stdin ends behind that. On a terminal it is the end-of-file character.
    pub close: bool,
    /// How long to wait, and how much to give.
    pub collect: Collect,
}
