//! How a client comes back: when a lost connection matters, what is tried again and until when, and what a loss means for
//! each call that was under way.
//!
//! Connections are counted. Whatever is heard of an earlier one than the present changes nothing.

use std::time::{Duration, Instant};

/// Counts the connections of one session, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

/// How long and how often a lost connection is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// From the loss, or the last progress since, until it is given up.
    pub deadline: Duration,
    /// Between two attempts. The first one follows the loss at once.
    pub pause: Duration,
}

/// Where a client stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Calls use this connection.
    Connected(Generation),
    /// Calls wait for the one after this connection, which was lost.
    Recovering {
        /// The one that was lost.
        lost: Generation,
        /// When it is given up.
        until: Instant,
    },
    /// For good.
    Failed,
}

/// What to do about a connection that was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Try to get another one, at most until then.
    Try {
        /// When recovery ends.
        until: Instant,
    },
    /// Nothing before then.
    Wait {
        /// When the next attempt is due.
        until: Instant,
    },
    /// It took too long.
    GiveUp,
    /// There is nothing to recover.
    Rest,
}

/// Why one attempt came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Trying again may help: the network, a time-out, a session that its server has not yet noticed to be free.
    Transient,
    /// It won't: the server has forgotten the session, refuses the credential, or breaks the protocol.
    Final,
}

/// See the module.
#[derive(Debug)]
pub struct Reconnect {
    patience: Patience,
    phase: Phase,
    /// When the next attempt is due, while recovering.
    due: Option<Instant>,
}

impl Reconnect {
    /// Of a client whose first connection stands.
    #[must_use]
    pub const fn new(patience: Patience) -> Self {
        Self { patience, phase: Phase::Connected(Generation(1)), due: None }
    }

    /// Where the client stands.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// A connection was lost. False if that was known, or is not the present one's business.
    pub fn lost(&mut self, now: Instant, generation: Generation) -> bool {
        if self.phase != Phase::Connected(generation) {
            return false;
        }
        self.phase = Phase::Recovering { lost: generation, until: now + self.patience.deadline };
        self.due = Some(now);
        true
    }

    /// What to do now. An attempt that would only begin when it is too late is not waited for.
    #[must_use]
    pub fn next(&self, now: Instant) -> Step {
        let (Phase::Recovering { until, .. }, Some(due)) = (self.phase, self.due) else { return Step::Rest };
        if now >= until || due >= until {
            Step::GiveUp
        } else if now < due {
            Step::Wait { until: due }
        } else {
            Step::Try { until }
        }
    }

    /// An attempt has brought something that the client did not have, so the server is there: the deadline begins anew.
    pub fn progressed(&mut self, now: Instant) {
        if let Phase::Recovering { until, .. } = &mut self.phase {
            *until = (*until).max(now + self.patience.deadline);
        }
    }

    /// An attempt came to nothing. True if the client is to be failed.
    pub fn attempt_failed(&mut self, now: Instant, verdict: Verdict) -> bool {
        if matches!(self.phase, Phase::Recovering { .. }) {
            self.due = Some(now + self.patience.pause);
        }
        verdict == Verdict::Final
    }

    /// A connection with the session, caught up, takes the place of the lost one; returns its number. `None` when nothing
    /// was to be replaced any more.
    pub const fn restored(&mut self) -> Option<Generation> {
        let Phase::Recovering { lost, .. } = self.phase else { return None };
        let generation = Generation(lost.0 + 1);
        self.phase = Phase::Connected(generation);
        self.due = None;
        Some(generation)
    }

    /// The client is of no more use.
    pub const fn fail(&mut self) {
        self.phase = Phase::Failed;
        self.due = None;
    }
}

/// Whether a request does harm when the server gets it a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// It does: it may only be sent again if it certainly did not arrive.
    IfUnsent,
    /// It reads, names a state to reach, or carries a key by which the server knows it again.
    Always,
}

/// What becomes of a call whose connection was lost before the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterLoss {
    /// It is sent over the next connection.
    SendAgain,
    /// It took effect or it did not, and that is its outcome.
    Unknown,
}

impl Repeat {
    /// What becomes of such a call. `sent`: it may have arrived.
    #[must_use]
    pub const fn after_loss(self, sent: bool) -> AfterLoss {
        match (self, sent) {
            (Self::IfUnsent, true) => AfterLoss::Unknown,
            (Self::IfUnsent, false) | (Self::Always, _) => AfterLoss::SendAgain,
        }
    }
}

#[cfg(test)]
#[path = "reconnect_tests.rs"]
mod tests;
