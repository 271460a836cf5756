//! How quick this machine is beside the one for which goals in microseconds, CPU seconds and megabytes a second were set. Of
//! that one it is known what the raw limits and the naive server took there; they are the same work, so that they tell.

use std::fmt::Write as _;

use super::render::number;
use super::{LIMIT, RAW, Report};
use crate::stats::Summary;

/// One number of the machine of the goals: two cores as well.
pub(crate) struct Yardstick {
    pub(crate) row: &'static str,
    pub(crate) metric: &'static str,
    pub(crate) target: &'static str,
    /// In the unit of its metric.
    there: f64,
}

const fn yardstick(row: &'static str, metric: &'static str, target: &'static str, there: f64) -> Yardstick {
    Yardstick { row, metric, target, there }
}

/// Every number that is known of it.
pub(crate) const YARDSTICKS: &[Yardstick] = &[
    yardstick("connect", "p50", LIMIT, /*there*/ 78.0),
    yardstick("one-shot", "p50", RAW, /*there*/ 247.0),
    yardstick("one-shot", "p99", RAW, /*there*/ 374.0),
    yardstick("one-shot", "p50", LIMIT, /*there*/ 320.0),
    yardstick("in-flight", "64 in flight", RAW, /*there*/ 7043.0),
    yardstick("in-flight", "64 in flight", LIMIT, /*there*/ 5060.0),
    yardstick("in-flight", "cpu per command", LIMIT, /*there*/ 0.37),
    yardstick("output-json", "zeros rate", RAW, /*there*/ 2635.0),
    yardstick("output-json", "zeros rate", LIMIT, /*there*/ 2247.0),
    yardstick("output-json", "text rate", RAW, /*there*/ 1962.0),
    yardstick("output-json", "text rate", LIMIT, /*there*/ 1589.0),
    yardstick("output-json", "zeros server cpu", LIMIT, /*there*/ 0.33),
    yardstick("pty-output", "rate", RAW, /*there*/ 241.0),
    yardstick("pty-output", "rate", LIMIT, /*there*/ 226.0),
    yardstick("echo", "p50", RAW, /*there*/ 14.6),
    yardstick("echo", "p50", LIMIT, /*there*/ 32.0),
    yardstick("echo-flooded", "p50", LIMIT, /*there*/ 58.0),
    yardstick("echo-flooded", "p99", LIMIT, /*there*/ 3100.0),
    yardstick("stdin", "64 writes in flight", RAW, /*there*/ 2737.0),
    yardstick("stdin", "64 writes in flight", LIMIT, /*there*/ 1317.0),
    yardstick("small-request", "fs/getMetadata p50", LIMIT, /*there*/ 15.4),
];

/// A yardstick that was measured in this run.
struct Compared {
    yardstick: &'static Yardstick,
    unit: &'static str,
    here: f64,
    /// Above 1 where this machine is the slower one.
    slower: f64,
}

impl Report {
    /// The section of the page; empty where a run has measured none of them.
    pub(super) fn yardsticks(&self) -> String {
        let compared: Vec<_> = YARDSTICKS.iter().filter_map(|yardstick| self.compare(yardstick)).collect();
        let factors: Vec<f64> = compared.iter().map(|one| one.slower).collect();
        let Some(factors) = Summary::of(&factors) else {
            return String::new();
        };
        let mut text = format!(
            "\n### Beside the machine of the goals\n\nGoals that are no ratios were set on a machine of two cores on which the \
             same raw limits and the same naive server took what is called `there`. By the median of these, this machine \
             took {} times as long in this run.\n\n| row | metric | target | there | here | × slower |\n| --- | --- | --- | \
             ---: | ---: | ---: |\n",
            number(factors.median())
        );
        for Compared { yardstick: Yardstick { row, metric, target, there }, unit, here, slower } in compared {
            let (there, here, slower) = (number(*there), number(here), number(slower));
            let _ =
                writeln!(text, "| {row} | {metric} | {target} | {there} {unit} | {here} {unit} | {slower} |");
        }
        text
    }

    fn compare(&self, yardstick: &'static Yardstick) -> Option<Compared> {
        let row = self.rows.iter().find(|row| row.row == yardstick.row)?;
        let measure = row
            .measures
            .iter()
            .find(|measure| measure.metric == yardstick.metric && measure.target == yardstick.target)?;
        let here = measure.value?;
        // Of a rate more is better.
        let slower =
            if measure.unit.ends_with("/s") { yardstick.there / here } else { here / yardstick.there };
        Some(Compared { yardstick, unit: measure.unit, here, slower })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Measure, RowReport};
    use super::*;
    use crate::rows::Row;

    #[test]
    fn a_yardstick_is_of_a_metric_that_has_a_goal() {
        for Yardstick { row, metric, target, .. } in YARDSTICKS {
            let known = Row::named(row).and_then(|row| row.goal(metric));
            assert!(known.is_some() && [RAW, LIMIT].contains(target), "{row}: {metric}: {target}");
        }
    }

    #[test]
    fn of_a_time_more_is_slower_and_of_a_rate_less() {
        let row = |row, metric, unit, value| {
            let measure =
                Measure::new(metric, LIMIT, unit).with_value(value, (value, value), /*samples*/ 1);
            RowReport { row, measures: vec![measure], strangers_cpu: 0.0 }
        };
        let rows = vec![
            row("echo", "p50", "µs", 64.0),
            row("in-flight", "64 in flight", "/s", 2530.0),
            row("idle", "resident", "MiB", 6.0),
        ];
        let report = Report { machine: String::new(), quick: false, peers: Vec::new(), rows };
        let text = report.yardsticks();
        assert!(text.contains("took 2.00 times as long"), "{text}");
        assert!(text.contains("| echo | p50 | limit | 32.0 µs | 64.0 µs | 2.00 |"), "{text}");
        assert!(text.contains("| in-flight | 64 in flight | limit | 5060 /s | 2530 /s | 2.00 |"), "{text}");
        assert!(!text.contains("resident"), "{text}");
        let without = Report { machine: String::new(), quick: false, peers: Vec::new(), rows: Vec::new() };
        assert_eq!(without.yardsticks(), "");
    }
}
