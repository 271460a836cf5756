//! Results as they are shown: one measure per line, ratios to the raw limit and to the peer, goals beside the
//! values.

mod goal;
pub(crate) mod page;
mod plot;
mod render;
mod yardsticks;

use serde::Serialize;

pub(crate) use self::goal::{Goal, Of};
use crate::error::BenchError;
use crate::lanes::{LIMIT, RAW};
use crate::machine;
use crate::rows::{Plan, Row};
use crate::stats::Summary;
use crate::target::Role;

/// Beyond this share of the machine in strangers' hands a row is called noisy.
const NOISY: f64 = 0.05;

/// One line: one metric of one target.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Measure {
    pub(crate) metric: String,
    pub(crate) target: String,
    pub(crate) unit: &'static str,
    /// Absent when the target failed before it gave a sample.
    pub(crate) value: Option<f64>,
    /// Tenth and ninetieth percentile of the samples.
    pub(crate) spread: Option<(f64, f64)>,
    pub(crate) samples: usize,
    pub(crate) ratio_to_raw: Option<f64>,
    pub(crate) ratio_to_limit: Option<f64>,
    pub(crate) ratio_to_peer: Option<f64>,
    pub(crate) goal: Option<Goal>,
    /// Whether the goal is reached, where there is one and its number is known.
    pub(crate) met: Option<bool>,
    pub(crate) note: Option<String>,
}

impl Measure {
    pub(crate) fn new(metric: &str, target: &str, unit: &'static str) -> Self {
        Self {
            metric: metric.to_owned(),
            target: target.to_owned(),
            unit,
            value: None,
            spread: None,
            samples: 0,
            ratio_to_raw: None,
            ratio_to_limit: None,
            ratio_to_peer: None,
            goal: None,
            met: None,
            note: None,
        }
    }

    pub(crate) fn with_value(mut self, value: f64, spread: (f64, f64), samples: usize) -> Self {
        self.value = Some(value);
        self.spread = (samples > 1).then_some(spread);
        self.samples = samples;
        self
    }

    pub(crate) fn with_note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// The target failed. Whatever it was to reach, it does not.
    pub(crate) fn with_failure(mut self, reason: &str) -> Self {
        self.note = Some(format!("failed: {reason}"));
        self.met = Some(false);
        self
    }

    /// The target does not say that it can do this.
    pub(crate) fn not_offered(self) -> Self {
        self.with_note(BenchError::NotOffered.to_string())
    }

    /// One line of a metric whose samples were taken by the row itself.
    pub(crate) fn of(metric: &str, target: &str, unit: &'static str, samples: &[f64]) -> Self {
        let measure = Self::new(metric, target, unit);
        match Summary::of(samples) {
            Some(summary) => measure.with_value(summary.median(), summary.spread(), summary.count()),
            None => measure,
        }
    }
}

/// All measures of one row.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RowReport {
    row: &'static str,
    measures: Vec<Measure>,
    /// Share (0 to 1) of all processors that other programs used meanwhile.
    strangers_cpu: f64,
}

/// The whole run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    machine: String,
    quick: bool,
    #[serde(skip)]
    peers: Vec<String>,
    rows: Vec<RowReport>,
}

impl Report {
    pub(crate) fn new(plan: &Plan) -> Self {
        let peers = plan.targets.iter().filter(|target| target.role == Role::Peer);
        let peers = peers.map(|target| target.name.clone()).collect();
        Self { machine: machine::describe(), quick: plan.quick, peers, rows: Vec::new() }
    }

    /// Adds a row: works out its ratios and judges it by its goals.
    pub(crate) fn add(&mut self, row: &Row, mut measures: Vec<Measure>, strangers_cpu: f64) {
        fill_ratios(&mut measures, self.peers.first().map(String::as_str));
        for measure in &mut measures {
            // What is compared with has no goals.
            let has_goals =
                measure.target != RAW && measure.target != LIMIT && !self.is_peer(&measure.target);
            measure.goal = row.goal(&measure.metric).filter(|_| has_goals);
            measure.met = match measure.goal {
                Some(goal) => goal.is_met(measure).or(measure.met),
                None => None,
            };
        }
        self.rows.push(RowReport { row: row.name, measures, strangers_cpu });
    }

    /// Whether `target` is compared with; also a peer through our client is.
    fn is_peer(&self, target: &str) -> bool {
        self.peers.iter().any(|peer| target.starts_with(peer))
    }

    /// Metrics of the measured rows that have a goal and were not measured: a name that is spelled in two ways.
    pub(crate) fn unmeasured_goals(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for report in &self.rows {
            let goals = Row::named(report.row).map_or(&[][..], |row| row.goals);
            let unmeasured = goals
                .iter()
                .filter(|(goal, _)| !report.measures.iter().any(|measure| measure.metric == *goal));
            missing.extend(unmeasured.map(|(metric, _)| format!("{}: {metric}", report.row)));
        }
        missing
    }
}

/// Compares each value with the one of the same metric that the raw limit, the naive server and the peer had in this
/// run.
fn fill_ratios(measures: &mut [Measure], peer: Option<&str>) {
    let known: Vec<(String, String, f64)> = measures
        .iter()
        .filter_map(|measure| Some((measure.metric.clone(), measure.target.clone(), measure.value?)))
        .collect();
    for measure in measures {
        let base = |target: &str| {
            let (.., base) =
                known.iter().find(|(metric, name, _)| *metric == measure.metric && name == target)?;
            (measure.target != target && *base > 0.0).then_some(*base)
        };
        let is_base = measure.target == RAW || measure.target == LIMIT;
        let ratio = |base: Option<f64>| base.and_then(|base| Some(measure.value? / base));
        let (raw, limit) = (ratio(base(RAW)), ratio(base(LIMIT).filter(|_| measure.target != RAW)));
        let peer = ratio(peer.filter(|_| !is_base).and_then(base));
        (measure.ratio_to_raw, measure.ratio_to_limit, measure.ratio_to_peer) = (raw, limit, peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_compare_like_with_like() {
        let measure = |metric, target, value| {
            Measure::new(metric, target, "µs").with_value(value, (0.0, 0.0), /*samples*/ 2)
        };
        let mut measures = [
            measure("p50", RAW, 10.0),
            measure("p50", LIMIT, 12.0),
            measure("p50", "server", 15.0),
            measure("p50", "peer", 60.0),
            measure("p99", "server", 99.0),
            Measure::new("p50", "broken", "µs"),
        ];
        fill_ratios(&mut measures, Some("peer"));
        let ratios: Vec<_> = measures
            .iter()
            .map(|measure| (measure.ratio_to_raw, measure.ratio_to_limit, measure.ratio_to_peer))
            .collect();
        let expected = [
            (None, None, None),
            (Some(1.2), None, None),
            (Some(1.5), Some(1.25), Some(0.25)),
            (Some(6.0), Some(5.0), None),
            (None, None, None),
            (None, None, None),
        ];
        assert_eq!(ratios, expected);
    }

    #[test]
    fn only_what_is_measured_is_judged_and_a_failure_reaches_nothing() {
        let mut report = Report {
            machine: String::new(),
            quick: true,
            peers: vec!["codex (peer)".to_owned()],
            rows: Vec::new(),
        };
        let row = Row::named("blocked-stdin").expect("it is a row");
        let one = |target| Measure::new("p50", target, "µs").with_value(2.0, (2.0, 2.0), /*samples*/ 1);
        let broken = Measure::new("p50", "broken", "µs").with_failure("gone");
        let without = Measure::new("p50", "old", "µs").not_offered();
        let measures = vec![one(LIMIT), one("codex (peer)"), one("server"), broken, without];
        report.add(row, measures, /*strangers_cpu*/ 0.0);
        let met: Vec<_> = report.rows[0].measures.iter().map(|measure| measure.met).collect();
        assert_eq!(met, [None, None, Some(true), Some(false), None]);
    }
}
