//! The streamed HTTP bodies of one connection.
//!
//! A task for each reads from its source, a bounded way ahead; pieces are drawn from here when the socket has room, and as
//! far as the client granted credit. So a client that takes nothing of one body holds back that body and its source, and
//! nothing else. Bodies end with their connection.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use codex_exec_server_core::error::{HttpFailure, HttpStage, ServiceError};
use codex_exec_server_core::limits::HttpLimits;
use codex_exec_server_local::http::LocalBody;
use codex_exec_server_protocol::bytes::Base64Bytes;
use codex_exec_server_protocol::http::{
    HttpBodyDeltaNotification, HttpFailureCause, HttpRequestId, HttpRequestParams,
};
use codex_exec_server_protocol::rpc::RequestId;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::outbound::Outbound;

/// See the module.
pub(crate) struct Bodies {
    outbound: Arc<Outbound>,
    limits: HttpLimits,
    open: Mutex<HashMap<HttpRequestId, Arc<Body>>>,
    /// Aborted when the connection goes.
    readers: Mutex<JoinSet<()>>,
}

impl Bodies {
    pub(crate) fn new(outbound: Arc<Outbound>, limits: HttpLimits) -> Self {
        Self { outbound, limits, open: Mutex::default(), readers: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<HttpRequestId, Arc<Body>>> {
        // Every change under this lock is a single insertion or removal.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a name for the answer to request `id`.
    pub(crate) fn reserve(
        self: &Arc<Self>,
        id: &RequestId,
        params: &HttpRequestParams,
    ) -> Result<Place, ServiceError> {
        let mut open = self.lock();
        open.retain(|_, body| !body.is_over());
        let request_id = params.request_id.clone();
        if open.contains_key(&request_id) {
            let text = format!("http/request streamResponse requestId `{}` is already active", request_id.0);
            return Err(ServiceError::InvalidArgument(text));
        }
        let limit = self.limits.streams_per_connection;
        if open.len() >= limit {
            return Err(ServiceError::Busy(format!(
                "{limit} streamed HTTP bodies of this connection are open, its limit; read one to its end or cancel it"
            )));
        }
        let body = Arc::new(Body::new(request_id.clone(), id.clone(), params.credit_bytes));
        open.insert(request_id, Arc::clone(&body));
        Ok(Place { bodies: Arc::clone(self), body, kept: false })
    }

    /// `http/request/bodyCredit`. For a body that is over it means nothing.
    pub(crate) fn grant(&self, request_id: &HttpRequestId, bytes: u64) {
        let Some(body) = self.lock().get(request_id).cloned() else { return };
        body.change(&self.outbound, |state| {
            state.credit = state.credit.map(|credit| credit.saturating_add(bytes));
        });
    }

    /// `$/cancel` of a request that was answered, or is being answered: its body ends here.
    pub(crate) fn cancel(&self, id: &RequestId) {
        let found: Vec<_> = self.lock().values().filter(|body| body.request == *id).cloned().collect();
        for body in found {
            body.cancel.cancel();
            body.change(&self.outbound, |state| {
                // What the client did not take it does not want.
                if state.end.is_none() || !state.pieces.is_empty() {
                    state.pieces.clear();
                    state.bytes = 0;
                    state.end = Some(Err(HttpFailure {
                        cause: HttpFailureCause::Cancelled,
                        stage: HttpStage::Stream,
                        detail: "body was cancelled".into(),
                    }));
                }
            });
        }
    }
}

/// The name of a body that is being asked for. Dropping it gives the name back, unless the body has begun.
pub(crate) struct Place {
    bodies: Arc<Bodies>,
    body: Arc<Body>,
    kept: bool,
}

impl Place {
    /// From now on the body is sent.
    pub(crate) fn begin(mut self, source: LocalBody) {
        self.kept = true;
        // It may have been cancelled already, and then says so now.
        self.body.change(&self.bodies.outbound, |state| state.begun = true);
        let (outbound, body) = (Arc::clone(&self.bodies.outbound), Arc::clone(&self.body));
        let ahead = self.bodies.limits.stream_ahead_bytes;
        let mut readers = self.bodies.readers.lock().unwrap_or_else(PoisonError::into_inner);
        while readers.try_join_next().is_some() {}
        readers.spawn(async move { body.read(source, ahead, &outbound).await });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.kept {
            self.bodies.lock().remove(&self.body.id);
        }
    }
}

/// One body between its source and the socket.
pub(super) struct Body {
    id: HttpRequestId,
    request: RequestId,
    state: Mutex<State>,
    /// Something was drawn.
    drawn: Notify,
    cancel: CancellationToken,
}

struct State {
    /// Whether the answer that it follows is on its way.
    begun: bool,
    pieces: VecDeque<Bytes>,
    bytes: usize,
    /// How the source ended, once it did. Told behind the pieces.
    end: Option<Result<(), HttpFailure>>,
    /// Number of the piece that was drawn last.
    seq: u64,
    /// Bytes that were drawn.
    offset: u64,
    /// How much more the client takes; `None` is any amount.
    credit: Option<u64>,
    /// Whether the writer knows that there is something to draw.
    listed: bool,
    /// Whether the last piece was drawn.
    over: bool,
}

impl State {
    /// Whether something can be drawn.
    fn is_ready(&self) -> bool {
        let has_something =
            if self.pieces.is_empty() { self.end.is_some() && !self.over } else { self.credit != Some(0) };
        self.begun && has_something
    }
}

/// What was drawn of a body.
pub(super) struct Drawn {
    /// The piece, and how many bytes of the body went before it.
    pub(super) piece: Option<(HttpBodyDeltaNotification, u64)>,
    /// Whether there is more.
    pub(super) more: bool,
}

impl Body {
    fn new(id: HttpRequestId, request: RequestId, credit: Option<u64>) -> Self {
        let state = State {
            begun: false,
            pieces: VecDeque::new(),
            bytes: 0,
            end: None,
            seq: 0,
            offset: 0,
            credit,
            listed: false,
            over: false,
        };
        Self { id, request, state: Mutex::new(state), drawn: Notify::new(), cancel: CancellationToken::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock panics halfway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.lock().over
    }

    /// Changes the state, and tells the writer if that gives it something to draw.
    fn change(self: &Arc<Self>, outbound: &Outbound, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        let news = state.is_ready() && !state.listed;
        state.listed |= news;
        drop(state);
        if news {
            outbound.body(Arc::clone(self));
        }
    }

    /// Reads `source` to its end, no further than `ahead` bytes before what was drawn.
    async fn read(self: Arc<Self>, mut source: LocalBody, ahead: usize, outbound: &Outbound) {
        let reading = async {
            loop {
                while self.lock().bytes >= ahead {
                    self.drawn.notified().await;
                }
                match source.next_bytes().await {
                    Some(Ok(piece)) => self.change(outbound, |state| {
                        state.bytes += piece.len();
                        state.pieces.push_back(piece);
                    }),
                    Some(Err(failure)) => break Err(failure),
                    None => break Ok(()),
                }
            }
        };
        let end = tokio::select! {
            end = reading => end,
            // Whoever cancels also says how it ended.
            () = self.cancel.cancelled() => return,
        };
        self.change(outbound, |state| {
            state.end.get_or_insert(end);
        });
    }

    /// Takes the next piece, of `max` bytes at most. For the one writer alone.
    pub(super) fn draw(&self, max: usize) -> Drawn {
        let mut state = self.lock();
        if !state.is_ready() {
            state.listed = false;
            return Drawn { piece: None, more: false };
        }
        let credit = state.credit.map_or(usize::MAX, |credit| usize::try_from(credit).unwrap_or(usize::MAX));
        let offset = state.offset;
        let bytes = state.take(max.min(credit));
        let end = if state.pieces.is_empty() && bytes.is_empty() { state.end.clone() } else { None };
        state.seq += 1;
        state.offset += bytes.len() as u64;
        state.over = end.is_some();
        state.listed = state.is_ready();
        let (error, cause) = match end.clone() {
            Some(Err(failure)) => (Some(failure.to_string()), Some(failure.cause)),
            Some(Ok(())) | None => (None, None),
        };
        let piece = HttpBodyDeltaNotification {
            request_id: self.id.clone(),
            seq: state.seq,
            delta_base64: Base64Bytes(bytes),
            done: end.is_some(),
            error,
            cause,
        };
        let more = state.listed;
        drop(state);
        self.drawn.notify_one();
        Drawn { piece: Some((piece, offset)), more }
    }
}

impl State {
    /// The next bytes, `max` at most; small pieces that wait behind each other leave together.
    fn take(&mut self, max: usize) -> Bytes {
        let Some(mut first) = self.pieces.pop_front() else { return Bytes::new() };
        let taken = if first.len() > max {
            self.pieces.push_front(first.split_off(max));
            first
        } else if self.pieces.front().is_some_and(|next| first.len() + next.len() <= max) {
            let mut all = BytesMut::from(first);
            while let Some(next) = self.pieces.pop_front_if(|next| all.len() + next.len() <= max) {
                all.extend_from_slice(&next);
            }
            all.freeze()
        } else {
            first
        };
        self.bytes -= taken.len();
        self.credit = self.credit.map(|credit| credit - taken.len() as u64);
        taken
    }
}

#[cfg(test)]
#[path = "bodies_tests.rs"]
mod tests;
