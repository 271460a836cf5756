//! `search_files`: lines of files by their content.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use codex_exec_server_protocol::fs::{FsSearchMatch, FsSearchParams, FsSearchScope, MAX_CONTEXT_LINES};
use rmcp::model::ToolAnnotations;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::search::{Wanted, gather, is_done, name, wanted};
use super::{on, place};
use crate::tools::tool::{AgentTool, Answer, ToolError, Workshop};

/// How many lines one answer gives if nobody says, and at most.
const RESULTS: u64 = 100;
const MAX_RESULTS: u64 = 1_000;

/// How much text one answer gives at most, about: what an agent can still take in.
const TEXT_BYTES: usize = 64 << 10;

/// See the module.
pub(crate) struct SearchFilesTool;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The directory to look in, or a single file: absolute, or relative to the machine's working directory.
    path: String,
    /// A regular expression that is looked for within each line.
    pattern: String,
    /// Take the pattern as plain text.
    #[serde(default)]
    literal: bool,
    /// Treat upper and lower case as the same.
    #[serde(default)]
    ignore_case: bool,
    /// Globs, relative to path, of the files to read, such as **/*.rs [default: all].
    #[serde(default)]
    include: Vec<String>,
    /// Globs, relative to path, of what to leave out; a directory that matches is not entered.
    #[serde(default)]
    exclude: Vec<String>,
    /// Look at names that begin with a dot, too.
    #[serde(default)]
    include_hidden: bool,
    /// Look at what .gitignore and .ignore files exclude, too.
    #[serde(default)]
    include_ignored: bool,
    /// Lines to show before and after each one found, up to 20 [default: 0].
    #[serde(default)]
    context_lines: u32,
    /// How many lines to find at most, up to 1000 [default: 100].
    max_results: Option<u64>,
}

impl AgentTool for SearchFilesTool {
    const NAME: &'static str = "search_files";
    const DESCRIPTION: &'static str = "Searches the contents of text files of the machine, line by line, without starting a \
        command. Shows each file's name, and below it `12:` before a line that was found, `11-` before one around it. \
        What is hidden, or ignored by .gitignore, is left out unless it is asked for.";
    type Arguments = Arguments;

    fn annotations() -> ToolAnnotations {
        ToolAnnotations::with_title("Search files").read_only(true).open_world(false)
    }

    async fn call(workshop: &Workshop, arguments: Arguments) -> Result<Answer, ToolError> {
        let Arguments {
            path,
            pattern,
            literal,
            ignore_case,
            include,
            exclude,
            include_hidden,
            include_ignored,
            context_lines,
            max_results,
        } = arguments;
        let most = wanted(max_results, Wanted { default: RESULTS, most: MAX_RESULTS })?;
        if context_lines > MAX_CONTEXT_LINES {
            let text = format!("context_lines must be from 0 to {MAX_CONTEXT_LINES}, got {context_lines}");
            return Err(ToolError::Arguments(text));
        }
        let root = place(workshop, &path)?;
        let params = FsSearchParams {
            literal,
            ignore_case,
            include,
            scope: FsSearchScope { exclude, include_hidden, include_ignored, ..FsSearchScope::default() },
            context_lines,
            max_matches: Some(most),
            ..FsSearchParams::new(root.clone(), pattern)
        };
        let (mut files, mut found, mut bytes) = (Files::new(), 0_u64, 0);
        let outcome = gather(workshop.files.search(params), |line| {
            let name = name(&root, &line.path);
            bytes += name.len() + line.text.len();
            bytes += line.before.iter().chain(&line.after).map(String::len).sum::<usize>();
            found += 1;
            add(files.entry(name).or_default(), line);
            bytes < TEXT_BYTES
        })
        .await
        .map_err(on(&path))?;
        let mut summary = format!("{path}: {found} lines found in {} files.", files.len());
        let is_end = is_done(&mut summary, outcome, "include");
        let facts = json!({
            "found": found,
            "files": files.len(),
            "isEnd": is_end,
            "unreadable": outcome.map(|end| end.unreadable),
        });
        Ok(Answer { summary, output: show(&files), facts })
    }
}

/// Lines that are shown, and whether each was found or is only around one; by file and by number.
type Files = BTreeMap<String, BTreeMap<u64, (bool, String)>>;

fn add(lines: &mut BTreeMap<u64, (bool, String)>, found: FsSearchMatch) {
    let number = found.line;
    let first = number.saturating_sub(found.before.len() as u64);
    for (before, text) in (first..).zip(found.before) {
        lines.entry(before).or_insert((false, text));
    }
    for (after, text) in (number + 1..).zip(found.after) {
        lines.entry(after).or_insert((false, text));
    }
    lines.insert(number, (true, found.text));
}

fn show(files: &Files) -> String {
    let mut text = String::new();
    // Writing to a string can't fail.
    for (name, lines) in files {
        let _ = writeln!(text, "{name}");
        let has_context = lines.values().any(|(is_found, _)| !is_found);
        let mut last = None;
        for (number, (is_found, line)) in lines {
            if has_context && last.is_some_and(|last| last + 1 != *number) {
                text.push_str("--\n");
            }
            let _ = writeln!(text, "{number}{}{line}", if *is_found { ':' } else { '-' });
            last = Some(*number);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: u64, before: &[&str], after: &[&str]) -> FsSearchMatch {
        let own = |lines: &[&str]| lines.iter().map(|&line| line.to_owned()).collect();
        FsSearchMatch {
            path: "file:///f".parse().expect("a URI"),
            line,
            text: format!("found {line}"),
            ranges: Vec::new(),
            before: own(before),
            after: own(after),
        }
    }

    #[test]
    fn what_is_around_several_lines_is_shown_once_and_a_gap_is_told() {
        let mut files = Files::new();
        let lines = files.entry("f".to_owned()).or_default();
        for line in [
            found(/*line*/ 1, &[], &["two"]),
            found(/*line*/ 3, &["two"], &["found 4"]),
            found(/*line*/ 4, &["found 3"], &["five"]),
            found(/*line*/ 9, &["eight"], &[]),
        ] {
            add(lines, line);
        }
        let expected = "f\n1:found 1\n2-two\n3:found 3\n4:found 4\n5-five\n--\n8-eight\n9:found 9\n";
        assert_eq!(show(&files), expected);
    }
}
