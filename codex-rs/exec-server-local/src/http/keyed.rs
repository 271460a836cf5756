//! The HTTP requests of one session, and what is remembered of those that have a key.
//!
//! A request with a key is sent once, whatever becomes of the connection that asked for it: it goes on by itself, and a
//! repeat joins it or gets its answer. Bodies are remembered within a bound, oldest first to go; of an answer whose body is
//! gone a repeat is told that it came. A streamed answer can't be given twice, so its repeat is told only that.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use codex_exec_server_core::error::{HttpStage, ServiceError};
use codex_exec_server_core::idempotency::{Answers, Repeat};
use codex_exec_server_protocol::http::{HttpRequestId, HttpRequestParams, HttpRequestResponse};
use codex_exec_server_protocol::ids::RequestKey;
use tokio::sync::SetOnce;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Answered, LocalHttp};

/// The answer of a request under way, or over.
type Outcome = Arc<SetOnce<Result<HttpRequestResponse, ServiceError>>>;

/// What is remembered by a key.
#[derive(Clone)]
enum Known {
    /// The request, and its answer when it comes.
    Buffered(Outcome),
    /// It was answered; the body is no longer remembered.
    Forgotten { status: u16, body_bytes: usize },
    /// It was sent for a streamed answer.
    Streamed,
}

/// See the module.
pub struct KeyedHttp {
    http: Arc<LocalHttp>,
    memory: Mutex<Memory>,
    tasks: TaskTracker,
    /// Set by the end of the session: requests under way are given up.
    ended: CancellationToken,
}

struct Memory {
    answers: Answers<RequestKey, Known>,
    /// Bodies that are remembered, oldest first.
    bodies: VecDeque<Remembered>,
    body_bytes: usize,
}

struct Remembered {
    key: RequestKey,
    fingerprint: u64,
    status: u16,
    bytes: usize,
}

impl KeyedHttp {
    /// A memory of up to `keys` requests.
    #[must_use]
    pub fn new(http: Arc<LocalHttp>, keys: usize) -> Arc<Self> {
        let memory = Memory { answers: Answers::new(keys), bodies: VecDeque::new(), body_bytes: 0 };
        Arc::new(Self {
            http,
            memory: Mutex::new(memory),
            tasks: TaskTracker::new(),
            ended: CancellationToken::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        // Nothing under this lock panics halfway.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request and reads the whole answer. With a key it goes on to its end even if the caller does not wait for
    /// it; without one, dropping the future gives it up.
    ///
    /// # Errors
    /// As [`LocalHttp::request`]; [`ServiceError::RequestKeyMismatch`] for a key that stands for another request, and
    /// [`ServiceError::WrongState`] for one whose answer can't be given again.
    pub async fn request(
        self: &Arc<Self>,
        params: HttpRequestParams,
    ) -> Result<HttpRequestResponse, ServiceError> {
        let Some(key) = params.request_key.clone() else { return self.http.request(params).await };
        let fingerprint = fingerprint(&params);
        let mine = Outcome::default();
        let outcome = match self.claim(&key, fingerprint, Known::Buffered(Arc::clone(&mine)))? {
            None => {
                self.send(key, fingerprint, params, Arc::clone(&mine));
                mine
            }
            Some(earlier) => earlier,
        };
        tokio::select! {
            biased;
            outcome = outcome.wait() => outcome.clone(),
            () = self.ended.cancelled() => Err(ServiceError::WrongState("session has ended".into())),
        }
    }
    /// Sends a request and returns when the headers of the answer are there. Dropping the future gives it up.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub async fn open(&self, params: HttpRequestParams) -> Result<Answered, ServiceError> {
        if let Some(key) = &params.request_key
            && self.claim(key, fingerprint(&params), Known::Streamed)?.is_some()
        {
            // The way of answering is part of what a repeat repeats.
            return Err(ServiceError::RequestKeyMismatch(key.clone()));
        }
        self.http.open(params, HttpStage::Stream).await
    }

    /// Takes the key for a request that has not been sent, which is remembered as `new`; or finds the outcome of the one
    /// that was, or why it can't be told.
    fn claim(&self, key: &RequestKey, fingerprint: u64, new: Known) -> Result<Option<Outcome>, ServiceError> {
        let mut memory = self.lock();
        match memory.answers.check(key, fingerprint) {
            Repeat::New => {
                memory.answers.record(key.clone(), fingerprint, new);
                Ok(None)
            }
            Repeat::Mismatch => Err(ServiceError::RequestKeyMismatch(key.clone())),
            Repeat::Known(Known::Buffered(outcome)) => Ok(Some(outcome)),
            Repeat::Known(Known::Forgotten { status, body_bytes }) => Err(ServiceError::WrongState(format!(
                "request {key} was sent before and answered with status {status}; its body of {body_bytes} bytes is not remembered"
            ))),
            Repeat::Known(Known::Streamed) => Err(ServiceError::WrongState(format!(
                "request {key} was sent before, and a streamed answer can't be given again"
            ))),
        }
    }

    /// Sends a request that is remembered, in a task of its own.
    fn send(
        self: &Arc<Self>,
        key: RequestKey,
        fingerprint: u64,
        params: HttpRequestParams,
        outcome: Outcome,
    ) {
        let this = Arc::clone(self);
        self.tasks.spawn(async move {
            tokio::select! {
                answer = this.http.request(params) => {
                    if let Ok(answer) = &answer {
                        let (status, bytes) = (answer.status, answer.body_base64.len());
                        let limit = this.http.limits().remembered_body_bytes;
                        this.lock().remember(Remembered { key, fingerprint, status, bytes }, limit);
                    }
                    // Whoever waits holds the outcome, also of a body that is too large to be remembered.
                    let _ = outcome.set(answer);
                }
                () = this.ended.cancelled() => {}
            }
        });
    }

    /// Gives up what is under way. Returns when all is done.
    pub async fn shut_down(&self) {
        self.ended.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Memory {
    /// Adds an answer, and forgets the bodies of old ones, or its own, so that `limit` bytes at most are kept.
    fn remember(&mut self, answer: Remembered, limit: usize) {
        self.body_bytes += answer.bytes;
        self.bodies.push_back(answer);
        while self.body_bytes > limit {
            let Some(oldest) = self.bodies.pop_front() else { return };
            self.body_bytes -= oldest.bytes;
            let Remembered { key, fingerprint, status, bytes } = oldest;
            // A key that is no longer remembered stays so.
            if let Repeat::Known(_) = self.answers.check(&key, fingerprint) {
                self.answers.record(key, fingerprint, Known::Forgotten { status, body_bytes: bytes });
            }
        }
    }
}

/// Tells a repeat of a request from another request: by everything that its parameters say, except by what name its
/// stream is known.
fn fingerprint(params: &HttpRequestParams) -> u64 {
    let mut hasher = DefaultHasher::new();
    let body = params.body_base64.clone();
    let same =
        HttpRequestParams { request_id: HttpRequestId(String::new()), body_base64: None, ..params.clone() };
    // Told for people, a body is shortened.
    body.hash(&mut hasher);
    format!("{same:?}").hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(key: &str, bytes: usize) -> Remembered {
        Remembered { key: RequestKey::from(key), fingerprint: 1, status: 200, bytes }
    }

    #[test]
    fn bodies_are_forgotten_oldest_first_and_one_that_is_too_large_at_once() {
        let mut memory =
            Memory { answers: Answers::new(/*limit*/ 8), bodies: VecDeque::new(), body_bytes: 0 };
        for (key, bytes) in [("a", 4), ("b", 4), ("c", 4), ("d", 20), ("e", 3)] {
            memory.answers.record(key.into(), /*fingerprint*/ 1, Known::Buffered(Outcome::default()));
            memory.remember(answer(key, bytes), /*limit*/ 8);
            assert!(memory.body_bytes <= 8, "{key}");
        }
        for (key, remembered) in [("a", false), ("b", false), ("c", false), ("d", false), ("e", true)] {
            let known = memory.answers.check(&key.into(), /*fingerprint*/ 1);
            assert_eq!(matches!(known, Repeat::Known(Known::Buffered(_))), remembered, "{key}");
        }
    }
}
