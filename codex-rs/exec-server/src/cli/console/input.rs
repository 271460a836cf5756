//! Standard input, carried to the process as it comes, with its end.

use std::future::pending;
use std::os::linux::fs::MetadataExt;

use bytes::{Bytes, BytesMut};
use codex_exec_server_client::{RemoteProcess, WriteError};
use codex_exec_server_protocol::environment::EnvironmentCapabilities;
use tokio::io::AsyncReadExt;

use super::keys::{DetachKeys, Typed};
use crate::cli::teller::Teller;

/// Asked for in one read.
const READ_BYTES: usize = 64 << 10;
/// What may be gathered while the last write is on its way; so a distant server costs round trips, not throughput.
const GATHER_BYTES: usize = 1 << 20;
/// What a person types to end a terminal's input.
const END_OF_TRANSMISSION: &[u8] = &[0x04];

/// Whether a process should get a pipe. A server that can't end one would leave the process waiting for ever, so there
/// it is spared that where nothing will come anyway.
pub(in crate::cli) fn is_wanted(can_end: bool) -> bool {
    let device = |path: &str| std::fs::metadata(path).ok().map(|file| file.st_rdev());
    can_end || device("/proc/self/fd/0") != device("/dev/null")
}

/// Forwards standard input until its end, or until the process takes no more. Resolves only when a person typed that
/// they want to go, which `keys` looks for.
pub(super) async fn forward(
    process: &RemoteProcess,
    flags: &EnvironmentCapabilities,
    tty: bool,
    keys: Option<DetachKeys>,
    teller: Teller,
) {
    if tty || is_wanted(flags.process_stdin_close) {
        match copy(process, keys, teller).await {
            Ok(Copied::Detached) => return,
            // Whatever befell the connection is told by the process's events.
            Err(_) => {}
            Ok(Copied::All) => end(process, flags, tty, teller).await,
        }
    }
    pending().await
}

/// How copying ended.
enum Copied {
    All,
    Detached,
}

async fn copy(
    process: &RemoteProcess,
    mut keys: Option<DetachKeys>,
    teller: Teller,
) -> Result<Copied, WriteError> {
    let mut stdin = tokio::io::stdin();
    let (mut gathered, mut read) = (BytesMut::new(), BytesMut::new());
    let mut open = true;
    let mut writing = None;
    loop {
        if writing.is_none() && !gathered.is_empty() {
            writing = Some(Box::pin(process.write(gathered.split().freeze())));
        }
        let written = async {
            match &mut writing {
                Some(writing) => writing.await,
                None => pending().await,
            }
        };
        if open {
            read.reserve(READ_BYTES);
        }
        tokio::select! {
            biased;
            written = written => {
                written?;
                writing = None;
            }
            // Nothing that was read is lost when the other branch wins: the next read returns it.
            got = stdin.read_buf(&mut read), if open && gathered.len() < GATHER_BYTES => match got {
                Ok(0) => {
                    open = false;
                    if let Some(keys) = &mut keys {
                        gathered.extend_from_slice(keys.rest());
                    }
                }
                Ok(_) => match &mut keys {
                    None if gathered.is_empty() => gathered = read.split(),
                    None => gathered.unsplit(read.split()),
                    Some(keys) => match keys.take(&read.split()) {
                        Typed::Keys(keys) => gathered.extend_from_slice(&keys),
                        Typed::Detach => return Ok(Copied::Detached),
                    },
                },
                Err(error) => {
                    teller.tell(format_args!("standard input can't be read: {error}"));
                    open = false;
                }
            },
        }
        if !open && writing.is_none() && gathered.is_empty() {
            return Ok(Copied::All);
        }
    }
}

async fn end(process: &RemoteProcess, flags: &EnvironmentCapabilities, tty: bool, teller: Teller) {
    // As above: a failure shows in the process's events, or there is nobody left to read.
    if flags.process_stdin_close {
        let _ = process.close_stdin().await;
    } else if tty {
        let _ = process.write(Bytes::from_static(END_OF_TRANSMISSION)).await;
    } else {
        teller.tell(format_args!(
            "this server can't end a command's standard input, so the command won't see that it is over"
        ));
    }
}
