//! Writes that carry a key: a repeat joins the first, or gets its answer, and never writes again.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use codex_exec_server_core::error::ServiceError;
use codex_exec_server_core::idempotency::{Answers, Repeat};
use codex_exec_server_protocol::fs::{
    FsAppendParams, FsAppendResponse, FsWriteFileParams, FsWriteFileResponse,
};
use codex_exec_server_protocol::ids::RequestKey;
use tokio::sync::SetOnce;

/// What came of a write, once it is known.
pub(super) type Outcome = Arc<SetOnce<Result<Written, ServiceError>>>;

/// The answer to one of the methods that take keys.
#[derive(Debug, Clone)]
pub(super) enum Written {
    File(FsWriteFileResponse),
    Appended(FsAppendResponse),
}

/// The keys of one session, or of one local file service.
#[derive(Debug)]
pub(super) struct Keys(Mutex<Answers<RequestKey, Outcome>>);

/// Whether a write with a key is to be done.
pub(super) enum Turn {
    /// By whoever got this, who tells the outcome.
    Do(Outcome),
    /// It is being done, or was.
    Wait(Outcome),
}

impl Keys {
    pub(super) fn new(limit: usize) -> Self {
        Self(Mutex::new(Answers::new(limit)))
    }

    /// Claims `key` for a request of this `fingerprint`.
    pub(super) fn claim(&self, key: &RequestKey, fingerprint: u64) -> Result<Turn, ServiceError> {
        // Looked up and recorded as one step; nothing in it panics halfway.
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match answers.check(key, fingerprint) {
            Repeat::Known(outcome) => Ok(Turn::Wait(outcome)),
            Repeat::Mismatch => Err(ServiceError::RequestKeyMismatch(key.clone())),
            Repeat::New => {
                let outcome = Outcome::default();
                answers.record(key.clone(), fingerprint, Arc::clone(&outcome));
                Ok(Turn::Do(outcome))
            }
        }
    }
}

/// Tells a repeat from another write that uses the key by mistake.
pub(super) fn of_write(params: &FsWriteFileParams) -> u64 {
    let mut hasher = DefaultHasher::new();
    "fs/writeFile".hash(&mut hasher);
    params.path.hash(&mut hasher);
    match &params.data_base64 {
        Ok(data) => data.hash(&mut hasher),
        Err(error) => error.to_string().hash(&mut hasher),
    }
    (params.follow_symlinks, params.atomic, &params.if_match, params.mode).hash(&mut hasher);
    hasher.finish()
}

/// As [`of_write`].
pub(super) fn of_append(params: &FsAppendParams) -> u64 {
    let mut hasher = DefaultHasher::new();
    "fs/append".hash(&mut hasher);
    params.path.hash(&mut hasher);
    params.data_base64.hash(&mut hasher);
    (params.follow_symlinks, params.create).hash(&mut hasher);
    hasher.finish()
}
