//! Output that is gathered into fewer messages, for a client that asked for that. Flag `outputPacking`.
//!
//! What a message costs a browser hardly depends on its length. So pieces of output wait for each other for an interval that
//! the client named: a page paints no sooner. But who has been silent for that long is heard at once, with all that waits: the
//! echo of a key does not stand behind another process's lines. Everything that is no output waits for nothing here, and what
//! a process says never overtakes what it said before.
//!
//! No more is held than one message, and that no longer than the interval. What is held when a connection ends is lost with it
//! like all that was under way; the log has it.

use std::collections::{HashMap, VecDeque};
use std::future::pending;
use std::time::{Duration, Instant};

use bytes::Bytes;
use codex_exec_server_protocol::binary::Pack;
use codex_exec_server_protocol::ids::ProcessId;
use codex_exec_server_transport::{MessageWriter, WriteError};
use tokio::time::sleep_until;

/// Whatever a client names, it waits no longer.
const LONGEST: Duration = Duration::from_millis(100);
/// What is gathered goes when it is so much.
const FULL_BYTES: usize = 64 << 10;
/// A piece beyond this goes by itself, from where it is kept: what would be saved is less than what a copy costs.
const LARGE_BYTES: usize = 16 << 10;
/// Processes that are heard at once within an interval. Of hundreds that each speak now and then, the others wait.
const LEADS: usize = 4;

/// What becomes of a piece of output.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It waits, until [`Packing::becomes_due`].
    Gathered,
    /// It is in the pack, which goes now.
    Full,
    /// It goes by itself, behind the pack.
    Alone,
}

/// See the module. Of one connection.
#[derive(Debug, Default)]
pub(super) struct Packing {
    pack: Pack,
    /// When the pack is to go, while there is something in it that waits.
    due: Option<Instant>,
    /// When each process spoke last. Whoever has been silent for longer than any interval is forgotten with the next message.
    spoke: HashMap<ProcessId, Instant>,
    /// When somebody was heard at once, the latest [`LEADS`] of them.
    leads: VecDeque<Instant>,
}

/// The interval for a client that named one.
pub(super) fn interval(asked_ms: Option<u64>) -> Option<Duration> {
    asked_ms.map(|ms| Duration::from_millis(ms).min(LONGEST))
}

impl Packing {
    /// Takes a piece of output, unless it goes alone. `interval`: `None` for a client that wants no packs.
    pub(super) fn put(
        &mut self,
        now: Instant,
        interval: Option<Duration>,
        process_id: &ProcessId,
        head: &[u8],
        payload: &[u8],
    ) -> Put {
        let Some(interval) = interval else { return Put::Alone };
        let is_news = match self.spoke.get_mut(process_id) {
            Some(last) => now.saturating_duration_since(std::mem::replace(last, now)) >= interval,
            None => {
                self.spoke.insert(process_id.clone(), now);
                true
            }
        };
        if payload.len() > LARGE_BYTES {
            return Put::Alone;
        }
        self.pack.push(head, payload);
        // Where nothing is waited for, all that is at hand goes when it was all put in.
        let is_news = is_news && !interval.is_zero();
        if self.pack.len() >= FULL_BYTES || (is_news && self.may_lead(now, interval)) {
            return Put::Full;
        }
        self.due.get_or_insert(now + interval);
        Put::Gathered
    }

    fn may_lead(&mut self, now: Instant, interval: Duration) -> bool {
        while self.leads.front().is_some_and(|lead| now.saturating_duration_since(*lead) >= interval) {
            self.leads.pop_front();
        }
        let may = self.leads.len() < LEADS;
        if may {
            self.leads.push_back(now);
        }
        may
    }

    /// Resolves when what waits is to go; never while nothing waits. Cancel-safe.
    pub(super) async fn becomes_due(&self) {
        match self.due {
            Some(due) => sleep_until(due.into()).await,
            None => pending().await,
        }
    }

    /// The message of all that waits, as of `now`.
    pub(super) fn take(&mut self, now: Instant) -> Option<Bytes> {
        self.spoke.retain(|_, last| now.saturating_duration_since(*last) < LONGEST);
        self.due = None;
        self.pack.take()
    }

    /// Sends what waits, if it is time.
    pub(super) async fn send_due(
        &mut self,
        now: Instant,
        writer: &mut MessageWriter,
    ) -> Result<(), WriteError> {
        if self.due.is_some_and(|due| due <= now) { self.send(now, writer).await } else { Ok(()) }
    }

    /// Sends what waits.
    pub(super) async fn send(&mut self, now: Instant, writer: &mut MessageWriter) -> Result<(), WriteError> {
        match self.take(now) {
            Some(message) => writer.feed_binary(/*head*/ &[], message).await,
            None => Ok(()),
        }
    }
}

#[cfg(test)]
#[path = "packing_tests.rs"]
mod tests;
