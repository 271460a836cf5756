//! Commands for agents, on any [`ExecBackend`](codex_exec_server_core::service::ExecBackend), near or far.
//!
//! An agent asks in turns: it runs a command, sees some output, and decides what to do next. [`UnifiedExec`] fits a
//! process into that. [`exec_command`](UnifiedExec::exec_command) answers when the command has ended, or after its
//! yield time with a [`ProcessNumber`] to go on with; [`write_stdin`](UnifiedExec::write_stdin) gives input, or
//! nothing, and answers with what is new. Output is cut to a limit: its beginning, its end, and a mark that says how
//! much was left out and from which offset [`read`](UnifiedExec::read) gets it.
//!
//! ```text
//! ExecCommand → Approver → backend → process → follower → Window (what is new) → Excerpt → Report
//!                                        └── its log ← read (what was left out)
//! ```
//!
//! What may run is decided by an [`Approver`] that the caller implements; what it does not implement is refused. A
//! process's end, the loss of its machine and what its sandbox denied are one [`ProcessState`].
//!
//! ```
//! use std::sync::Arc;
//! use codex_exec_server_local::LocalBackend;
//! use codex_exec_server_unified_exec::{ApproveAsAsked, ExecCommand, UnifiedExec, WriteStdin};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let backend = Arc::new(LocalBackend::from_process());
//! let exec = UnifiedExec::new(backend, Arc::new(ApproveAsAsked), Default::default());
//!
//! let report = exec.exec_command(ExecCommand::shell("echo hello; exit 3")).await?;
//! assert_eq!(report.output.text, "hello\n");
//! assert_eq!(report.state.exit_code(), Some(3));
//!
//! let mut cat = ExecCommand::argv(["cat"]);
//! cat.stdin = true;
//! cat.collect.yield_time = std::time::Duration::ZERO;
//! let cat = exec.exec_command(cat).await?;
//! assert!(cat.state.is_running());
//! let input = WriteStdin { chars: "some text".into(), close: true, ..WriteStdin::default() };
//! let report = exec.write_stdin(cat.process, input).await?;
//! assert_eq!((report.output.text.as_str(), report.state.exit_code()), ("some text", Some(0)));
//!
//! exec.shut_down().await;
//! # Ok::<(), codex_exec_server_unified_exec::UnifiedExecError>(())
//! # }).unwrap();
//! ```

mod approval;
mod command;
mod config;
mod error;
mod excerpt;
mod index;
mod joiner;
mod read;
mod registry;
mod state;
mod tracked;
mod unified_exec;
mod window;

pub use approval::{ApproveAsAsked, Approver, Decision, Denied, Proposed, RefuseAll};
pub use command::{Collect, ExecCommand, Program, Resolved, WriteStdin};
pub use config::UnifiedExecConfig;
pub use error::UnifiedExecError;
pub use excerpt::{Excerpt, Omitted, OutputLimit};
pub use state::{ProcessListing, ProcessNumber, ProcessState, ReadReport, Report, SandboxReview};
pub use unified_exec::UnifiedExec;
