//! This machine as an [`ExecBackend`]: the same questions and answers as over a connection, without one.
//!
//! Owns nothing but a process table and the translation between its answers and those of the trait. There is no message
//! and no copy in between: events are drawn from a process's log by whoever follows it.
//!
//! # Descendants
//!
//! `terminate` and [`LocalBackend::shut_down`] find every descendant that still stands in a process's tree or
//! carries its mark, also those that left their session. What outlives its parents goes to the system's init meanwhile;
//! a program that wants such orphans to be its own, so that it can be sure of seeing and collecting them, holds an
//! [`Orphans`](crate::Orphans) for as long as the backend lives. That changes what the whole program's children are, so
//! it is the program's choice and not the backend's.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use codex_exec_server_core::limits::Limits;
use codex_exec_server_core::process_event::ExecProcessEvent;
use codex_exec_server_core::service::{
    ExecBackend, ExecError, ExecEvents, ExecProcess, ServiceFuture, missing_flag,
};
use codex_exec_server_protocol::environment::EnvironmentInfo;
use codex_exec_server_protocol::ids::{ProcessId, Seq};
use codex_exec_server_protocol::process::{
    ProcessReadResponse, ProcessSignal, ProcessStartParams, ProcessTerminateResponse, PtySize, WriteStatus,
};

use crate::env::Environment;
use crate::environment;
use crate::os;
use crate::process::{Held, Input, ProcessHost, ProcessTable, Subscription, os_signal};
use crate::sandbox::Sandbox;
use crate::state::default_state_directory;

/// See the module. One namespace of process ids. Used within a tokio runtime.
///
/// A closed process's id is free again after [`Limits::closed_process_retention`]; through its handle the process stays
/// readable for as long as that is kept. Dropping the backend leaves its processes alone; [`Self::shut_down`] ends them.
pub struct LocalBackend {
    table: Arc<ProcessTable>,
    environment: Arc<EnvironmentInfo>,
}

impl LocalBackend {
    /// A backend whose children may inherit from `environment`. Output that readers leave lying goes to files in
    /// `state_directory`; without one, memory is all there is for it.
    #[must_use]
    pub fn new(environment: Environment, limits: Limits, state_directory: Option<PathBuf>) -> Self {
        Self::with_sandbox(environment, limits, state_directory, Sandbox::unavailable())
    }

    /// The same, with what it takes to confine them. Without it, starts that ask for a sandbox are refused.
    #[must_use]
    pub fn with_sandbox(
        environment: Environment,
        limits: Limits,
        state_directory: Option<PathBuf>,
        sandbox: Sandbox,
    ) -> Self {
        let info = environment::describe(&environment);
        let table =
            ProcessTable::new(ProcessHost::with_sandbox(environment, limits, state_directory, sandbox));
        Self { table, environment: Arc::new(info) }
    }

    /// Default bounds, and this program's own environment.
    #[must_use]
    pub fn from_process() -> Self {
        let environment: Environment = std::env::vars_os().collect();
        let state_directory = default_state_directory(&environment);
        Self::new(environment, Limits::default(), state_directory)
    }

    /// Ends every process with its descendants; nothing starts any more. Returns when all is done. Those who follow a
    /// process are told its end.
    pub async fn shut_down(&self) {
        self.table.shut_down().await;
    }
}

impl fmt::Debug for LocalBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalBackend").finish_non_exhaustive()
    }
}

impl ExecBackend for LocalBackend {
    fn environment(&self) -> Arc<EnvironmentInfo> {
        Arc::clone(&self.environment)
    }

    fn start(
        &self,
        params: ProcessStartParams,
    ) -> ServiceFuture<'_, Result<Arc<dyn ExecProcess>, ExecError>> {
        Box::pin(async move {
            if let Some(flag) = missing_flag(&params, &self.environment.capabilities) {
                return Err(ExecError::Unsupported(flag));
            }
            let held = self.table.start_held(params).await?;
            Ok(Arc::new(LocalProcess { held, table: Arc::clone(&self.table) }) as Arc<dyn ExecProcess>)
        })
    }
}

/// A process of this machine.
struct LocalProcess {
    held: Held,
    /// Whose tasks see a termination through.
    table: Arc<ProcessTable>,
}

impl LocalProcess {
    fn feed(&self, input: Input) -> ServiceFuture<'_, Result<(), ExecError>> {
        Box::pin(async move {
            match self.held.feed(input).await? {
                WriteStatus::Accepted => Ok(()),
                WriteStatus::StdinClosed => Err(ExecError::StdinClosed(self.held.id.clone())),
                // Its start is over, so it can't be starting.
                WriteStatus::UnknownProcess | WriteStatus::Starting => {
                    Err(ExecError::UnknownProcess(self.held.id.clone()))
                }
            }
        })
    }
}

impl fmt::Debug for LocalProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalProcess").field("id", &self.held.id).finish_non_exhaustive()
    }
}

impl ExecProcess for LocalProcess {
    fn id(&self) -> &ProcessId {
        &self.held.id
    }

    fn subscribe(&self, after: Seq) -> Box<dyn ExecEvents> {
        Box::new(LocalEvents(Subscription::new(&self.held, after)))
    }

    fn read(
        &self,
        after: Seq,
        max_bytes: Option<u64>,
        wait: Duration,
    ) -> ServiceFuture<'_, Result<ProcessReadResponse, ExecError>> {
        Box::pin(async move { Ok(self.held.read(after, max_bytes, wait).await?) })
    }

    fn write(&self, bytes: Bytes) -> ServiceFuture<'_, Result<(), ExecError>> {
        self.feed(Input::Bytes(bytes))
    }

    fn close_stdin(&self) -> ServiceFuture<'_, Result<(), ExecError>> {
        self.feed(Input::End)
    }

    fn resize(&self, size: PtySize) -> ServiceFuture<'_, Result<(), ExecError>> {
        Box::pin(async move { Ok(self.held.resize(os::Size { rows: size.rows, cols: size.cols }).await?) })
    }

    fn signal(&self, signal: ProcessSignal) -> ServiceFuture<'_, Result<(), ExecError>> {
        Box::pin(async move {
            self.held.signal(os_signal(signal)).await;
            Ok(())
        })
    }

    fn terminate(
        &self,
        grace: Option<Duration>,
    ) -> ServiceFuture<'_, Result<ProcessTerminateResponse, ExecError>> {
        Box::pin(async move {
            let ended = self.table.terminate_process(Arc::clone(&self.held), grace.unwrap_or_default());
            Ok(ended.await?)
        })
    }
}

/// One subscription to a process of this machine.
struct LocalEvents(Subscription);

impl fmt::Debug for LocalEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalEvents").finish_non_exhaustive()
    }
}

impl ExecEvents for LocalEvents {
    fn next(&mut self) -> ServiceFuture<'_, Option<Result<ExecProcessEvent, ExecError>>> {
        Box::pin(self.0.next())
    }
}
