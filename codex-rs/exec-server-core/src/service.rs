//! What can be asked of a machine that runs processes, whether it is this one or one behind a connection. What it can be
//! asked to send over HTTP stands in [`http`].
//!
//! A backend starts processes; a process is acted on through its handle, and followed through its events. Its files are
//! reached through a [`FileSystem`]. Local and remote implementations answer alike, so a caller can't tell which it holds:
//! one set of tests runs against both.

mod file_system;
mod search;
mod watch;

pub mod http;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use codex_exec_server_protocol::environment::{EnvironmentCapabilities, EnvironmentInfo};
use codex_exec_server_protocol::error_code::RpcError;
use codex_exec_server_protocol::ids::{ProcessId, Seq};
use codex_exec_server_protocol::process::{
    ProcessReadResponse, ProcessSignal, ProcessStartParams, ProcessTerminateResponse, PtySize,
};

pub use self::file_system::{FileHandle, FileSystem, FsError, missing_write_flag};
pub use self::search::{FileSearch, Found, SearchEnd};
pub use self::watch::{Changes, FileWatch};
use crate::error::ServiceError;
use crate::process_event::ExecProcessEvent;

/// An answer to come. Boxed, so that backends can stand behind `dyn`.
pub type ServiceFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A machine that runs processes.
pub trait ExecBackend: fmt::Debug + Send + Sync {
    /// What the machine is like, and which features can be asked for.
    fn environment(&self) -> Arc<EnvironmentInfo>;

    /// Starts a process. Resolves once it runs, or certainly does not: never twice, whatever becomes of a connection.
    /// A start whose future is dropped is ended.
    ///
    /// What the backend can't do is refused with [`ExecError::Unsupported`] before anything runs.
    fn start(&self, params: ProcessStartParams)
    -> ServiceFuture<'_, Result<Arc<dyn ExecProcess>, ExecError>>;
}

/// A process that a backend started. Dropping every handle leaves the process alone.
///
/// Every method waits while a connection is being recovered, and fails as [`ExecError::Disconnected`] when it does not
/// come back.
pub trait ExecProcess: fmt::Debug + Send + Sync {
    /// Its id, as given to the start.
    fn id(&self) -> &ProcessId;

    /// Its events behind `after` ([`Seq::START`] for all), in order and each once, as they come. A late subscriber gets
    /// the past first; what is not held any more is an [`ExecProcessEvent::Gap`]. A subscriber behind the last event of a
    /// process that is closed, at its position or beyond it, has nothing to wait for: the first `next` is `None`. One
    /// beyond the last event of a process that runs is told what comes behind `after`, and ends without an event when the
    /// process is closed before it gets there.
    ///
    /// Subscribers are independent: each has its own pace, and the process outlives them. While somebody is subscribed
    /// from the start on and keeps up, the process never waits for its output to be read.
    fn subscribe(&self, after: Seq) -> Box<dyn ExecEvents>;

    /// Retained output behind `after`, about `max_bytes` of it at most (but at least one chunk), waiting up to `wait`
    /// for something new. As `process/read` answers.
    fn read(
        &self,
        after: Seq,
        max_bytes: Option<u64>,
        wait: Duration,
    ) -> ServiceFuture<'_, Result<ProcessReadResponse, ExecError>>;

    /// Queues bytes for stdin, in the order of the calls, each exactly once. Resolves when they are queued, not when
    /// the process has read them.
    fn write(&self, bytes: Bytes) -> ServiceFuture<'_, Result<(), ExecError>>;

    /// Ends stdin behind everything that was written. A terminal, which has no end of its own, gets its end-of-file
    /// character.
    fn close_stdin(&self) -> ServiceFuture<'_, Result<(), ExecError>>;

    /// Changes the size of the terminal.
    fn resize(&self, size: PtySize) -> ServiceFuture<'_, Result<(), ExecError>>;

    /// Sends a signal to the process group, at most once.
    fn signal(&self, signal: ProcessSignal) -> ServiceFuture<'_, Result<(), ExecError>>;

    /// Ends the process and every descendant: with a `grace`, SIGTERM first and what still runs after that long is
    /// killed. Resolves when it is done.
    fn terminate(
        &self,
        grace: Option<Duration>,
    ) -> ServiceFuture<'_, Result<ProcessTerminateResponse, ExecError>>;
}

/// One subscription to a process's events. Dropping it ends the subscription alone.
pub trait ExecEvents: fmt::Debug + Send {
    /// The next event. `None` after [`ExecProcessEvent::Closed`], or after an error, which is told once. Cancel-safe: an
    /// event is either returned or still to come.
    fn next(&mut self) -> ServiceFuture<'_, Option<Result<ExecProcessEvent, ExecError>>>;
}

/// Why a backend did not do what it was asked. Cheap to clone: everybody who waits gets the same one.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ExecError {
    /// The service refused. Code, words and data are those of the wire, also where there was none in between.
    #[error("{0}")]
    Refused(RpcError),
    /// The peer can't do it; holds the name of the capability flag.
    #[error("server does not support {0}")]
    Unsupported(&'static str),
    /// There is such a process already.
    #[error("process {0} already exists")]
    ProcessExists(ProcessId),
    /// There is no such process, or not any more.
    #[error("unknown process id {0}")]
    UnknownProcess(ProcessId),
    /// The process has no stdin, or it was closed.
    #[error("stdin of process {0} is closed")]
    StdinClosed(ProcessId),
    /// The connection was lost before the answer came, and this is not to be repeated: it took effect or it did not.
    #[error("connection was lost before the answer came")]
    OutcomeUnknown,
    /// There is no connection any more, and there won't be one. Says why.
    #[error("{0}")]
    Disconnected(Arc<str>),
    /// The process can't be followed any further: what is told of it does not add up. Says what.
    #[error("{0}")]
    Inconsistent(Arc<str>),
}

impl From<ServiceError> for ExecError {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::UnknownProcess(id) => Self::UnknownProcess(id),
            ServiceError::ProcessExists(id) => Self::ProcessExists(id),
            other => Self::Refused(RpcError::from(&other)),
        }
    }
}

/// The flag of the first thing that a start asks for and a backend with these `flags` would ignore.
#[must_use]
pub fn missing_flag(params: &ProcessStartParams, flags: &EnvironmentCapabilities) -> Option<&'static str> {
    let needs = [
        (params.output.is_some(), flags.output_budget, "outputBudget"),
        (params.size.is_some(), flags.process_resize, "processResize"),
        (params.timeout_ms.is_some(), flags.process_timeout, "processTimeout"),
        (params.limits.is_some(), flags.process_limits, "processLimits"),
        (params.request_key.is_some(), flags.idempotent_requests, "idempotentRequests"),
        (params.network_proxy.is_some(), flags.network_proxy_launch, "networkProxyLaunch"),
    ];
    needs.into_iter().find(|(asked, has, _)| *asked && !has).map(|(_, _, name)| name)
}
