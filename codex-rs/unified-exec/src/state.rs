//! How a process is: one state for its end, for the loss of it, and for what its sandbox did.

use std::fmt;
use std::time::Duration;

use codex_exec_server_core::process_event::Exit;
use codex_exec_server_core::service::ExecError;

use crate::command::Resolved;
use crate::excerpt::Excerpt;

/// Names a process of a [`UnifiedExec`](crate::UnifiedExec): 1 for its first. Never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessNumber(pub u64);

impl fmt::Display for ProcessNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a process is.
#[derive(Debug, Clone)]
pub enum ProcessState {
    /// It runs.
    Running,
    /// It ended. Something that it started may hold its output open.
    Exited {
        /// How, and whether its sandbox denied it something.
        exit: Exit,
        /// Whether output may follow.
        output_open: bool,
    },
    /// It can't be followed any further: its machine is gone for good, or what is told of it does not add up. It may
    /// run on.
    Failed {
        /// Why.
        error: ExecError,
        /// How it had ended before.
        exit: Option<Exit>,
    },
}

impl ProcessState {
    /// Whether the process itself still runs, as far as is known.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        matches!(self, Self::Running)
    }

    /// Whether nothing more will be told of it.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Exited { output_open: false, .. } | Self::Failed { .. })
    }

    /// How it ended, if that is known.
    #[must_use]
    pub const fn exit(&self) -> Option<&Exit> {
        match self {
            Self::Running => None,
            Self::Exited { exit, .. } => Some(exit),
            Self::Failed { exit, .. } => exit.as_ref(),
        }
    }

    /// Exit code, or 128 + n after signal n.
    #[must_use]
    pub const fn exit_code(&self) -> Option<i32> {
        match self.exit() {
            Some(exit) => Some(exit.code),
            None => None,
        }
    }

    /// Whether its sandbox denied it something.
    #[must_use]
    pub fn sandbox_denied(&self) -> bool {
        self.exit().is_some_and(|exit| exit.sandbox_denied == Some(true))
    }
}

impl fmt::Display for ProcessState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running => f.write_str("runs"),
            Self::Exited { exit, output_open } => {
                write!(f, "exited with code {}", exit.code)?;
                if *output_open { f.write_str(" and its output is still open") } else { Ok(()) }
            }
            Self::Failed { error, .. } => write!(f, "can't be followed any more: {error}"),
        }
    }
}

/// The answer to a command and to input.
#[derive(Debug, Clone)]
pub struct Report {
    /// The process, for whatever is asked of it next.
    pub process: ProcessNumber,
    /// How it is.
    pub state: ProcessState,
    /// What it has said since the last report.
    pub output: Excerpt,
    /// How long this took.
    pub wall_time: Duration,
    /// What became of the question whether to run without the sandbox, if it was asked.
    pub sandbox_review: Option<SandboxReview>,
}

/// What was decided about a command that its sandbox denied something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SandboxReview {
    /// It was run again without; the report is that of the second run.
    RetriedWithout,
    /// It was not, for this reason; the report is that of the only run.
    Refused(String),
}

/// Output read again.
#[derive(Debug, Clone)]
pub struct ReadReport {
    /// The process.
    pub process: ProcessNumber,
    /// How it is.
    pub state: ProcessState,
    /// The output.
    pub text: String,
    /// Where the text begins: as asked, or behind what is gone.
    pub offset: u64,
    /// Where to go on.
    pub next_offset: u64,
    /// Bytes between the place asked for and `offset`, which nobody holds any more.
    pub lost_bytes: u64,
    /// Whether that was the last of it.
    pub is_end: bool,
}

/// One process of a list.
#[derive(Debug, Clone)]
pub struct ProcessListing {
    /// Its number.
    pub process: ProcessNumber,
    /// How it is.
    pub state: ProcessState,
    /// What was run.
    pub command: Resolved,
    /// Whether on a terminal.
    pub tty: bool,
    /// Since when.
    pub age: Duration,
    /// Bytes of output that no report held yet.
    pub unread_bytes: u64,
}
