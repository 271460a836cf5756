//! What the tools that search have in common: how much they give, and how it is told.

use codex_exec_server_core::service::{FileSearch, Found, FsError, SearchEnd};
use codex_exec_server_protocol::path_uri::PathUri;

use crate::tools::tool::ToolError;

/// How many results are given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) default: u64,
    pub(super) most: u64,
}

pub(super) fn wanted(asked: Option<u64>, Wanted { default, most }: Wanted) -> Result<u64, ToolError> {
    match asked {
        None => Ok(default),
        Some(number) if (1..=most).contains(&number) => Ok(number),
        Some(number) => {
            Err(ToolError::Arguments(format!("max_results must be from 1 to {most}, got {number}")))
        }
    }
}

/// Hands on what is found until `take` has enough; how the search ended, unless it was cut short by that.
pub(super) async fn gather<T>(
    mut search: Box<dyn FileSearch<T>>,
    mut take: impl FnMut(T) -> bool,
) -> Result<Option<SearchEnd>, FsError> {
    loop {
        match search.next().await? {
            Found::Matches(matches) => {
                for found in matches {
                    if !take(found) {
                        return Ok(None);
                    }
                }
            }
            Found::End(end) => return Ok(Some(end)),
        }
    }
}

/// How a path below `root` is shown: from there.
pub(super) fn name(root: &PathUri, path: &PathUri) -> String {
    let (Ok(root), Ok(native)) = (root.to_path(), path.to_path()) else { return path.to_string() };
    let below = native.strip_prefix(&root).unwrap_or(&native);
    let shown = if below.as_os_str().is_empty() { native.as_path() } else { below };
    // A name that is no text can be used as a URI.
    shown.to_str().map_or_else(|| path.to_string(), str::to_owned)
}

/// Whether that is all, with what there is to say about it.
pub(super) fn is_done(summary: &mut String, end: Option<SearchEnd>, narrower: &str) -> bool {
    let is_end = end.is_some_and(|end| !end.truncated);
    if !is_end {
        summary.push_str(&format!(
            " There may be more: ask for less with a narrower path, {narrower} or exclude."
        ));
    }
    match end.map_or(0, |end| end.unreadable) {
        0 => {}
        unreadable => summary.push_str(&format!(" {unreadable} files or directories could not be read.")),
    }
    is_end
}
