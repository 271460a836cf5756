//! The task that owns a server's stdin and its end: messages go in one after the other, and whatever becomes of whoever
//! uses the server, it is ended as MCP wants stdio servers to be ended.
//!
//! It ends by itself, in bounded time, when its [`Keeper`] is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use codex_exec_server_core::service::{ExecError, ExecProcess};
use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::config::{ServerConfig, ServerPatience};
use crate::error::{Reason, ServerError};
use crate::fate::Fate;
use crate::incoming::Incoming;

/// The most that one write carries. A message of any size goes through in pieces of it, and none of them comes near the
/// largest message that a server takes.
const WRITE_BYTES: usize = 256 << 10;

/// A message on its way to the server's stdin.
struct Message {
    bytes: Bytes,
    taken: oneshot::Sender<Result<(), Reason>>,
}

/// Hands work to the task. Dropping it makes the task end the server.
#[derive(Debug)]
pub(crate) struct Keeper {
    server: Arc<str>,
    /// Bounded by `queued_bytes`: a message that finds too much waiting is refused.
    messages: mpsc::UnboundedSender<Message>,
    queued_bytes: Arc<AtomicUsize>,
    limit_bytes: usize,
    /// Where the task gets the server's output for its last part. `None` when it was given.
    last_part: Option<oneshot::Sender<Incoming>>,
    /// Tells the task that the end has come.
    closing: Option<DropGuard>,
    /// Resolves when the server was ended.
    ended: Option<oneshot::Receiver<()>>,
}

impl Keeper {
    pub(crate) fn new(
        server: Arc<str>,
        process: Arc<dyn ExecProcess>,
        fate: Fate,
        config: &ServerConfig,
    ) -> Self {
        let closing = CancellationToken::new();
        let queued_bytes = Arc::new(AtomicUsize::new(0));
        let (messages, waiting) = mpsc::unbounded_channel();
        let (last_part, incoming) = oneshot::channel();
        let (over, ended) = oneshot::channel();
        let patience = config.patience;
        let (stopping, queued) = (closing.clone(), Arc::clone(&queued_bytes));
        tokio::spawn(async move {
            // The patience for a polite end runs from when the end was asked for, whatever was still to be written.
            let asked = stopping.clone();
            let run_out = async move {
                asked.cancelled().await;
                sleep(patience.exit).await;
            };
            let run_out = run_out.boxed().shared();
            tokio::select! {
                () = write_and_close(&*process, waiting, &queued, stopping) => {}
                () = run_out.clone() => {}
            }
            match incoming.await {
                Ok(incoming) => end(&*process, incoming, run_out, &fate, &patience).await,
                // Nobody reads it any more.
                Err(_) => terminate(&*process, &patience).await,
            }
            // Nobody may be waiting for it.
            let _ = over.send(());
        });
        Self {
            server,
            messages,
            queued_bytes,
            limit_bytes: config.limits.queued_bytes,
            last_part: Some(last_part),
            closing: Some(closing.drop_guard()),
            ended: Some(ended),
        }
    }

    /// Queues a message behind those before. The future resolves when the backend has taken it.
    pub(crate) fn send(
        &self,
        bytes: Bytes,
    ) -> impl Future<Output = Result<(), ServerError>> + Send + 'static + use<> {
        let queued = self.enqueue(bytes);
        let error = {
            let server = Arc::clone(&self.server);
            move |reason| ServerError { server, reason, stderr: Default::default() }
        };
        async move {
            let taken = match queued {
                Ok(taken) => taken.await.unwrap_or(Err(Reason::Closed)),
                Err(reason) => Err(reason),
            };
            taken.map_err(error)
        }
    }

    fn enqueue(&self, bytes: Bytes) -> Result<oneshot::Receiver<Result<(), Reason>>, Reason> {
        let waiting = self.queued_bytes.load(Ordering::Relaxed);
        if waiting > 0 && waiting.saturating_add(bytes.len()) > self.limit_bytes {
            return Err(Reason::Backlog { limit_bytes: self.limit_bytes });
        }
        self.queued_bytes.fetch_add(bytes.len(), Ordering::Relaxed);
        let (taken, answer) = oneshot::channel();
        self.messages.send(Message { bytes, taken }).map_err(|_| Reason::Closed)?;
        Ok(answer)
    }

    /// Ends the server; what it still writes goes nowhere. What is queued for it is written as long as there is time.
    pub(crate) fn end(&mut self, incoming: Incoming) {
        if let Some(last_part) = self.last_part.take() {
            // Without the task there is nothing to end.
            let _ = last_part.send(incoming);
        }
        self.closing = None;
    }

    /// Waits until the server was ended.
    pub(crate) async fn ended(&mut self) {
        if let Some(ended) = &mut self.ended {
            let _ = ended.await;
            self.ended = None;
        }
    }
}

/// Writes messages until there won't be any more, then closes stdin.
async fn write_and_close(
    process: &dyn ExecProcess,
    mut messages: mpsc::UnboundedReceiver<Message>,
    queued_bytes: &AtomicUsize,
    closing: CancellationToken,
) {
    loop {
        let message = tokio::select! {
            biased;
            message = messages.recv() => message,
            () = closing.cancelled() => None,
        };
        let Some(Message { bytes, taken }) = message else { break };
        let len = bytes.len();
        let written = write(process, bytes).await;
        queued_bytes.fetch_sub(len, Ordering::Relaxed);
        // Whoever sent it may have stopped waiting; it went all the same.
        let _ = taken.send(written.map_err(Reason::NotTaken));
    }
    if let Err(error) = process.close_stdin().await {
        tracing::debug!(%error, "stdin of an MCP server was not closed; it is told to end");
    }
}

async fn write(process: &dyn ExecProcess, mut bytes: Bytes) -> Result<(), ExecError> {
    while !bytes.is_empty() {
        let piece = bytes.split_to(bytes.len().min(WRITE_BYTES));
        process.write(piece).await?;
    }
    Ok(())
}

/// Waits for the exit of a server whose stdin was closed; ends it when `run_out` does. Its output is read meanwhile, since
/// one that can't write can't exit.
async fn end(
    process: &dyn ExecProcess,
    mut incoming: Incoming,
    run_out: impl Future<Output = ()>,
    fate: &Fate,
    patience: &ServerPatience,
) {
    let told = tokio::select! {
        end = read_to_end(&mut incoming) => Some(end),
        () = run_out => None,
    };
    if !incoming.is_closed() {
        let limit = patience.grace + patience.close;
        let killed = terminate(process, patience);
        // It is read meanwhile, for the same reason.
        let both = async { tokio::join!(killed, read_to_end(&mut incoming)) };
        if timeout(limit, both).await.is_err() {
            tracing::warn!(process = %process.id(), "MCP server did not end in time and is left alone");
        }
    }
    let end = match told {
        Some(end) => end,
        None => incoming.error(Reason::Closed),
    };
    fate.tell(&end);
}

async fn read_to_end(incoming: &mut Incoming) -> ServerError {
    loop {
        if let Err(end) = incoming.next().await {
            return end;
        }
    }
}

/// Ends the server and its descendants: politely at first, where the backend can.
pub(crate) async fn terminate(process: &dyn ExecProcess, patience: &ServerPatience) {
    let ended = match process.terminate(Some(patience.grace)).await {
        // Some peers kill at once or not at all.
        Err(ExecError::Unsupported(_)) => process.terminate(/*grace*/ None).await,
        ended => ended,
    };
    if let Err(error) = ended {
        tracing::debug!(process = %process.id(), %error, "MCP server was not ended");
    }
}
