//! The reading side of a WebSocket: messages in, pongs and pings out, and the end of the connection in all
//! its forms.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};
use tokio_util::io::poll_read_buf;

use super::Role;
use super::decoder::{Decoder, Incoming};
use super::optimism::Optimism;
use super::outbox::{Outbox, Side};
use crate::close::CloseReason;
use crate::error::ReadError;
use crate::limits::WireLimits;
use crate::liveness::{Clock, Due};
use crate::message::Received;
use crate::stream::{Evidence, ReadHalf};

/// Room made for a read when nothing larger is expected, on a connection that is in use.
const READ_BYTES: usize = 16 * 1024;
/// The same on one on which little comes, which is what most connections are most of the time.
const LITTLE_READ_BYTES: usize = 2 * 1024;
/// From this length on a message's memory is worth giving back when no other such message follows it.
const LONG_BYTES: usize = 1024 * 1024;
/// How long it is kept for the next one: to hand it out again takes the system longer than to receive a message.
const KEEP_LONG: Duration = Duration::from_secs(1);
/// With less room than this left, more is made.
const MIN_READ_BYTES: usize = 1024;

pub(crate) struct WsReader {
    /// `None` once the connection is over.
    half: Option<ReadHalf>,
    buffer: BytesMut,
    /// Room that is made: as much as READ_BYTES after a read that filled what there was.
    read_bytes: usize,
    decoder: Decoder,
    /// When the last long message was complete, while its memory is kept.
    long_at: Option<Instant>,
    optimism: Optimism,
    outbox: Arc<Outbox>,
    /// A control frame is waiting for the socket to have room.
    owes_control: bool,
    clock: Option<Clock>,
    ping_interval: Duration,
    timer: Pin<Box<Sleep>>,
    close_timeout: Duration,
    state: State,
    close_reason: Option<CloseReason>,
}

enum State {
    Open,
    /// The end is known; what remains is to tell the peer, until the deadline.
    Ending {
        end: End,
        deadline: Instant,
    },
    Ended,
}

/// How a connection ends.
enum End {
    /// The peer answered our close frame, or hung up after it.
    Answered,
    /// The peer had its time to answer our close frame.
    Unanswered,
    /// The peer closes.
    PeerCloses(CloseReason),
    /// Something went wrong.
    Failed(ReadError),
}

/// Whether what the peer sends is being read at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listening {
    Yes,
    No,
}

enum Step {
    Message(Received),
    End(End),
}

impl WsReader {
    pub(super) fn new(
        half: ReadHalf,
        leftover: BytesMut,
        role: Role,
        outbox: Arc<Outbox>,
        limits: &WireLimits,
    ) -> Self {
        let now = Instant::now();
        Self {
            half: Some(half),
            buffer: leftover,
            read_bytes: LITTLE_READ_BYTES,
            decoder: Decoder::new(role, limits),
            long_at: None,
            optimism: Optimism::default(),
            outbox,
            owes_control: false,
            clock: limits.liveness.clone().map(|liveness| Clock::new(liveness, now)),
            ping_interval: limits.liveness.as_ref().map_or(Duration::MAX, |liveness| liveness.ping_interval),
            timer: Box::pin(sleep_until(now)),
            close_timeout: limits.close_timeout,
            state: State::Open,
            close_reason: None,
        }
    }

    /// Cancel-safe: whatever was begun is kept in `self`.
    pub(crate) async fn next(&mut self) -> Option<Result<Received, ReadError>> {
        loop {
            match &self.state {
                State::Open => match poll_fn(|cx| self.poll_step(cx)).await {
                    Step::Message(message) => return Some(Ok(message)),
                    Step::End(end) => {
                        self.state = State::Ending { end, deadline: Instant::now() + self.close_timeout };
                    }
                },
                State::Ending { .. } => {
                    self.say_goodbye().await;
                    if let State::Ending { end, .. } = std::mem::replace(&mut self.state, State::Ended) {
                        self.half = None;
                        self.outbox.kill();
                        return match end {
                            End::Failed(error) => Some(Err(error)),
                            End::Answered | End::Unanswered | End::PeerCloses(_) => None,
                        };
                    }
                }
                State::Ended => return None,
            }
        }
    }

    /// Looks after the connection without reading from it. Resolves only when it is over; `next` then says how.
    pub(crate) async fn watch(&mut self) {
        if matches!(self.state, State::Open) {
            let end = poll_fn(|cx| {
                if self.owes_control {
                    self.owes_control = self.outbox.poll_flush(Side::Reader, cx).is_pending();
                }
                let end = self.poll_timer(cx, Listening::No);
                if self.owes_control {
                    self.owes_control = self.outbox.poll_flush(Side::Reader, cx).is_pending();
                }
                end.map_or(Poll::Pending, Poll::Ready)
            });
            let end = end.await;
            self.state = State::Ending { end, deadline: Instant::now() + self.close_timeout };
        }
    }

    pub(crate) fn close_reason(&self) -> Option<&CloseReason> {
        self.close_reason.as_ref()
    }

    pub(crate) fn has_more_at_hand(&self) -> bool {
        !self.buffer.is_empty()
    }

    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        loop {
            match self.decoder.decode(&mut self.buffer) {
                Ok(Some(Incoming::Message(message))) => {
                    if message.bytes.len() >= LONG_BYTES {
                        self.long_at = Some(Instant::now());
                    }
                    self.optimism.gave_message();
                    return Poll::Ready(Step::Message(message));
                }
                Ok(Some(Incoming::Ping(payload))) => {
                    self.outbox.add_pong(payload);
                    self.owes_control = true;
                    continue;
                }
                Ok(Some(Incoming::Pong(payload))) => {
                    self.outbox.took_pong(&payload);
                    continue;
                }
                Ok(Some(Incoming::Close(reason))) => {
                    self.close_reason = Some(reason.clone());
                    let ours_came_first = self.outbox.is_closing();
                    return end(if ours_came_first { End::Answered } else { End::PeerCloses(reason) });
                }
                Err(error) => return end(End::Failed(error)),
                Ok(None) => {}
            }
            if self.owes_control {
                // An error here shows itself to the reads, too, and there with the better explanation.
                self.owes_control = self.outbox.poll_flush(Side::Reader, cx).is_pending();
            }
            match self.poll_read(cx) {
                Poll::Ready(Ok(0)) => return end(self.end_of_stream(ReadError::Disconnected)),
                Poll::Ready(Ok(_)) => {
                    if let Some(clock) = &mut self.clock {
                        clock.heard(Instant::now());
                    }
                }
                Poll::Ready(Err(error)) => {
                    let error = match error.kind() {
                        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => ReadError::Disconnected,
                        _ => ReadError::Io(error),
                    };
                    return end(self.end_of_stream(error));
                }
                // Nothing to read. Only now is it fair to ask for how long.
                Poll::Pending => match self.poll_timer(cx, Listening::Yes) {
                    Some(ended) => return end(ended),
                    None if self.owes_control => {
                        self.owes_control = self.outbox.poll_flush(Side::Reader, cx).is_pending();
                        return Poll::Pending;
                    }
                    None => return Poll::Pending,
                },
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(half) = &mut self.half else { return Poll::Ready(Ok(0)) };
        if let Some(at) = self.long_at
            && self.buffer.is_empty()
            && at.elapsed() >= KEEP_LONG
        {
            // Something comes in now and then on every connection, if only the answers to our pings.
            (self.buffer, self.long_at) = (BytesMut::new(), None);
        }
        let room = self.buffer.capacity() - self.buffer.len();
        let wanted = self.decoder.wants(&self.buffer);
        if wanted > room {
            self.buffer.reserve(wanted);
        } else if wanted == 0 && room < MIN_READ_BYTES {
            self.buffer.reserve(self.read_bytes);
        }
        let before = self.buffer.len();
        let room = self.buffer.capacity() - before;
        let mut read = Poll::Pending;
        if self.optimism.asks() {
            read = poll_read_buf(pin!(half.unannounced(READ_BYTES)), cx, &mut self.buffer);
            match read {
                Poll::Ready(_) => self.optimism.succeeded(),
                Poll::Pending => self.optimism.failed(),
            }
        }
        if read.is_pending() {
            read = poll_read_buf(Pin::new(half), cx, &mut self.buffer);
        }
        if matches!(read, Poll::Ready(Ok(_))) {
            let filled = self.buffer.len() - before == room;
            self.read_bytes = if filled { READ_BYTES } else { LITTLE_READ_BYTES };
        }
        read
    }

    /// Whether a stream that ended did so because we said goodbye.
    fn end_of_stream(&self, error: ReadError) -> End {
        if self.outbox.is_closing() { End::Answered } else { End::Failed(error) }
    }

    /// Does what is due by now and sets the timer for what is due next.
    fn poll_timer(&mut self, cx: &mut Context<'_>, listening: Listening) -> Option<End> {
        loop {
            let closing = self.outbox.closing_until(cx);
            let due_at = closing.or_else(|| self.clock.as_ref().map(Clock::poll_timeout))?;
            if self.timer.deadline() != due_at {
                self.timer.as_mut().reset(due_at);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return None;
            }
            if closing.is_some() {
                return Some(End::Unanswered);
            }
            let now = Instant::now();
            match self.clock.as_mut()?.handle_timeout(now) {
                Due::Nothing => {}
                Due::Ping => {
                    self.outbox.add_ping();
                    self.owes_control = true;
                }
                Due::Judge(_) if self.is_excused(listening) => self.clock.as_mut()?.spare(now),
                Due::Judge(silent_for) => return Some(End::Failed(ReadError::PeerGone { silent_for })),
            }
        }
    }

    /// Whether a silent peer may be alive all the same.
    ///
    /// A peer that does not read sees no pings and sends no pongs. That is its right as long as something shows that
    /// it is there: our writes are stuck, and its kernel still acknowledges what it was sent. While we do not read,
    /// silence proves nothing, and only a kernel that no longer acknowledges speaks against the peer.
    fn is_excused(&self, listening: Listening) -> bool {
        let Some(half) = &self.half else { return false };
        let recent = self.ping_interval.saturating_mul(2);
        (listening == Listening::No || self.outbox.blocked_within(recent))
            && half.evidence(recent) != Evidence::Silent
    }

    /// Tells the peer that it is over, and why. Cancel-safe: every part of it can be asked for again.
    async fn say_goodbye(&mut self) {
        let (State::Ending { end, deadline }, Some(half)) = (&self.state, &mut self.half) else { return };
        let (reason, patient) = match end {
            End::Unanswered => return,
            // Both sides may have begun at once, and then our own close frame is still on its way.
            End::Answered => (None, false),
            End::PeerCloses(reason) => (Some(reason.clone()), false),
            End::Failed(ReadError::PeerGone { .. }) => {
                half.abandon();
                return;
            }
            // What we refuse to read is still on its way. It has to be taken off the socket, or else the
            // kernel answers it with a reset that may overtake our close frame.
            End::Failed(error) => match error.close_reason() {
                Some(reason) => (Some(reason), true),
                None => return,
            },
        };
        if let Some(reason) = reason {
            self.outbox.start_close(&reason, self.close_timeout);
        }
        let outbox = &self.outbox;
        let tell = poll_fn(|cx| outbox.poll_shutdown(Side::Reader, cx));
        if patient {
            // Both at once: a peer that is still sending may not read before it is done.
            let _ = tokio::join!(timeout_at(*deadline, tell), drain(half, *deadline));
        } else {
            let _ = timeout_at(*deadline, tell).await;
        }
    }
}

impl Drop for WsReader {
    fn drop(&mut self) {
        if let Some(half) = self.half.take() {
            self.outbox.adopt(half);
        }
    }
}

/// Reads and forgets until the peer hangs up or the deadline comes.
pub(super) async fn drain(half: &mut ReadHalf, deadline: Instant) {
    let mut scratch = vec![0; READ_BYTES];
    let _ = timeout_at(deadline, async { while matches!(half.read(&mut scratch).await, Ok(1..)) {} }).await;
}

fn end(end: End) -> Poll<Step> {
    Poll::Ready(Step::End(end))
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
