//! What a repeat means: memory of what was applied, so that a retry is never applied twice.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;

/// The last ids of something that needs no answer of its own, such as writes to one process's stdin.
#[derive(Debug)]
pub struct RecentIds<K> {
    limit: usize,
    order: VecDeque<K>,
    known: HashSet<K>,
}

impl<K: Clone + Eq + Hash> RecentIds<K> {
    /// Remembers up to `limit` ids; one more evicts the oldest.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, order: VecDeque::new(), known: HashSet::new() }
    }

    /// Whether `id` is remembered.
    pub fn contains(&self, id: &K) -> bool {
        self.known.contains(id)
    }

    /// Remembers `id`. Returns false, changing nothing, if it is known already.
    pub fn insert(&mut self, id: K) -> bool {
        if !self.known.insert(id.clone()) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

/// Answers by key, for requests whose repeat must join the first or get its recorded answer.
///
/// The fingerprint tells a repeat from another request that reuses the key by mistake.
#[derive(Debug)]
pub struct Answers<K, A> {
    limit: usize,
    order: VecDeque<K>,
    known: HashMap<K, (u64, A)>,
}

/// What a key says about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repeat<A> {
    /// The first of its kind.
    New,
    /// A repeat; holds what was recorded for the first.
    Known(A),
    /// The key was used for something else.
    Mismatch,
}

impl<K: Clone + Eq + Hash, A: Clone> Answers<K, A> {
    /// Remembers up to `limit` answers; one more evicts the oldest.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, order: VecDeque::new(), known: HashMap::new() }
    }

    /// Looks `key` up.
    pub fn check(&self, key: &K, fingerprint: u64) -> Repeat<A> {
        match self.known.get(key) {
            None => Repeat::New,
            Some((known, answer)) if *known == fingerprint => Repeat::Known(answer.clone()),
            Some(_) => Repeat::Mismatch,
        }
    }

    /// Records the answer to the first request with `key`, which may itself be something to wait for.
    pub fn record(&mut self, key: K, fingerprint: u64, answer: A) {
        if self.known.insert(key.clone(), (fingerprint, answer)).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_id_counts_as_new_unless_it_is_among_the_last_new_ones(ids in proptest::collection::vec(0..12_u8, 0..200), limit in 1..8_usize) {
            let mut recent = RecentIds::new(limit);
            let mut model: Vec<u8> = Vec::new();
            for id in ids {
                let known = model.iter().rev().take(limit).any(|seen| *seen == id);
                prop_assert_eq!(recent.contains(&id), known);
                prop_assert_eq!(recent.insert(id), !known);
                if !known { model.push(id); }
            }
        }

        #[test]
        fn the_first_answer_stands_for_every_repeat_while_it_is_remembered(requests in proptest::collection::vec((0..10_u8, 0..2_u64), 0..200), limit in 1..6_usize) {
            let mut answers = Answers::new(limit);
            let mut model: Vec<(u8, u64, usize)> = Vec::new();
            for (n, (key, fingerprint)) in requests.into_iter().enumerate() {
                let known = model.iter().rev().take(limit).find(|(seen, _, _)| *seen == key).copied();
                let expected = match known {
                    None => Repeat::New,
                    Some((_, print, answer)) if print == fingerprint => Repeat::Known(answer),
                    Some(_) => Repeat::Mismatch,
                };
                prop_assert_eq!(answers.check(&key, fingerprint), expected);
                if known.is_none() {
                    answers.record(key, fingerprint, n);
                    model.push((key, fingerprint, n));
                }
            }
        }
    }
}
