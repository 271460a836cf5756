//! A server on a backend behind somebody's pipes: bytes go through as they are, in both directions.
//!
//! Nothing here speaks MCP. Output is passed on in whole lines, so that whoever reads it never sees half a message,
//! whatever goes wrong.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use codex_exec_server_core::process_event::Exit;
use codex_exec_server_core::service::{ExecError, ExecProcess};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufWriter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

use crate::config::ServerPatience;
use crate::error::{Reason, ServerError};
use crate::incoming::{Incoming, Output};
use crate::keeper::terminate;
use crate::launch::Launched;

/// Read from the client at once.
const READ_BYTES: usize = 64 << 10;

/// Output that may wait for a client that does not read, in KiB. Beyond it the server's events wait; where the backend
/// does not make the server wait then, and some of its output is lost, the bridge fails, since nothing may be lost unsaid.
const WAITING_KIB: u32 = 64 << 10;

/// The pipes of a local client.
#[derive(Debug)]
pub struct Pipes<R, W, E> {
    /// What the client says to the server.
    pub stdin: R,
    /// Where the server's messages go.
    pub stdout: W,
    /// Where the server's words for people go.
    pub stderr: E,
}

/// Why a bridge ended without the server's exit.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// The server can't be followed any further. It was ended, if it can be reached.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The client does not read any more. The server was ended.
    #[error("the MCP client is gone: {0}")]
    Client(io::Error),
    /// It was stopped. The server was ended.
    #[error("stopped")]
    Stopped,
}

/// Carries everything between `pipes` and a server until it exits and all its output was passed on, or until `stop`
/// resolves. The end of the client's input is the end of the server's; after that the server has all the time it wants.
pub async fn bridge<R, W, E>(
    launched: Launched,
    pipes: Pipes<R, W, E>,
    patience: &ServerPatience,
    stop: impl Future<Output = ()>,
) -> Result<Exit, BridgeError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
    E: AsyncWrite + Unpin,
{
    let Launched { process, mut incoming } = launched;
    let (waiting, passing) = mpsc::unbounded_channel();
    let (end, passed) = {
        let collecting = collect(&mut incoming, waiting);
        let passing = pass_on(passing, pipes.stdout, pipes.stderr);
        let carried = async { tokio::join!(collecting, passing) };
        tokio::pin!(carried);
        tokio::select! {
            carried = &mut carried => carried,
            never = feed(&*process, pipes.stdin, patience) => match never {},
            () = stop => {
                // Its last words are passed on as well, if there is anybody to take them.
                let last_words = timeout(patience.grace + patience.close, &mut carried);
                let _ = tokio::join!(end_server(&*process, patience), last_words);
                return Err(BridgeError::Stopped);
            }
        }
    };
    if !incoming.is_closed() {
        end_server(&*process, patience).await;
    }
    passed.map_err(BridgeError::Client)?;
    match end {
        Some(ServerError { reason: Reason::Exited(exit), .. }) => Ok(exit),
        Some(end) => Err(end.into()),
        // It was not read to its end because its reader was gone, which was said above.
        None => Err(BridgeError::Client(io::ErrorKind::BrokenPipe.into())),
    }
}

async fn end_server(process: &dyn ExecProcess, patience: &ServerPatience) {
    let limit = patience.grace + patience.close;
    if timeout(limit, terminate(process, patience)).await.is_err() {
        tracing::warn!(process = %process.id(), "MCP server did not end in time and is left alone");
    }
}

/// Passes the client's input on. Never resolves: the end of its input is not the end of the bridge.
async fn feed(
    process: &dyn ExecProcess,
    mut stdin: impl AsyncRead + Unpin,
    patience: &ServerPatience,
) -> Infallible {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(READ_BYTES);
        match stdin.read_buf(&mut buffer).await {
            Ok(1..) => {}
            Ok(0) => break,
            Err(error) => {
                tracing::warn!(%error, "input of the MCP client can't be read; taken as its end");
                break;
            }
        }
        if let Err(error) = process.write(buffer.split().freeze()).await {
            // A server that closed its stdin may still have something to say, and why one is gone its events tell.
            tracing::debug!(%error, "MCP server takes no more input");
            return std::future::pending().await;
        }
    }
    match process.close_stdin().await {
        // Where stdin has no end, this is the only way to tell the server that its client is gone.
        Err(ExecError::Unsupported(_)) => end_server(process, patience).await,
        Err(error) => tracing::debug!(%error, "stdin of an MCP server was not closed"),
        Ok(()) => {}
    }
    std::future::pending().await
}

/// Output with its share of what may wait.
struct Waiting {
    output: Output,
    _share: OwnedSemaphorePermit,
}

/// Takes the server's output until it ends, and says how; `None` when nobody wants it any more.
async fn collect(incoming: &mut Incoming, waiting: mpsc::UnboundedSender<Waiting>) -> Option<ServerError> {
    let shares = Arc::new(Semaphore::new(WAITING_KIB as usize));
    loop {
        let output = tokio::select! {
            output = incoming.next() => output,
            () = waiting.closed() => return None,
        };
        let output = match output {
            Ok(output) => output,
            Err(end) => return Some(end),
        };
        let kib = u32::try_from(output.bytes().len().div_ceil(1 << 10)).unwrap_or(u32::MAX);
        let share = Arc::clone(&shares).acquire_many_owned(kib.clamp(1, WAITING_KIB));
        let _share = share.await.ok()?;
        waiting.send(Waiting { output, _share }).ok()?;
    }
}

/// Writes output until there won't be any more.
async fn pass_on(
    mut waiting: mpsc::UnboundedReceiver<Waiting>,
    stdout: impl AsyncWrite + Unpin,
    mut stderr: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let mut stdout = BufWriter::new(stdout);
    while let Some(Waiting { output, .. }) = waiting.recv().await {
        match output {
            Output::Line(line) => {
                stdout.write_all(&line).await?;
                stdout.write_all(b"\n").await?;
                stdout.flush().await?;
            }
            Output::Rest(rest) => {
                stdout.write_all(&rest).await?;
                stdout.flush().await?;
            }
            Output::Stderr(words) => {
                // Nobody has to listen to them.
                let _ = stderr.write_all(&words).await;
                let _ = stderr.flush().await;
            }
        }
    }
    Ok(())
}
