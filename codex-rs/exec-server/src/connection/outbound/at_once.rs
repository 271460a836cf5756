//! Answers that leave without the writing task, by the one that reads: waking another task takes longer than to answer a
//! small request.

use std::sync::atomic::Ordering;

use codex_exec_server_transport::Sent;

use super::{Outbound, Owed, now};
use crate::connection::form::Reply;

impl Outbound {
    /// To be said by the task that reads before it answers: whether it has more requests at hand, whose answers are to leave
    /// together.
    pub(crate) fn more_is_at_hand(&self, more: bool) {
        self.more_is_at_hand.store(more, Ordering::Relaxed);
    }

    /// Adds an answer of the task that reads. It has left when this returns if nothing is to leave before it.
    pub(crate) fn answer(&self, owed: impl Into<Owed>) {
        let owed = owed.into();
        if !self.leaves_at_once(&owed) {
            self.reply(owed);
        }
    }

    fn leaves_at_once(&self, owed: &Owed) -> bool {
        let Reply::Text(json) = &owed.reply else { return false };
        if self.more_is_at_hand.load(Ordering::Relaxed) || owed.is_long() {
            return false;
        }
        let express = {
            let mut state = self.lock();
            if !state.is_resting || !state.replies.is_empty() || state.closing.is_some() {
                return false;
            }
            if state.bulk.is_some() {
                state.answers([owed], now());
            }
            state.express.clone()
        };
        // Not under the lock, which those want who have news of processes: a system call takes microseconds.
        match express.send(json) {
            Some(Sent::Whole) => true,
            Some(Sent::Partly) => {
                self.news.notify_one();
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
#[path = "at_once_tests.rs"]
mod tests;
