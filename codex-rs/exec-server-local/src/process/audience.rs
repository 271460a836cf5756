//! Readers on this machine: any number of them for one process, each at its own pace.
//!
//! A process goes by the furthest of its readers: what that one has not taken is kept, and the process waits rather than
//! lose it. The others replay what the log still holds, so a reader that stops hurts neither the process nor anybody
//! else; what it finds gone when it goes on, it is told. When the last handle is gone nobody can ever read again, and
//! the process never waits any more.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use codex_exec_server_core::error::ServiceError;
use codex_exec_server_core::event_log::{EventLog, Floor};
use codex_exec_server_core::log_cursor::LogCursor;
use codex_exec_server_core::process_event::ExecProcessEvent;
use codex_exec_server_core::service::ExecError;
use codex_exec_server_protocol::ids::Seq;
use codex_exec_server_protocol::process::ProcessReadResponse;

use super::Process;

/// Who reads a process on this machine.
#[derive(Debug, Default)]
pub(super) struct Audience {
    /// Handles and subscriptions: those who can read, or begin to.
    holders: usize,
    /// Whether a start has handed the process out.
    claimed: bool,
    subscribers: usize,
    /// The position through which some reader has everything; `None` before the first has come.
    furthest: Option<Seq>,
}

impl Audience {
    /// What the log must keep on their account, if there are any to speak for.
    pub(super) fn floor(&self) -> Option<Floor> {
        if self.claimed && self.holders == 0 {
            return Some(Floor::Free);
        }
        self.furthest.map(|seq| if self.subscribers > 0 { Floor::Taken(seq) } else { Floor::Keep(seq) })
    }

    /// Whether somebody has had everything, or nobody can any more.
    pub(super) fn is_done(&self, log: &EventLog) -> bool {
        (self.claimed && self.holders == 0) || self.furthest.is_some_and(|seq| seq >= log.last())
    }

    /// A reader has everything through `seq`. Returns whether it is the first to.
    fn took(&mut self, seq: Seq, log: &EventLog) -> bool {
        // Positions that don't exist yet are nobody's.
        let seq = Some(seq.min(log.last()));
        let further = seq > self.furthest;
        self.furthest = self.furthest.max(seq);
        further
    }
}

/// A hold on a process: it is somebody's to read.
pub(crate) struct Held(Arc<Process>);

impl Deref for Held {
    type Target = Arc<Process>;

    fn deref(&self) -> &Arc<Process> {
        &self.0
    }
}

impl Held {
    pub(super) fn new(process: Arc<Process>) -> Self {
        process.reading().audience.holders += 1;
        Self(process)
    }

    /// The start is over and has handed the process out; from now on it lives its own life.
    pub(super) fn claim(&self) {
        self.reading().audience.claimed = true;
    }

    /// As [`Process::read`]. The reader counts as having everything through `after`.
    pub(crate) async fn read(
        &self,
        after: Seq,
        max_bytes: Option<u64>,
        wait: Duration,
    ) -> Result<ProcessReadResponse, ServiceError> {
        self.change(|audience, log| audience.took(after, log));
        self.0.read(after, max_bytes, wait).await
    }

    fn change(&self, change: impl FnOnce(&mut Audience, &mut EventLog) -> bool) {
        let mut reading = self.reading();
        let before = reading.log.retained_bytes();
        let super::handle::Reading { log, audience, .. } = &mut *reading;
        if change(audience, log) {
            reading.settle(&self.host, before);
            drop(reading);
            self.drained.notify_one();
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut unwanted = false;
        self.change(|audience, _| {
            audience.holders -= 1;
            unwanted = audience.holders == 0 && !audience.claimed;
            audience.holders == 0
        });
        if unwanted {
            let _ = self.unwanted.set(());
        }
    }
}

/// One subscription to a process's events.
pub(crate) struct Subscription {
    held: Held,
    cursor: LogCursor,
}

impl Subscription {
    /// The events after `after`.
    pub(crate) fn new(held: &Held, after: Seq) -> Self {
        let held = Held::new(Arc::clone(held));
        let cursor = LogCursor::new(after, &mut held.reading().log);
        held.change(|audience, log| {
            audience.subscribers += 1;
            audience.took(after, log);
            true
        });
        Self { held, cursor }
    }

    /// The next event; see [`LogCursor::next`]. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<Result<ExecProcessEvent, ExecError>> {
        loop {
            let grew = self.held.0.grew.notified();
            let mut next = None;
            let cursor = &mut self.cursor;
            self.held.change(|audience, log| {
                next = cursor.next(log);
                next.is_some() && audience.took(cursor.position(), log)
            });
            if next.is_some() || self.cursor.is_ended() {
                return next;
            }
            grew.await;
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.held.change(|audience, _| {
            audience.subscribers -= 1;
            true
        });
    }
}
