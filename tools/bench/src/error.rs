//! Everything that can go wrong while measuring. A failure inside a row is shown in that row; the others
//! still run.

use std::io;
use std::path::PathBuf;

/// What happened, with what a person needs to act on it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    #[error("command `{command}` {problem}")]
    Command { command: String, problem: &'static str },

    #[error("no server to measure: {} does not exist; build it, or name one with --server", .0.display())]
    NoServer(PathBuf),

    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },

    #[error("{0} holds no {1}")]
    Proc(String, &'static str),

    #[error("{program}: {source}")]
    Start { program: String, source: io::Error },

    #[error("{program} did not print a `ws://` line first (waited at most {seconds} s)")]
    NoUrl { program: String, seconds: u64 },

    #[error("connection: {0}")]
    Socket(#[from] io::Error),

    #[error("connection: {0}")]
    Os(#[from] rustix::io::Errno),

    #[error("websocket upgrade to {url}: {reason}")]
    Upgrade { url: String, reason: String },

    #[error("the server closed the connection")]
    Closed,

    #[error("nothing arrived for {seconds} s")]
    Silent { seconds: u64 },

    #[error("wedged after {answered} of {of} answers")]
    Wedged { answered: usize, of: usize },

    #[error("the server broke the protocol: {0}")]
    Protocol(String),

    #[error("the server refused: {message} ({code})")]
    Refused { code: i64, message: String },

    /// No failure: the server does not say that it can.
    #[error("not offered by this server")]
    NotOffered,

    #[error("our client: {0}")]
    Client(String),

    #[error("asked for `{0}` commands, which is no number")]
    NoCount(String),

    #[error("results as JSON: {0}")]
    Json(#[from] serde_json::Error),

    #[error("raw limit: {what}: {source}")]
    Raw { what: &'static str, source: io::Error },
}

impl BenchError {
    /// Any of the errors of our own client, or of the backend that is this machine.
    pub(crate) fn client(error: impl std::error::Error) -> Self {
        Self::Client(error.to_string())
    }

    /// Wraps an operating system error of the raw side, naming the step.
    pub(crate) fn raw<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Raw { what, source: source.into() }
    }
}
