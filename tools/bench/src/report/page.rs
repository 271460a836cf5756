//! The page for readers: how it was measured, what was reached, and every row with its picture.

use std::fmt::Write as _;
use std::path::Path;

use super::render::{HEADINGS, RULE, cells, number};
use super::{Measure, Report, RowReport, plot};
use crate::error::BenchError;
use crate::lanes::RAW;
use crate::rows::Row;

/// What does not depend on the numbers.
const METHOD: &str = include_str!("method.md");

impl Report {
    /// Writes the page to `path`, and its pictures and numbers into the folder beside it that has its name.
    pub(crate) fn write_page(&self, path: &Path) -> Result<(), BenchError> {
        let folder = path.with_extension("");
        let fail = |path: &Path| {
            let path = path.to_owned();
            move |source| BenchError::File { path, source }
        };
        std::fs::create_dir_all(&folder).map_err(fail(&folder))?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let write = |path: &Path, text: &str| std::fs::write(path, text).map_err(fail(path));
        write(path, &self.page(&name))?;
        write(&folder.join("results.json"), &self.json()?)?;
        for row in &self.rows {
            if let Some(picture) = plot::svg(row, |target| self.is_peer(target)) {
                write(&folder.join(format!("{}.svg", row.row)), &picture)?;
            }
        }
        Ok(())
    }

    /// The page; `folder` holds its pictures.
    fn page(&self, folder: &str) -> String {
        let mut text = format!("{METHOD}\n## Machine\n\n{}\n", self.head());
        for note in self.noise() {
            let _ = write!(text, "\n{note}\n");
        }
        text.push_str(&self.yardsticks());
        let judged = self.rows.iter().flat_map(|row| row.measures.iter().map(move |measure| (row, measure)));
        let judged = judged.filter(|(_, measure)| measure.goal.is_some());
        text.push_str("\n## Goals\n\n");
        table(&mut text, judged.map(|(row, measure)| pointed(row, measure)));
        text.push_str("\n## Rows\n");
        for row in &self.rows {
            let about = Row::named(row.row).map_or("", |row| row.about);
            let _ = write!(text, "\n### {}\n\n{about}.\n\n", row.row);
            if plot::svg(row, |_| false).is_some() {
                let _ = write!(text, "![{}]({folder}/{}.svg)\n\n", row.row, row.row);
            }
            table(&mut text, row.measures.iter().map(|measure| cells(row, measure)));
            for measure in &row.measures {
                if let Some(reason) = reason(row, measure) {
                    let reason = self.with_numbers(row, measure, reason);
                    let _ = write!(text, "\nWhy `{}` is not reached: {reason}\n", measure.metric);
                }
            }
        }
        text
    }

    /// A reason with numbers of this run in place of `{raw}` and `{limit}`, which stand for what those showed in the same
    /// metric, and of `{row: metric}`, another metric of the same target; of what is only measured without any server, that.
    fn with_numbers(&self, row: &RowReport, measure: &Measure, reason: &str) -> String {
        let (mut text, mut rest) = (String::new(), reason);
        while let Some((before, after)) = rest.split_once('{')
            && let Some((name, behind)) = after.split_once('}')
        {
            let (row, metric, target) = match name.split_once(": ") {
                Some((other, metric)) => {
                    (self.rows.iter().find(|row| row.row == other), metric, &*measure.target)
                }
                None => (Some(row), &*measure.metric, name),
            };
            let of = |target: &str| {
                row.and_then(|row| {
                    row.measures.iter().find(|one| one.metric == metric && one.target == target)
                })
            };
            let found = of(target).or_else(|| of(RAW));
            let shown = found.and_then(|one| Some(format!("{} {}", number(one.value?), one.unit)));
            let _ = write!(text, "{before}{}", shown.as_deref().unwrap_or("(not measured)"));
            rest = behind;
        }
        text + rest
    }
}

/// Why a goal was missed, where it was and that was found out. A target that failed has told why itself.
fn reason(row: &RowReport, measure: &Measure) -> Option<&'static str> {
    if measure.met != Some(false) || measure.value.is_none() {
        return None;
    }
    Row::named(row.row)?.reason(&measure.metric)
}

/// The cells of a measure that is shown far from its row, with the way to the reason.
fn pointed(row: &RowReport, measure: &Measure) -> [String; HEADINGS.len()] {
    let mut cells = cells(row, measure);
    if reason(row, measure).is_some()
        && let Some(note) = cells.last_mut()
    {
        let gap = if note.is_empty() { "" } else { "; " };
        let _ = write!(note, "{gap}[why](#{})", row.row);
    }
    cells
}

/// The names that stand in braces in a reason.
#[cfg(test)]
pub(crate) fn numbers_in(reason: &str) -> impl Iterator<Item = &str> {
    reason.split('{').skip(1).filter_map(|part| part.split_once('}')).map(|(name, _)| name)
}

fn table(text: &mut String, lines: impl Iterator<Item = [String; HEADINGS.len()]>) {
    let _ = writeln!(text, "| {} |\n{RULE}", HEADINGS.join(" | "));
    for line in lines {
        let cells = line.map(|cell| cell.replace('|', "\\|"));
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Goal, Measure, Of, RowReport};
    use super::*;

    #[test]
    fn a_missed_goal_has_its_reason_with_the_numbers_of_the_run_and_one_that_is_reached_has_none() {
        let goal = Goal::AtMost(0.34, Of::Unit("ms"));
        let measure = |target, value, met| Measure {
            goal: Some(goal).filter(|_| target == "server"),
            met,
            ..Measure::new("cpu per command", target, "ms").with_value(
                value,
                (value, value),
                /*samples*/ 1,
            )
        };
        let page = |met| {
            let measures = vec![measure(RAW, 0.62, /*met*/ None), measure("server", 0.73, Some(met))];
            let rows = vec![RowReport { row: "in-flight", measures, strangers_cpu: 0.0 }];
            let machine = "1 × abacus".to_owned();
            Report { machine, quick: false, peers: Vec::new(), rows }.page("performance")
        };
        let missed = page(/*met*/ false);
        assert!(missed.contains("| NO | [why](#in-flight) |"), "{missed}");
        assert!(missed.contains("Why `cpu per command` is not reached: "), "{missed}");
        assert!(missed.contains("takes 0.62 ms of it in this run"), "{missed}");
        assert!(!page(/*met*/ true).contains("hy"), "{}", page(/*met*/ true));
    }

    #[test]
    fn a_number_that_was_not_measured_is_not_made_up() {
        let measure = Measure::new("p50", "server", "µs").with_value(9.0, (8.0, 10.0), /*samples*/ 3);
        let other = Measure { metric: "p99".to_owned(), ..measure.clone() };
        let row = RowReport { row: "echo", measures: vec![measure.clone(), other], strangers_cpu: 0.0 };
        let report = Report { machine: String::new(), quick: false, peers: Vec::new(), rows: vec![row] };
        let filled =
            report.with_numbers(&report.rows[0], &measure, "{limit} and {echo: p99} and {idle: p50}.");
        assert_eq!(filled, "(not measured) and 9.00 µs and (not measured).");
    }

    #[test]
    fn the_page_has_its_method_its_goals_and_a_picture_for_each_row() {
        let goal = Goal::AtMost(12.0, Of::Unit("µs"));
        let measure = Measure::new("p50", "server", "µs").with_value(9.0, (8.0, 10.0), /*samples*/ 3);
        let measure = Measure { goal: Some(goal), met: Some(true), ..measure };
        let row = RowReport { row: "echo", measures: vec![measure], strangers_cpu: 0.0 };
        let report =
            Report { machine: "1 × abacus".to_owned(), quick: false, peers: Vec::new(), rows: vec![row] };
        let page = report.page("performance");
        for part in ["# Performance", "1 × abacus", "≤ 12 µs | yes", "![echo](performance/echo.svg)"] {
            assert!(page.contains(part), "{part}");
        }
    }
}
