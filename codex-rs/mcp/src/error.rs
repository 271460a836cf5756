//! Why nothing goes to or comes from an MCP server any more.

use std::fmt;
use std::sync::Arc;

use codex_exec_server_core::process_event::Exit;
use codex_exec_server_core::service::ExecError;

use crate::lines::LineTooLong;
use crate::stderr::StderrTail;

/// What became of an MCP server. Cheap to clone.
#[derive(Debug, Clone, thiserror::Error)]
#[error("MCP server {server} {reason}{stderr}")]
pub struct ServerError {
    /// Its name in the configuration.
    pub server: Arc<str>,
    /// What happened.
    pub reason: Reason,
    /// What it said last on stderr, as far as that has arrived.
    pub stderr: StderrTail,
}

/// What happened to an MCP server; goes on from its name.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Reason {
    /// There is nothing to run.
    #[error("has no command: its argv is empty")]
    NoCommand,
    /// Neither the configuration nor the machine says where to run it.
    #[error("has no working directory: the machine does not tell its own; give one in the configuration")]
    NoWorkingDirectory,
    /// It did not start.
    #[error("was not started: {0}")]
    NotStarted(ExecError),
    /// It ended.
    #[error("ended with {}", Ended(.0))]
    Exited(Exit),
    /// A part of its output is gone, and messages with it. The server is ended: nobody could tell which.
    #[error(
        "lost {} of its output, because it was not read for too long",
        .bytes.map_or_else(|| "a part".to_owned(), |bytes| format!("{bytes} bytes"))
    )]
    OutputLost {
        /// How much, where that is known.
        bytes: Option<u64>,
    },
    /// It wrote a line that is longer than accepted. The server is ended.
    #[error("wrote too much at once: {0}")]
    LineTooLong(#[from] LineTooLong),
    /// The machine it runs on can't be reached any more, or contradicts itself.
    #[error("can't be followed any further: {0}")]
    Unreachable(ExecError),
    /// A message did not get to it.
    #[error("did not take a message: {0}")]
    NotTaken(ExecError),
    /// A message was not sent, because too much is waiting for the server to read it.
    #[error("does not read its messages: more than {limit_bytes} bytes are waiting for it")]
    Backlog {
        /// The bound on what waits.
        limit_bytes: usize,
    },
    /// A message can't be written as JSON.
    #[error("was not sent a message that can't be written as JSON: {0}")]
    NotJson(Arc<str>),
    /// It was closed from this side.
    #[error("was closed")]
    Closed,
}

struct Ended<'a>(&'a Exit);

impl fmt::Display for Ended<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.signal {
            Some(signal) => write!(f, "signal {signal}"),
            None => write!(f, "exit code {}", self.0.code),
        }
    }
}
