//! What can go wrong, in words that say what to do next.

use codex_exec_server_core::service::ExecError;

use crate::state::ProcessNumber;

/// Why something was not done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum UnifiedExecError {
    /// What was asked for makes no sense.
    #[error("{0}")]
    InvalidArgument(String),
    /// The command may not run.
    #[error("command was not approved: {0}")]
    NotApproved(String),
    /// No room for another process.
    #[error(
        "{limit} processes are running, the limit; terminate one first, such as {least_recent}, which was asked for least recently"
    )]
    TooManyProcesses {
        /// [`UnifiedExecConfig::max_processes`](crate::UnifiedExecConfig::max_processes).
        limit: usize,
        /// The one that was asked for least recently.
        least_recent: ProcessNumber,
    },
    /// There never was such a process.
    #[error("unknown process {0}; list shows those that are known")]
    UnknownProcess(ProcessNumber),
    /// The process has ended and made room for others.
    #[error("process {0} has ended and was forgotten to make room for others; run the command again")]
    Forgotten(ProcessNumber),
    /// The process's machine keeps output for a while after the end, and that is over.
    #[error(
        "output of process {0} is not held any more, because it ended some time ago; run the command again"
    )]
    OutputForgotten(ProcessNumber),
    /// Input for a process that has ended.
    #[error("process {process} {state}, so nothing was written; write nothing to get the rest of its output")]
    NotRunning {
        /// The process.
        process: ProcessNumber,
        /// How it is, in words.
        state: String,
    },
    /// The process has no stdin, or it was closed.
    #[error("process {0} has no open stdin; run it with `stdin` or `tty` to write to it")]
    NoStdin(ProcessNumber),
    /// The process does not read what was written before.
    #[error(
        "process {0} does not read its stdin and too much waits there; what was written now may or may not reach it"
    )]
    StdinFull(ProcessNumber),
    /// Everything was ended.
    #[error("no more commands are taken, because everything was shut down")]
    ShutDown,
    /// The machine did not do it.
    #[error("{0}")]
    Backend(#[from] ExecError),
}
