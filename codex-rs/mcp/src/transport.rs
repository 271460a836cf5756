//! An MCP server on a backend, as a transport of `rmcp`.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use codex_exec_server_core::service::ExecBackend;
use rmcp::RoleClient;
use rmcp::model::ServerJsonRpcMessage;
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde::Serialize;

use crate::config::ServerConfig;
use crate::decode::{Decoded, decode};
use crate::error::{Reason, ServerError};
use crate::fate::{Fate, ServerWatch};
use crate::incoming::{Incoming, Output};
use crate::keeper::Keeper;
use crate::launch::{Launched, launch};

/// A stdio MCP server that runs as a process of a backend.
///
/// Messages go in order and each once, over as many connections as it takes. When the server ends, or can't be followed
/// any further, nothing more is received, and [`StdioServer::watch`] says why. Dropping it ends the server as
/// [`Transport::close`] does, without waiting for that.
#[derive(Debug)]
pub struct StdioServer {
    server: Arc<str>,
    /// `None` once it was closed.
    incoming: Option<Incoming>,
    keeper: Keeper,
    fate: Fate,
    /// What came in one line with the message received last.
    decoded: VecDeque<ServerJsonRpcMessage>,
}

impl StdioServer {
    /// Starts the server. Must be called within a tokio runtime.
    pub async fn start(backend: &dyn ExecBackend, config: &ServerConfig) -> Result<Self, ServerError> {
        let Launched { process, incoming } = launch(backend, config).await?;
        let server: Arc<str> = config.name.as_str().into();
        let fate = Fate::new();
        let keeper = Keeper::new(Arc::clone(&server), process, fate.clone(), config);
        Ok(Self { server, incoming: Some(incoming), keeper, fate, decoded: VecDeque::new() })
    }

    /// Tells what becomes of the server, whoever owns it by then.
    #[must_use]
    pub fn watch(&self) -> ServerWatch {
        self.fate.watch()
    }

    /// Queues a line; the future resolves when the backend has taken it.
    fn post(
        &self,
        line: Result<Bytes, Reason>,
    ) -> impl Future<Output = Result<(), ServerError>> + Send + 'static + use<> {
        let sent = match &self.incoming {
            Some(_) => line.map(|line| self.keeper.send(line)),
            None => Err(Reason::Closed),
        };
        let (server, fate) = (Arc::clone(&self.server), self.fate.watch());
        async move {
            let error = match sent {
                Ok(sent) => match sent.await {
                    Ok(()) => return Ok(()),
                    Err(error) => error,
                },
                Err(reason) => ServerError { server, reason, stderr: Default::default() },
            };
            // Why a server that is gone did not take it is the better answer.
            Err(fate.now().unwrap_or(error))
        }
    }

    fn take_line(&mut self, line: &[u8]) {
        for decoded in decode(line) {
            match decoded {
                Decoded::Message(message) => self.decoded.push_back(message),
                Decoded::Refusal(refusal) => {
                    tracing::warn!(server = %self.server, ?refusal, "request of an MCP server is refused");
                    // The order was settled by queueing it; nobody waits for the rest.
                    drop(self.post(encode(&refusal)));
                }
                Decoded::Skipped(why) => {
                    tracing::warn!(server = %self.server, "skipped what an MCP server wrote: {why}");
                }
            }
        }
    }
}

/// A message as a line.
fn encode(message: &impl Serialize) -> Result<Bytes, Reason> {
    let mut line = BytesMut::new().writer();
    serde_json::to_writer(&mut line, message).map_err(|error| Reason::NotJson(error.to_string().into()))?;
    let mut line = line.into_inner();
    line.put_u8(b'\n');
    Ok(line.freeze())
}

impl Transport<RoleClient> for StdioServer {
    type Error = ServerError;

    fn name() -> Cow<'static, str> {
        "stdio MCP server on a backend".into()
    }

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), ServerError>> + Send + 'static {
        self.post(encode(&message))
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        loop {
            if let Some(message) = self.decoded.pop_front() {
                return Some(message);
            }
            match self.incoming.as_mut()?.next().await {
                Ok(Output::Line(line) | Output::Rest(line)) => self.take_line(&line),
                Ok(Output::Stderr(_)) => {}
                Err(end) => {
                    tracing::debug!(%end, "nothing more comes from an MCP server");
                    self.fate.tell(&end);
                    return None;
                }
            }
        }
    }

    /// Closes the server's stdin and waits for its exit; one that does not exit in time is told to end by SIGTERM, and
    /// what still runs then is killed, descendants included. See [`ServerPatience`](crate::ServerPatience).
    async fn close(&mut self) -> Result<(), ServerError> {
        self.let_go();
        self.keeper.ended().await;
        Ok(())
    }
}

impl StdioServer {
    fn let_go(&mut self) {
        if let Some(incoming) = self.incoming.take() {
            self.keeper.end(incoming);
        }
    }
}

impl Drop for StdioServer {
    fn drop(&mut self) {
        self.let_go();
    }
}
