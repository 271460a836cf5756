//! Streamed HTTP bodies between the connection that carries them and the callers who read them.
//!
//! Unlike a process's output they can't be read again: a piece that is missing, a caller that is too slow, or a
//! connection that is lost ends the body, and says so.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use codex_exec_server_protocol::http::{HttpBodyDeltaNotification, HttpRequestId};
use tokio::sync::Notify;

/// Why a body broke off. What had arrived before that was delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpBodyError {
    /// The connection to the server was lost; the rest of the body is lost with it.
    #[error("http body was lost with its connection: {0}")]
    Disconnected(Arc<str>),
    /// Pieces are missing.
    #[error("http body is incomplete: piece {found} came in place of piece {expected}")]
    Missing {
        /// Number of the piece that should have come.
        expected: u64,
        /// Number of the one that came.
        found: u64,
    },
    /// The caller did not read fast enough, and there is no way to make the server wait.
    #[error("http body was not read fast enough: more than {limit_bytes} bytes were waiting")]
    Overflow {
        /// [`ClientConfig::http_body_bytes`](crate::ClientConfig::http_body_bytes).
        limit_bytes: usize,
    },
    /// The server could not get the rest. Holds its words.
    #[error("http body broke off: {0}")]
    Failed(String),
}

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
                (Some(error), _) => Some(Err(HttpBodyError::Failed(error))),
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

/// A streamed body. Dropping it gives the rest up, which the server is not told.
#[derive(Debug)]
pub struct HttpBody {
    id: HttpRequestId,
    body: Arc<Body>,
    bodies: Arc<Bodies>,
}

impl HttpBody {
    /// The body of request `id`, which is about to be sent.
    pub(crate) fn open(bodies: &Arc<Bodies>, id: &HttpRequestId, limit_bytes: usize) -> Self {
        let state = State { next: 1, pieces: VecDeque::new(), bytes: 0, end: None };
        let body = Arc::new(Body { state: Mutex::new(state), news: Notify::new(), limit_bytes });
        bodies.lock().insert(id.clone(), Arc::clone(&body));
        Self { id: id.clone(), body, bodies: Arc::clone(bodies) }
    }

    /// The next bytes, never none. `None` at the end, or after an error, which is told once.
    ///
    /// Cancel-safe: bytes are either returned or still to come.
    pub async fn next(&mut self) -> Option<Result<Bytes, HttpBodyError>> {
        loop {
            {
                let mut state = self.body.lock();
                if let Some(piece) = state.pieces.pop_front() {
                    state.bytes -= piece.len();
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
        }
    }

    /// What a caller reads of a body of at most 8 waiting bytes, to its end.
    async fn read(deltas: Vec<HttpBodyDeltaNotification>, lost: bool) -> (String, Option<HttpBodyError>) {
        let bodies = Arc::new(Bodies::default());
        let mut body = HttpBody::open(&bodies, &bodies.new_id(), /*limit_bytes*/ 8);
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
                HttpBodyError::Failed("reset".into()),
            ),
            (vec![first()], true, HttpBodyError::Disconnected("cut".into())),
        ] {
            assert_eq!(read(deltas, lost).await, ("ab".into(), Some(error)));
        }
    }
}
