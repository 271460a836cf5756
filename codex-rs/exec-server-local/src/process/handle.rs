//! One process as its readers see it: a log, those who wait for it to grow, and the ways to act on it.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use codex_exec_server_core::error::ServiceError;
use codex_exec_server_core::event_log::{Chunk, EventLog, Exit, Page, PageReader, Room};
use codex_exec_server_protocol::ids::{ProcessId, RequestKey, Seq};
use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_protocol::process::{
    ExitReason, OutputStream, ProcessOutputChunk, ProcessReadResponse, ProcessState, ProcessSummary,
};
use codex_linux_sandbox::{Denial, Held};
use tokio::sync::{Notify, SetOnce};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::follow::{Acknowledgement, Follow, FollowId, Following};
use super::host::{Holding, ProcessHost};
use super::input::Stdin;
use super::reading::Reading;
use super::spool::SpoolFile;
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
    /// Set when somebody wants to act on it who would have to wait for its start.
    pub(super) hurried: SetOnce<()>,
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
    /// What the log keeps in a file.
    pub(super) spool: SpoolFile,
    pub(super) crew: Crew,
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

/// Who sees to what goes on for a process beside its requests: its table.
#[derive(Debug, Clone)]
pub(super) struct Crew {
    pub(super) tasks: TaskTracker,
    /// Set when the table ends.
    pub(super) ended: CancellationToken,
}

impl Process {
    pub(super) fn new(
        id: ProcessId,
        about: About,
        host: Arc<ProcessHost>,
        crew: Crew,
        reading: Reading,
    ) -> Self {
        Self {
            id,
            about,
            started: SetOnce::new(),
            hurried: SetOnce::new(),
            os_pid: OnceLock::new(),
            child: Mutex::default(),
            held: Mutex::default(),
            stdin: Arc::new(tokio::sync::Mutex::new(Stdin::new(host.limits.remembered_write_ids))),
            ending: Mutex::new(None),
            killed: SetOnce::new(),
            unwanted: SetOnce::new(),
            reading: Mutex::new(reading),
            spool: SpoolFile::new(),
            crew,
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

    /// Its start is not to wait for anything that only saves time.
    pub(super) fn hurry(&self) {
        // Who comes second finds it in a hurry already.
        let _ = self.hurried.set(());
    }

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

    /// What it was kept from, if that is known; to be asked once, when it has ended.
    pub(super) fn denials(&self) -> Option<Vec<Denial>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(Held::denials)
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

    fn push(self: &Arc<Self>, push: impl FnOnce(&mut EventLog)) {
        self.change_reading(|reading| {
            push(&mut reading.log);
            true
        });
        self.grew.notify_waiters();
    }

    /// How much of its output may be taken before it is asked again whether the log has room.
    pub(super) fn taken_at_once(&self) -> usize {
        self.host.limits.log.taken_bytes()
    }

    /// Whether the log has no room, and if so when it may have some without anybody reading.
    pub(super) fn must_wait(self: &Arc<Self>) -> Option<Option<Instant>> {
        let now = Instant::now();
        let mut reading = self.reading();
        match reading.log.room(now.into_std(), self.host.means()) {
            Room::Open => return None,
            Room::Until(until) => return Some(Some(until.into())),
            Room::Full => {}
        }
        // Only now does it matter whether the time to catch up is over.
        if reading.follow.as_ref().and_then(Follow::expires_at).is_some_and(|until| until <= now) {
            drop(reading);
            self.give_up_what_was_missed(now);
            reading = self.reading();
            if reading.log.room(now.into_std(), self.host.means()) == Room::Open {
                return None;
            }
        }
        let expires_at = reading.follow.as_ref().and_then(Follow::expires_at);
        Some(expires_at.into_iter().chain(self.host.spool.retry_at()).min())
    }

    /// What nobody read in time may go, and what follows it is pushed.
    fn give_up_what_was_missed(self: &Arc<Self>, now: Instant) {
        self.change_reading(|reading| {
            reading.expire(now);
            true
        });
    }

    // What followers and readers do.

    /// Nothing if it follows already, as after a start that was repeated: no event is told twice.
    pub(super) fn follow_from_start(self: &Arc<Self>, following: Following) {
        if self.reading().follow.as_ref().is_some_and(|follow| follow.id == following.id) {
            return;
        }
        self.set_follow(Follow::from_start(following));
    }

    /// A follower says how far its readers are.
    pub(super) fn acknowledge(self: &Arc<Self>, id: FollowId, word: Acknowledgement) {
        self.change_reading(|reading| {
            let Some((follow, log)) = reading.follower(id) else { return false };
            follow.acknowledge(word, log);
            true
        });
    }

    pub(super) fn follow_from_now(self: &Arc<Self>, following: Following) {
        let (id, mut until) = (following.id, None);
        self.change_reading(|reading| {
            reading.let_go();
            let (sent, now) = (reading.had.through(), Instant::now());
            let follow = Follow::from_now(following, &mut reading.log, sent, now);
            until = follow.expires_at().filter(|_| follow.is_held());
            reading.follow = Some(follow);
            reading.is_attached = true;
            true
        });
        self.see_to_time(id, until);
    }

    /// `following` watches, beside whoever holds the session, what comes from now on.
    pub(super) fn watch_from_now(self: &Arc<Self>, following: Following) {
        let (id, mut until) = (following.id, None);
        self.change_reading(|reading| {
            let follow = Follow::joining(following, &mut reading.log, Instant::now());
            until = follow.expires_at();
            reading.watchers.push(follow);
            true
        });
        self.see_to_time(id, until);
    }

    /// `id` watches no more.
    pub(super) fn unwatch(self: &Arc<Self>, id: FollowId) {
        self.change_reading(|reading| {
            reading.watchers.retain(|watcher| watcher.id != id);
            reading.watchers.shrink_to_fit();
            true
        });
    }

    /// Has what `id` missed given up in time, if it does not read it.
    fn see_to_time(self: &Arc<Self>, id: FollowId, until: Option<Instant>) {
        let Some(until) = until else { return };
        let (process, ended) = (Arc::clone(self), self.crew.ended.clone());
        self.crew.tasks.spawn(async move {
            tokio::select! {
                () = process.push_on_behind_what_was_missed(id, until) => {}
                () = ended.cancelled() => {}
            }
        });
    }

    /// Waits until `id` has read what it missed, or does not read it in time.
    async fn push_on_behind_what_was_missed(self: &Arc<Self>, id: FollowId, mut until: Instant) {
        loop {
            tokio::time::sleep_until(until).await;
            let mut reading = self.reading();
            let Some((follow, _)) = reading.follower(id) else { return };
            match follow.expires_at() {
                Some(at) if at <= Instant::now() => {
                    drop(reading);
                    return self.give_up_what_was_missed(Instant::now());
                }
                Some(at) => until = at,
                None => return,
            }
        }
    }

    fn set_follow(self: &Arc<Self>, follow: Follow) {
        self.change_reading(|reading| {
            reading.follow = Some(follow);
            reading.is_attached = true;
            true
        });
    }

    /// `id` is gone; if it held the session, nobody does.
    pub(super) fn unfollow(self: &Arc<Self>, id: FollowId) {
        self.change_reading(|reading| {
            if reading.follow.as_ref().is_some_and(|follow| follow.id != id) {
                return false;
            }
            reading.let_go();
            true
        });
    }

    /// Whether the process is over and whoever reads it has had everything.
    pub(super) fn is_delivered(&self) -> bool {
        let reading = self.reading();
        let followed = reading.follow.as_ref().is_some_and(|follow| follow.is_done(&reading.log));
        reading.log.is_closed() && (followed || reading.audience.is_done(&reading.log))
    }

    /// `process/read`. Waits as long as asked while there is nothing new; a terminal event that the reader has not
    /// seen is new. `by`: the follower that reads, if one does.
    pub(super) async fn read(
        self: &Arc<Self>,
        by: Option<FollowId>,
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
        let mut page = PageReader::new(after, max_bytes);
        loop {
            let (mut filed, mut response) = (None, None);
            self.change_reading(|reading| {
                filed = page.read(&mut reading.log);
                if filed.is_some() {
                    return false;
                }
                let page = page.page(&reading.log);
                let next = page.next;
                // As of this page: being read may let go of some of it.
                response = Some(response_of(&reading.log, page));
                if let Some((follow, _)) = by.and_then(|by| reading.follower(by)) {
                    follow.was_read(after, next, Instant::now());
                }
                true
            });
            match (filed, response) {
                (Some(segment), _) => {
                    let stored = self.spool.fetch(&segment).await;
                    self.change_reading(|reading| {
                        page.fetch(&mut reading.log, &segment, stored);
                        true
                    });
                }
                (None, response) => return Ok(response.expect("it was made")),
            }
        }
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

fn response_of(log: &EventLog, page: Page) -> ProcessReadResponse {
    let chunk = |chunk: Chunk| ProcessOutputChunk {
        seq: chunk.seq,
        stream: chunk.stream,
        chunk: chunk.bytes.into(),
        offset: Some(chunk.offset),
    };
    ProcessReadResponse {
        chunks: page.chunks.into_iter().map(chunk).collect(),
        next_seq: page.next,
        exited: log.exit().is_some(),
        exit_code: log.exit().map(|exit| exit.code),
        closed: log.is_closed(),
        failure: None,
        sandbox_denied: Some(log.exit().is_some_and(|exit| exit.sandbox_denied)),
        dropped: log.dropped(),
        output_bytes: Some(log.totals().output_bytes),
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let held = Holding::of(&self.reading().log);
        self.host.account(held, Holding::default());
    }
}
