//! Streamed HTTP bodies between the connection that carries them and the callers who read them.
//!
//! Unlike a process's output they can't be read again: a piece that is missing or a connection that is lost ends the body,
//! and says so. A server that can (flag `httpBodyCredit`) sends no more than there is room for, and is told what was read;
//! of another one, a body whose caller is too slow ends as well.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use codex_exec_server_core::service::ServiceFuture;
pub use codex_exec_server_core::service::http::HttpBodyError;
use codex_exec_server_core::service::http::HttpBodyStream;
use codex_exec_server_protocol::http::{
    HttpBodyCreditNotification, HttpBodyDeltaNotification, HttpRequestId,
};
use codex_exec_server_protocol::methods::ClientNotification;
use tokio::sync::Notify;

use crate::session::Attached;
use crate::unfinished::Unfinished;

/// Every body under way, by the name of its request.
#[derive(Debug, Default)]
pub(crate) struct Bodies {
    open: Mutex<HashMap<HttpRequestId, Arc<Body>>>,
    last_id: AtomicU64,
}

#[derive(Debug)]
struct Body {
    state: Mutex<State>,
    news: Notify,
    limit_bytes: usize,
}

#[derive(Debug)]
struct State {
    /// Number of the piece that comes next.
    next: u64,
    pieces: VecDeque<Bytes>,
    bytes: usize,
    /// How it ended, once it did. Told behind the pieces.
    end: Option<Result<(), HttpBodyError>>,
    /// Whether nothing more will come of it, for the server.
    done: bool,
}

impl Body {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock panics halfway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, end: Result<(), HttpBodyError>) {
        self.lock().end.get_or_insert(end);
        self.news.notify_one();
    }

    /// Takes a piece; true if it was the last.
    fn push(&self, delta: HttpBodyDeltaNotification) -> bool {
        let mut state = self.lock();
        if delta.seq < state.next || state.end.is_some() {
            return state.end.is_some();
        }
        state.done = delta.done;
        let bytes = delta.delta_base64.into_bytes();
        if delta.seq > state.next {
            state.end = Some(Err(HttpBodyError::Missing { expected: state.next, found: delta.seq }));
        } else if state.bytes + bytes.len() > self.limit_bytes {
            state.end = Some(Err(HttpBodyError::Overflow { limit_bytes: self.limit_bytes }));
        } else {
            state.next += 1;
            if !bytes.is_empty() {
                state.bytes += bytes.len();
                state.pieces.push_back(bytes);
            }
            state.end = match (delta.error, delta.done) {
                (Some(detail), _) => Some(Err(HttpBodyError::Failed { cause: delta.cause, detail })),
                (None, true) => Some(Ok(())),
                (None, false) => None,
            };
        }
        let is_over = state.end.is_some();
        drop(state);
        self.news.notify_one();
        is_over
    }
}

impl Bodies {
    fn lock(&self) -> MutexGuard<'_, HashMap<HttpRequestId, Arc<Body>>> {
        // Every change under this lock is a single insertion or removal.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A name that no request of this client had before.
    pub(crate) fn new_id(&self) -> HttpRequestId {
        HttpRequestId(format!("http-{}", self.last_id.fetch_add(1, Ordering::Relaxed) + 1))
    }

    /// Takes a piece to its body. What belongs to none was given up.
    pub(crate) fn deliver(&self, delta: HttpBodyDeltaNotification) {
        let mut open = self.lock();
        let Some(body) = open.get(&delta.request_id) else { return };
        let id = delta.request_id.clone();
        if Arc::clone(body).push(delta) {
            open.remove(&id);
        }
    }

    /// The connection is gone, and every body with it.
    pub(crate) fn fail(&self, reason: &Arc<str>) {
        let open = std::mem::take(&mut *self.lock());
        for body in open.into_values() {
            body.end(Err(HttpBodyError::Disconnected(Arc::clone(reason))));
        }
    }
}

/// How the server learns that there is room again.
#[derive(Debug)]
pub(crate) struct Credit {
    attached: Arc<Attached>,
    /// What was read since the server was told.
    owed: u64,
    /// When that much was read, it is told.
    worth_telling: u64,
}

impl Credit {
    /// For a body that may be `limit_bytes` ahead of its reader.
    pub(crate) fn new(attached: Arc<Attached>, limit_bytes: usize) -> Self {
        // Often enough that the body never stops while it is read, and seldom enough to cost nothing.
        Self { attached, owed: 0, worth_telling: (limit_bytes as u64 / 4).max(1) }
    }

    /// Tells the server of what was read, if it is worth that, or if it may be waiting. Cancel-safe: what was not told is
    /// still owed.
    async fn tell(&mut self, id: &HttpRequestId, may_be_waiting: bool) {
        if self.owed >= self.worth_telling || (may_be_waiting && self.owed > 0) {
            let credit = HttpBodyCreditNotification { request_id: id.clone(), bytes: self.owed };
            // If the connection is gone, so is the body.
            let _ = self.attached.link.notify(&ClientNotification::HttpBodyCredit(credit)).await;
            self.owed = 0;
        }
    }
}

/// A streamed body. Dropping it gives the rest up, of which the server is told if it has the flag `cancel`.
#[derive(Debug)]
pub struct HttpBody {
    id: HttpRequestId,
    body: Arc<Body>,
    bodies: Arc<Bodies>,
    credit: Option<Credit>,
    unfinished: Option<Unfinished>,
}

impl HttpBody {
    /// The body of request `id`, which is about to be sent.
    pub(crate) fn open(
        bodies: &Arc<Bodies>,
        id: &HttpRequestId,
        limit_bytes: usize,
        credit: Option<Credit>,
    ) -> Self {
        let state = State { next: 1, pieces: VecDeque::new(), bytes: 0, end: None, done: false };
        let body = Arc::new(Body { state: Mutex::new(state), news: Notify::new(), limit_bytes });
        bodies.lock().insert(id.clone(), Arc::clone(&body));
        Self { id: id.clone(), body, bodies: Arc::clone(bodies), credit, unfinished: None }
    }

    /// What to drop when the rest is given up.
    pub(crate) fn give_up_with(&mut self, unfinished: Unfinished) {
        self.unfinished = Some(unfinished);
    }

    /// The next bytes, never none. `None` at the end, or after an error, which is told once.
    ///
    /// Cancel-safe: bytes are either returned or still to come.
    pub async fn next(&mut self) -> Option<Result<Bytes, HttpBodyError>> {
        loop {
            if let Some(credit) = &mut self.credit {
                let (may_be_waiting, over) = {
                    let state = self.body.lock();
                    (state.pieces.is_empty(), state.end.is_some())
                };
                if !over {
                    credit.tell(&self.id, may_be_waiting).await;
                }
            }
            {
                let mut state = self.body.lock();
                if let Some(piece) = state.pieces.pop_front() {
                    state.bytes -= piece.len();
                    if let Some(credit) = &mut self.credit {
                        credit.owed += piece.len() as u64;
                    }
                    return Some(Ok(piece));
                }
                match &mut state.end {
                    None => {}
                    Some(Ok(())) => return None,
                    Some(end) => return std::mem::replace(end, Ok(())).err().map(Err),
                }
            }
            self.body.news.notified().await;
        }
    }
}

impl Drop for HttpBody {
    fn drop(&mut self) {
        let mut open = self.bodies.lock();
        if open.get(&self.id).is_some_and(|body| Arc::ptr_eq(body, &self.body)) {
            open.remove(&self.id);
        }
        drop(open);
        if let Some(unfinished) = self.unfinished.take()
            && self.body.lock().done
        {
            unfinished.finish();
        }
    }
}

impl HttpBodyStream for HttpBody {
    fn next(&mut self) -> ServiceFuture<'_, Option<Result<Bytes, HttpBodyError>>> {
        Box::pin(self.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delta(seq: u64, text: &str, done: bool, error: Option<&str>) -> HttpBodyDeltaNotification {
        HttpBodyDeltaNotification {
            request_id: HttpRequestId("http-1".into()),
            seq,
            delta_base64: text.as_bytes().to_vec().into(),
            done,
            error: error.map(str::to_owned),
            cause: None,
        }
    }

    /// What a caller reads of a body of at most 8 waiting bytes, to its end.
    async fn read(deltas: Vec<HttpBodyDeltaNotification>, lost: bool) -> (String, Option<HttpBodyError>) {
        let bodies = Arc::new(Bodies::default());
        let mut body =
            HttpBody::open(&bodies, &bodies.new_id(), /*limit_bytes*/ 8, /*credit*/ None);
        for delta in deltas {
            bodies.deliver(delta);
        }
        if lost {
            bodies.fail(&"cut".into());
        }
        let mut text = String::new();
        loop {
            match body.next().await {
                Some(Ok(bytes)) => text.push_str(std::str::from_utf8(&bytes).expect("text")),
                Some(Err(error)) => {
                    assert_eq!(body.next().await, None);
                    return (text, Some(error));
                }
                None => return (text, None),
            }
        }
    }

    #[tokio::test]
    async fn pieces_come_in_order_and_each_once() {
        let twice = vec![
            delta(/*seq*/ 1, "ab", /*done*/ false, /*error*/ None),
            delta(/*seq*/ 1, "ab", /*done*/ false, /*error*/ None),
            delta(/*seq*/ 2, "cd", /*done*/ false, /*error*/ None),
        ];
        let all = twice.into_iter().chain([delta(/*seq*/ 3, "", /*done*/ true, /*error*/ None)]).collect();
        assert_eq!(read(all, /*lost*/ false).await, ("abcd".into(), None));
    }

    #[tokio::test]
    async fn whatever_ends_a_body_early_is_told_behind_what_arrived() {
        let first = || delta(/*seq*/ 1, "ab", /*done*/ false, /*error*/ None);
        for (deltas, lost, error) in [
            (
                vec![first(), delta(/*seq*/ 3, "ef", /*done*/ true, /*error*/ None)],
                false,
                HttpBodyError::Missing { expected: 2, found: 3 },
            ),
            (
                vec![first(), delta(/*seq*/ 2, "1234567", /*done*/ false, /*error*/ None)],
                false,
                HttpBodyError::Overflow { limit_bytes: 8 },
            ),
            (
                vec![first(), delta(/*seq*/ 2, "", /*done*/ true, Some("reset"))],
                false,
                HttpBodyError::Failed { cause: None, detail: "reset".into() },
            ),
            (vec![first()], true, HttpBodyError::Disconnected("cut".into())),
        ] {
            assert_eq!(read(deltas, lost).await, ("ab".into(), Some(error)));
        }
    }
}
