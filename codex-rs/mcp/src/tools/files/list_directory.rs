//! `list_directory`: what is in a directory.

use codex_exec_server_protocol::fs::{FsDirectoryEntry, FsReadDirectoryParams};
use rmcp::model::ToolAnnotations;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{on, place};
use crate::tools::tool::{AgentTool, Answer, ToolError, Workshop};

/// How many names one answer gives: what an agent can still take in.
const ENTRIES: usize = 2_000;

/// See the module.
pub(crate) struct ListDirectoryTool;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The directory: absolute, or relative to the machine's working directory.
    path: String,
    /// Give names that come behind this one, which ended the answer before.
    after: Option<String>,
}

impl AgentTool for ListDirectoryTool {
    const NAME: &'static str = "list_directory";
    const DESCRIPTION: &'static str = "Lists a directory of the machine by name, at most 2000 entries at a time. A name \
        ends with / if it is or leads to a directory, with @ if it is a symbolic link that leads to neither a directory \
        nor a file, and with * if it is something else, such as a pipe.";
    type Arguments = Arguments;

    fn annotations() -> ToolAnnotations {
        ToolAnnotations::with_title("List a directory").read_only(true).open_world(false)
    }

    async fn call(workshop: &Workshop, arguments: Arguments) -> Result<Answer, ToolError> {
        let Arguments { path, after } = arguments;
        let params = FsReadDirectoryParams {
            path: place(workshop, &path)?,
            max_entries: None,
            after: None,
            sandbox: None,
        };
        let mut entries = workshop.files.read_directory(params).await.map_err(on(&path))?.entries;
        let total = entries.len();
        entries.sort_unstable_by(|a, b| a.file_name.cmp(&b.file_name));
        if let Some(after) = &after {
            entries.retain(|entry| entry.file_name > *after);
        }
        let is_end = entries.len() <= ENTRIES;
        entries.truncate(ENTRIES);
        let mut summary = format!("{path}: {total} entries, {} of them here.", entries.len());
        let last = entries.last().map(|entry| entry.file_name.clone());
        if !is_end {
            summary.push_str(&format!(" Go on with after {:?}.", last.as_deref().unwrap_or_default()));
        }
        let output = entries.iter().map(|entry| format!("{}{}\n", entry.file_name, mark(entry))).collect();
        let facts = json!({ "total": total, "shown": entries.len(), "isEnd": is_end, "last": last });
        Ok(Answer { summary, output, facts })
    }
}

const fn mark(entry: &FsDirectoryEntry) -> &'static str {
    match entry {
        FsDirectoryEntry { is_directory: true, .. } => "/",
        FsDirectoryEntry { is_file: true, .. } => "",
        FsDirectoryEntry { is_symlink: true, .. } => "@",
        _ => "*",
    }
}
