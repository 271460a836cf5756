//! What a tool is, and how a call gets to it.

use std::pin::Pin;
use std::sync::Arc;

use codex_exec_server_core::service::{ExecBackend, FileSystem, FsError};
use codex_exec_server_unified_exec::{UnifiedExec, UnifiedExecError};
use rmcp::handler::server::common::schema_for_input;
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What tools work with.
#[derive(Debug)]
pub(crate) struct Workshop {
    pub(crate) exec: UnifiedExec,
    pub(crate) backend: Arc<dyn ExecBackend>,
    pub(crate) files: Arc<dyn FileSystem>,
}

/// What a tool answers: words for the agent, and the same facts for programs.
#[derive(Debug)]
pub(crate) struct Answer {
    /// How things are, in a line or two.
    pub(crate) summary: String,
    /// Output of a process, content of a file or a list, as it is; left out when there is none.
    pub(crate) output: String,
    /// Facts, without the output.
    pub(crate) facts: Value,
}

/// Why a tool did not do it. Its text is for the agent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ToolError {
    /// Arguments that can't be used.
    #[error("{0}")]
    Arguments(String),
    /// It was tried.
    #[error(transparent)]
    Exec(#[from] UnifiedExecError),
    /// It was tried, on a file.
    #[error("{path}: {error}")]
    File {
        /// As the agent gave it.
        path: String,
        /// What the file system said.
        error: FsError,
    },
}

/// A tool. Its file says everything about it.
pub(crate) trait AgentTool: Send + 'static {
    /// How it is called.
    const NAME: &'static str;
    /// What an agent has to know to use it well.
    const DESCRIPTION: &'static str;
    /// What it is called with. The comments on its fields are what agents read.
    type Arguments: DeserializeOwned + JsonSchema + Send + 'static;

    /// What it does to the world, for clients that ask their users.
    fn annotations() -> ToolAnnotations;

    /// Does it.
    fn call(
        workshop: &Workshop,
        arguments: Self::Arguments,
    ) -> impl Future<Output = Result<Answer, ToolError>> + Send;
}

type Calling = Pin<Box<dyn Future<Output = Result<Answer, ToolError>> + Send>>;

/// A tool in the table.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) tool: Tool,
    pub(crate) call: fn(Arc<Workshop>, JsonObject) -> Calling,
}

impl Entry {
    pub(crate) fn of<T: AgentTool>() -> Self {
        let schema = schema_for_input::<T::Arguments>().expect("arguments are a struct, hence an object");
        Self {
            tool: Tool::new(T::NAME, T::DESCRIPTION, schema).with_annotations(T::annotations()),
            call: |workshop, arguments| {
                Box::pin(async move {
                    let arguments = serde_json::from_value(Value::Object(arguments))
                        .map_err(|error| ToolError::Arguments(format!("{}: {error}", T::NAME)))?;
                    T::call(&workshop, arguments).await
                })
            },
        }
    }
}
