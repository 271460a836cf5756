//! Readers on this machine: any number of them for one process, each at its own pace.
//!
//! A process goes by the furthest of its readers: what that one has not taken is kept, and the process waits rather than
//! lose it. The others read on from the spool, however long they stood still; only what its budget has no room for is
//! gone, and that they are told. When the last handle is gone nobody can ever read again, and the process never waits
//! any more.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use codex_exec_server_core::error::ServiceError;
use codex_exec_server_core::event_log::{EventLog, Interest};
use codex_exec_server_core::log_cursor::{Given, LogCursor};
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
    /// How far each subscription is. Few, and in no order.
    subscribers: Vec<(u64, Seq)>,
    next_subscriber: u64,
    /// The position through which some reader has everything; `None` before the first has come.
    furthest: Option<Seq>,
}

impl Audience {
    /// What there is to be kept on their account, if there are any to speak for.
    pub(super) fn interest(&self) -> Option<Interest> {
        if self.holders == 0 {
            return self.claimed.then_some(Interest::NOTHING);
        }
        let furthest = self.furthest.unwrap_or(Seq::START);
        let slowest = self.subscribers.iter().map(|(_, taken)| *taken).min();
        let wanted = slowest.unwrap_or(furthest);
        Some(Interest {
            keep: Some(furthest),
            wanted,
            unread: wanted,
            sent: None,
            pacer: slowest.map(|_| furthest),
        })
    }

    /// Whether somebody has had everything, or nobody can any more.
    pub(super) fn is_done(&self, log: &EventLog) -> bool {
        (self.claimed && self.holders == 0) || self.furthest.is_some_and(|seq| seq >= log.last())
    }

    fn subscribe(&mut self, after: Seq) -> u64 {
        self.next_subscriber += 1;
        self.subscribers.push((self.next_subscriber, after));
        self.next_subscriber
    }

    /// Subscription `id` has everything through `seq`.
    fn advance(&mut self, id: u64, seq: Seq, log: &EventLog) {
        if let Some((_, taken)) = self.subscribers.iter_mut().find(|(subscriber, _)| *subscriber == id) {
            *taken = seq;
        }
        self.took(seq, log);
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
        self.0.read(/*by*/ None, after, max_bytes, wait).await
    }

    /// Settles what `change` has changed, if it says that it has.
    fn change(&self, change: impl FnOnce(&mut Audience, &mut EventLog) -> bool) {
        self.0.change_reading(|reading| {
            let super::reading::Reading { log, audience, .. } = reading;
            change(audience, log)
        });
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
    id: u64,
    cursor: LogCursor,
}

impl Subscription {
    /// The events after `after`.
    pub(crate) fn new(held: &Held, after: Seq) -> Self {
        let held = Held::new(Arc::clone(held));
        let cursor = LogCursor::new(after, &mut held.reading().log);
        let mut id = 0;
        held.change(|audience, log| {
            id = audience.subscribe(after);
            audience.took(after, log);
            true
        });
        Self { held, id, cursor }
    }

    /// The next event; see [`LogCursor::next`]. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<Result<ExecProcessEvent, ExecError>> {
        loop {
            let Self { held, id, cursor } = self;
            let grew = held.0.grew.notified();
            let mut given = Given::Nothing;
            held.change(|audience, log| {
                given = cursor.next(log);
                let is_event = matches!(given, Given::Event(_));
                if is_event {
                    audience.advance(*id, cursor.position(), log);
                }
                is_event
            });
            match given {
                Given::Event(event) => return Some(event),
                Given::Filed(segment) => {
                    let stored = held.0.spool.fetch(&segment).await;
                    held.change(|_, log| {
                        cursor.fetch(log, &segment, stored);
                        true
                    });
                }
                Given::Nothing if cursor.is_ended() => return None,
                Given::Nothing => grew.await,
            }
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.held.change(|audience, _| {
            audience.subscribers.retain(|(id, _)| *id != self.id);
            true
        });
    }
}
