//! Standard input, carried to the process as it comes, with its end.

use std::convert::Infallible;
use std::future::pending;
use std::os::linux::fs::MetadataExt;

use bytes::{Bytes, BytesMut};
use codex_exec_server_client::{RemoteProcess, WriteError};
use codex_exec_server_protocol::environment::EnvironmentCapabilities;
use tokio::io::AsyncReadExt;

use super::Teller;

/// Asked for in one read.
const READ_BYTES: usize = 64 << 10;
/// What may be gathered while the last write is on its way; so a distant server costs round trips, not throughput.
const GATHER_BYTES: usize = 1 << 20;
/// What a person types to end a terminal's input.
const END_OF_TRANSMISSION: &[u8] = &[0x04];

/// Whether a process should get a pipe. A server that can't end one would leave the process waiting for ever, so there
/// it is spared that where nothing will come anyway.
pub(super) fn is_wanted(can_end: bool) -> bool {
    let device = |path: &str| std::fs::metadata(path).ok().map(|file| file.st_rdev());
    can_end || device("/proc/self/fd/0") != device("/dev/null")
}

/// Forwards standard input until its end, or until the process takes no more.
pub(super) async fn forward(
    process: &RemoteProcess,
    flags: &EnvironmentCapabilities,
    tty: bool,
    teller: Teller,
) -> Infallible {
    if tty || is_wanted(flags.process_stdin_close) {
        match copy(process, teller).await {
            // Whatever befell the connection is told by the process's events.
            Err(_) => {}
            Ok(()) => end(process, flags, tty, teller).await,
        }
    }
    pending().await
}

async fn copy(process: &RemoteProcess, teller: Teller) -> Result<(), WriteError> {
    let mut stdin = tokio::io::stdin();
    let mut gathered = BytesMut::new();
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
            gathered.reserve(READ_BYTES);
        }
        tokio::select! {
            biased;
            written = written => {
                written?;
                writing = None;
            }
            // Nothing that was read is lost when the other branch wins: the next read returns it.
            read = stdin.read_buf(&mut gathered), if open && gathered.len() < GATHER_BYTES => match read {
                Ok(0) => open = false,
                Ok(_) => {}
                Err(error) => {
                    teller.tell(format_args!("standard input can't be read: {error}"));
                    open = false;
                }
            },
        }
        if !open && writing.is_none() && gathered.is_empty() {
            return Ok(());
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
