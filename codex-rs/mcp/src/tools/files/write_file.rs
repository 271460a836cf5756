//! `write_file`: the whole content of a file.

use bytes::Bytes;
use codex_exec_server_protocol::fs::FsWriteFileParams;
use rmcp::model::ToolAnnotations;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{on, place};
use crate::tools::tool::{AgentTool, Answer, ToolError, Workshop};

/// See the module.
pub(crate) struct WriteFileTool;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The file: absolute, or relative to the machine's working directory.
    path: String,
    /// The whole new content.
    content: String,
    /// Write only if the file still has this etag, as read_file told it; the empty string, only if there is no file.
    if_etag: Option<String>,
}

impl AgentTool for WriteFileTool {
    const NAME: &'static str = "write_file";
    const DESCRIPTION: &'static str = "Creates a text file on the machine or replaces its content, in one step where the \
        machine can do that: nobody sees half of it. With if_etag it changes only what you have seen, and says what is \
        there when somebody else was faster.";
    type Arguments = Arguments;

    fn annotations() -> ToolAnnotations {
        ToolAnnotations::with_title("Write a file").destructive(true).idempotent(true).open_world(false)
    }

    async fn call(workshop: &Workshop, arguments: Arguments) -> Result<Answer, ToolError> {
        let Arguments { path, content, if_etag } = arguments;
        let size = content.len();
        let params = FsWriteFileParams {
            path: place(workshop, &path)?,
            data_base64: Ok(Bytes::from(content).into()),
            follow_symlinks: None,
            sandbox: None,
            atomic: workshop.backend.environment().capabilities.fs_extended,
            if_match: if_etag,
            mode: None,
            request_key: None,
        };
        let etag = workshop.files.write_file(params).await.map_err(on(&path))?.etag;
        let summary = format!("{path}: {size} bytes written.");
        Ok(Answer { summary, output: String::new(), facts: json!({ "size": size, "etag": etag }) })
    }
}
