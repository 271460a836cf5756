//! How quick this machine is beside the one for which goals in microseconds, CPU seconds and megabytes a second were set. Of
//! that one it is known what the raw limits, the naive server and the reference took there; they are the same work, so that
//! they tell, also what a goal that is missed here would be at the pace of this machine.

use std::fmt::Write as _;

use super::render::number;
use super::{Goal, LIMIT, Of, RAW, Report};
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
    yardstick("small-request", "fs/getMetadata p50", PEER, /*there*/ 31.0),
    yardstick("small-file", "1 KiB read p50", PEER, /*there*/ 33.5),
    yardstick("small-file", "1 KiB write p50", PEER, /*there*/ 142.0),
    yardstick("small-file", "10,000-entry listing p50", PEER, /*there*/ 12_600.0),
    yardstick("large-file", "64 MiB read", PEER, /*there*/ 179.0),
    yardstick("large-file", "64 blocks of 1 MiB", PEER, /*there*/ 774.0),
];

/// In place of the name of the reference, which is known only to who starts it.
const PEER: &str = "peer";

/// Units in which a slower machine has other numbers.
const PACED: [&str; 5] = ["µs", "ms", "s/GiB", "MB/s", "/s"];

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
             same raw limits, the same naive server and the reference (`peer`) took what is called `there`. By the median of \
             these, this machine took {} times as long in this run.\n\n| row | metric | target | there | here | × slower |\n| --- | --- | --- | \
             ---: | ---: | ---: |\n",
            number(factors.median())
        );
        for Compared { yardstick: Yardstick { row, metric, target, there }, unit, here, slower } in &compared
        {
            let (there, here, slower) = (number(*there), number(*here), number(*slower));
            let _ =
                writeln!(text, "| {row} | {metric} | {target} | {there} {unit} | {here} {unit} | {slower} |");
        }
        text.push_str(&self.at_this_pace(factors.median(), &compared));
        text
    }

    /// The goals in units of time or per time that are missed, as they would be if they had been set on this machine.
    fn at_this_pace(&self, usual: f64, compared: &[Compared]) -> String {
        let mut lines = String::new();
        for (row, measure) in self.rows.iter().flat_map(|row| row.measures.iter().map(move |one| (row, one)))
        {
            let (Some(goal), Some(value), Some(false)) = (measure.goal, measure.value, measure.met) else {
                continue;
            };
            let (Goal::AtMost(there, Of::Unit(unit)) | Goal::AtLeast(there, Of::Unit(unit))) = goal else {
                continue;
            };
            if !PACED.contains(&unit) {
                continue;
            }
            // Nothing tells more of a metric than what the reference, or the naive server, took for the very same.
            let own = compared.iter().rev().find(|one| {
                one.yardstick.row == row.row
                    && one.yardstick.metric == measure.metric
                    && one.yardstick.target != RAW
            });
            let (slower, by) = own.map_or((usual, "median"), |one| (one.slower, one.yardstick.target));
            let (paced, met) = match goal {
                Goal::AtLeast(..) => (there / slower, value >= there / slower),
                _ => (there * slower, value <= there * slower),
            };
            let _ = writeln!(
                lines,
                "| {} | {} | {goal} | {} {unit} | {} | {} {unit} | {} |",
                row.row,
                measure.metric,
                number(paced),
                format_args!("{} ({by})", number(slower)),
                number(value),
                if met { "yes" } else { "NO" },
            );
        }
        if lines.is_empty() {
            return lines;
        }
        format!(
            "\nWhat is missed of these goals, at the pace of this machine: by what the reference or the naive server took for the \
             same here and there, and by the median where neither is known.\n\n| row | metric | goal there | at this pace | × \
             slower (by) | here | met at this pace |\n| --- | --- | --- | ---: | ---: | ---: | --- |\n{lines}"
        )
    }

    fn is_of(&self, yardstick: &Yardstick, target: &str) -> bool {
        target == yardstick.target || yardstick.target == PEER && self.peers.iter().any(|peer| peer == target)
    }

    fn compare(&self, yardstick: &'static Yardstick) -> Option<Compared> {
        let row = self.rows.iter().find(|row| row.row == yardstick.row)?;
        let measure = row
            .measures
            .iter()
            .find(|measure| measure.metric == yardstick.metric && self.is_of(yardstick, &measure.target))?;
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
            assert!(known.is_some() && [RAW, LIMIT, PEER].contains(target), "{row}: {metric}: {target}");
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
        assert!(!text.contains("at this pace"), "{text}");
        let without = Report { machine: String::new(), quick: false, peers: Vec::new(), rows: Vec::new() };
        assert_eq!(without.yardsticks(), "");
    }

    #[test]
    fn a_goal_that_is_missed_is_told_at_the_pace_of_the_machine() {
        let measure = |metric, target, unit, value: f64| {
            Measure::new(metric, target, unit).with_value(value, (value, value), /*samples*/ 1)
        };
        let missed = |metric, unit, value, goal| Measure {
            goal: Some(goal),
            met: Some(false),
            ..measure(metric, "ours", unit, value)
        };
        let row = |row, measures| RowReport { row, measures, strangers_cpu: 0.0 };
        let rows = vec![
            row("echo", vec![measure("p50", LIMIT, "µs", 128.0)]),
            row(
                "small-file",
                vec![
                    measure("1 KiB read p50", "reference", "µs", 67.0),
                    missed("1 KiB read p50", "µs", 35.0, Goal::AtMost(18.0, Of::Unit("µs"))),
                ],
            ),
            row("idle", vec![missed("resident", "MiB", 12.0, Goal::AtMost(10.0, Of::Unit("MiB")))]),
            row("stalled", vec![missed("rate", "MB/s", 300.0, Goal::AtLeast(1000.0, Of::Unit("MB/s")))]),
        ];
        let report =
            Report { machine: String::new(), quick: false, peers: vec!["reference".to_owned()], rows };
        let text = report.yardsticks();
        // Twice as slow by the reference, 4 times by the limit, so 3 times by the median.
        for line in [
            "| small-file | 1 KiB read p50 | peer | 33.5 µs | 67.0 µs | 2.00 |",
            "| small-file | 1 KiB read p50 | ≤ 18 µs | 36.0 µs | 2.00 (peer) | 35.0 µs | yes |",
            "| stalled | rate | ≥ 1000 MB/s | 333 MB/s | 3.00 (median) | 300 MB/s | NO |",
        ] {
            assert!(text.contains(line), "{text}");
        }
        assert!(!text.contains("resident"), "{text}");
    }
}
