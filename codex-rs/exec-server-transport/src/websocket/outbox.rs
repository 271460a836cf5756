//! The outbound half of a WebSocket, shared by its writer and its reader.
//!
//! The writer brings messages. The reader brings pongs, pings and the close frame, and must be able to get
//! them out while the writer's task has nothing to do; so either may push bytes into the socket, under a lock
//! that is held only while the socket takes bytes without waiting. Each is woken when the socket has room
//! again.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::task::AtomicWaker;
use tokio::io::AsyncWrite;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::{Masker, Role, mask};
use crate::close::CloseReason;
use crate::error::WriteError;
use crate::express::Sent;
use crate::limits::Leeway;
use crate::message::{Message, MessageKind};
use crate::segments::Segments;
use crate::stream::{ReadHalf, WriteHalf};

/// Who is asking, and so who is to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Reader,
    Writer,
}

pub(crate) struct Outbox {
    state: Mutex<State>,
    wakers: Arc<Wakers>,
    /// Woken when the writer begins to close, so that the reader stops waiting for more.
    closing: AtomicWaker,
    /// The latest mark that came back.
    returned: AtomicU64,
    /// Another one did.
    has_returned: Notify,
}

struct State {
    stream: WriteHalf,
    /// Handed to the stream in place of the caller's waker; wakes whichever side is waiting.
    waker: Waker,
    queue: Segments,
    /// Frames are added while the queue is shorter than this.
    high_water: usize,
    /// Answer to the latest ping. An earlier one that has not been sent yet need not be answered any more
    /// (RFC 6455 §5.5.3), so this is all that a flood of pings can make grow.
    pong: Option<Bytes>,
    ping: bool,
    /// Where in the stream the latest ping ends. Until it is out there is no point in another one.
    ping_end: u64,
    /// Present on the client side.
    masker: Option<Masker>,
    phase: Phase,
    /// Whether the stream took nothing when it was last tried.
    blocked: bool,
    /// When it last took nothing.
    blocked_at: Option<Instant>,
    /// The inbound half of a reader that was dropped, for the writer to empty when it closes.
    orphan: Option<ReadHalf>,
}

/// How far the goodbye has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// A close frame is queued or sent; nothing may follow it. The peer has until then to hang up.
    Closing {
        until: Instant,
    },
    /// Nothing can be sent any more.
    Dead,
}

#[derive(Default)]
struct Wakers {
    reader: AtomicWaker,
    writer: AtomicWaker,
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.writer.wake();
        self.reader.wake();
    }
}

impl Outbox {
    pub(super) fn new(stream: WriteHalf, role: Role, high_water: usize) -> Self {
        let wakers = Arc::new(Wakers::default());
        let state = State {
            stream,
            waker: Waker::from(Arc::clone(&wakers)),
            queue: Segments::default(),
            high_water: high_water.max(1),
            pong: None,
            ping: false,
            ping_end: 0,
            masker: (role == Role::Client).then(Masker::default),
            phase: Phase::Open,
            blocked: false,
            blocked_at: None,
            orphan: None,
        };
        Self {
            state: Mutex::new(state),
            wakers,
            closing: AtomicWaker::new(),
            returned: AtomicU64::new(0),
            has_returned: Notify::new(),
        }
    }

    /// Waits until the queue is short enough for one more message.
    pub(super) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), WriteError>> {
        self.poll_ready_by(Leeway::Usual, cx)
    }

    /// As [`Outbox::poll_ready`], with that leeway.
    pub(super) fn poll_ready_by(&self, leeway: Leeway, cx: &mut Context<'_>) -> Poll<Result<(), WriteError>> {
        self.poll_push(Side::Writer, cx, |state| state.queue.len() < leeway.of(state.high_water))
    }

    /// Queues a message behind what is there. For a caller whom [`Outbox::poll_ready`] has let through.
    pub(super) fn queue(&self, message: Message) -> Result<(), WriteError> {
        let mut state = self.lock();
        if state.phase != Phase::Open {
            return Err(WriteError::Closed);
        }
        let (kind, payload) = message.into_parts();
        let opcode = match kind {
            MessageKind::Text => Data::Text,
            MessageKind::Binary => Data::Binary,
        };
        state.add_frame(OpCode::Data(opcode), payload);
        Ok(())
    }

    /// Sends a text without waiting, if the stream has had everything before it; does nothing if not.
    pub(crate) fn send_at_once(&self, text: &str) -> Option<Sent> {
        let mut state = self.lock();
        if state.phase != Phase::Open || !state.queue.is_empty() {
            return None;
        }
        state.add_text(text.len(), |out| out.extend_from_slice(text.as_bytes()));
        match state.poll_push(|state| state.queue.is_empty()) {
            Poll::Ready(Ok(())) => Some(Sent::Whole),
            Poll::Ready(Err(_)) | Poll::Pending => Some(Sent::Partly),
        }
    }

    /// As [`Outbox::queue`], for a text of exactly `len` bytes that `write` appends to the queue itself.
    pub(super) fn queue_text(&self, len: usize, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), WriteError> {
        let mut state = self.lock();
        if state.phase != Phase::Open {
            return Err(WriteError::Closed);
        }
        state.add_text(len, write);
        Ok(())
    }

    /// As [`Outbox::queue`], for a text of which the caller knows that it is one, in pieces. Long ones are not copied unless they
    /// have to be masked.
    pub(super) fn queue_known_text(&self, pieces: Vec<Bytes>) -> Result<(), WriteError> {
        let mut state = self.lock();
        if state.phase != Phase::Open {
            return Err(WriteError::Closed);
        }
        let len = pieces.iter().map(Bytes::len).sum();
        if state.masker.is_some() {
            state.add_text(len, |out| pieces.iter().for_each(|piece| out.extend_from_slice(piece)));
        } else {
            state.add_header(OpCode::Data(Data::Text), len);
            pieces.into_iter().for_each(|piece| state.queue.push(piece));
        }
        Ok(())
    }

    /// As [`Outbox::queue`], for a binary message in two parts. A long `payload` is not copied unless it has to be masked.
    pub(super) fn queue_binary(&self, head: &[u8], payload: Bytes) -> Result<(), WriteError> {
        let mut state = self.lock();
        if state.phase != Phase::Open {
            return Err(WriteError::Closed);
        }
        let len = head.len() + payload.len();
        match state.add_header(OpCode::Data(Data::Binary), len) {
            None => {
                state.queue.extend(head);
                state.queue.push(payload);
            }
            Some(key) => state.queue.append(len, |out| {
                let start = out.len();
                out.extend_from_slice(head);
                out.extend_from_slice(&payload);
                mask::apply(&mut out[start..], key);
            }),
        }
        Ok(())
    }

    /// As [`Outbox::queue`], for a ping that says which one it is, so that its pong tells how far the peer has read.
    pub(super) fn queue_mark(&self, mark: u64) -> Result<(), WriteError> {
        let mut state = self.lock();
        if state.phase != Phase::Open {
            return Err(WriteError::Closed);
        }
        state.add_frame(OpCode::Control(Control::Ping), Bytes::copy_from_slice(&mark.to_be_bytes()));
        Ok(())
    }

    /// A pong has come. Those that answer a ping of [`Outbox::add_ping`], or none, say nothing.
    pub(super) fn took_pong(&self, payload: &[u8]) {
        if let Ok(mark) = payload.try_into().map(u64::from_be_bytes)
            && mark > self.returned.fetch_max(mark, Ordering::Relaxed)
        {
            self.has_returned.notify_one();
        }
    }

    /// The latest mark that came back; 0 before any did.
    pub(super) fn returned(&self) -> u64 {
        self.returned.load(Ordering::Relaxed)
    }

    /// Resolves when a mark later than `mark` has come back. For one caller at a time.
    pub(super) async fn returns_after(&self, mark: u64) {
        while self.returned() <= mark {
            self.has_returned.notified().await;
        }
    }

    /// Waits until the kernel has everything.
    pub(super) fn poll_flush(&self, side: Side, cx: &mut Context<'_>) -> Poll<Result<(), WriteError>> {
        ready!(
            self.poll_push(side, cx, |state| {
                state.queue.is_empty() && state.pong.is_none() && !state.ping
            })
        )?;
        let mut state = self.lock();
        let State { stream, waker, .. } = &mut *state;
        Pin::new(stream).poll_flush(&mut Context::from_waker(waker)).map_err(WriteError::Io)
    }

    /// Answers a ping with the next push.
    pub(super) fn add_pong(&self, payload: Bytes) {
        let mut state = self.lock();
        if state.phase == Phase::Open {
            state.pong = Some(payload);
        }
    }

    /// Sends a ping with the next push.
    pub(super) fn add_ping(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Open {
            state.ping = true;
        }
    }

    /// Queues the close frame, after which nothing else is accepted, and lets the other side of this process
    /// know. Only the first reason counts.
    pub(super) fn start_close(&self, reason: &CloseReason, patience: Duration) {
        let mut state = self.lock();
        if state.phase != Phase::Open {
            return;
        }
        state.pong = None;
        state.ping = false;
        state.add_frame(OpCode::Control(Control::Close), reason.encode());
        state.phase = Phase::Closing { until: Instant::now() + patience };
        drop(state);
        self.wakers.writer.wake();
        self.closing.wake();
    }

    /// Until when the peer may answer our close frame; `None` while none was sent. Wakes the reader when that
    /// changes.
    pub(super) fn closing_until(&self, cx: &mut Context<'_>) -> Option<Instant> {
        self.closing.register(cx.waker());
        match self.lock().phase {
            Phase::Closing { until } => Some(until),
            Phase::Open | Phase::Dead => None,
        }
    }

    /// Whether a close frame of ours is out, or at least on its way.
    pub(crate) fn peer_has_hung_up(&self) -> bool {
        self.lock().stream.peer_has_hung_up()
    }

    pub(super) fn is_closing(&self) -> bool {
        matches!(self.lock().phase, Phase::Closing { .. })
    }

    /// Waits until everything is sent and the peer has been told that nothing more will come.
    pub(super) fn poll_shutdown(&self, side: Side, cx: &mut Context<'_>) -> Poll<Result<(), WriteError>> {
        ready!(self.poll_flush(side, cx))?;
        let mut state = self.lock();
        let State { stream, waker, .. } = &mut *state;
        Pin::new(stream).poll_shutdown(&mut Context::from_waker(waker)).map_err(WriteError::Io)
    }

    /// Gives up: what is queued is forgotten and a waiting writer learns that the connection is closed.
    pub(super) fn kill(&self) {
        self.lock().die();
        self.wakers.writer.wake();
        self.closing.wake();
    }

    /// Whether the stream refused bytes at some time within `window`.
    pub(super) fn blocked_within(&self, window: Duration) -> bool {
        let state = self.lock();
        state.blocked || state.blocked_at.is_some_and(|at| at.elapsed() <= window)
    }

    /// Keeps the inbound half of a dropped reader, so that closing can still empty it.
    pub(super) fn adopt(&self, half: ReadHalf) {
        self.lock().orphan = Some(half);
    }

    /// Takes what [`Outbox::adopt`] was given.
    pub(super) fn take_orphan(&self) -> Option<ReadHalf> {
        self.lock().orphan.take()
    }

    /// Pushes bytes into the stream until `done`.
    fn poll_push(
        &self,
        side: Side,
        cx: &mut Context<'_>,
        done: impl Fn(&State) -> bool,
    ) -> Poll<Result<(), WriteError>> {
        // Registered before the stream is tried, so that a wake-up in between is not lost.
        match side {
            Side::Reader => self.wakers.reader.register(cx.waker()),
            Side::Writer => self.wakers.writer.register(cx.waker()),
        }
        self.lock().poll_push(done)
    }

    /// The state holds plain data that is valid between any two statements, so a panic elsewhere does not
    /// spoil it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn poll_push(&mut self, done: impl Fn(&State) -> bool) -> Poll<Result<(), WriteError>> {
        loop {
            if self.phase == Phase::Dead {
                return Poll::Ready(Err(WriteError::Closed));
            }
            if done(self) {
                return Poll::Ready(Ok(()));
            }
            self.add_control();
            let State { stream, queue, waker, .. } = self;
            match queue.poll_write_some(stream, &mut Context::from_waker(waker)) {
                Poll::Ready(Ok(())) => self.blocked = false,
                Poll::Ready(Err(error)) => {
                    self.die();
                    return Poll::Ready(Err(WriteError::Io(error)));
                }
                Poll::Pending => {
                    self.blocked = true;
                    self.blocked_at = Some(Instant::now());
                    return Poll::Pending;
                }
            }
        }
    }

    /// Queues the control frames that are due, once the queue has room for them.
    fn add_control(&mut self) {
        if self.queue.len() >= self.high_water {
            return;
        }
        if let Some(payload) = self.pong.take() {
            self.add_frame(OpCode::Control(Control::Pong), payload);
        }
        if self.ping && self.queue.has_written(self.ping_end) {
            self.ping = false;
            self.add_frame(OpCode::Control(Control::Ping), Bytes::new());
            self.ping_end = self.queue.end();
        }
    }

    /// Adds a text of exactly `len` bytes that `write` appends.
    fn add_text(&mut self, len: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let (header, key) = self.header(OpCode::Data(Data::Text));
        // In one piece with its header, for which there would be a block of its own otherwise.
        self.queue.append(header.len(len as u64) + len, |out| {
            header.format(len as u64, out).expect("writing to memory never fails");
            let start = out.len();
            write(out);
            // The header has promised it.
            assert_eq!(out.len() - start, len, "a message has another length than was announced");
            if let Some(key) = key {
                mask::apply(&mut out[start..], key);
            }
        });
    }

    fn add_frame(&mut self, opcode: OpCode, payload: Bytes) {
        match self.add_header(opcode, payload.len()) {
            None => self.queue.push(payload),
            Some(key) => {
                // Masked in place if nobody else holds the bytes, which is the rule.
                let mut payload = payload.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
                mask::apply(&mut payload, key);
                self.queue.push(payload.freeze());
            }
        }
    }

    /// Begins a frame of `len` bytes. Returns what to mask them with.
    fn add_header(&mut self, opcode: OpCode, len: usize) -> Option<[u8; 4]> {
        let (header, key) = self.header(opcode);
        self.queue.append(header.len(len as u64), |out| {
            header.format(len as u64, out).expect("writing to memory never fails");
        });
        key
    }

    /// The header of the next frame, and what to mask it with.
    fn header(&mut self, opcode: OpCode) -> (FrameHeader, Option<[u8; 4]>) {
        let key = self.masker.as_mut().map(Masker::next_mask);
        (FrameHeader { opcode, mask: key, ..FrameHeader::default() }, key)
    }

    fn die(&mut self) {
        self.phase = Phase::Dead;
        self.queue.clear();
        self.pong = None;
        self.ping = false;
        self.blocked = false;
    }
}
