//! HTTP requests that leave from a machine, whether it is this one or one behind a connection.
//!
//! An answer comes whole or as a stream. A streamed body is read at its reader's pace, and ends with `None` only if it is
//! complete; whatever breaks it off is told once, behind what had arrived.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use codex_exec_server_protocol::error_code::RpcError;
use codex_exec_server_protocol::http::{
    HttpFailureCause, HttpHeader, HttpRequestParams, HttpRequestResponse,
};

use super::ServiceFuture;
use crate::error::ServiceError;

/// A machine from which HTTP requests can be sent.
pub trait HttpClient: fmt::Debug + Send + Sync {
    /// Sends a request and gives the whole answer. `request_id` and `stream_response` are of no importance.
    ///
    /// Sent once: a caller who does not hear what became of it learns that as [`HttpError::OutcomeUnknown`]. Dropping the
    /// future gives the request up.
    fn request(&self, params: HttpRequestParams)
    -> ServiceFuture<'_, Result<HttpRequestResponse, HttpError>>;

    /// As [`Self::request`], but resolves as soon as the headers are there.
    fn stream(&self, params: HttpRequestParams) -> ServiceFuture<'_, Result<HttpStream, HttpError>>;
}

/// The beginning of a streamed answer.
#[derive(Debug)]
pub struct HttpStream {
    /// Status code.
    pub status: u16,
    /// Headers with lower-case names.
    pub headers: Vec<HttpHeader>,
    /// What follows.
    pub body: Box<dyn HttpBodyStream>,
}

/// A streamed body. Dropping it gives the rest up, and lets go of the connection it comes over.
pub trait HttpBodyStream: fmt::Debug + Send {
    /// The next bytes, never none. `None` at the end, or after an error, which is told once. Cancel-safe: bytes are either
    /// returned or still to come.
    fn next(&mut self) -> ServiceFuture<'_, Option<Result<Bytes, HttpBodyError>>>;
}

/// Why a request has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HttpError {
    /// It was refused, or failed. Code, words and data are those of the wire, also where there was none in between.
    #[error("{0}")]
    Refused(RpcError),
    /// The peer can't do it; holds the name of the capability flag.
    #[error("server does not support {0}")]
    Unsupported(&'static str),
    /// The connection to the peer was lost before the answer came: the request was sent or it was not.
    #[error("connection was lost before the answer came")]
    OutcomeUnknown,
    /// There is no connection to the peer any more, and there won't be one. Says why.
    #[error("{0}")]
    Disconnected(Arc<str>),
}

impl HttpError {
    /// What kept the exchange from its end, where the peer tells.
    #[must_use]
    pub fn cause(&self) -> Option<HttpFailureCause> {
        let Self::Refused(RpcError { data: Some(data), .. }) = self else { return None };
        serde_json::from_value(data.get("cause")?.clone()).ok()
    }
}

impl From<ServiceError> for HttpError {
    fn from(error: ServiceError) -> Self {
        Self::Refused(RpcError::from(&error))
    }
}

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
    /// The caller did not read fast enough, and the server could not be made to wait (flag `httpBodyCredit`).
    #[error("http body was not read fast enough: more than {limit_bytes} bytes were waiting")]
    Overflow {
        /// The client's bound on what may wait.
        limit_bytes: usize,
    },
    /// The rest could not be had.
    #[error("http body broke off: {detail}")]
    Failed {
        /// What kind of failure that was, where the peer tells.
        cause: Option<HttpFailureCause>,
        /// What happened, for people.
        detail: String,
    },
}
