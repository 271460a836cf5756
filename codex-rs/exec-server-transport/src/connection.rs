//! One connection, whatever carries it: a reader and a writer of messages, for use from two tasks.

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::close::CloseReason;
use crate::error::{ReadError, WriteError};
use crate::express::Express;
use crate::limits::{Leeway, WireLimits};
use crate::lines::{LineReader, LineWriter};
use crate::memory::{MemoryReader, MemoryWriter};
use crate::message::{Message, Received};
use crate::peer::Peer;
use crate::presence::Presence;
use crate::stream::Stream;
use crate::websocket::{self, Role, WsReader, WsWriter};

/// An open connection. Its parts are independent: reading goes on while a write waits, and the other way
/// round.
#[derive(Debug)]
pub struct Connection {
    /// Where messages come from.
    pub reader: MessageReader,
    /// Where messages go.
    pub writer: MessageWriter,
    /// Who is at the other end.
    pub peer: Peer,
}

impl Connection {
    /// A connection of newline-delimited messages over two pipes, such as the stdio of a child.
    pub fn from_lines(
        input: impl AsyncRead + Send + Unpin + 'static,
        output: impl AsyncWrite + Send + Unpin + 'static,
        limits: &WireLimits,
    ) -> Self {
        Self {
            reader: MessageReader(Reader::Lines(LineReader::new(input, limits))),
            writer: MessageWriter(Writer::Lines(LineWriter::new(output, limits))),
            peer: Peer::Stdio,
        }
    }

    /// A connection over this process's own standard input and output.
    ///
    /// Nothing else may be printed to standard output while it is open. Standard input is read by a thread
    /// that cannot be interrupted: end the process, or shut the runtime down in the background, rather than
    /// wait for it.
    pub fn stdio(limits: &WireLimits) -> Self {
        Self::from_lines(tokio::io::stdin(), tokio::io::stdout(), limits)
    }

    /// A WebSocket over any byte stream that is past its upgrade, such as a tunnel.
    ///
    /// What is known about TCP sockets does not help here: a silent peer counts as gone unless our writes are
    /// stuck.
    pub fn websocket_over(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        role: Role,
        peer: Peer,
        limits: &WireLimits,
    ) -> Self {
        Self::websocket(Stream::Any(Box::new(stream)), &[], role, peer, limits)
    }

    /// A WebSocket over `stream`, upgraded already; `leftover` was read from it beyond the upgrade.
    pub(crate) fn websocket(
        stream: Stream,
        leftover: &[u8],
        role: Role,
        peer: Peer,
        limits: &WireLimits,
    ) -> Self {
        let (reader, writer) = websocket::open(stream, leftover, role, limits);
        Self {
            reader: MessageReader(Reader::WebSocket(Box::new(reader))),
            writer: MessageWriter(Writer::WebSocket(writer)),
            peer,
        }
    }
}

/// The inbound half of a [`Connection`].
///
/// It has to be polled for the connection to live: this is where pings are sent and answered, and where a
/// vanished peer is noticed. It needs no help from the writer for that.
#[derive(Debug)]
pub struct MessageReader(Reader);

enum Reader {
    WebSocket(Box<WsReader>),
    Lines(LineReader),
    Memory(MemoryReader),
}

impl MessageReader {
    pub(crate) fn memory(reader: MemoryReader) -> Self {
        Self(Reader::Memory(reader))
    }

    /// The next message. `None` when the peer has closed in good order, or after a fatal error was returned;
    /// see [`ReadError::is_fatal`].
    ///
    /// Cancel-safe: a message is either returned or still to come. When a peer has to be cut off, this first
    /// tells it why and waits until it has had a chance to read that, at most for
    /// [`WireLimits::close_timeout`](crate::WireLimits::close_timeout).
    pub async fn next(&mut self) -> Option<Result<Bytes, ReadError>> {
        self.next_message().await.map(|result| result.map(|message| message.bytes))
    }

    /// As [`MessageReader::next`], and says whether the sender marked the message as text or as binary.
    pub async fn next_message(&mut self) -> Option<Result<Received, ReadError>> {
        match &mut self.0 {
            Reader::WebSocket(reader) => reader.next().await,
            Reader::Lines(reader) => reader.next().await,
            Reader::Memory(reader) => reader.next().await,
        }
    }

    /// Whether more has come than was taken, or part of it: whoever answers now will soon have more to send. Where that is
    /// not known, no.
    pub fn has_more_at_hand(&self) -> bool {
        match &self.0 {
            Reader::WebSocket(reader) => reader.has_more_at_hand(),
            Reader::Lines(_) | Reader::Memory(_) => false,
        }
    }

    /// Looks after the connection while nothing is to be read from it: pings go out, and a vanished peer is noticed.
    /// Resolves only when the connection is over; [`MessageReader::next`] then says how. Cancel-safe.
    pub async fn watch(&mut self) {
        match &mut self.0 {
            Reader::WebSocket(reader) => reader.watch().await,
            Reader::Lines(_) | Reader::Memory(_) => std::future::pending().await,
        }
    }

    /// What the peer said when it closed. `None` before that, and always on stdio.
    pub fn close_reason(&self) -> Option<&CloseReason> {
        match &self.0 {
            Reader::WebSocket(reader) => reader.close_reason(),
            Reader::Lines(_) => None,
            Reader::Memory(reader) => reader.close_reason(),
        }
    }
}

/// The outbound half of a [`Connection`].
///
/// Dropping it without [`MessageWriter::close`] looks to the peer like a lost connection as soon as the
/// reader is dropped, too.
#[derive(Debug)]
pub struct MessageWriter(Writer);

enum Writer {
    WebSocket(WsWriter),
    Lines(LineWriter),
    Memory(MemoryWriter),
}

impl MessageWriter {
    pub(crate) fn memory(writer: MemoryWriter) -> Self {
        Self(Writer::Memory(writer))
    }

    /// Adds a message to what will be sent. Waits while
    /// [`WireLimits::write_buffer_bytes`](crate::WireLimits::write_buffer_bytes) or more are buffered
    /// already; sends nothing otherwise, so call [`MessageWriter::flush`] when no more messages are at hand.
    ///
    /// If the future is dropped before it is ready, the message was not added.
    pub async fn feed(&mut self, message: Message) -> Result<(), WriteError> {
        match &mut self.0 {
            Writer::WebSocket(writer) => writer.feed(message).await,
            Writer::Lines(writer) => writer.feed(message).await,
            Writer::Memory(writer) => writer.feed(message).await,
        }
    }

    /// As [`MessageWriter::feed`], for a text of exactly `len` bytes that `write` appends to the bytes it is
    /// given: they stand in the buffer that goes to the socket, so a flood is encoded where it leaves from. It has
    /// to be UTF-8, and over stdio without a newline.
    pub async fn feed_text(
        &mut self,
        len: usize,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), WriteError> {
        match &mut self.0 {
            Writer::WebSocket(writer) => writer.feed_text(len, write).await,
            Writer::Lines(writer) => writer.feed_text(len, write).await,
            Writer::Memory(writer) => writer.feed_text(len, write).await,
        }
    }

    /// As [`MessageWriter::feed`], for a text in pieces whose bytes are known to be UTF-8: a long one is not looked at again, and
    /// stays where it is until it is sent.
    pub async fn feed_known_text(&mut self, pieces: Vec<Bytes>) -> Result<(), WriteError> {
        let len = pieces.iter().map(Bytes::len).sum();
        let copy = |out: &mut Vec<u8>| pieces.iter().for_each(|piece| out.extend_from_slice(piece));
        match &mut self.0 {
            Writer::Lines(writer) => writer.feed_text(len, copy).await,
            Writer::Memory(writer) => writer.feed_text(len, copy).await,
            Writer::WebSocket(writer) => writer.feed_known_text(pieces).await,
        }
    }

    /// As [`MessageWriter::feed`], for a binary message of `head` and `payload`. A long payload is not copied on its way
    /// to a socket: a server sends it from where it is kept.
    pub async fn feed_binary(&mut self, head: &[u8], payload: Bytes) -> Result<(), WriteError> {
        match &mut self.0 {
            Writer::WebSocket(writer) => writer.feed_binary(head, payload).await,
            Writer::Lines(_) => Err(WriteError::BinaryOnLines),
            Writer::Memory(writer) => writer.feed_binary(head, &payload).await,
        }
    }

    /// How much of the binary messages to come may be held back. Where each is handed on by itself this changes nothing.
    pub const fn set_leeway(&mut self, leeway: Leeway) {
        if let Writer::WebSocket(writer) = &mut self.0 {
            writer.set_leeway(leeway);
        }
    }

    /// Whether this transport can carry marks; see [`MessageWriter::feed_mark`]. A WebSocket can.
    pub const fn carries_marks(&self) -> bool {
        matches!(self.0, Writer::WebSocket(_))
    }

    /// As [`MessageWriter::feed`], for a mark that comes back once the peer has read everything before it: a ping, which
    /// every WebSocket library answers as it reads. Marks are numbers from 1, each larger than the one before. Where the
    /// transport carries none this does nothing.
    pub async fn feed_mark(&mut self, mark: u64) -> Result<(), WriteError> {
        match &mut self.0 {
            Writer::WebSocket(writer) => writer.feed_mark(mark).await,
            Writer::Lines(_) | Writer::Memory(_) => Ok(()),
        }
    }

    /// The latest mark that came back; 0 before any did. It is the peer who says so, and may lie.
    pub fn returned_mark(&self) -> u64 {
        match &self.0 {
            Writer::WebSocket(writer) => writer.returned(),
            Writer::Lines(_) | Writer::Memory(_) => 0,
        }
    }

    /// Resolves when a mark later than `mark` has come back, while the reader is polled. Cancel-safe.
    pub async fn mark_returns_after(&mut self, mark: u64) {
        match &mut self.0 {
            Writer::WebSocket(writer) => writer.returns_after(mark).await,
            Writer::Lines(_) | Writer::Memory(_) => std::future::pending().await,
        }
    }

    /// What tells from elsewhere whether the peer has hung up. Over stdio and in memory only reading does.
    pub fn presence(&self) -> Presence {
        match &self.0 {
            Writer::WebSocket(writer) => writer.presence(),
            Writer::Lines(_) | Writer::Memory(_) => Presence::unknown(),
        }
    }

    /// What sends from elsewhere while this has nothing to do. Over stdio and in memory nothing does.
    pub fn express(&self) -> Express {
        match &self.0 {
            Writer::WebSocket(writer) => writer.express(),
            Writer::Lines(_) | Writer::Memory(_) => Express::none(),
        }
    }

    /// Whether this transport can carry binary messages: every one but stdio.
    pub const fn carries_binary(&self) -> bool {
        match self.0 {
            Writer::WebSocket(_) | Writer::Memory(_) => true,
            Writer::Lines(_) => false,
        }
    }

    /// Waits until the kernel has taken everything that was fed. Everything leaves in as few system calls as
    /// the socket allows. Cancel-safe.
    pub async fn flush(&mut self) -> Result<(), WriteError> {
        match &mut self.0 {
            Writer::WebSocket(writer) => writer.flush().await,
            Writer::Lines(writer) => writer.flush().await,
            Writer::Memory(writer) => writer.flush(),
        }
    }

    /// Feeds one message and flushes.
    pub async fn send(&mut self, message: Message) -> Result<(), WriteError> {
        self.feed(message).await?;
        self.flush().await
    }

    /// Sends what is buffered, then tells the peer that it is over and why; see
    /// [`close_code`](crate::close_code). Takes at most
    /// [`WireLimits::close_timeout`](crate::WireLimits::close_timeout). Nothing can be written afterwards.
    ///
    /// Keep reading until the reader ends, or drop the reader first: then what the peer still sends is read
    /// and thrown away here, so that it gets to see the close frame. A reason beyond 123 bytes is cut; stdio
    /// carries neither code nor reason.
    pub async fn close(&mut self, code: u16, reason: &str) {
        let reason = CloseReason { code, reason: reason.to_owned() };
        match &mut self.0 {
            Writer::WebSocket(writer) => writer.close(&reason).await,
            Writer::Lines(writer) => writer.close().await,
            Writer::Memory(writer) => writer.close(reason),
        }
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::WebSocket(_) => "WebSocket",
            Self::Lines(_) => "Lines",
            Self::Memory(_) => "Memory",
        })
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::WebSocket(_) => "WebSocket",
            Self::Lines(_) => "Lines",
            Self::Memory(_) => "Memory",
        })
    }
}
