//! Restores order on the receiving side: parks what comes early, drops what comes twice, and knows what is missing.

use std::collections::BTreeMap;

use codex_exec_server_protocol::ids::Seq;

/// More events arrived early than may be parked: the missing one has to be fetched, or given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("event {missing} is missing, and {limit} later ones are waiting for it")]
pub struct TooFarAhead {
    /// The first position that is missing.
    pub missing: Seq,
    /// Bound on parked events.
    pub limit: usize,
}

/// Delivers the events of one process once and in order, whatever order they arrive in.
#[derive(Debug)]
pub struct Sequencer<E> {
    delivered: Seq,
    parked: BTreeMap<Seq, E>,
    limit: usize,
}

impl<E> Sequencer<E> {
    /// Nothing delivered yet; up to `limit` early events are parked.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { delivered: Seq::START, parked: BTreeMap::new(), limit }
    }

    /// The last position that was delivered.
    #[must_use]
    pub const fn delivered(&self) -> Seq {
        self.delivered
    }

    /// Whether something waits for an event that has not come.
    #[must_use]
    pub fn has_gap(&self) -> bool {
        !self.parked.is_empty()
    }

    /// Takes an event and returns what may be delivered now, in order. One that was delivered or is parked already
    /// is dropped.
    pub fn accept(&mut self, seq: Seq, event: E) -> Result<Vec<E>, TooFarAhead> {
        if seq > self.delivered {
            if seq > self.delivered.next()
                && self.parked.len() >= self.limit
                && !self.parked.contains_key(&seq)
            {
                return Err(TooFarAhead { missing: self.delivered.next(), limit: self.limit });
            }
            self.parked.entry(seq).or_insert(event);
        }
        Ok(self.deliver())
    }

    /// The source holds nothing through `seq` any more (or nothing but what it has sent already): delivery goes on
    /// behind it. Returns what may be delivered now, parked events before `seq` included.
    pub fn skip_through(&mut self, seq: Seq) -> Vec<E> {
        if seq <= self.delivered {
            return Vec::new();
        }
        let later = self.parked.split_off(&seq.next());
        let mut events: Vec<E> = std::mem::replace(&mut self.parked, later).into_values().collect();
        self.delivered = seq;
        events.extend(self.deliver());
        events
    }

    fn deliver(&mut self) -> Vec<E> {
        let mut events = Vec::new();
        while let Some(event) = self.parked.remove(&self.delivered.next()) {
            self.delivered = self.delivered.next();
            events.push(event);
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_arrival_order_is_delivered_once_in_order(arrivals in Just((1..=40_u64).collect::<Vec<_>>()).prop_shuffle()) {
            let mut sequencer = Sequencer::new(/*limit*/ 64);
            let seen: Vec<u64> =
                arrivals.iter().chain(&arrivals).flat_map(|&n| sequencer.accept(Seq(n), n).unwrap()).collect();
            prop_assert_eq!(seen, (1..=40).collect::<Vec<_>>());
            prop_assert!(!sequencer.has_gap());
        }

        #[test]
        fn skipping_a_hole_loses_only_what_never_came(arrivals in proptest::collection::btree_set(1..40_u64, 0..40), hole in 1..40_u64) {
            let mut sequencer = Sequencer::new(/*limit*/ 64);
            let mut seen = Vec::new();
            for &n in &arrivals { seen.extend(sequencer.accept(Seq(n), n).unwrap()); }
            seen.extend(sequencer.skip_through(Seq(hole)));
            let reached = sequencer.delivered().0;
            let expected: Vec<u64> = arrivals.iter().copied().filter(|n| *n <= reached).collect();
            prop_assert_eq!(seen, expected);
            prop_assert!(reached >= hole);
        }
    }

    #[test]
    fn a_hole_that_nobody_fills_is_reported_instead_of_growing_without_end() {
        let mut sequencer = Sequencer::new(/*limit*/ 2);
        assert_eq!(sequencer.accept(Seq(2), ()), Ok(vec![]));
        assert_eq!(sequencer.accept(Seq(3), ()), Ok(vec![]));
        assert_eq!(sequencer.accept(Seq(4), ()), Err(TooFarAhead { missing: Seq(1), limit: 2 }));
        assert_eq!(sequencer.accept(Seq(1), ()).unwrap().len(), 3);
    }
}
