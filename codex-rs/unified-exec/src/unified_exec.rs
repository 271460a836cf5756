//! The service for agents: commands, input, reading, ending.
//!
//! Owns the processes that are known, and the tasks that follow them. What runs them is a backend, who decides is an
//! approver.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use codex_exec_server_core::service::{ExecBackend, ExecError};
use codex_exec_server_protocol::ids::{ProcessId, Seq};
use codex_exec_server_protocol::process::ProcessSignal;
use codex_exec_server_protocol::sandbox::SandboxContext;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::approval::{Approver, Decision, Denied, Proposed};
use crate::command::{Collect, ExecCommand, Resolved, WriteStdin};
use crate::config::UnifiedExecConfig;
use crate::error::UnifiedExecError;
use crate::excerpt::OutputLimit;
use crate::read;
use crate::registry::Registry;
use crate::state::{ProcessListing, ProcessNumber, ReadReport, Report, SandboxReview};
use crate::tracked::Tracked;

/// What a terminal sends for Ctrl-C.
const INTERRUPT: &str = "\u{3}";

/// See the crate. Used within a tokio runtime. Dropping it leaves its processes alone; [`Self::shut_down`] ends them.
pub struct UnifiedExec {
    backend: Arc<dyn ExecBackend>,
    approver: Arc<dyn Approver>,
    config: UnifiedExecConfig,
    /// Makes process ids unique among all who use the backend.
    nonce: Uuid,
    /// Starts tried so far.
    starts: AtomicU64,
    registry: Mutex<Registry>,
    followers: TaskTracker,
    stop: CancellationToken,
}

impl UnifiedExec {
    /// Commands run on `backend`, as far as `approver` lets them.
    #[must_use]
    pub fn new(
        backend: Arc<dyn ExecBackend>,
        approver: Arc<dyn Approver>,
        config: UnifiedExecConfig,
    ) -> Self {
        let registry = Mutex::new(Registry::new(config.max_processes));
        Self {
            backend,
            approver,
            config,
            nonce: Uuid::new_v4(),
            starts: AtomicU64::new(0),
            registry,
            followers: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        // Every change under this lock leaves the list whole.
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a command; reports when it has ended, or after its yield time as running.
    ///
    /// When its sandbox denied it something within that time, the approver is asked whether to run it again without; the
    /// second run has a yield time of its own. Later denials are told in [`ProcessState`](crate::ProcessState) and the
    /// caller decides: the process may have been given input since, which a second run would lack.
    ///
    /// Dropping the future before the command has started ends it; afterwards it runs on, and [`Self::list`] has it, unless
    /// [`ExecCommand::end_if_dropped`] says otherwise.
    pub async fn exec_command(&self, command: ExecCommand) -> Result<Report, UnifiedExecError> {
        let limit = self.check(&command.collect)?;
        let resolved = command.resolve(&self.backend.environment())?;
        let proposed = Proposed { command: &command, resolved: &resolved };
        if let Decision::Refuse(reason) = self.approver.review(proposed).await {
            return Err(UnifiedExecError::NotApproved(reason));
        }
        let begin = Instant::now();
        let first = self.launch(&command, &resolved, command.sandbox.clone()).await?;
        let mut unreported = Unreported::new(self, &command, &first);
        let report = self.report(&first, begin, &command.collect, limit).await;
        let (Some(sandbox), Some(exit)) = (&command.sandbox, report.state.exit()) else {
            unreported.disarm();
            return Ok(report);
        };
        if !report.state.sandbox_denied() {
            unreported.disarm();
            return Ok(report);
        }
        let proposed = Proposed { command: &command, resolved: &resolved };
        let denied = Denied { proposed, sandbox, exit, output: &report.output.text };
        if let Decision::Refuse(reason) = self.approver.review_without_sandbox(denied).await {
            unreported.disarm();
            return Ok(Report { sandbox_review: Some(SandboxReview::Refused(reason)), ..report });
        }
        // Whatever the first run left behind must not meet the second.
        first.process.terminate(/*grace*/ None).await?;
        self.registry().remove(first.number);
        unreported.disarm();
        let second = self.launch(&command, &resolved, /*sandbox*/ None).await?;
        let mut unreported = Unreported::new(self, &command, &second);
        let report = self.report(&second, begin, &command.collect, limit).await;
        unreported.disarm();
        Ok(Report { sandbox_review: Some(SandboxReview::RetriedWithout), ..report })
    }

    /// Writes to a process, or interrupts it, or only waits; reports what it said since the last report. See
    /// [`WriteStdin`].
    ///
    /// Dropping the future may leave the input written or not; no output is lost.
    pub async fn write_stdin(
        &self,
        process: ProcessNumber,
        input: WriteStdin,
    ) -> Result<Report, UnifiedExecError> {
        let limit = self.check(&input.collect)?;
        let tracked = self.registry().get(process)?;
        let begin = Instant::now();
        if !input.chars.is_empty() || input.close {
            let state = tracked.state();
            if !state.is_running() {
                return Err(UnifiedExecError::NotRunning { process, state: state.to_string() });
            }
            let deadline = begin + input.collect.yield_time.max(self.config.least_write_time);
            match timeout_at(deadline, feed(&tracked, &input)).await {
                Ok(fed) => fed.map_err(|error| no_stdin(process, error))?,
                Err(_) => return Err(UnifiedExecError::StdinFull(process)),
            }
        }
        Ok(self.report(&tracked, begin, &input.collect, limit).await)
    }

    /// Reads a process's output again from a place in it, as named by what a report left out. At most so much text, and
    /// no wait.
    pub async fn read(
        &self,
        process: ProcessNumber,
        offset: u64,
        max_output: OutputLimit,
    ) -> Result<ReadReport, UnifiedExecError> {
        let limit = self.check_limit(max_output)?;
        let tracked = self.registry().get(process)?;
        read::read(&tracked, offset, limit).await
    }

    /// The processes that are known, by number.
    #[must_use]
    pub fn list(&self) -> Vec<ProcessListing> {
        let all = self.registry().all();
        all.iter().map(|tracked| tracked.listing()).collect()
    }

    /// Ends a process with its descendants, after `grace` if they don't end when asked to, and reports the last of its
    /// output. One that has ended is only reported.
    pub async fn terminate(
        &self,
        process: ProcessNumber,
        grace: Option<Duration>,
        max_output: OutputLimit,
    ) -> Result<Report, UnifiedExecError> {
        let limit = self.check_limit(max_output)?;
        let tracked = self.registry().get(process)?;
        let begin = Instant::now();
        tracked.process.terminate(grace).await?;
        let collect = Collect { yield_time: SETTLE_WITHIN, max_output };
        Ok(self.report(&tracked, begin, &collect, limit).await)
    }

    /// Ends every process with its descendants; no command is taken any more. Returns when all is done.
    pub async fn shut_down(&self) {
        self.followers.close();
        let all = self.registry().all();
        let endings = TaskTracker::new();
        for tracked in all {
            endings.spawn(async move {
                if let Err(error) = tracked.process.terminate(/*grace*/ None).await {
                    tracing::debug!(process = %tracked.number, %error, "process was not ended");
                }
                tracked.settled(Instant::now() + SETTLE_WITHIN, SETTLE_WITHIN).await;
            });
        }
        endings.close();
        endings.wait().await;
        self.stop.cancel();
        self.followers.wait().await;
    }

    fn check(&self, collect: &Collect) -> Result<usize, UnifiedExecError> {
        let longest = self.config.max_yield_time;
        if collect.yield_time > longest {
            return Err(UnifiedExecError::InvalidArgument(format!(
                "yield time must be at most {} ms, got {}; poll for what takes longer",
                longest.as_millis(),
                collect.yield_time.as_millis()
            )));
        }
        self.check_limit(collect.max_output)
    }

    fn check_limit(&self, max_output: OutputLimit) -> Result<usize, UnifiedExecError> {
        let (bytes, most) = (max_output.bytes(), self.config.max_output_bytes);
        if !(OutputLimit::SMALLEST_BYTES..=most).contains(&bytes) {
            return Err(UnifiedExecError::InvalidArgument(format!(
                "output limit must be between {} and {most} bytes (a token counts as 4), got {bytes}",
                OutputLimit::SMALLEST_BYTES
            )));
        }
        Ok(bytes)
    }

    async fn launch(
        &self,
        command: &ExecCommand,
        resolved: &Resolved,
        sandbox: Option<SandboxContext>,
    ) -> Result<Arc<Tracked>, UnifiedExecError> {
        if self.followers.is_closed() {
            return Err(UnifiedExecError::ShutDown);
        }
        self.registry().reserve()?;
        let reserved = Reserved(self);
        // Not its number: what became of an id whose start failed may not be known yet, and the number is used again.
        let start = self.starts.fetch_add(1, Ordering::Relaxed) + 1;
        let id = ProcessId::from(format!("unified-exec-{}-{start}", self.nonce));
        let process = self.backend.start(command.start_params(id, resolved, sandbox)).await?;
        let events = process.subscribe(Seq::START);
        let tracked = self.registry().add(|number| {
            Tracked::new(number, process, resolved.clone(), command.tty, self.config.held_output_bytes)
        });
        self.followers.spawn(Arc::clone(&tracked).follow(events, self.stop.clone()));
        drop(reserved);
        Ok(tracked)
    }

    async fn report(&self, tracked: &Tracked, begin: Instant, collect: &Collect, limit: usize) -> Report {
        tracked.settled(Instant::now() + collect.yield_time, self.config.linger).await;
        let (state, output) = tracked.take(limit);
        Report { process: tracked.number, state, output, wall_time: begin.elapsed(), sandbox_review: None }
    }
}

/// How long ended processes may take to say their last, when everything is ended.
const SETTLE_WITHIN: Duration = Duration::from_secs(2);

impl fmt::Debug for UnifiedExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnifiedExec").field("backend", &self.backend).finish_non_exhaustive()
    }
}

impl Drop for UnifiedExec {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A process of which its caller has not been told yet; ends it when the caller is gone, if that was asked for.
struct Unreported<'a> {
    exec: &'a UnifiedExec,
    tracked: Option<Arc<Tracked>>,
}

impl<'a> Unreported<'a> {
    fn new(exec: &'a UnifiedExec, command: &ExecCommand, tracked: &Arc<Tracked>) -> Self {
        Self { exec, tracked: command.end_if_dropped.then(|| Arc::clone(tracked)) }
    }

    fn disarm(&mut self) {
        self.tracked = None;
    }
}

impl Drop for Unreported<'_> {
    fn drop(&mut self) {
        if let (Some(tracked), Ok(runtime)) = (self.tracked.take(), tokio::runtime::Handle::try_current()) {
            let ending = async move {
                if let Err(error) = tracked.process.terminate(/*grace*/ None).await {
                    tracing::debug!(process = %tracked.number, %error, "abandoned process was not ended");
                }
            };
            self.exec.followers.spawn_on(ending, &runtime);
        }
    }
}

/// A place that is kept for a process that is being started.
struct Reserved<'a>(&'a UnifiedExec);

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.0.registry().release();
    }
}

async fn feed(tracked: &Tracked, input: &WriteStdin) -> Result<(), ExecError> {
    if input.chars == INTERRUPT && !tracked.tty {
        tracked.process.signal(ProcessSignal::Interrupt).await?;
    } else if !input.chars.is_empty() {
        tracked.process.write(Bytes::copy_from_slice(input.chars.as_bytes())).await?;
    }
    if input.close {
        tracked.process.close_stdin().await?;
    }
    Ok(())
}

fn no_stdin(process: ProcessNumber, error: ExecError) -> UnifiedExecError {
    match error {
        ExecError::StdinClosed(_) => UnifiedExecError::NoStdin(process),
        other => other.into(),
    }
}
