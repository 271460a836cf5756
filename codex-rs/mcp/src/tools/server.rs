//! The MCP server itself: what it says of itself, and from a call to its answer.

use std::sync::Arc;

use codex_exec_server_core::service::{ExecBackend, FileSystem};
use codex_exec_server_unified_exec::{ApproveAsAsked, UnifiedExec, UnifiedExecConfig};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData, Implementation,
    ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{RequestContext, ServerInitializeError};
use rmcp::{RoleServer, ServerHandler, ServiceExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;

use super::progress::with_progress;
use super::table;
use super::tool::{Answer, Entry, ToolError, Workshop};

/// Calls that may be under way at once. Far more than an agent makes, and each holds next to nothing.
const CALLS: usize = 256;

/// Why a client was not served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// It was gone before it had said anything.
    #[error("the MCP client went away before it shook hands")]
    NoHandshake,
    /// It did not shake hands as MCP wants.
    #[error("the MCP client did not shake hands: {0}")]
    Handshake(Box<ServerInitializeError>),
}

/// Serves the tools to one client. Cloning gives another handle to the same processes.
#[derive(Debug, Clone)]
pub struct ToolServer {
    workshop: Arc<Workshop>,
    tools: Arc<[Entry]>,
    calls: Arc<Semaphore>,
}

impl ToolServer {
    /// Tools that run on `backend`, and `files` of the same machine. Used within a tokio runtime.
    #[must_use]
    pub fn new(backend: Arc<dyn ExecBackend>, files: Arc<dyn FileSystem>) -> Self {
        let approver = Arc::new(ApproveAsAsked);
        let exec = UnifiedExec::new(Arc::clone(&backend), approver, UnifiedExecConfig::default());
        Self {
            workshop: Arc::new(Workshop { exec, backend, files }),
            tools: table().into(),
            calls: Arc::new(Semaphore::new(CALLS)),
        }
    }

    /// Serves the client at the other end of two pipes until it is gone. What it started may still run then:
    /// [`Self::shut_down`] ends that.
    ///
    /// # Errors
    /// That there was no MCP client.
    pub async fn serve(
        &self,
        input: impl AsyncRead + Send + Unpin + 'static,
        output: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Result<(), ServeError> {
        let session = match ServiceExt::serve(self.clone(), (input, output)).await {
            Ok(session) => session,
            Err(ServerInitializeError::ConnectionClosed(_)) => return Err(ServeError::NoHandshake),
            Err(error) => return Err(ServeError::Handshake(Box::new(error))),
        };
        // How it ended makes no difference: nobody is there any more.
        if let Err(error) = session.waiting().await {
            tracing::error!(%error, "serving an MCP client failed");
        }
        Ok(())
    }

    /// Ends every process with its descendants; no command is taken any more. Returns when all is done.
    pub async fn shut_down(&self) {
        self.workshop.exec.shut_down().await;
    }

    fn entry(&self, name: &str) -> Option<&Entry> {
        self.tools.iter().find(|entry| entry.tool.name == name)
    }

    /// What an agent should know before its first call.
    fn instructions(&self) -> String {
        let machine = self.workshop.backend.environment();
        let os = machine.platform_os.as_deref().unwrap_or("unknown");
        let cwd = machine.cwd.as_ref().map_or_else(
            || "one that it does not tell".to_owned(),
            |cwd| cwd.to_path().map_or_else(|_| cwd.to_string(), |path| path.display().to_string()),
        );
        format!(
            "Runs commands on a machine, which may be another one than this client's: operating system {os}, shell {}, \
             working directory {cwd}. Files are read and written by tools of their own, or by commands. What still runs \
             when the session ends is ended.",
            machine.shell.path
        )
    }
}

impl ServerHandler for ToolServer {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("codex-exec-server", env!("CARGO_PKG_VERSION")))
            .with_instructions(self.instructions())
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.entry(name).map(|entry| entry.tool.clone())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = self.tools.iter().map(|entry| entry.tool.clone()).collect();
        Ok(ListToolsResult::with_all_items(tools))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(entry) = self.entry(&request.name) else {
            let names: Vec<&str> = self.tools.iter().map(|entry| &*entry.tool.name).collect();
            let unknown = format!("there is no tool {}; there are {}", request.name, names.join(", "));
            return Err(ErrorData::invalid_params(unknown, None));
        };
        let Ok(_turn) = self.calls.try_acquire() else {
            let refused =
                format!("{CALLS} calls are under way, the limit; wait for one of them to be answered");
            return Ok(failed(&refused).into());
        };
        let calling = (entry.call)(Arc::clone(&self.workshop), request.arguments.unwrap_or_default());
        let result = tokio::select! {
            result = with_progress(&context, calling) => result,
            // Nobody reads the answer. The call is dropped, and with it goes the command that it started.
            () = context.ct.cancelled() => {
                return Err(ErrorData::internal_error("the call was cancelled", None));
            }
        };
        Ok(match result {
            Ok(answer) => succeeded(answer),
            Err(error) => {
                if matches!(error, ToolError::Exec(_) | ToolError::File { .. }) {
                    tracing::debug!(tool = %request.name, %error, "tool call failed");
                }
                failed(&error.to_string())
            }
        }
        .into())
    }
}

fn succeeded(answer: Answer) -> CallToolResult {
    let Answer { summary, output, facts } = answer;
    let mut content = vec![ContentBlock::text(summary)];
    if !output.is_empty() {
        content.push(ContentBlock::text(output));
    }
    let mut result = CallToolResult::success(content);
    result.structured_content = Some(facts);
    result
}

fn failed(words: &str) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(words)])
}
