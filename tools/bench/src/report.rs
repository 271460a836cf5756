//! Results as they are shown: one measure per line, ratios to the raw limit and to the peer, goals beside the
//! values.

mod goal;
mod render;

use serde::Serialize;

pub(crate) use self::goal::{Goal, Of};
use crate::lanes::RAW;
use crate::machine;
use crate::rows::{Plan, Row};
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

    /// The raw limit has no goal of its own.
    pub(crate) fn with_goal(mut self, goal: Goal) -> Self {
        self.goal = (self.target != RAW).then_some(goal);
        self
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
    peer: Option<String>,
    rows: Vec<RowReport>,
}

impl Report {
    pub(crate) fn new(plan: &Plan) -> Self {
        let peer =
            plan.targets.iter().find(|target| target.role == Role::Peer).map(|target| target.name.clone());
        Self { machine: machine::describe(), quick: plan.quick, peer, rows: Vec::new() }
    }

    /// Adds a row and works out its ratios.
    pub(crate) fn add(&mut self, row: Row, mut measures: Vec<Measure>, strangers_cpu: f64) {
        fill_ratios(&mut measures, self.peer.as_deref());
        self.rows.push(RowReport { row: row.name(), measures, strangers_cpu });
    }
}

/// Compares each value with the one of the same metric that the raw limit, and the peer, had in this run.
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
        let (raw, peer) = (base(RAW), peer.filter(|_| measure.target != RAW).and_then(base));
        measure.ratio_to_raw = raw.and_then(|raw| Some(measure.value? / raw));
        measure.ratio_to_peer = peer.and_then(|peer| Some(measure.value? / peer));
        measure.met = measure.goal.and_then(|goal| goal.is_met(measure));
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
            measure("p50", "server", 15.0),
            measure("p50", "peer", 60.0),
            measure("p99", "server", 99.0),
            Measure::new("p50", "broken", "µs"),
        ];
        fill_ratios(&mut measures, Some("peer"));
        let ratios: Vec<_> =
            measures.iter().map(|measure| (measure.ratio_to_raw, measure.ratio_to_peer)).collect();
        assert_eq!(
            ratios,
            [(None, None), (Some(1.5), Some(0.25)), (Some(6.0), None), (None, None), (None, None)]
        );
    }
}
