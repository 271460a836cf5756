//! What leaves a connection, in which order, and in which form.
//!
//! There is no queue of output. Replies are few and wait here; processes with news only put themselves on a list,
//! and their events are drawn from their logs when the socket has room. Strictly in this order: replies; processes
//! that have little to say (an exit, a keystroke's echo); floods and HTTP bodies, a bounded piece of each in turn.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use codex_exec_server_core::event_log::Event;
use codex_exec_server_local::process::{FollowId, Follower, Process};
use codex_exec_server_protocol::binary::Head;
use codex_exec_server_protocol::http::HttpBodyDeltaNotification;
use codex_exec_server_protocol::ids::ProcessId;
use codex_exec_server_protocol::methods::ServerNotification;
use codex_exec_server_protocol::process::{ProcessClosedNotification, ProcessExitedNotification};
use codex_exec_server_protocol::rpc::OutputText;
use codex_exec_server_transport::{CloseReason, Message, MessageWriter, WriteError};
use tokio::sync::Notify;

use super::bodies::Body;

/// A process with no more than this waiting counts as having little to say.
const LITTLE_BYTES: u64 = 4 << 10;
/// How much of a flood is taken in one turn.
const TURN_BYTES: usize = 64 << 10;

/// See the module. Shared by those who answer requests, the processes that have news, and the writing task.
pub(crate) struct Outbound {
    state: Mutex<State>,
    /// Something may be there to send.
    news: Notify,
    /// Replies were sent.
    sent: Notify,
}

/// How bytes travel on a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Form {
    /// As base64 in JSON text, which every peer takes.
    #[default]
    Text,
    /// As binary messages: the client takes them, and the transport can carry them.
    Binary,
}

/// An answer as it travels.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// JSON.
    Text(String),
    /// See [`codex_exec_server_protocol::binary`]; only where the form is [`Form::Binary`].
    #[expect(dead_code, reason = "for answers that are mostly bytes, which this server does not give yet")]
    Binary { head: Vec<u8>, payload: Bytes },
}

impl From<String> for Reply {
    fn from(json: String) -> Self {
        Self::Text(json)
    }
}

impl Reply {
    fn len(&self) -> usize {
        match self {
            Self::Text(json) => json.len(),
            Self::Binary { head, payload } => head.len() + payload.len(),
        }
    }
}

#[derive(Default)]
struct State {
    replies: VecDeque<Reply>,
    reply_bytes: usize,
    little: VecDeque<Arc<Process>>,
    floods: VecDeque<Flood>,
    /// As whom to draw; nothing is drawn before it is known.
    follow: Option<FollowId>,
    form: Form,
    closing: Option<CloseReason>,
}

/// Something that may have much to say.
enum Flood {
    Process(Arc<Process>),
    Body(Arc<Body>),
}

/// What to do next.
enum Next {
    Replies(VecDeque<Reply>),
    Draw(Flood, FollowId, Form),
    Close(CloseReason),
    Nothing,
}

impl Outbound {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::default(), news: Notify::new(), sent: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Lists are pushed and popped under this lock, nothing that could be left half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an answer.
    pub(crate) fn reply(&self, reply: impl Into<Reply>) {
        let reply = reply.into();
        let mut state = self.lock();
        state.reply_bytes += reply.len();
        state.replies.push_back(reply);
        drop(state);
        self.news.notify_one();
    }

    /// From now on events may leave, drawn as `follow`, in this form.
    pub(crate) fn open(&self, follow: FollowId, form: Form) {
        let mut state = self.lock();
        (state.follow, state.form) = (Some(follow), form);
        drop(state);
        self.news.notify_one();
    }

    /// A body has something to be drawn, and is not listed yet.
    pub(super) fn body(&self, body: Arc<Body>) {
        self.lock().floods.push_back(Flood::Body(body));
        self.news.notify_one();
    }

    /// Ends the connection when the replies that wait have left. The first reason counts.
    pub(crate) fn close(&self, reason: CloseReason) {
        self.lock().closing.get_or_insert(reason);
        self.news.notify_one();
    }

    /// Whether `limit` bytes of replies or more wait.
    pub(crate) fn owes(&self, limit: usize) -> bool {
        self.lock().reply_bytes >= limit
    }

    /// Resolves when less than `limit` bytes of replies wait.
    pub(crate) async fn owes_less_than(&self, limit: usize) {
        loop {
            let sent = self.sent.notified();
            if !self.owes(limit) {
                return;
            }
            sent.await;
        }
    }

    fn next(&self) -> Next {
        let mut state = self.lock();
        if !state.replies.is_empty() {
            state.reply_bytes = 0;
            return Next::Replies(std::mem::take(&mut state.replies));
        }
        if let Some(reason) = state.closing.clone() {
            return Next::Close(reason);
        }
        if let Some(follow) = state.follow {
            let State { little, floods, form, .. } = &mut *state;
            if let Some(flood) = little.pop_front().map(Flood::Process).or_else(|| floods.pop_front()) {
                return Next::Draw(flood, follow, *form);
            }
        }
        Next::Nothing
    }

    /// Sends what there is to send until the connection is to be closed, then closes it.
    pub(crate) async fn write_to(&self, writer: &mut MessageWriter) -> Result<(), WriteError> {
        loop {
            let news = self.news.notified();
            match self.next() {
                Next::Replies(replies) => {
                    self.sent.notify_waiters();
                    for reply in replies {
                        match reply {
                            Reply::Text(json) => writer.feed(Message::text(json)).await?,
                            Reply::Binary { head, payload } => writer.feed_binary(&head, payload).await?,
                        }
                    }
                }
                Next::Draw(Flood::Process(process), follow, form) => {
                    let draw = process.draw(follow, TURN_BYTES);
                    for event in draw.events {
                        feed(writer, form, &process.id, event).await?;
                    }
                    if draw.more {
                        self.lock().floods.push_back(Flood::Process(process));
                    }
                }
                Next::Draw(Flood::Body(body), _, form) => {
                    let drawn = body.draw(TURN_BYTES);
                    if let Some((piece, offset)) = drawn.piece {
                        feed_piece(writer, form, piece, offset).await?;
                    }
                    if drawn.more {
                        self.lock().floods.push_back(Flood::Body(body));
                    }
                }
                Next::Close(reason) => {
                    writer.close(reason.code, &reason.reason).await;
                    return Ok(());
                }
                Next::Nothing => {
                    // Everything that was at hand leaves in as few packets as possible.
                    writer.flush().await?;
                    news.await;
                }
            }
        }
    }
}

impl Follower for Outbound {
    fn ready(&self, process: Arc<Process>) {
        let little = process.waiting_bytes() <= LITTLE_BYTES;
        let mut state = self.lock();
        if little {
            state.little.push_back(process);
        } else {
            state.floods.push_back(Flood::Process(process));
        }
        drop(state);
        self.news.notify_one();
    }
}

async fn feed(
    writer: &mut MessageWriter,
    form: Form,
    process_id: &ProcessId,
    event: Event,
) -> Result<(), WriteError> {
    let notification = match event {
        Event::Output(chunk) => {
            let (seq, stream, offset) = (chunk.seq, chunk.stream, chunk.offset);
            if form == Form::Binary
                && let Some(head) =
                    (Head::Output { process_id, seq, stream, offset }).encode(chunk.bytes.len())
            {
                return writer.feed_binary(&head, chunk.bytes).await;
            }
            let text = OutputText::new(process_id, seq, stream, Some(offset), &chunk.bytes);
            return writer.feed_text(text.encoded_len(), |out| text.write_to(out)).await;
        }
        Event::Exited(seq, exit) => ServerNotification::ProcessExited(ProcessExitedNotification {
            process_id: process_id.clone(),
            seq,
            exit_code: exit.code,
            sandbox_denied: Some(exit.sandbox_denied),
            reason: Some(exit.reason),
            signal: exit.signal,
            usage: Some(exit.usage),
        }),
        Event::Closed(seq, totals) => ServerNotification::ProcessClosed(ProcessClosedNotification {
            process_id: process_id.clone(),
            seq,
            output_bytes: Some(totals.output_bytes),
            crc32c: Some(format!("{:08x}", totals.crc32c)),
        }),
    };
    writer.feed(Message::text(notification.encode())).await
}

/// A piece of a body behind `offset` bytes of it.
async fn feed_piece(
    writer: &mut MessageWriter,
    form: Form,
    piece: HttpBodyDeltaNotification,
    offset: u64,
) -> Result<(), WriteError> {
    if form == Form::Binary && piece.error.is_none() {
        let HttpBodyDeltaNotification { ref request_id, seq, done, .. } = piece;
        let head = Head::Body { request_id, seq, offset, done }.encode(piece.delta_base64.len());
        if let Some(head) = head {
            return writer.feed_binary(&head, piece.delta_base64.into_bytes()).await;
        }
    }
    writer.feed(Message::text(ServerNotification::HttpBodyDelta(piece).encode())).await
}
