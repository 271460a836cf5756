//! `find_files`: files and directories by their names.

use codex_exec_server_protocol::fs::{FsEntryKind, FsGlobParams, FsSearchScope};
use rmcp::model::ToolAnnotations;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::search::{Wanted, gather, is_done, name, wanted};
use super::{on, place};
use crate::tools::tool::{AgentTool, Answer, ToolError, Workshop};

/// How many names one answer gives if nobody says, and at most.
const RESULTS: u64 = 200;
const MAX_RESULTS: u64 = 2_000;

/// See the module.
pub(crate) struct FindFilesTool;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The directory to look in: absolute, or relative to the machine's working directory.
    path: String,
    /// Globs, relative to path: * stays within a name, **/ stands for any directories. At least one.
    patterns: Vec<String>,
    /// Globs, relative to path, of what to leave out; a directory that matches is not entered.
    #[serde(default)]
    exclude: Vec<String>,
    /// Look at names that begin with a dot, too.
    #[serde(default)]
    include_hidden: bool,
    /// Look at what .gitignore and .ignore files exclude, too.
    #[serde(default)]
    include_ignored: bool,
    /// How many names at most, up to 2000 [default: 200].
    max_results: Option<u64>,
}

impl AgentTool for FindFilesTool {
    const NAME: &'static str = "find_files";
    const DESCRIPTION: &'static str = "Finds files and directories below a directory of the machine by globs, such as \
        **/*.rs. What is hidden, or ignored by .gitignore, is left out unless it is asked for. A name that ends with / is a \
        directory.";
    type Arguments = Arguments;

    fn annotations() -> ToolAnnotations {
        ToolAnnotations::with_title("Find files").read_only(true).open_world(false)
    }

    async fn call(workshop: &Workshop, arguments: Arguments) -> Result<Answer, ToolError> {
        let Arguments { path, patterns, exclude, include_hidden, include_ignored, max_results } = arguments;
        let most = wanted(max_results, Wanted { default: RESULTS, most: MAX_RESULTS })?;
        let root = place(workshop, &path)?;
        let params = FsGlobParams {
            scope: FsSearchScope { exclude, include_hidden, include_ignored, ..FsSearchScope::default() },
            max_matches: Some(most),
            ..FsGlobParams::new(root.clone(), patterns)
        };
        let mut names = Vec::new();
        let outcome = gather(workshop.files.glob(params), |entry| {
            let slash = if entry.kind == FsEntryKind::Directory { "/" } else { "" };
            names.push(format!("{}{slash}\n", name(&root, &entry.path)));
            true
        })
        .await
        .map_err(on(&path))?;
        names.sort_unstable();
        let mut summary = format!("{path}: {} found.", names.len());
        let is_end = is_done(&mut summary, outcome, "patterns");
        let facts =
            json!({ "found": names.len(), "isEnd": is_end, "unreadable": outcome.map(|end| end.unreadable) });
        Ok(Answer { summary, output: names.concat(), facts })
    }
}
