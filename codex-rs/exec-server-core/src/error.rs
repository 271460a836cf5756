//! What can go wrong in a service, and the one place where that becomes a code on the wire.

use std::io;
use std::sync::Arc;

use codex_exec_server_protocol::error_code::{ErrorCode, RpcError};
use codex_exec_server_protocol::http::HttpFailureCause;
use codex_exec_server_protocol::ids::{ProcessId, RequestKey};
use codex_exec_server_protocol::methods::DecodeError;
use serde_json::json;

use crate::fs_fault::FsFault;
use crate::handshake::HandshakeError;
use crate::sessions::{ObserveError, ResumeError, TooManySessions};

/// What the operating system refused while a process was being started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartStage {
    /// Running the program.
    Program,
    /// Entering the working directory.
    WorkingDirectory,
    /// Anything before: pipes, terminal, process.
    Setup,
}

impl StartStage {
    /// The `data.what` of the error.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Program => "program",
            Self::WorkingDirectory => "cwd",
            Self::Setup => "setup",
        }
    }
}

/// An HTTP exchange that did not get to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{detail}", .stage.as_str())]
pub struct HttpFailure {
    /// What kind of failure it is.
    pub cause: HttpFailureCause,
    /// How far the exchange had come.
    pub stage: HttpStage,
    /// What happened, for people.
    pub detail: String,
}

/// How far an HTTP exchange has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpStage {
    /// Its headers have not come yet.
    Request,
    /// They have, and a buffered body is being read.
    Body,
    /// They have been given away, and the body is streamed.
    Stream,
}

impl HttpStage {
    /// The beginning of the message: the reference peer's words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "http/request failed: ",
            Self::Body => "failed to read http/request response body: ",
            Self::Stream => "",
        }
    }
}

/// A request that failed. Every variant is something that happened, with what its receiver needs to know.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ServiceError {
    /// The method is not in the table, or its family is not served here.
    #[error("exec-server stub does not implement `{0}` yet")]
    UnknownMethod(String),
    /// Parameters do not decode.
    #[error("{0}")]
    InvalidParams(String),
    /// A parameter decodes but is refused.
    #[error("{0}")]
    InvalidArgument(String),
    /// The connection may not do this yet, or not again.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// The session can't be resumed.
    #[error(transparent)]
    Resume(#[from] ResumeError),
    /// The session can't be observed.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// A connection that observes asked for more than that.
    #[error(
        "this connection is a read-only observer of its session; `{0}` needs a connection that holds it (resumeSessionId)"
    )]
    ReadOnly(String),
    /// The session that the connection observed is over.
    #[error("observed session has ended")]
    SessionEnded,
    /// No room for a session.
    #[error(transparent)]
    TooManySessions(#[from] TooManySessions),
    /// No such process in this session.
    #[error("unknown process id {0}")]
    UnknownProcess(ProcessId),
    /// The id is taken, by a process that runs or by one that is still readable.
    #[error("process {0} already exists")]
    ProcessExists(ProcessId),
    /// No room for a process.
    #[error("session holds {0} processes, its limit; end one or wait for a closed one to be forgotten")]
    TooManyProcesses(usize),
    /// A request key was used for something else before.
    #[error("request key {0} was used before with other parameters")]
    RequestKeyMismatch(RequestKey),
    /// A process can't be resized or has no stdin, and so on: it was started in another way.
    #[error("{0}")]
    WrongState(String),
    /// Configuration on this machine can't be read. Says where, and why.
    #[error("failed to load executor-local config: {0}")]
    Configuration(String),
    /// The operating system did not start a process. `subject` names the program or folder.
    #[error("{} {subject}: {source}", .stage.as_str())]
    Start {
        /// What was refused.
        stage: StartStage,
        /// Program or folder.
        subject: String,
        /// The system's own words.
        source: Arc<io::Error>,
    },
    /// An HTTP exchange failed.
    #[error(transparent)]
    Http(#[from] HttpFailure),
    /// A file operation.
    #[error(transparent)]
    Fs(#[from] FsFault),
    /// stdin of a process that was ended by force.
    #[error("failed to write to process stdin")]
    StdinFailed,
    /// Another connection took the session while this request waited.
    #[error("session has been resumed by another connection")]
    Displaced,
    /// The client cancelled the request.
    #[error("request was cancelled")]
    Cancelled,
    /// Too much is waiting on this connection.
    #[error("{0}")]
    Busy(String),
    /// The server itself failed.
    #[error("{0}")]
    Internal(String),
}

impl ServiceError {
    /// The only place where a failure turns into a wire code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownMethod(_) => ErrorCode::MethodNotFound,
            Self::InvalidParams(_) | Self::InvalidArgument(_) => ErrorCode::InvalidParams,
            Self::Resume(ResumeError::InUse(_)) => ErrorCode::SessionInUse,
            Self::Handshake(_)
            | Self::Resume(ResumeError::Unknown(_))
            | Self::Observe(_)
            | Self::ReadOnly(_)
            | Self::SessionEnded
            | Self::TooManySessions(_)
            | Self::UnknownProcess(_)
            | Self::ProcessExists(_)
            | Self::TooManyProcesses(_)
            | Self::RequestKeyMismatch(_)
            | Self::WrongState(_)
            | Self::Displaced
            | Self::Busy(_) => ErrorCode::InvalidRequest,
            Self::Fs(fault) => fault.code(),
            Self::Cancelled => ErrorCode::Cancelled,
            Self::Start { .. }
            | Self::Http(_)
            | Self::StdinFailed
            | Self::Configuration(_)
            | Self::Internal(_) => ErrorCode::Internal,
        }
    }
}

impl From<&ServiceError> for RpcError {
    fn from(error: &ServiceError) -> Self {
        let data = match error {
            ServiceError::Start { stage, subject, source } => Some(json!({
                "what": stage.as_str(),
                "path": subject,
                "errno": source.raw_os_error(),
            })),
            ServiceError::Http(failure) => Some(json!({ "cause": failure.cause })),
            // So that no program has to read the words.
            ServiceError::ReadOnly(_) => Some(json!({ "readOnly": true })),
            ServiceError::Observe(ObserveError::TooMany { limit, .. }) => {
                Some(json!({ "observersPerSession": limit }))
            }
            ServiceError::Fs(fault) => fault.data().map(|data| json!(data)),
            _ => None,
        };
        Self { code: error.code().number(), message: error.to_string(), data }
    }
}

impl From<DecodeError> for ServiceError {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::UnknownMethod(method) => Self::UnknownMethod(method),
            DecodeError::InvalidParams(text) => Self::InvalidParams(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use codex_exec_server_protocol::ids::SessionId;
    use codex_exec_server_protocol::methods::Family;

    use super::*;

    #[test]
    fn codes_and_words_are_those_of_the_protocol() {
        let session = SessionId::from("s");
        for (error, code, message) in [
            (
                ServiceError::UnknownMethod("foo".into()),
                -32601,
                "exec-server stub does not implement `foo` yet",
            ),
            (
                ServiceError::InvalidArgument("argv must not be empty".into()),
                -32602,
                "argv must not be empty",
            ),
            (ServiceError::UnknownProcess("p".into()), -32600, "unknown process id p"),
            (ServiceError::ProcessExists("p".into()), -32600, "process p already exists"),
            (
                ResumeError::InUse(session.clone()).into(),
                -32010,
                "session s is already attached to another connection",
            ),
            (ResumeError::Unknown(session).into(), -32600, "unknown session id s"),
            (
                HandshakeError::NotInitialized(Family::Filesystem).into(),
                -32600,
                "client must call initialize before using filesystem methods",
            ),
        ] {
            let error = RpcError::from(&error);
            assert_eq!((error.code, error.message.as_str(), error.data), (code, message, None));
        }
    }

    #[test]
    fn an_http_request_that_failed_says_why_for_programs_too() {
        let failure = |stage| HttpFailure {
            cause: HttpFailureCause::Dns,
            stage,
            detail: "example.test has no address".into(),
        };
        let error = RpcError::from(&ServiceError::from(failure(HttpStage::Request)));
        assert_eq!(
            (error.code, error.message.as_str()),
            (-32603, "http/request failed: example.test has no address")
        );
        assert_eq!(error.data, Some(json!({"cause": "dns"})));
        assert_eq!(failure(HttpStage::Stream).to_string(), "example.test has no address");
    }

    #[test]
    fn one_observer_too_many_is_told_apart_from_a_session_that_is_gone() {
        let session = SessionId::from("s");
        let data = |refusal: ObserveError| RpcError::from(&ServiceError::from(refusal)).data;
        let too_many = ObserveError::TooMany { session: session.clone(), limit: 64 };
        assert_eq!(data(too_many), Some(json!({"observersPerSession": 64})));
        assert_eq!(data(ObserveError::Unknown(session)), None);
    }

    #[test]
    fn an_observer_that_asks_for_more_is_told_so_and_programs_as_well() {
        let error = RpcError::from(&ServiceError::ReadOnly("process/write".into()));
        assert_eq!(error.code, -32600);
        assert!(error.message.contains("read-only observer") && error.message.contains("`process/write`"));
        assert_eq!(error.data, Some(json!({"readOnly": true})));
    }

    #[test]
    fn a_start_that_failed_says_what_was_missing_and_ends_in_the_systems_words() {
        let error = ServiceError::Start {
            stage: StartStage::WorkingDirectory,
            subject: "/nowhere".into(),
            source: Arc::new(io::Error::from_raw_os_error(2)),
        };
        let error = RpcError::from(&error);
        assert_eq!(error.message, "cwd /nowhere: No such file or directory (os error 2)");
        assert_eq!(error.data, Some(json!({"what": "cwd", "path": "/nowhere", "errno": 2})));
    }
}
