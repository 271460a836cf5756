//! Newline-delimited messages over a pair of pipes: stdio, or the stdio of a child.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_util::io::poll_read_buf;

use crate::error::{ReadError, WriteError};
use crate::limits::WireLimits;
use crate::message::{Message, MessageKind, Received};
use crate::segments::Segments;

/// Least room made for a read.
const READ_BYTES: usize = 16 * 1024;

pub(crate) struct LineReader {
    stream: Box<dyn AsyncRead + Send + Unpin>,
    buffer: BytesMut,
    splitter: Splitter,
    ended: bool,
}

impl LineReader {
    pub(crate) fn new(stream: impl AsyncRead + Send + Unpin + 'static, limits: &WireLimits) -> Self {
        let splitter = Splitter::new(limits.line_bytes);
        Self { stream: Box::new(stream), buffer: BytesMut::new(), splitter, ended: false }
    }

    /// Cancel-safe: what was read stays in the buffer.
    pub(crate) async fn next(&mut self) -> Option<Result<Received, ReadError>> {
        loop {
            match self.splitter.split(&mut self.buffer) {
                Ok(Some(line)) => return Some(Ok(text(line))),
                Err(error) => return Some(Err(error)),
                Ok(None) if self.ended => {
                    return self.splitter.rest(&mut self.buffer).map(|line| line.map(text)).transpose();
                }
                Ok(None) => {}
            }
            if self.buffer.capacity() - self.buffer.len() < READ_BYTES / 2 {
                // Doubling, so that a long line is not copied once per read.
                self.buffer.reserve(self.buffer.len().max(READ_BYTES));
            }
            match poll_fn(|cx| poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.buffer)).await {
                Ok(0) => self.ended = true,
                Ok(_) => {}
                Err(error) => {
                    self.ended = true;
                    self.buffer.clear();
                    return Some(Err(ReadError::Io(error)));
                }
            }
        }
    }
}

fn text(bytes: Bytes) -> Received {
    Received { kind: MessageKind::Text, bytes }
}

/// Cuts a byte stream into lines, however it was cut before.
#[derive(Debug)]
struct Splitter {
    limit_bytes: usize,
    /// The start of the buffer is known to hold no newline up to here.
    searched: usize,
    /// A line beyond the limit was reported; what is left of it is being thrown away.
    skipping: bool,
}

impl Splitter {
    fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, searched: 0, skipping: false }
    }

    /// Takes the next line that is not blank, without its line end.
    fn split(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, ReadError> {
        while let Some(found) = memchr::memchr(b'\n', &buffer[self.searched..]) {
            let line = buffer.split_to(self.searched + found + 1);
            self.searched = 0;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            let line = line.freeze();
            let line = without_line_end(&line);
            if line.len() > self.limit_bytes {
                return Err(ReadError::LineTooLong { limit_bytes: self.limit_bytes });
            }
            if !line.trim_ascii().is_empty() {
                return Ok(Some(line));
            }
        }
        self.searched = buffer.len();
        // One more byte may be a carriage return, which does not count.
        let too_long = buffer.len() > self.limit_bytes.saturating_add(1);
        if self.skipping || too_long {
            // Replaced rather than cleared, so that a long line does not leave its memory behind.
            *buffer = BytesMut::new();
            self.searched = 0;
            if !std::mem::replace(&mut self.skipping, true) {
                return Err(ReadError::LineTooLong { limit_bytes: self.limit_bytes });
            }
        }
        Ok(None)
    }

    /// Takes the last line of a stream that ended without a newline.
    fn rest(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, ReadError> {
        if buffer.is_empty() {
            return Ok(None);
        }
        buffer.extend_from_slice(b"\n");
        self.split(buffer)
    }
}

fn without_line_end(line: &Bytes) -> Bytes {
    let end = line.strip_suffix(b"\n").unwrap_or(line);
    let end = end.strip_suffix(b"\r").unwrap_or(end);
    line.slice(..end.len())
}

pub(crate) struct LineWriter {
    stream: Box<dyn AsyncWrite + Send + Unpin>,
    queue: Segments,
    high_water: usize,
    close_timeout: Duration,
    closed: bool,
}

impl LineWriter {
    pub(crate) fn new(stream: impl AsyncWrite + Send + Unpin + 'static, limits: &WireLimits) -> Self {
        Self {
            stream: Box::new(stream),
            queue: Segments::default(),
            high_water: limits.write_buffer_bytes.max(1),
            close_timeout: limits.close_timeout,
            closed: false,
        }
    }

    pub(crate) async fn feed(&mut self, message: Message) -> Result<(), WriteError> {
        let (kind, line) = message.into_parts();
        if kind == MessageKind::Binary {
            return Err(WriteError::BinaryOnLines);
        }
        if memchr::memchr(b'\n', &line).is_some() {
            return Err(WriteError::NewlineInLine);
        }
        self.ready().await?;
        self.queue.push(line);
        self.queue.extend(b"\n");
        Ok(())
    }

    pub(crate) async fn feed_text(
        &mut self,
        len: usize,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), WriteError> {
        self.ready().await?;
        let mut is_line = true;
        self.queue.append(len + 1, |out| {
            let start = out.len();
            write(out);
            is_line = memchr::memchr(b'\n', &out[start..]).is_none();
            if is_line {
                out.push(b'\n');
            } else {
                out.truncate(start);
            }
        });
        if is_line { Ok(()) } else { Err(WriteError::NewlineInLine) }
    }

    /// Waits until the queue is short enough for one more line.
    async fn ready(&mut self) -> Result<(), WriteError> {
        if self.closed {
            return Err(WriteError::Closed);
        }
        while self.queue.len() >= self.high_water {
            self.write_some().await?;
        }
        Ok(())
    }

    pub(crate) async fn flush(&mut self) -> Result<(), WriteError> {
        if self.closed {
            return Err(WriteError::Closed);
        }
        while !self.queue.is_empty() {
            self.write_some().await?;
        }
        let flushed = self.stream.flush().await;
        flushed.map_err(|error| self.fail(error))
    }

    /// Sends what is queued and ends the stream; there is no way to say why.
    pub(crate) async fn close(&mut self) {
        let patience = self.close_timeout;
        let _ = timeout(patience, async {
            if self.flush().await.is_ok() {
                let _ = self.stream.shutdown().await;
            }
        })
        .await;
        self.closed = true;
        self.queue.clear();
    }

    async fn write_some(&mut self) -> Result<(), WriteError> {
        let written = poll_fn(|cx| self.queue.poll_write_some(&mut self.stream, cx)).await;
        written.map_err(|error| self.fail(error))
    }

    fn fail(&mut self, error: io::Error) -> WriteError {
        self.closed = true;
        self.queue.clear();
        WriteError::Io(error)
    }
}

#[cfg(test)]
#[path = "lines_tests.rs"]
mod tests;
