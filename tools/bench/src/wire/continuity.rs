//! Proves that a process's events all came: each number from 1 to the last, once. A server may push `exited`
//! ahead of an earlier output, so order is noticed but not demanded.

use std::collections::BTreeSet;

use crate::error::BenchError;

/// The numbers seen so far.
#[derive(Default)]
pub(crate) struct Continuity {
    /// Every number up to here has come.
    through: u64,
    /// Those that came before their turn.
    early: BTreeSet<u64>,
    out_of_order: u64,
}

impl Continuity {
    /// Takes the number of the next event. Fails on one that has come before.
    pub(crate) fn accept(&mut self, seq: u64) -> Result<(), BenchError> {
        if seq == self.through + 1 {
            self.through = seq;
            while self.early.remove(&(self.through + 1)) {
                self.through += 1;
            }
            return Ok(());
        }
        self.out_of_order += 1;
        if seq > self.through && self.early.insert(seq) {
            return Ok(());
        }
        Err(BenchError::Protocol(format!("event {seq} came twice")))
    }

    /// The first number that is missing before a later one, if any is.
    pub(crate) fn missing(&self) -> Option<u64> {
        (!self.early.is_empty()).then_some(self.through + 1)
    }

    /// How many events came before their turn.
    pub(crate) fn out_of_order(&self) -> u64 {
        self.out_of_order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(numbers: &[u64]) -> Result<Continuity, BenchError> {
        let mut continuity = Continuity::default();
        numbers.iter().try_for_each(|&seq| continuity.accept(seq))?;
        Ok(continuity)
    }

    #[test]
    fn events_in_another_order_are_whole_and_counted() {
        let continuity = accept(&[1, 3, 4, 2, 5]).expect("none came twice");
        assert_eq!((continuity.missing(), continuity.out_of_order()), (None, 2));
    }

    #[test]
    fn a_hole_is_named() {
        let continuity = accept(&[1, 2, 4, 6]).expect("none came twice");
        assert_eq!(continuity.missing(), Some(3));
    }

    #[test]
    fn an_event_that_comes_twice_is_refused_early_or_late() {
        assert!(accept(&[1, 2, 2]).is_err());
        assert!(accept(&[1, 3, 3]).is_err());
        assert!(accept(&[1, 3, 2, 3]).is_err());
        assert!(accept(&[0]).is_err());
    }
}
