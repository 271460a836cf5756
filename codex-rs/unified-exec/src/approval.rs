//! Who decides what may run: the caller, through a trait.

use std::fmt;

use codex_exec_server_core::process_event::Exit;
use codex_exec_server_core::service::ServiceFuture;
use codex_exec_server_protocol::sandbox::SandboxContext;

use crate::command::{ExecCommand, Resolved};

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Go on.
    Approve,
    /// Don't, for this reason, which the caller of the command is told.
    Refuse(String),
}

/// A command that waits for a decision.
#[derive(Debug)]
pub struct Proposed<'a> {
    /// As it was asked for.
    pub command: &'a ExecCommand,
    /// As the machine will see it.
    pub resolved: &'a Resolved,
}

/// A command that its sandbox kept from something.
#[derive(Debug)]
pub struct Denied<'a> {
    /// The command.
    pub proposed: Proposed<'a>,
    /// What kept it.
    pub sandbox: &'a SandboxContext,
    /// How it ended.
    pub exit: &'a Exit,
    /// What it said, cut to the limit that was asked for.
    pub output: &'a str,
}

/// Decides what may run. What is not implemented is refused.
pub trait Approver: fmt::Debug + Send + Sync {
    /// Whether a command may run. Asked before anything happens.
    fn review<'a>(&'a self, proposed: Proposed<'a>) -> ServiceFuture<'a, Decision> {
        let _ = proposed;
        Box::pin(async { Decision::Refuse("nobody approves commands".into()) })
    }

    /// Whether a command may run once more without its sandbox, which denied it something.
    fn review_without_sandbox<'a>(&'a self, denied: Denied<'a>) -> ServiceFuture<'a, Decision> {
        let _ = denied;
        Box::pin(async { Decision::Refuse("nobody approves running without a sandbox".into()) })
    }
}

/// Refuses everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct RefuseAll;

impl Approver for RefuseAll {}

/// Lets every command run as it asks to, and none again without its sandbox. For callers who have decided already.
#[derive(Debug, Clone, Copy, Default)]
pub struct ApproveAsAsked;

impl Approver for ApproveAsAsked {
    fn review<'a>(&'a self, _: Proposed<'a>) -> ServiceFuture<'a, Decision> {
        Box::pin(async { Decision::Approve })
    }
}
