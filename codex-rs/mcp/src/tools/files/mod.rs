//! What the tools for files have in common: how a path is meant.

pub(super) mod find_files;
pub(super) mod list_directory;
pub(super) mod read_file;
mod search;
pub(super) mod search_files;
pub(super) mod write_file;

use std::path::Path;

use codex_exec_server_core::service::FsError;
use codex_exec_server_protocol::path_uri::PathUri;

use super::tool::{ToolError, Workshop};

/// What to make of a failure of the file that the agent calls `path`.
fn on(path: &str) -> impl FnOnce(FsError) -> ToolError {
    move |error| ToolError::File { path: path.to_owned(), error }
}

/// The path as agents give it: absolute, below the machine's working directory, or a `file:` URI, which is also how a path
/// of another kind of system is told.
fn place(workshop: &Workshop, path: &str) -> Result<PathUri, ToolError> {
    if path.starts_with("file:") {
        return path.parse().map_err(|error| ToolError::Arguments(format!("path {path:?}: {error}")));
    }
    if path.is_empty() {
        return Err(ToolError::Arguments("path must not be empty".to_owned()));
    }
    let path = if path.starts_with('/') {
        Path::new(path).to_owned()
    } else {
        let machine = workshop.backend.environment();
        let cwd = machine.cwd.as_ref().and_then(|cwd| cwd.to_path().ok());
        let Some(cwd) = cwd else {
            return Err(ToolError::Arguments(format!(
                "path {path:?} is relative to a folder that the machine does not tell; give an absolute path, or a \
                 file: URI"
            )));
        };
        cwd.join(path)
    };
    PathUri::try_from(&*path).map_err(|error| ToolError::Arguments(format!("path: {error}")))
}
