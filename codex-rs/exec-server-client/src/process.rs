//! Acting on a process: stdin, terminal, signals, the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use codex_exec_server_core::reconnect::Repeat;
use codex_exec_server_protocol::ids::{ProcessId, RequestKey, Seq, WriteId};
use codex_exec_server_protocol::methods::{
    Method, ProcessCloseStdin, ProcessRead, ProcessResize, ProcessSignal as SignalMethod, ProcessTerminate,
    ProcessWrite,
};
use codex_exec_server_protocol::process::{
    ProcessCloseStdinParams, ProcessReadParams, ProcessReadResponse, ProcessResizeParams, ProcessSignal,
    ProcessSignalParams, ProcessTerminateParams, ProcessTerminateResponse, ProcessWriteParams, PtySize,
    WriteStatus,
};
use tokio::time::Instant;
use uuid::Uuid;

use crate::client::Client;
use crate::error::{Outcome, RequestError, WriteError};
use crate::events::Events;
use crate::follow::Follow;
use crate::inner::Inner;
use crate::router::Route;

/// A process of the client's session. Cloning gives another handle; dropping all of them leaves the process alone.
///
/// Every method waits while the connection is being recovered, and fails when it does not come back.
#[derive(Debug, Clone)]
pub struct RemoteProcess {
    client: Client,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    route: Arc<Route>,
    /// Makes write ids unique among all who ever write to the process.
    nonce: Uuid,
    writes: AtomicU64,
    /// Writes are sent one after the other: only so do they stay in order when they have to be sent again.
    stdin: tokio::sync::Mutex<()>,
}

impl RemoteProcess {
    pub(crate) fn new(client: Client, route: Arc<Route>) -> Self {
        let shared = Shared {
            route,
            nonce: Uuid::new_v4(),
            writes: AtomicU64::new(1),
            stdin: tokio::sync::Mutex::new(()),
        };
        Self { client, shared: Arc::new(shared) }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &ProcessId {
        self.shared.route.feed().id()
    }

    /// Its events behind `after`, at a pace of their own. What is not held here any more is read from the server; what it
    /// does not hold either is a gap. Where the process was closed at or before `after`, there is nothing: the first `next`
    /// is `None`.
    #[must_use]
    pub fn subscribe(&self, after: Seq, follow: impl Into<Follow>) -> Events {
        Events::new(Arc::clone(&self.client.inner), Arc::clone(&self.shared.route), after, follow.into())
    }

    /// Retained output behind `after`, as `process/read` answers; waits up to `wait` for something new, a lost connection
    /// included.
    ///
    /// When the connection does not come back this fails. It makes no answer up that says that the process ended, as the
    /// reference's client does, since whoever acts upon that would be wrong.
    pub async fn read(
        &self,
        after: Seq,
        max_bytes: Option<u64>,
        wait: Duration,
    ) -> Result<ProcessReadResponse, RequestError> {
        let deadline = Instant::now() + wait;
        let mut connections = self.client.inner.connections();
        loop {
            let attached = connections.next().await?;
            let wait = deadline.saturating_duration_since(Instant::now());
            let params = ProcessReadParams {
                process_id: self.id().clone(),
                after_seq: Some(after),
                max_bytes,
                wait_ms: Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
            };
            match attached.link.call::<ProcessRead>(&params).await.map_err(Outcome::from) {
                Ok(response) => return Ok(response),
                Err(Outcome::Refused(error)) => return Err(RequestError::Refused(error)),
                Err(Outcome::Lost { .. }) => {}
            }
        }
    }

    fn write_id(&self) -> WriteId {
        let number = self.shared.writes.fetch_add(1, Ordering::Relaxed);
        WriteId::from(format!("{}-{number}", self.shared.nonce))
    }

    /// Queues bytes for stdin, in the order of the calls, each exactly once. Returns when the server has taken them, which
    /// it does while its own queue has room.
    pub async fn write(&self, bytes: Bytes) -> Result<(), WriteError> {
        let _turn = self.shared.stdin.lock().await;
        let params = ProcessWriteParams {
            process_id: self.id().clone(),
            chunk: bytes.into(),
            write_id: self.write_id(),
        };
        let answer = self.call::<ProcessWrite>(&params, Repeat::Always).await?;
        self.accepted(answer.map(|answer| answer.status))
    }

    /// Ends stdin behind everything that was written. A terminal, which has no end of its own, gets its end-of-file
    /// character. Flag `processStdinClose`.
    pub async fn close_stdin(&self) -> Result<(), WriteError> {
        let flag = self.client.inner.require("processStdinClose", |flags| flags.process_stdin_close);
        flag.map_err(RequestError::from)?;
        let _turn = self.shared.stdin.lock().await;
        let params = ProcessCloseStdinParams { process_id: self.id().clone(), write_id: self.write_id() };
        let answer = self.call::<ProcessCloseStdin>(&params, Repeat::Always).await?;
        self.accepted(answer.map(|answer| answer.status))
    }

    fn accepted(&self, status: Option<WriteStatus>) -> Result<(), WriteError> {
        match status.unwrap_or(WriteStatus::UnknownProcess) {
            WriteStatus::Accepted => Ok(()),
            WriteStatus::StdinClosed => Err(WriteError::StdinClosed(self.id().clone())),
            // A start that was answered is over, so "starting" can only be said of an id that is not this process.
            WriteStatus::UnknownProcess | WriteStatus::Starting => {
                Err(WriteError::UnknownProcess(self.id().clone()))
            }
        }
    }

    /// Changes the size of the terminal. Flag `processResize`.
    pub async fn resize(&self, size: PtySize) -> Result<(), RequestError> {
        self.client.inner.require("processResize", |flags| flags.process_resize)?;
        let PtySize { rows, cols } = size;
        let params = ProcessResizeParams { process_id: self.id().clone(), rows, cols };
        self.call::<ProcessResize>(&params, Repeat::Always).await?;
        Ok(())
    }

    /// Sends a signal to the process group, once; [`RequestError::Unknown`] when the connection was lost meanwhile. All
    /// but `interrupt` need the flag `processSignals`.
    pub async fn signal(&self, signal: ProcessSignal) -> Result<(), RequestError> {
        if signal != ProcessSignal::Interrupt {
            self.client.inner.require("processSignals", |flags| flags.process_signals)?;
        }
        let params = ProcessSignalParams { process_id: self.id().clone(), signal };
        self.call::<SignalMethod>(&params, Repeat::IfUnsent).await?;
        Ok(())
    }

    /// Ends the process and every descendant. With a `grace`, which needs the flag `processTerminateGrace`, they get
    /// SIGTERM first and that much time.
    pub async fn terminate(&self, grace: Option<Duration>) -> Result<ProcessTerminateResponse, RequestError> {
        if grace.is_some() {
            self.client.inner.require("processTerminateGrace", |flags| flags.process_terminate_grace)?;
        }
        let ended = self
            .call::<ProcessTerminate>(
                &terminate_params(self.id(), grace, /*request_key*/ None),
                Repeat::Always,
            )
            .await?;
        Ok(ended.unwrap_or(ProcessTerminateResponse { running: false, survivors: None }))
    }

    /// Sends a request; `None` when the process was closed and its id stands for another one by now, which has nothing to
    /// do with what this one was asked.
    async fn call<M: Method>(
        &self,
        params: &M::Params,
        repeat: Repeat,
    ) -> Result<Option<M::Response>, RequestError>
    where
        M::Response: Send + 'static,
    {
        let route = &self.shared.route;
        self.client.inner.call_while::<M>(params, repeat, || !route.is_superseded()).await
    }
}

/// Ends the process of this id; where there is a `key`, only if that was the key of its start.
pub(crate) async fn terminate(
    client: &Inner,
    id: &ProcessId,
    key: Option<RequestKey>,
) -> Result<ProcessTerminateResponse, RequestError> {
    client.call::<ProcessTerminate>(&terminate_params(id, /*grace*/ None, key), Repeat::Always).await
}

pub(crate) fn terminate_params(
    id: &ProcessId,
    grace: Option<Duration>,
    request_key: Option<RequestKey>,
) -> ProcessTerminateParams {
    let grace_ms = grace.map(|grace| u64::try_from(grace.as_millis()).unwrap_or(u64::MAX));
    ProcessTerminateParams { process_id: id.clone(), grace_ms, request_key }
}
