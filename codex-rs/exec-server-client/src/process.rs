//! Acting on a process: stdin, terminal, signals, the end. And the task that reads what its events are missing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use codex_exec_server_protocol::ids::{ProcessId, WriteId};
use codex_exec_server_protocol::methods::{
    ProcessCloseStdin, ProcessRead, ProcessResize, ProcessSignal as SignalMethod, ProcessTerminate,
    ProcessWrite,
};
use codex_exec_server_protocol::process::{
    ProcessCloseStdinParams, ProcessReadParams, ProcessReadResponse, ProcessResizeParams, ProcessSignal,
    ProcessSignalParams, ProcessTerminateParams, ProcessTerminateResponse, ProcessWriteParams, PtySize,
    WriteStatus,
};
use uuid::Uuid;

use crate::client::{Client, Inner, Repeat};
use crate::error::{Outcome, ProcessError, RequestError, WriteError};
use crate::inbox::{Inbox, Work};

/// Read at once of what was missed.
const PAGE_BYTES: u64 = 1 << 20;

/// A process that was started by this client. Cloning gives another handle; dropping all of them leaves the process
/// alone.
///
/// Every method waits while the connection is being recovered.
#[derive(Debug, Clone)]
pub struct RemoteProcess {
    client: Client,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    id: ProcessId,
    /// Makes write ids unique among all who ever write to the process.
    nonce: Uuid,
    writes: AtomicU64,
    /// Writes are sent one after the other: only so do they stay in order when they have to be sent again.
    stdin: tokio::sync::Mutex<()>,
}

impl RemoteProcess {
    pub(crate) fn new(client: Client, id: ProcessId) -> Self {
        let shared = Shared {
            id,
            nonce: Uuid::new_v4(),
            writes: AtomicU64::new(1),
            stdin: tokio::sync::Mutex::new(()),
        };
        Self { client, shared: Arc::new(shared) }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &ProcessId {
        &self.shared.id
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
            process_id: self.shared.id.clone(),
            chunk: bytes.into(),
            write_id: self.write_id(),
        };
        let answer = self.client.call::<ProcessWrite>(&params).await?;
        self.accepted(answer.status)
    }

    /// Ends stdin behind everything that was written. A terminal, which has no end of its own, gets its end-of-file
    /// character. Flag `processStdinClose`.
    pub async fn close_stdin(&self) -> Result<(), WriteError> {
        let flag = self.client.inner.require("processStdinClose", |flags| flags.process_stdin_close);
        flag.map_err(RequestError::from)?;
        let _turn = self.shared.stdin.lock().await;
        let params =
            ProcessCloseStdinParams { process_id: self.shared.id.clone(), write_id: self.write_id() };
        let answer = self.client.call::<ProcessCloseStdin>(&params).await?;
        self.accepted(answer.status)
    }

    fn accepted(&self, status: WriteStatus) -> Result<(), WriteError> {
        match status {
            WriteStatus::Accepted => Ok(()),
            WriteStatus::StdinClosed => Err(WriteError::StdinClosed(self.shared.id.clone())),
            // A start that was answered is over, so "starting" can only be said of an id that is not this process.
            WriteStatus::UnknownProcess | WriteStatus::Starting => {
                Err(WriteError::UnknownProcess(self.shared.id.clone()))
            }
        }
    }

    /// Changes the size of the terminal. Flag `processResize`.
    pub async fn resize(&self, size: PtySize) -> Result<(), RequestError> {
        self.client.inner.require("processResize", |flags| flags.process_resize)?;
        let PtySize { rows, cols } = size;
        let params = ProcessResizeParams { process_id: self.shared.id.clone(), rows, cols };
        self.client.call::<ProcessResize>(&params).await?;
        Ok(())
    }

    /// Sends a signal to the process group, once; [`RequestError::Unknown`] when the connection was lost meanwhile. All
    /// but `interrupt` need the flag `processSignals`.
    pub async fn signal(&self, signal: ProcessSignal) -> Result<(), RequestError> {
        if signal != ProcessSignal::Interrupt {
            self.client.inner.require("processSignals", |flags| flags.process_signals)?;
        }
        let params = ProcessSignalParams { process_id: self.shared.id.clone(), signal };
        self.client.call_once::<SignalMethod>(&params).await?;
        Ok(())
    }

    /// Ends the process and every descendant. With a `grace`, which needs the flag `processTerminateGrace`, they get
    /// SIGTERM first and that much time.
    pub async fn terminate(&self, grace: Option<Duration>) -> Result<ProcessTerminateResponse, RequestError> {
        if grace.is_some() {
            self.client.inner.require("processTerminateGrace", |flags| flags.process_terminate_grace)?;
        }
        terminate(&self.client.inner, &self.shared.id, grace).await
    }
}

pub(crate) async fn terminate(
    client: &Inner,
    id: &ProcessId,
    grace: Option<Duration>,
) -> Result<ProcessTerminateResponse, RequestError> {
    let grace_ms = grace.map(|grace| u64::try_from(grace.as_millis()).unwrap_or(u64::MAX));
    let params = ProcessTerminateParams { process_id: id.clone(), grace_ms };
    client.call::<ProcessTerminate>(&params, Repeat::Always).await
}

/// Reads what the inbox of `id` is missing, until nothing can be missing any more.
pub(crate) async fn follow(client: Arc<Inner>, id: ProcessId, inbox: Arc<Inbox>) {
    while inbox.work().await == Work::Read {
        let read = tokio::select! {
            read = read(&client, &id, &inbox) => read,
            () = client.stop.cancelled() => return,
        };
        match read {
            Ok((response, whole)) => inbox.caught_up(response, whole),
            Err(error) => inbox.fail(error),
        }
    }
}

/// Returns an answer, and whether it was asked for as a whole.
async fn read(
    client: &Inner,
    id: &ProcessId,
    inbox: &Inbox,
) -> Result<(ProcessReadResponse, bool), ProcessError> {
    let mut connections = client.connections();
    loop {
        let attached = connections.next().await?;
        // Page by page, so that there is progress however often the connection breaks. Where the server does not say how
        // far it dropped, only an answer without a bound tells an exit from what is gone; it retains little anyway.
        let whole = !attached.peer.environment.capabilities.gap_accounting;
        let params = ProcessReadParams {
            process_id: id.clone(),
            after_seq: Some(inbox.begin_read()),
            max_bytes: (!whole).then_some(PAGE_BYTES),
            wait_ms: None,
        };
        match attached.link.call::<ProcessRead>(&params).await.map_err(Outcome::from) {
            Ok(response) => return Ok((response, whole)),
            Err(Outcome::Refused(source)) => {
                return Err(ProcessError::Forgotten { process_id: id.clone(), source });
            }
            Err(Outcome::Lost { .. }) => {}
        }
    }
}
