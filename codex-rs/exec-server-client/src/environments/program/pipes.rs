//! The two ends of a program's streams that a connection holds, which tell when it lets go of either.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::unix::pipe;
use tokio_util::sync::DropGuard;

/// How much of a program's output is kept to show what it said instead of the protocol, in bytes.
const START_BYTES: usize = 120;

/// The first bytes of a program's output.
#[derive(Debug, Default)]
pub(super) struct OutputStart(Mutex<Vec<u8>>);

impl OutputStart {
    fn take_in(&self, bytes: &[u8]) {
        let mut start = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = START_BYTES.saturating_sub(start.len());
        start.extend_from_slice(&bytes[..room.min(bytes.len())]);
    }

    pub(super) fn text(&self) -> String {
        let start = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&start).trim_end().to_owned()
    }
}

/// The end of standard input.
pub(super) struct Input {
    pub(super) stream: pipe::Sender,
    pub(super) _gone: DropGuard,
}

impl AsyncWrite for Input {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The end of standard output.
pub(super) struct Output {
    pub(super) stream: pipe::Receiver,
    pub(super) start: Arc<OutputStart>,
    pub(super) _gone: DropGuard,
}

impl AsyncRead for Output {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.start.take_in(&buf.filled()[before..]);
        read
    }
}
