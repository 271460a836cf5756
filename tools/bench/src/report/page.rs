//! The page for readers: how it was measured, what was reached, and every row with its picture.

use std::fmt::Write as _;
use std::path::Path;

use super::render::{HEADINGS, RULE, cells};
use super::{Report, plot};
use crate::error::BenchError;
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
        let judged = self.rows.iter().flat_map(|row| row.measures.iter().map(move |measure| (row, measure)));
        let judged = judged.filter(|(_, measure)| measure.goal.is_some());
        text.push_str("\n## Goals\n\n");
        table(&mut text, judged.map(|(row, measure)| cells(row, measure)));
        text.push_str("\n## Rows\n");
        for row in &self.rows {
            let about = Row::named(row.row).map_or("", |row| row.about);
            let _ = write!(text, "\n### {}\n\n{about}.\n\n", row.row);
            if plot::svg(row, |_| false).is_some() {
                let _ = write!(text, "![{}]({folder}/{}.svg)\n\n", row.row, row.row);
            }
            table(&mut text, row.measures.iter().map(|measure| cells(row, measure)));
            let missed = row.measures.iter().filter(|measure| measure.met == Some(false));
            for measure in missed {
                let reason = Row::named(row.row).and_then(|row| row.reason(&measure.metric));
                if let Some(reason) = reason {
                    let _ = write!(text, "\nWhy `{}` is not reached: {reason}\n", measure.metric);
                }
            }
        }
        text
    }
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
