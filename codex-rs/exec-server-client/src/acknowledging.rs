//! When a server is told how far the subscribers to a process are: seldom enough to cost nothing, and before it waits.
//!
//! Rules only. What is said is what [`History::progress`](crate::history::History::progress) tells.

use codex_exec_server_protocol::ids::Seq;

use crate::history::{At, Progress};

/// See the module.
#[derive(Debug)]
pub(crate) struct Acknowledging {
    /// After how much; `None` if the server does not want to know.
    every: Option<u64>,
    /// What was said last; `None` if anything is to be said, since the server knows nothing of us.
    said: Option<Progress>,
}

impl Acknowledging {
    /// Of a process that begins here, as its server knows.
    pub(crate) const fn from_start() -> Self {
        let start = At { seq: Seq::START, cost: Some(0) };
        Self { every: None, said: Some(Progress { slowest: start, furthest: start }) }
    }

    /// To whom it is said from now on, and how often.
    pub(crate) const fn set_every(&mut self, every: Option<u64>) {
        self.every = every;
    }

    /// The server knows nothing of what was said.
    pub(crate) const fn begin_again(&mut self) {
        self.said = None;
    }

    /// Whether the server waits for a first word.
    pub(crate) const fn must_begin(&self) -> bool {
        self.every.is_some() && self.said.is_none()
    }

    /// Whether it is time to say how far they are.
    pub(crate) fn is_due(&self, now: &Progress) -> bool {
        let (Some(every), Some(said)) = (self.every, &self.said) else { return self.every.is_some() };
        let moved = |before: At, now: At| {
            // Where the distance is not known, a page or more was read elsewhere.
            let is_far =
                now.cost.zip(before.cost).is_none_or(|(now, before)| now >= before.saturating_add(every));
            now.seq > before.seq && is_far
        };
        moved(said.slowest, now.slowest) || moved(said.furthest, now.furthest)
    }

    /// It is being said.
    pub(crate) const fn say(&mut self, now: Progress) {
        self.said = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn at(place: &Value) -> At {
        let seq = place[0].as_u64().unwrap_or_else(|| panic!("{place} is no position"));
        At { seq: Seq(seq), cost: place[1].as_u64() }
    }

    #[test]
    fn it_is_due_when_the_shared_examples_say() {
        let cases: Vec<Value> =
            serde_json::from_str(include_str!("../../../schema/vectors/acknowledging.json")).unwrap();
        assert!(!cases.is_empty());
        for case in &cases {
            let mut acknowledging = Acknowledging::from_start();
            acknowledging.set_every(case["every"].as_u64());
            for step in case["steps"].as_array().unwrap() {
                if step.get("beginAgain").is_some() {
                    acknowledging.begin_again();
                    continue;
                }
                let now = Progress { slowest: at(&step["slowest"]), furthest: at(&step["furthest"]) };
                match step["due"].as_bool() {
                    Some(due) => assert_eq!(acknowledging.is_due(&now), due, "{}: {step}", case["name"]),
                    None => acknowledging.say(now),
                }
            }
        }
    }
}
