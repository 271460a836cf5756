//! One process as its readers see it: a log, those who wait for it to grow, and the ways to act on it.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use codex_exec_server_core::error::ServiceError;
use codex_exec_server_core::event_log::{EventLog, Exit, Floor};
use codex_exec_server_protocol::ids::{ProcessId, RequestKey, Seq};
use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_protocol::process::{
    ExitReason, OutputStream, ProcessOutputChunk, ProcessReadResponse, ProcessState, ProcessSummary,
};
use codex_linux_sandbox::Held;
use tokio::sync::{Notify, SetOnce};
use tokio::time::Instant;

use super::audience::Audience;
use super::follow::{Draw, Follow, FollowId, Follower};
use super::host::ProcessHost;
use super::input::Stdin;
use crate::os;

/// Longer waits than this are as good as for ever, and safe to add to any instant.
const LONGEST_WAIT: Duration = Duration::from_secs(30 * 24 * 3600);

/// See the module.
pub struct Process {
    /// The client's name for it.
    pub id: ProcessId,
    pub(super) about: About,
    pub(super) host: Arc<ProcessHost>,
    /// Whether it came to life; unset while that is open.
    pub(super) started: SetOnce<bool>,
    /// The operating system's number for it; unset while it starts.
    os_pid: OnceLock<i32>,
    /// What it is to the operating system, from its birth to its close. A closed process that is only kept to be read
    /// holds no descriptor: thousands of them may be kept.
    child: Mutex<Option<Arc<os::Child>>>,
    /// What must be held until nobody of its tree lives any more.
    held: Mutex<Option<Held>>,
    pub(super) stdin: Arc<tokio::sync::Mutex<Stdin>>,
    pub(super) ending: Mutex<Option<ExitReason>>,
    /// Set when everything that could be killed was killed: streams that are still open don't matter any more.
    pub(super) killed: SetOnce<()>,
    /// Set when everybody who waited for its start has stopped waiting: it is to be ended.
    pub(super) unwanted: SetOnce<()>,
    reading: Mutex<Reading>,
    pub(super) grew: Notify,
    /// Something was taken or read, so that the supervisor may be allowed to read on.
    pub(super) drained: Notify,
}

/// How a process was started.
#[derive(Debug)]
pub(super) struct About {
    pub(super) argv: Vec<String>,
    pub(super) cwd: PathUri,
    pub(super) tty: bool,
    pub(super) started_at_ms: u64,
    pub(super) timeout: Option<Duration>,
    /// The key of the start, by which a client tells this process from others that have had its id.
    pub(super) request_key: Option<RequestKey>,
}

/// A log and who reads it. A connection follows; local callers are an audience. A process has one or the other.
pub(super) struct Reading {
    pub(super) log: EventLog,
    follow: Option<Follow>,
    pub(super) audience: Audience,
    /// What the log keeps while nobody follows.
    unfollowed: Floor,
}

impl Process {
    pub(super) fn new(
        id: ProcessId,
        about: About,
        host: Arc<ProcessHost>,
        log: EventLog,
        unfollowed: Floor,
    ) -> Self {
        Self {
            id,
            about,
            started: SetOnce::new(),
            os_pid: OnceLock::new(),
            child: Mutex::default(),
            held: Mutex::default(),
            stdin: Arc::new(tokio::sync::Mutex::new(Stdin::new(host.limits.remembered_write_ids))),
            ending: Mutex::new(None),
            killed: SetOnce::new(),
            unwanted: SetOnce::new(),
            reading: Mutex::new(Reading { log, follow: None, audience: Audience::default(), unfollowed }),
            grew: Notify::new(),
            drained: Notify::new(),
            host,
        }
    }

    pub(super) fn reading(&self) -> MutexGuard<'_, Reading> {
        // The log's own methods don't panic halfway; a poisoned lock holds a log that is still in order.
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // What those do who act on the operating system's process.

    /// It was born.
    pub(super) fn set_child(&self, child: Arc<os::Child>) {
        // A second birth is impossible: only the task that starts it sets it.
        let _ = self.os_pid.set(child.os_pid());
        *self.child_slot() = Some(child);
    }

    /// What to signal and to end; `None` before its birth and after its close.
    pub(super) fn child(&self) -> Option<Arc<os::Child>> {
        self.child_slot().clone()
    }

    /// It is closed: nothing is left to be signalled or ended.
    pub(super) fn let_go_of_child(&self) {
        *self.child_slot() = None;
    }

    /// It was born into a sandbox.
    pub(super) fn hold(&self, held: Option<Held>) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = held;
    }

    /// Whether a sandbox is around it. Known from its birth to its close.
    pub(super) fn is_confined(&self) -> bool {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// What was held, to be let go of. Nobody of its tree lives any more.
    pub(super) fn take_held(&self) -> Option<Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn child_slot(&self) -> MutexGuard<'_, Option<Arc<os::Child>>> {
        // Only ever replaced as a whole.
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // What the supervisor does.

    pub(super) fn push_output(self: &Arc<Self>, stream: OutputStream, bytes: Vec<u8>) {
        self.push(|log| log.push_output(stream, bytes));
    }

    pub(super) fn push_exited(self: &Arc<Self>, exit: Exit) {
        self.push(|log| log.push_exited(exit));
    }

    pub(super) fn push_closed(self: &Arc<Self>) {
        self.push(EventLog::push_closed);
    }

    fn push(self: &Arc<Self>, change: impl FnOnce(&mut EventLog)) {
        let mut reading = self.reading();
        let before = reading.log.retained_bytes();
        change(&mut reading.log);
        reading.settle(&self.host, before);
        let Reading { log, follow, .. } = &mut *reading;
        let told = follow.as_mut().and_then(|follow| follow.tell(log).then(|| Arc::clone(&follow.follower)));
        drop(reading);
        if let Some(follower) = told {
            follower.ready(Arc::clone(self));
        }
        self.grew.notify_waiters();
    }

    /// Whether the log has no room, and if so when it may have some without anybody reading.
    pub(super) fn must_wait(&self) -> Option<Option<Instant>> {
        let mut reading = self.reading();
        if reading.log.must_wait(self.host.is_crowded()) {
            // Only now does it matter whether the time to catch up is over.
            let before = reading.log.retained_bytes();
            if let Some(follow) = &mut reading.follow {
                follow.expire(Instant::now());
            }
            reading.settle(&self.host, before);
            if reading.log.must_wait(self.host.is_crowded()) {
                return Some(reading.follow.as_ref().and_then(Follow::expires_at));
            }
        }
        None
    }

    // What followers and readers do.

    /// Nothing if `id` follows already, as after a start that was repeated: no event is told twice.
    pub(super) fn follow_from_start(self: &Arc<Self>, id: FollowId, follower: &Arc<dyn Follower>) {
        if self.reading().follow.as_ref().is_some_and(|follow| follow.id == id) {
            return;
        }
        self.set_follow(Follow::from_start(id, Arc::clone(follower)));
    }

    pub(super) fn follow_from_now(self: &Arc<Self>, id: FollowId, follower: &Arc<dyn Follower>) {
        let follow = Follow::from_now(id, Arc::clone(follower), &mut self.reading().log, Instant::now());
        self.set_follow(follow);
    }

    fn set_follow(self: &Arc<Self>, mut follow: Follow) {
        let mut reading = self.reading();
        let before = reading.log.retained_bytes();
        let told = follow.tell(&reading.log).then(|| Arc::clone(&follow.follower));
        reading.follow = Some(follow);
        reading.settle(&self.host, before);
        drop(reading);
        if let Some(follower) = told {
            follower.ready(Arc::clone(self));
        }
        self.drained.notify_one();
    }

    pub(super) fn unfollow(&self, id: FollowId) {
        let mut reading = self.reading();
        if reading.follow.as_ref().is_some_and(|follow| follow.id == id) {
            reading.follow = None;
            let before = reading.log.retained_bytes();
            reading.settle(&self.host, before);
        }
    }

    /// Takes what is new for the follower `id`, about `max_bytes` of output at most. Nothing if it was replaced.
    pub fn draw(&self, id: FollowId, max_bytes: usize) -> Draw {
        let mut reading = self.reading();
        let before = reading.log.retained_bytes();
        let Reading { log, follow, .. } = &mut *reading;
        let Some(follow) = follow.as_mut().filter(|follow| follow.id == id) else { return Draw::default() };
        let draw = follow.draw(log, max_bytes);
        reading.settle(&self.host, before);
        drop(reading);
        self.drained.notify_one();
        draw
    }

    /// Bytes of output that wait for the follower; a measure of whether it is a trickle or a flood.
    pub fn waiting_bytes(&self) -> u64 {
        let reading = self.reading();
        reading.follow.as_ref().map_or(0, |follow| follow.waiting_bytes(&reading.log))
    }

    /// Whether the process is over and whoever reads it has had everything.
    pub(super) fn is_delivered(&self) -> bool {
        let reading = self.reading();
        let followed = reading.follow.as_ref().is_some_and(|follow| follow.is_done(&reading.log));
        reading.log.is_closed() && (followed || reading.audience.is_done(&reading.log))
    }

    /// `process/read`. Waits as long as asked while there is nothing new; a terminal event that the reader has not
    /// seen is new.
    pub(super) async fn read(
        &self,
        after: Seq,
        max_bytes: Option<u64>,
        wait: Duration,
    ) -> Result<ProcessReadResponse, ServiceError> {
        if !*self.started.wait().await {
            return Err(ServiceError::UnknownProcess(self.id.clone()));
        }
        let wait = wait.min(LONGEST_WAIT);
        if !wait.is_zero() {
            // A time-out is no failure: the answer then is what there is.
            let _ = tokio::time::timeout(wait, self.wait_until_ready(after)).await;
        }
        let mut reading = self.reading();
        let page = reading.log.read(after, max_bytes);
        // As of this page: being read may let go of some of it.
        let dropped = reading.log.dropped();
        let before = reading.log.retained_bytes();
        if let Some(follow) = &mut reading.follow {
            follow.was_read(after, page.next, Instant::now());
        }
        reading.settle(&self.host, before);
        let log = &reading.log;
        let response = ProcessReadResponse {
            chunks: page
                .chunks
                .into_iter()
                .map(|chunk| ProcessOutputChunk {
                    seq: chunk.seq,
                    stream: chunk.stream,
                    chunk: chunk.bytes.into(),
                    offset: Some(chunk.offset),
                })
                .collect(),
            next_seq: page.next,
            exited: log.exit().is_some(),
            exit_code: log.exit().map(|exit| exit.code),
            closed: log.is_closed(),
            failure: None,
            sandbox_denied: Some(log.exit().is_some_and(|exit| exit.sandbox_denied)),
            dropped,
            output_bytes: Some(log.totals().output_bytes),
        };
        drop(reading);
        self.drained.notify_one();
        Ok(response)
    }

    async fn wait_until_ready(&self, after: Seq) {
        loop {
            let grew = self.grew.notified();
            if self.reading().log.is_ready(after) {
                return;
            }
            grew.await;
        }
    }

    /// Notes why the process is about to end. The first reason counts.
    pub(super) fn set_ending(&self, reason: ExitReason) {
        let mut ending = self.ending.lock().unwrap_or_else(PoisonError::into_inner);
        ending.get_or_insert(reason);
    }

    /// Resolves when the process itself has ended.
    pub(super) async fn exited(&self) {
        loop {
            let grew = self.grew.notified();
            if self.is_exited() || self.is_closed() {
                return;
            }
            grew.await;
        }
    }

    pub(super) fn is_exited(&self) -> bool {
        self.reading().log.exit().is_some()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.reading().log.is_closed()
    }

    pub(super) fn summary(&self) -> ProcessSummary {
        let reading = self.reading();
        let log = &reading.log;
        let state = match (self.started.get(), log.exit(), log.is_closed()) {
            (None | Some(false), ..) => ProcessState::Starting,
            (Some(true), _, true) => ProcessState::Closed,
            (Some(true), Some(_), false) => ProcessState::Exited,
            (Some(true), None, false) => ProcessState::Running,
        };
        ProcessSummary {
            process_id: self.id.clone(),
            state,
            argv: self.about.argv.clone(),
            cwd: self.about.cwd.clone(),
            tty: self.about.tty,
            os_pid: self.os_pid.get().and_then(|&os_pid| u32::try_from(os_pid).ok()),
            started_at_ms: self.about.started_at_ms,
            exit_code: log.exit().map(|exit| exit.code),
            last_seq: log.last(),
            output_bytes: log.totals().output_bytes,
            dropped: log.dropped(),
        }
    }
}

impl Reading {
    /// Brings floor, retention and the host's account in line with what has changed.
    pub(super) fn settle(&mut self, host: &ProcessHost, before: u64) {
        let floor = match (&self.follow, self.unfollowed) {
            (_, Floor::Free) => Floor::Free,
            (Some(follow), _) => follow.floor(),
            (None, unfollowed) => self.audience.floor().unwrap_or(unfollowed),
        };
        self.log.set_floor(floor);
        self.log.trim(host.is_crowded());
        host.account(before, self.log.retained_bytes());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let retained = self.reading().log.retained_bytes();
        self.host.account(retained, /*after*/ 0);
    }
}
