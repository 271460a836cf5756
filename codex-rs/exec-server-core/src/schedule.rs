//! Who speaks next where many want to speak over one connection.
//!
//! What is little (an exit, the echo of a keystroke) goes first, in order of arrival. Bulk takes turns: whoever has much
//! to say says a piece of it and goes to the end of the line. Since what is little passes the line by, it has to stay
//! little: in one round, which is a turn for everybody in line, nobody passes it by with more than
//! [`Shares::little_bytes`]. So a flood that comes in small pieces is a flood, and whoever stands in line is reached.
//!
//! Holds nobody's bytes and knows no clock. Who has something to say tells it once, and is asked when its turn comes; so
//! the same source is never in here twice.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// What even the smallest message costs, in bytes: one that passes the line by without a byte of output counts for this.
const LEAST_COST_BYTES: u64 = 64;

/// How much is said at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    /// Up to so much is little, and passes the line by, within one round.
    pub little_bytes: u64,
    /// The most that is said in one turn, as far as messages can be cut.
    pub turn_bytes: u64,
}

impl Shares {
    /// How much is to be said in a turn of this class.
    #[must_use]
    pub const fn of(&self, class: Class) -> u64 {
        match class {
            Class::Little => self.little_bytes,
            Class::Bulk => self.turn_bytes,
        }
    }
}

/// Whether somebody goes past the line or stands in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Past it.
    Little,
    /// In it.
    Bulk,
}

/// Somebody's turn. What came of it goes to [`Schedule::spoke`].
#[derive(Debug, PartialEq, Eq)]
pub struct Turn<K, S> {
    /// Whose.
    pub key: K,
    /// What speaks.
    pub source: S,
    /// How it came to its turn.
    pub class: Class,
}

/// See the module. `K` names a source `S`.
#[derive(Debug)]
pub struct Schedule<K, S> {
    shares: Shares,
    little: VecDeque<(K, S)>,
    line: VecDeque<(K, S)>,
    /// Turns that are left of this round.
    left: usize,
    /// What went past the line in this round, by whom. Bounded by what waited in a round; empty while nobody is in line.
    passed: HashMap<K, u64>,
}

impl<K: Clone + Eq + Hash, S> Schedule<K, S> {
    /// Nobody has anything to say yet.
    #[must_use]
    pub fn new(shares: Shares) -> Self {
        Self { shares, little: VecDeque::new(), line: VecDeque::new(), left: 0, passed: HashMap::new() }
    }

    /// `source` has `waiting_bytes` to say, and had nothing before.
    pub fn ready(&mut self, key: K, source: S, waiting_bytes: u64) {
        let passed = self.passed.get(&key).copied().unwrap_or_default();
        if passed.saturating_add(waiting_bytes) <= self.shares.little_bytes {
            self.little.push_back((key, source));
        } else {
            self.line.push_back((key, source));
        }
    }

    /// Whose turn it is; `None` when nobody has anything to say.
    pub fn next_turn(&mut self) -> Option<Turn<K, S>> {
        if let Some(turn) = self.next_little() {
            return Some(turn);
        }
        let (key, source) = self.line.pop_front()?;
        if self.left == 0 {
            self.left = self.line.len() + 1;
            self.passed.clear();
        }
        self.left -= 1;
        Some(Turn { key, source, class: Class::Bulk })
    }

    /// As [`Self::next_turn`], while bulk has to wait.
    pub fn next_little(&mut self) -> Option<Turn<K, S>> {
        let (key, source) = self.little.pop_front()?;
        Some(Turn { key, source, class: Class::Little })
    }

    /// Whether anybody stands in line.
    #[must_use]
    pub fn has_bulk(&self) -> bool {
        !self.line.is_empty()
    }

    /// The turn of `key` is over, in which it said `bytes`.
    pub fn spoke(&mut self, key: &K, class: Class, bytes: u64) {
        if self.line.is_empty() {
            // Nobody was passed by.
            self.passed.clear();
            self.left = 0;
        } else if class == Class::Little {
            *self.passed.entry(key.clone()).or_default() += bytes.max(LEAST_COST_BYTES);
        }
    }

    /// Puts `source` in line: it has much to say, or has not said everything in its turn.
    pub fn line_up(&mut self, key: K, source: S) {
        self.line.push_back((key, source));
    }

    /// Takes out all who wait, those first who would have come first.
    pub fn drain(&mut self) -> impl Iterator<Item = S> + use<'_, K, S> {
        self.little.drain(..).chain(self.line.drain(..)).map(|(_, source)| source)
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
