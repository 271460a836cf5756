//! One connection: calls and their answers, notifications to the router, and the end of it all.
//!
//! Two tasks that never wait for each other read and write. A lost connection ends every call that waits, each with the
//! same [`Disconnected`]. What a loss means is decided above: a link knows no session and never comes back.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use codex_exec_server_protocol::binary::BinaryMessage;
use codex_exec_server_protocol::error_code::{ErrorCode, RpcError};
use codex_exec_server_protocol::methods::{ClientNotification, DecodeError, Method, ServerNotification};
use codex_exec_server_protocol::rpc::{Incoming, RequestId, encode_error, encode_request};
use codex_exec_server_protocol::session::TAKEN_OVER;
use codex_exec_server_transport::{
    CloseReason, Connection, Message, MessageKind, MessageReader, MessageWriter, Received, close_code,
};
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SetOnce, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::block;
use crate::config::LinkLimits;
use crate::router::Router;

/// After this much a reader lets other tasks have their turn: a flood must not keep requests, such as the one for what was
/// missed, from leaving.
const TURN_BYTES: usize = 64 << 10;

/// Least room for messages that wait to be written: for what is said before there is a connection.
const QUEUE_MIN: usize = 8;

/// The connection is gone.
#[derive(Debug, Clone, thiserror::Error)]
#[error("connection was lost: {reason}")]
pub struct Disconnected {
    /// What was noticed, for people.
    pub reason: Arc<str>,
    /// Whether the request may have reached the server. If not, it has certainly had no effect.
    pub sent: bool,
}

/// Why a call has no result.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    /// The connection was lost before the answer came.
    #[error(transparent)]
    Disconnected(#[from] Disconnected),
    /// The server answered with an error.
    #[error("{0}")]
    Refused(RpcError),
}

/// Why a link ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The connection broke or was closed; another one may serve.
    Lost(Arc<str>),
    /// The server gave the session to another connection, and said so. To take it back would be to fight over it.
    TakenOver(Arc<str>),
    /// The server sent what it must not send, and another connection would not change that.
    Violation(Arc<str>),
}

impl End {
    fn reason(&self) -> &Arc<str> {
        match self {
            Self::Lost(reason) | Self::TakenOver(reason) | Self::Violation(reason) => reason,
        }
    }
}

/// What a waiting call is told.
enum Answer<'a> {
    Result(&'a RawValue),
    /// The result of `fs/readBlock` or `fs/readRange` that came as a binary message, of a file from `offset` on.
    Part {
        offset: u64,
        response: Box<dyn Any + Send>,
    },
    Refused(RpcError),
    Lost,
}

/// Decodes an answer where it is read and hands it to its call. An error says why it is no answer to that.
type Waiting = Box<dyn FnOnce(Answer<'_>) -> Result<(), String> + Send>;

/// See the module. Dropping it drops the connection; see [`Link::close`] for a farewell.
#[derive(Debug)]
pub struct Link {
    shared: Arc<Shared>,
    /// What waits to be written; when it is full, callers wait.
    outgoing: mpsc::Sender<Message>,
    tasks: Mutex<JoinSet<()>>,
}

struct Shared {
    calls: Mutex<Calls>,
    turns: Arc<Semaphore>,
    end: SetOnce<End>,
    /// Ends both tasks; the writer says good-bye first.
    stop: CancellationToken,
}

#[derive(Default)]
struct Calls {
    /// No more than the semaphore has permits.
    waiting: HashMap<i64, Waiting>,
    last_id: i64,
    over: bool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("end", &self.end).finish_non_exhaustive()
    }
}

/// A connection's place, with what is said before there is one.
#[derive(Debug)]
pub(crate) struct Place {
    queue: mpsc::Receiver<Message>,
    outgoing: mpsc::WeakSender<Message>,
    router: Arc<Router>,
}

impl Place {
    /// Takes what is to be said first.
    pub(crate) fn first_words(&mut self) -> Vec<Message> {
        std::iter::from_fn(|| self.queue.try_recv().ok()).collect()
    }
}

impl Link {
    /// A link whose connection is still to be made. What is sent waits for it, as far as there is room in the queue.
    pub(crate) fn prepare(router: Arc<Router>, limits: &LinkLimits) -> (Self, Place) {
        let (outgoing, queue) = mpsc::channel(limits.queued_messages.max(QUEUE_MIN));
        let shared = Arc::new(Shared {
            calls: Mutex::default(),
            turns: Arc::new(Semaphore::new(limits.calls_in_flight.clamp(1, Semaphore::MAX_PERMITS))),
            end: SetOnce::new(),
            stop: CancellationToken::new(),
        });
        let place = Place { queue, outgoing: outgoing.downgrade(), router };
        (Self { shared, outgoing, tasks: Mutex::default() }, place)
    }

    /// Takes over the connection, on which `unsent` goes first. Must be called within a tokio runtime, whose tasks it uses.
    pub(crate) fn connect(&self, place: Place, connection: Connection, unsent: Vec<Message>) {
        let Connection { reader, writer, .. } = connection;
        let Place { queue, outgoing, router } = place;
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.spawn(write(Arc::clone(&self.shared), unsent, queue, writer));
        // Refusals of server requests are dropped when the queue is full, so the reader never waits for the writer.
        tasks.spawn(read(Arc::clone(&self.shared), reader, router, outgoing));
    }

    /// Requests that can be sent without waiting, before there is a connection.
    pub(crate) fn room(&self) -> usize {
        self.outgoing.capacity().min(self.shared.turns.available_permits())
    }

    /// Sends a request and waits for its answer. Dropping the future forgets the call; it may still take effect.
    pub async fn call<M: Method>(&self, params: &M::Params) -> Result<M::Response, CallError>
    where
        M::Response: Send + 'static,
    {
        self.begin::<M>(params).await?.answer().await
    }

    /// Sends a request; whatever is sent afterwards arrives after it. Waits for its turn and for room, not for the answer.
    pub async fn begin<M: Method>(&self, params: &M::Params) -> Result<Pending<M::Response>, Disconnected>
    where
        M::Response: Send + 'static,
    {
        let part_asked = block::asked_at(params);
        let lost = || self.shared.disconnected(/*sent*/ false);
        let turn = Arc::clone(&self.shared.turns).acquire_owned().await.map_err(|_| lost())?;
        let (tell, told) = oneshot::channel();
        let waiting: Waiting = Box::new(move |answer| {
            let outcome = match answer {
                Answer::Result(result) => match serde_json::from_str::<M::Response>(result.get()) {
                    Ok(response) => Ok(response),
                    Err(error) => return Err(format!("answer does not decode: {error}")),
                },
                Answer::Part { offset, response } => Ok(block::answer::<M>(part_asked, offset, response)?),
                Answer::Refused(error) => Err(error),
                // Dropping the sender says it.
                Answer::Lost => return Ok(()),
            };
            // The caller may have lost interest.
            let _ = tell.send(outcome);
            Ok(())
        });
        let id = self.shared.expect_answer(waiting).ok_or_else(lost)?;
        let call = Registered { shared: Arc::clone(&self.shared), id, _turn: turn };
        let request = encode_request(&RequestId::Integer(id), M::NAME, params);
        self.outgoing.send(Message::text(request)).await.map_err(|_| lost())?;
        Ok(Pending { call, told })
    }

    /// Sends a notification.
    pub async fn notify(&self, notification: &ClientNotification) -> Result<(), Disconnected> {
        let message = Message::text(notification.encode());
        self.outgoing.send(message).await.map_err(|_| self.shared.disconnected(/*sent*/ false))
    }

    /// Waits for room to say something, so that what it is can be decided where nothing may wait.
    pub(crate) async fn floor(&self) -> Result<Floor<'_>, Disconnected> {
        self.outgoing.reserve().await.map(Floor).map_err(|_| self.shared.disconnected(/*sent*/ false))
    }

    /// What is told to whoever would use it after its end.
    pub(crate) fn disconnected(&self) -> Disconnected {
        self.shared.disconnected(/*sent*/ true)
    }

    /// Resolves when the connection is gone; every call has failed by then.
    pub async fn ended(&self) -> End {
        self.shared.end.wait().await.clone()
    }

    /// Tells the server that it is over, in a time that the transport bounds.
    pub async fn close(&self) {
        self.shared.stop.cancel();
        let mut tasks = self.take_tasks();
        while tasks.join_next().await.is_some() {}
    }

    /// Lets go of the connection at once. When this returns, nothing of it will reach the router any more.
    pub(crate) async fn abandon(&self) {
        self.shared.stop.cancel();
        self.take_tasks().shutdown().await;
    }

    fn take_tasks(&self) -> JoinSet<()> {
        std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Room for one notification.
pub(crate) struct Floor<'a>(mpsc::Permit<'a, Message>);

impl Floor<'_> {
    pub(crate) fn say(self, notification: &ClientNotification) {
        self.0.send(Message::text(notification.encode()));
    }
}

/// Sends a notification if that takes no waiting; tells whether it did.
fn say_if_room(outgoing: &mpsc::WeakSender<Message>, notification: &ClientNotification) -> bool {
    let message = || Message::text(notification.encode());
    outgoing.upgrade().is_some_and(|outgoing| outgoing.try_send(message()).is_ok())
}

/// A request that was sent.
#[derive(Debug)]
pub struct Pending<R> {
    call: Registered,
    told: oneshot::Receiver<Result<R, RpcError>>,
}

impl<R> Pending<R> {
    /// By which the server knows the call, for `$/cancel`.
    #[must_use]
    pub const fn id(&self) -> RequestId {
        RequestId::Integer(self.call.id)
    }

    /// Waits for the answer. Dropping the future forgets the call; it may still take effect.
    pub async fn answer(self) -> Result<R, CallError> {
        match self.told.await {
            Ok(outcome) => outcome.map_err(CallError::Refused),
            Err(_) => Err(self.call.shared.disconnected(/*sent*/ true).into()),
        }
    }
}

/// A call that is waited for. Dropping it forgets the call.
#[derive(Debug)]
struct Registered {
    shared: Arc<Shared>,
    id: i64,
    _turn: OwnedSemaphorePermit,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.shared.lock().waiting.remove(&self.id);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Calls> {
        // Every change under this lock is a single insertion or removal.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn disconnected(&self, sent: bool) -> Disconnected {
        let reason = self.end.get().map_or_else(|| "closed".into(), |end| Arc::clone(end.reason()));
        Disconnected { reason, sent }
    }

    /// Registers a call under a fresh id; `None` when the connection is gone.
    fn expect_answer(&self, waiting: Waiting) -> Option<i64> {
        let mut calls = self.lock();
        if calls.over {
            return None;
        }
        calls.last_id += 1;
        let id = calls.last_id;
        calls.waiting.insert(id, waiting);
        Some(id)
    }

    /// The connection is gone: nobody waits any longer. The first reason counts.
    fn finish(&self, end: End) {
        let waiting = {
            let mut calls = self.lock();
            calls.over = true;
            std::mem::take(&mut calls.waiting)
        };
        // Set before anybody is told, so that they can say why. A later reason is not of interest.
        let _ = self.end.set(end);
        for (_, waiting) in waiting {
            let _ = waiting(Answer::Lost);
        }
        self.stop.cancel();
    }

    /// Takes one message. An error ends the connection.
    async fn receive(
        &self,
        message: &Received,
        router: &Router,
        outgoing: &mpsc::WeakSender<Message>,
    ) -> Result<(), String> {
        if message.kind == MessageKind::Binary && BinaryMessage::is_one(&message.bytes) {
            return self.receive_binary(&message.bytes, router, outgoing).await;
        }
        match Incoming::parse(&message.bytes) {
            Ok(Incoming::Response { id, outcome }) => self.answered(
                &id,
                match outcome {
                    Ok(result) => Answer::Result(result),
                    Err(error) => Answer::Refused(error),
                },
            ),
            Ok(Incoming::Notification { method, params }) => {
                match ServerNotification::decode(&method, params) {
                    Ok(notification) => {
                        router.deliver(notification, |word| say_if_room(outgoing, word)).await;
                        Ok(())
                    }
                    Err(DecodeError::UnknownMethod(_)) => Ok(()),
                    Err(DecodeError::InvalidParams(text)) => Err(format!("notification {method}: {text}")),
                }
            }
            Ok(Incoming::Request { id, method, .. }) => {
                let error = RpcError::new(ErrorCode::MethodNotFound, format!("unknown method `{method}`"));
                if let Some(outgoing) = outgoing.upgrade() {
                    let _ = outgoing.try_send(Message::text(encode_error(&id, &error)));
                }
                Ok(())
            }
            Err(error) => Err(format!("malformed message: {error}")),
        }
    }

    /// As [`Self::receive`], for bytes that came as they are.
    async fn receive_binary(
        &self,
        message: &Bytes,
        router: &Router,
        outgoing: &mpsc::WeakSender<Message>,
    ) -> Result<(), String> {
        let notification = match BinaryMessage::decode(message).map_err(|error| error.to_string())? {
            BinaryMessage::Output(output) => ServerNotification::ProcessOutput(output),
            BinaryMessage::Body { delta, .. } => ServerNotification::HttpBodyDelta(delta),
            BinaryMessage::Block { id, offset, response } => {
                return self.answered(&id, Answer::Part { offset, response: Box::new(response) });
            }
            BinaryMessage::Range { id, offset, response } => {
                return self.answered(&id, Answer::Part { offset, response: Box::new(response) });
            }
            BinaryMessage::Pack(records) => {
                for record in records {
                    let notification = ServerNotification::ProcessOutput(record);
                    router.deliver(notification, |word| say_if_room(outgoing, word)).await;
                }
                return Ok(());
            }
        };
        router.deliver(notification, |word| say_if_room(outgoing, word)).await;
        Ok(())
    }

    /// Takes an answer to the call that waits for it.
    fn answered(&self, id: &RequestId, answer: Answer<'_>) -> Result<(), String> {
        let RequestId::Integer(id) = id else { return Ok(()) };
        // Nobody waits for the answer to a call that was dropped.
        let Some(waiting) = self.lock().waiting.remove(id) else { return Ok(()) };
        waiting(answer)
    }
}

async fn read(
    shared: Arc<Shared>,
    mut reader: MessageReader,
    router: Arc<Router>,
    outgoing: mpsc::WeakSender<Message>,
) {
    let reading = async {
        let mut since_turn = 0;
        loop {
            match reader.next_message().await {
                Some(Ok(message)) => {
                    since_turn += message.bytes.len();
                    if since_turn >= TURN_BYTES {
                        since_turn = 0;
                        tokio::task::yield_now().await;
                    }
                    // Taken first, whatever happens; what may be waited for afterwards is room. Meanwhile the connection
                    // is looked after, so that its end is noticed although it is not read.
                    let received = tokio::select! {
                        biased;
                        received = shared.receive(&message, &router, &outgoing) => received,
                        () = reader.watch() => Ok(()),
                    };
                    if let Err(violation) = received {
                        return End::Violation(violation.into());
                    }
                }
                // What was skipped may have been an answer, and somebody would wait for it for ever.
                Some(Err(error)) if !error.is_fatal() => return End::Violation(error.to_string().into()),
                Some(Err(error)) => return End::Lost(error.to_string().into()),
                None => {
                    let close = reader.close_reason();
                    let said = close.map(|close| close.reason.as_str()).unwrap_or_default();
                    let said = if said.is_empty() { "server closed it".into() } else { said.into() };
                    return match close {
                        Some(close) if says_taken_over(close) => End::TakenOver(said),
                        _ => End::Lost(said),
                    };
                }
            }
        }
    };
    let end = tokio::select! {
        end = reading => end,
        () = shared.stop.cancelled() => End::Lost("closed".into()),
    };
    shared.finish(end);
}

/// Other uses of the same code, such as a proxy's or another server's, leave the session where it is.
fn says_taken_over(close: &CloseReason) -> bool {
    close.code == close_code::POLICY && close.reason == TAKEN_OVER
}

async fn write(
    shared: Arc<Shared>,
    unsent: Vec<Message>,
    mut queue: mpsc::Receiver<Message>,
    mut writer: MessageWriter,
) {
    let mut unsent = unsent.into_iter();
    loop {
        let first = match unsent.next() {
            Some(first) => Some(first),
            None => tokio::select! {
                first = queue.recv() => first,
                () = shared.stop.cancelled() => None,
            },
        };
        let Some(first) = first else { break };
        let sent = async {
            writer.feed(first).await?;
            for next in unsent.by_ref() {
                writer.feed(next).await?;
            }
            // What waits already leaves together.
            while let Ok(next) = queue.try_recv() {
                writer.feed(next).await?;
            }
            writer.flush().await
        };
        let outcome = tokio::select! {
            outcome = sent => outcome,
            () = shared.stop.cancelled() => break,
        };
        if let Err(error) = outcome {
            return shared.finish(End::Lost(error.to_string().into()));
        }
    }
    writer.close(close_code::NORMAL, "").await;
}
