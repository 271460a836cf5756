//! What a caller says about an MCP server: what to run, with what around it, and every bound.

use std::collections::BTreeMap;
use std::time::Duration;

use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_protocol::process::{EnvInherit, EnvPolicy};

/// How to run one stdio MCP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// Names it in errors and in the log.
    pub name: String,
    /// Program and arguments. No shell is involved; a program without a slash is searched in the child's `PATH`.
    pub argv: Vec<String>,
    /// Its working directory; that of the backend's machine when absent.
    pub cwd: Option<PathUri>,
    /// Variables laid over what `env_policy` gives.
    pub env: BTreeMap<String, String>,
    /// What it gets of the environment of the machine it runs on.
    pub env_policy: EnvPolicy,
    /// Bounds on what is held for it.
    pub limits: ServerLimits,
    /// How long it is waited for.
    pub patience: ServerPatience,
}

impl ServerConfig {
    /// `argv`, with the basic environment of its machine (such as HOME, LANG, PATH, SHELL, USER, TMPDIR) without what
    /// looks like a credential. That is what MCP clients usually give to the servers that they start.
    #[must_use]
    pub fn new(argv: Vec<String>) -> Self {
        let program = argv.first().map_or("", String::as_str);
        Self {
            name: program.rsplit('/').next().unwrap_or(program).to_owned(),
            argv,
            cwd: None,
            env: BTreeMap::new(),
            env_policy: EnvPolicy {
                inherit: EnvInherit::Core,
                ignore_default_excludes: false,
                exclude: Vec::new(),
                set: BTreeMap::new(),
                include_only: Vec::new(),
            },
            limits: ServerLimits::default(),
            patience: ServerPatience::default(),
        }
    }
}

/// Bounds on what is held for one MCP server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerLimits {
    /// Longest line on its stdout, in bytes without the newline; a longer one ends the server. Default 64 MiB, the
    /// longest line that our own transport takes on stdio.
    pub line_bytes: usize,
    /// Bytes of messages that may wait until the server reads them; a message beyond it is refused. Default 64 MiB.
    /// A message of any size is accepted while nothing waits.
    pub queued_bytes: usize,
    /// How much of a line of stderr is logged and kept, in bytes. Default 4 KiB.
    pub stderr_line_bytes: usize,
    /// How many lines of stderr an error may quote. Default 20.
    pub stderr_tail_lines: usize,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            line_bytes: 64 << 20,
            queued_bytes: 64 << 20,
            stderr_line_bytes: 4 << 10,
            stderr_tail_lines: 20,
        }
    }
}

/// How long an MCP server is waited for. Recovering a lost connection counts as time like any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerPatience {
    /// From the start to the end of the handshake. Default 60 s: interpreters start slowly on busy machines, and some
    /// servers are downloaded first.
    pub initialize: Duration,
    /// After its stdin was closed, until it is told to end. Default 2 s.
    pub exit: Duration,
    /// Between SIGTERM and SIGKILL. Default 2 s.
    pub grace: Duration,
    /// After it exited, or was ended, until descendants that hold its streams open are ended, or left alone. Default
    /// 3 s.
    pub close: Duration,
}

impl Default for ServerPatience {
    fn default() -> Self {
        Self {
            initialize: Duration::from_secs(60),
            exit: Duration::from_secs(2),
            grace: Duration::from_secs(2),
            close: Duration::from_secs(3),
        }
    }
}
