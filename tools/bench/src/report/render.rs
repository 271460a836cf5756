//! The three forms of a report: an aligned table, Markdown, JSON.

use std::fmt::Write as _;

use super::{Measure, NOISY, Report, RowReport};
use crate::error::BenchError;

pub(super) const HEADINGS: [&str; 11] =
    ["row", "metric", "target", "value", "p10 – p90", "× raw", "× limit", "× peer", "goal", "met", "note"];

/// Under the headings of a Markdown table: numbers stand right.
pub(super) const RULE: &str = "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | --- | --- | --- |";

impl Report {
    /// For a terminal.
    pub(crate) fn table(&self) -> String {
        let lines = self.lines();
        let mut widths = HEADINGS.map(|heading| heading.chars().count());
        for line in &lines {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut text = format!("{}\n\n", self.head());
        for line in std::iter::once(&HEADINGS.map(str::to_owned)).chain(&lines) {
            let mut row = String::new();
            for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
                // Numbers stand right, words left.
                let blanks = " ".repeat(width - cell.chars().count());
                let cell = if (3..=7).contains(&column) {
                    format!("{blanks}{cell}")
                } else {
                    format!("{cell}{blanks}")
                };
                row.push_str(&cell);
                row.push_str("  ");
            }
            text.push_str(row.trim_end());
            text.push('\n');
        }
        for note in self.noise() {
            let _ = write!(text, "\n{note}");
        }
        text.push('\n');
        text
    }

    /// For a page.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("{}\n\n| {} |\n", self.head(), HEADINGS.join(" | "));
        let _ = writeln!(text, "{RULE}");
        for line in self.lines() {
            let cells = line.map(|cell| cell.replace('|', "\\|"));
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        }
        for note in self.noise() {
            let _ = write!(text, "\n{note}\n");
        }
        text
    }

    /// For programs.
    pub(crate) fn json(&self) -> Result<String, BenchError> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    pub(super) fn head(&self) -> String {
        let quick = if self.quick { "; quick run, not a result" } else { "" };
        format!("Machine: {}{quick}", self.machine)
    }

    fn lines(&self) -> Vec<[String; HEADINGS.len()]> {
        self.rows.iter().flat_map(|row| row.measures.iter().map(|measure| cells(row, measure))).collect()
    }

    pub(super) fn noise(&self) -> Vec<String> {
        let noisy: Vec<&RowReport> = self.rows.iter().filter(|row| row.strangers_cpu > NOISY).collect();
        let most = self.rows.iter().map(|row| row.strangers_cpu).fold(0.0, f64::max);
        if noisy.is_empty() {
            return vec![format!(
                "The machine was quiet: other programs used at most {:.1} % of it.",
                most * 100.0
            )];
        }
        noisy
            .iter()
            .map(|row| {
                let share = row.strangers_cpu * 100.0;
                format!("Noisy: during `{}` other programs used {share:.0} % of the machine.", row.row)
            })
            .collect()
    }
}

pub(super) fn cells(row: &RowReport, measure: &Measure) -> [String; HEADINGS.len()] {
    let ratio = |ratio: Option<f64>| ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
    [
        row.row.to_owned(),
        measure.metric.clone(),
        measure.target.clone(),
        measure.value.map_or_else(|| "—".to_owned(), |value| format!("{} {}", number(value), measure.unit)),
        measure.spread.map(|(low, high)| format!("{} – {}", number(low), number(high))).unwrap_or_default(),
        ratio(measure.ratio_to_raw),
        ratio(measure.ratio_to_limit),
        ratio(measure.ratio_to_peer),
        measure.goal.map(|goal| goal.to_string()).unwrap_or_default(),
        measure.met.map_or("", |met| if met { "yes" } else { "NO" }).to_owned(),
        measure.note.clone().unwrap_or_default(),
    ]
}

/// Three digits that mean something; no more are measured.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        small if small < 10.0 => format!("{value:.2}"),
        medium if medium < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Goal, Of};

    fn report() -> Report {
        let quick = Measure::new("p50", "a|b", "µs").with_value(12.345, (9.0, 1234.5), /*samples*/ 3);
        let goal = Goal::AtMost(12.0, Of::Unit("µs"));
        let quick = Measure { met: goal.is_met(&quick), goal: Some(goal), ..quick };
        let broken = Measure::new("p50", "other", "µs").with_note("failed: gone");
        let row = RowReport { row: "echo", measures: vec![quick, broken], strangers_cpu: 0.25 };
        Report { machine: "1 × abacus".to_owned(), quick: true, peers: Vec::new(), rows: vec![row] }
    }

    #[test]
    fn the_table_aligns_its_columns_and_says_when_it_was_noisy() {
        let expected = "\
Machine: 1 × abacus; quick run, not a result

row   metric  target    value    p10 – p90  × raw  × limit  × peer  goal     met  note
echo  p50     a|b     12.3 µs  9.00 – 1234                          ≤ 12 µs  NO
echo  p50     other         —                                                     failed: gone

Noisy: during `echo` other programs used 25 % of the machine.
";
        assert_eq!(report().table(), expected);
    }

    #[test]
    fn markdown_escapes_its_own_bars() {
        let text = report().markdown();
        assert!(
            text.contains(r"| echo | p50 | a\|b | 12.3 µs | 9.00 – 1234 |  |  |  | ≤ 12 µs | NO |  |"),
            "{text}"
        );
    }

    #[test]
    fn json_carries_every_number_unrounded() {
        let value: serde_json::Value =
            serde_json::from_str(&report().json().expect("it encodes")).expect("it is JSON");
        assert_eq!(value["rows"][0]["measures"][0]["value"], 12.345);
        assert_eq!(value["rows"][0]["strangersCpu"], 0.25);
        assert_eq!(value["rows"][0]["measures"][1]["value"], serde_json::Value::Null);
    }
}
