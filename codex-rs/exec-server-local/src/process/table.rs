//! The process service: one namespace of process ids, and everything that can be asked of it.
//!
//! Requests on one process take effect in the order in which their futures are first polled: a start takes its place
//! at once, writes and their like queue behind it in turn; reads and signals wait for the start alone.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use codex_exec_server_core::error::ServiceError;
use codex_exec_server_core::event_log::EventLog;
use codex_exec_server_core::idempotency::{Answers, Repeat};
use codex_exec_server_protocol::ids::{ProcessId, RequestKey, WriteId};
use codex_exec_server_protocol::process::{
    EmptyResponse, ExitReason, OutputStream, ProcessCloseStdinParams, ProcessListResponse, ProcessReadParams,
    ProcessReadResponse, ProcessResizeParams, ProcessSignalParams, ProcessStartParams, ProcessStartResponse,
    ProcessTerminateParams, ProcessTerminateResponse, ProcessWriteParams, ProcessWriteResponse, SandboxType,
    WriteStatus,
};
use tokio::sync::{OwnedMutexGuard, SetOnce};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::audience::Held;
use super::bridge::carry;
use super::follow::{Follow, FollowId, Following};
use super::handle::{Crew, Process};
use super::host::ProcessHost;
use super::input::{Input, Stdin, StdinState};
use super::kill::{end, give_notice};
use super::reading::Reading;
use super::shell::Snapshots;
use super::signal::os_signal;
use super::start::{self, Born, Confinement, Plan};
use super::stdin::StdinPipe;
use super::supervise::supervise;
use super::tap::Tap;
use crate::os;

/// What became of a start: known once, told to every repeat.
type StartOutcome = Arc<SetOnce<Result<ProcessStartResponse, ServiceError>>>;

/// A start under way, or one that is remembered by its key.
#[derive(Clone)]
struct Start {
    outcome: StartOutcome,
    /// Gone when it failed, or was forgotten.
    process: Weak<Process>,
}

/// See the module.
pub struct ProcessTable {
    pub(super) host: Arc<ProcessHost>,
    inner: Mutex<Inner>,
    snapshots: Snapshots,
    tasks: TaskTracker,
    /// Set by the end of the session: nothing starts any more.
    ended: CancellationToken,
}

pub(super) struct Inner {
    pub(super) processes: HashMap<ProcessId, Arc<Process>>,
    /// Closed processes, oldest first, and when each was closed.
    closed: VecDeque<(Instant, Arc<Process>)>,
    /// How long each stays readable from then on.
    retention: Duration,
    /// Whether a task is forgetting them.
    forgetting: bool,
    answers: Answers<RequestKey, Start>,
    /// The connection that holds the session; see [`super::followers`].
    pub(super) follower: Option<Following>,
    /// Connections that watch.
    pub(super) watchers: Vec<Following>,
}

impl ProcessTable {
    /// An empty table.
    #[must_use]
    pub fn new(host: Arc<ProcessHost>) -> Arc<Self> {
        let inner = Inner {
            processes: HashMap::new(),
            closed: VecDeque::new(),
            retention: host.limits.closed_process_retention,
            forgetting: false,
            answers: Answers::new(host.limits.remembered_request_keys),
            follower: None,
            watchers: Vec::new(),
        };
        Arc::new(Self {
            host,
            inner: Mutex::new(inner),
            snapshots: Snapshots::default(),
            tasks: TaskTracker::new(),
            ended: CancellationToken::new(),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change under this lock is a single insertion or removal.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closed processes stay readable for this long, if that is more than the server's own bound. One that is about to be
    /// forgotten may stay a little longer when the time becomes shorter.
    pub fn keep_closed_for(&self, lifetime: Duration) {
        self.lock().retention = lifetime.max(self.host.limits.closed_process_retention);
    }

    pub(super) fn find(&self, id: &ProcessId) -> Result<Arc<Process>, ServiceError> {
        self.lock().processes.get(id).cloned().ok_or_else(|| ServiceError::UnknownProcess(id.clone()))
    }

    /// `process/start`. Goes on to its end even if the caller does not wait for it. The process's events are not
    /// pushed before [`Self::announce`].
    pub async fn start(
        self: &Arc<Self>,
        params: ProcessStartParams,
    ) -> Result<ProcessStartResponse, ServiceError> {
        let start = self.begin_start(params)?;
        start.outcome.wait().await.clone()
    }

    /// A start for somebody on this machine, who reads the process as one of its audience. A process that nobody waits
    /// for any more when it has started is ended.
    pub(crate) async fn start_held(
        self: &Arc<Self>,
        params: ProcessStartParams,
    ) -> Result<Held, ServiceError> {
        let id = params.process_id.clone();
        let start = self.begin_start(params)?;
        let held = start.process.upgrade().map(Held::new);
        drop(start.process);
        start.outcome.wait().await.clone()?;
        let held = held.ok_or(ServiceError::UnknownProcess(id))?;
        held.claim();
        Ok(held)
    }

    /// The part of a start that happens at once: the id is taken and later requests find it.
    fn begin_start(self: &Arc<Self>, params: ProcessStartParams) -> Result<Start, ServiceError> {
        let plan = start::plan(&self.host, &params)?;
        let fingerprint = params.request_key.as_ref().map_or(0, |_| start::fingerprint(&params));
        let outcome: StartOutcome = Arc::default();
        let mut inner = self.lock();
        if let Some(key) = &params.request_key {
            match inner.answers.check(key, fingerprint) {
                Repeat::New => {}
                Repeat::Known(first) => return Ok(first),
                Repeat::Mismatch => return Err(ServiceError::RequestKeyMismatch(key.clone())),
            }
        }
        if self.ended.is_cancelled() {
            return Err(ServiceError::WrongState("session has ended".into()));
        }
        if inner.processes.contains_key(&params.process_id) {
            return Err(ServiceError::ProcessExists(params.process_id));
        }
        inner.make_room(self.host.limits.processes_per_session)?;
        let Plan { mut command, confinement, snapshot, about, log, when_full } = plan;
        let id = params.process_id;
        let mut reading = Reading::new(EventLog::new(log), when_full, inner.follower.is_some());
        reading.watchers = inner.watchers.iter().cloned().map(Follow::from_start).collect();
        let crew = Crew { tasks: self.tasks.clone(), ended: self.ended.clone() };
        let process =
            Arc::new(Process::new(id.clone(), about, Arc::clone(&self.host), crew.clone(), reading));
        // Held before anybody else can find the process, so whatever is asked of its stdin queues behind its start.
        let stdin = Arc::clone(&process.stdin).try_lock_owned().expect("nobody else knows of it yet");
        inner.processes.insert(id, Arc::clone(&process));
        let start = Start { outcome: Arc::clone(&outcome), process: Arc::downgrade(&process) };
        if let Some(key) = params.request_key {
            inner.answers.record(key, fingerprint, start.clone());
        }
        drop(inner);
        // `execve` may hang on a slow file system, so a thread that may is where all of the birth happens.
        let table = Arc::clone(self);
        let Some(wanted) = snapshot else {
            self.tasks.spawn_blocking(move || table.bear(process, &command, confinement, stdin, &outcome));
            return Ok(start);
        };
        self.tasks.spawn(async move {
            let restoring =
                table.snapshots.restore(&table.host, &crew, wanted, &mut command, confinement.as_ref());
            tokio::select! {
                () = restoring => {}
                // Somebody wants to act on it: it starts as it is.
                _ = process.hurried.wait() => {}
                () = crew.ended.cancelled() => {}
            }
            crew.tasks.spawn_blocking(move || table.bear(process, &command, confinement, stdin, &outcome));
        });
        Ok(start)
    }

    /// Starts a registered process, and has it supervised. Within the runtime, on a thread that may wait.
    fn bear(
        self: Arc<Self>,
        process: Arc<Process>,
        command: &os::Command,
        confinement: Option<Confinement>,
        mut stdin: OwnedMutexGuard<Stdin>,
        outcome: &SetOnce<Result<ProcessStartResponse, ServiceError>>,
    ) {
        let id = process.id.clone();
        let started = Instant::now();
        let (mut confined, mut bridges) = (false, Vec::new());
        let born = match catch_unwind(AssertUnwindSafe(|| start::spawn(&self.host, command, confinement))) {
            Ok(Ok(Born { spawned, held, bridges: led })) => {
                (confined, bridges) = (held.is_some(), led);
                process.hold(held);
                self.adopt(&process, spawned, &mut stdin)
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(ServiceError::Internal(format!("start of process {id} panicked"))),
        };
        if born.is_err() {
            self.lock().processes.remove(&id);
        }
        // A second setting is impossible: only this sets them.
        let _ = process.started.set(born.is_ok());
        drop(stdin);
        match born {
            Ok((taps, child, stdin)) => {
                let response = ProcessStartResponse {
                    process_id: id,
                    sandbox_type: Some(if confined { SandboxType::LinuxSeccomp } else { SandboxType::None }),
                };
                if self.ended.is_cancelled() {
                    self.tasks.spawn(end(Arc::clone(&process), ExitReason::Terminated));
                }
                let table = Arc::clone(&self);
                self.tasks.spawn(async move {
                    let supervised = supervise(started, Arc::clone(&process), child, taps, stdin);
                    if bridges.is_empty() {
                        supervised.await;
                    } else {
                        // Nobody is left to use them when it is over.
                        tokio::select! {
                            () = supervised => {}
                            () = carry(bridges) => {}
                        }
                    }
                    table.retire(process);
                });
                let _ = outcome.set(Ok(response));
            }
            Err(error) => {
                let _ = outcome.set(Err(error));
            }
        }
    }

    /// Takes a newborn process's descriptors into the runtime.
    #[expect(clippy::type_complexity, reason = "the three parts go straight to the supervisor")]
    fn adopt(
        &self,
        process: &Process,
        spawned: os::Spawned,
        stdin: &mut Stdin,
    ) -> Result<(Vec<Tap>, Arc<os::Child>, Option<Arc<StdinPipe>>), ServiceError> {
        let child = Arc::new(spawned.child);
        let tap = |fd, stream| {
            Tap::new(fd, stream).map_err(|error| {
                // Without its descriptors the child can't be served; it must not outlive this.
                let _ = child.signal_group(os::Signal::KILL);
                ServiceError::Internal(format!(
                    "descriptors of process {} can't be watched: {error}",
                    process.id
                ))
            })
        };
        let limit = self.host.limits.queued_stdin_bytes;
        let (taps, pipe) = match spawned.output {
            os::Output::Pipes { stdout, stderr } => {
                let taps = vec![tap(stdout, OutputStream::Stdout)?, tap(stderr, OutputStream::Stderr)?];
                (taps, spawned.stdin.map(|fd| Arc::new(StdinPipe::new(fd, limit))))
            }
            os::Output::Pty { master } => {
                // A number of its own, since the two directions are watched apart.
                let input = master.try_clone().map_err(|error| {
                    let _ = child.signal_group(os::Signal::KILL);
                    ServiceError::Internal(format!("terminal of process {}: {error}", process.id))
                })?;
                let taps = vec![tap(master, OutputStream::Pty)?];
                (taps, Some(Arc::new(StdinPipe::new(input, limit))))
            }
        };
        stdin.state = match &pipe {
            Some(pipe) => StdinState::Open(Arc::clone(pipe)),
            None => StdinState::None,
        };
        process.set_child(Arc::clone(&child));
        Ok((taps, child, pipe))
    }

    /// A process is closed: it stays readable for its time.
    fn retire(self: &Arc<Self>, process: Arc<Process>) {
        process.let_go_of_child();
        let mut inner = self.lock();
        inner.closed.push_back((Instant::now(), process));
        if !inner.forgetting {
            inner.forgetting = true;
            let (table, ended) = (Arc::downgrade(self), self.ended.clone());
            self.tasks.spawn(async move {
                while let Some(due) = table.upgrade().and_then(|table| table.lock().next_to_forget()) {
                    tokio::select! {
                        () = tokio::time::sleep_until(due) => {}
                        () = ended.cancelled() => return,
                    }
                    let Some(table) = table.upgrade() else { return };
                    table.lock().forget(Instant::now());
                }
            });
        }
    }

    /// `process/read`, by whoever follows.
    pub async fn read(&self, params: ProcessReadParams) -> Result<ProcessReadResponse, ServiceError> {
        let by = self.lock().follower.as_ref().map(|follower| follower.id);
        self.read_for(by, params).await
    }

    /// `process/read`, by the follower `by`: what it reads of what it missed need not be kept for it any longer.
    pub async fn read_by(
        &self,
        by: FollowId,
        params: ProcessReadParams,
    ) -> Result<ProcessReadResponse, ServiceError> {
        self.read_for(Some(by), params).await
    }

    async fn read_for(
        &self,
        by: Option<FollowId>,
        params: ProcessReadParams,
    ) -> Result<ProcessReadResponse, ServiceError> {
        let wait = Duration::from_millis(params.wait_ms.unwrap_or(0));
        let process = self.find(&params.process_id)?;
        process.read(by, params.after_seq.unwrap_or_default(), params.max_bytes, wait).await
    }

    /// `process/write`
    pub async fn write(&self, params: ProcessWriteParams) -> Result<ProcessWriteResponse, ServiceError> {
        self.feed(&params.process_id, params.write_id, Input::Bytes(params.chunk.0)).await
    }

    /// `process/closeStdin`
    pub async fn close_stdin(
        &self,
        params: ProcessCloseStdinParams,
    ) -> Result<ProcessWriteResponse, ServiceError> {
        self.feed(&params.process_id, params.write_id, Input::End).await
    }

    async fn feed(
        &self,
        id: &ProcessId,
        write_id: WriteId,
        input: Input,
    ) -> Result<ProcessWriteResponse, ServiceError> {
        if write_id.as_str().is_empty() {
            return Err(ServiceError::InvalidArgument("writeId must not be empty".into()));
        }
        let status = match self.find(id) {
            Ok(process) => process.feed_once(write_id, input).await?,
            Err(_) => WriteStatus::UnknownProcess,
        };
        Ok(ProcessWriteResponse { status })
    }

    /// `process/resize`. In turn with writes.
    pub async fn resize(&self, params: ProcessResizeParams) -> Result<EmptyResponse, ServiceError> {
        // What is wrong with the request itself is said first.
        start::check_size(params.rows, params.cols)?;
        let process = self.find(&params.process_id)?;
        process.resize(os::Size { rows: params.rows, cols: params.cols }).await?;
        Ok(EmptyResponse {})
    }

    /// `process/signal`: to the process group. Unknown and dead processes are no failure.
    pub async fn signal(&self, params: ProcessSignalParams) -> Result<EmptyResponse, ServiceError> {
        if let Ok(process) = self.find(&params.process_id) {
            process.signal(os_signal(params.signal)).await;
        }
        Ok(EmptyResponse {})
    }

    /// `process/terminate`: ends the process and every descendant, and tells when that is done.
    ///
    /// With a key, only the process whose start had it; whatever else has the id by now is left alone. Once begun it goes
    /// on to its end even if the caller does not wait for it.
    pub async fn terminate(
        &self,
        params: ProcessTerminateParams,
    ) -> Result<ProcessTerminateResponse, ServiceError> {
        let meant = |process: &Arc<Process>| {
            params.request_key.is_none() || process.about.request_key == params.request_key
        };
        let Some(process) = self.find(&params.process_id).ok().filter(meant) else {
            return Ok(ProcessTerminateResponse { running: false, survivors: None });
        };
        self.terminate_process(process, Duration::from_millis(params.grace_ms.unwrap_or(0))).await
    }

    pub(crate) async fn terminate_process(
        &self,
        process: Arc<Process>,
        grace: Duration,
    ) -> Result<ProcessTerminateResponse, ServiceError> {
        process.hurry();
        if !*process.started.wait().await || process.is_closed() {
            return Ok(ProcessTerminateResponse { running: false, survivors: None });
        }
        let running = !process.is_exited();
        let ending = self.tasks.spawn(async move {
            if running && !grace.is_zero() {
                give_notice(&process, grace).await;
            }
            end(process, ExitReason::Terminated).await
        });
        match ending.await {
            Ok(report) => {
                Ok(ProcessTerminateResponse { running, survivors: Some(report.survivors.len() as u64) })
            }
            Err(panic) => Err(ServiceError::Internal(format!("terminate failed: {panic}"))),
        }
    }

    /// `process/list`
    #[must_use]
    pub fn list(&self) -> ProcessListResponse {
        let mut processes: Vec<_> = self.lock().processes.values().map(|process| process.summary()).collect();
        processes.sort_by(|a, b| (a.started_at_ms, &a.process_id).cmp(&(b.started_at_ms, &b.process_id)));
        ProcessListResponse { processes }
    }

    /// The session is over: every process is ended with its descendants, and nothing starts any more. Returns when
    /// all is done.
    pub async fn shut_down(&self) {
        let processes: Vec<_> = {
            let mut inner = self.lock();
            self.ended.cancel();
            (inner.follower, inner.watchers) = (None, Vec::new());
            inner.processes.values().cloned().collect()
        };
        for process in processes {
            if process.started.get() == Some(&true) && !process.is_closed() {
                self.tasks.spawn(end(process, ExitReason::Terminated));
            }
        }
        let forgotten = {
            let mut inner = self.lock();
            inner.closed.clear();
            std::mem::take(&mut inner.processes)
        };
        self.tasks.close();
        self.tasks.wait().await;
        drop(forgotten);
        // Those that were closed only now: their output goes with the session.
        self.lock().closed.clear();
    }
}

impl Inner {
    /// Makes room for one more process, if need be by forgetting closed ones that were wholly delivered.
    fn make_room(&mut self, limit: usize) -> Result<(), ServiceError> {
        while self.processes.len() >= limit {
            match self.closed.front() {
                Some((_, process)) if process.is_delivered() => self.forget_front(),
                _ => return Err(ServiceError::TooManyProcesses(limit)),
            }
        }
        Ok(())
    }

    fn next_to_forget(&mut self) -> Option<Instant> {
        let due = self.closed.front().map(|(since, _)| *since + self.retention);
        self.forgetting = due.is_some();
        due
    }

    fn forget(&mut self, now: Instant) {
        while self.closed.front().is_some_and(|(since, _)| *since + self.retention <= now) {
            self.forget_front();
        }
    }

    fn forget_front(&mut self) {
        if let Some((_, process)) = self.closed.pop_front() {
            self.processes.remove(&process.id);
        }
    }
}
