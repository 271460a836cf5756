//! What can go wrong, by who has to know: the holder of a client, of a process, of one request.

use std::sync::Arc;
use std::time::Duration;

use codex_exec_server_core::service::ExecError;
use codex_exec_server_protocol::error_code::RpcError;
use codex_exec_server_protocol::ids::{ProcessId, Seq, SessionId};

use crate::dial::DialError;
use crate::link::CallError;

/// Why a client is of no more use, or never was. Cheap to clone: every waiting call gets the same one.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// There is no connection, and trying again won't help (or was not wanted, for the first one).
    #[error(transparent)]
    Dial(Arc<DialError>),
    /// The first connection was lost before `initialize` was answered.
    #[error("{0}")]
    Lost(Arc<str>),
    /// Connecting took too long.
    #[error("no connection within {} ms", after.as_millis())]
    ConnectTimedOut {
        /// [`ClientConfig::connect_timeout`](crate::ClientConfig::connect_timeout).
        after: Duration,
    },
    /// The server accepted the connection but did not answer `initialize`.
    #[error("server did not answer initialize within {} ms", after.as_millis())]
    InitializeTimedOut {
        /// [`ClientConfig::initialize_timeout`](crate::ClientConfig::initialize_timeout).
        after: Duration,
    },
    /// The server refuses a new session.
    #[error("server refused initialize: {0}")]
    Refused(RpcError),
    /// The session is attached to another connection.
    #[error("session {session} is attached to another connection")]
    SessionInUse {
        /// The session.
        session: SessionId,
    },
    /// The server has forgotten the session: it was restarted, or the client was away for too long.
    #[error("session {session} can't be resumed: {source}")]
    SessionLost {
        /// The session.
        session: SessionId,
        /// The server's words.
        source: RpcError,
    },
    /// The connection did not come back in time.
    #[error("connection was lost and did not come back within {} s: {last}", after.as_secs())]
    GaveUp {
        /// [`ClientConfig::recovery_deadline`](crate::ClientConfig::recovery_deadline).
        after: Duration,
        /// What the last attempt came to.
        last: Arc<str>,
    },
    /// Another client took the session over; it goes on there. Holds the server's words.
    #[error("{0}")]
    TakenOver(Arc<str>),
    /// The server sent something that the protocol does not allow, and would do so again.
    #[error("server broke the protocol: {0}")]
    Protocol(Arc<str>),
    /// The server can't do what the connection was made for.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// [`Client::connect_and_start`](crate::Client::connect_and_start) lost its connection, or its patience, before
    /// `initialize` was answered. The process may have been started, in a session whose id nobody knows, so that nobody
    /// can end it: the server does, with the session, when that was left alone for long enough.
    #[error(
        "{source}; process {process_id} may have been started, then the server ends it when the lost session's time is over"
    )]
    StartLost {
        /// The process.
        process_id: ProcessId,
        /// What happened.
        source: Arc<Self>,
    },
    /// The client was closed by its owner.
    #[error("client is closed")]
    Closed,
}

impl From<DialError> for ClientError {
    fn from(error: DialError) -> Self {
        Self::Dial(Arc::new(error))
    }
}

/// Why one request came to nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RequestError {
    /// The server refused it.
    #[error("{0}")]
    Refused(RpcError),
    /// The connection was lost, and this request is not one to be repeated: it may have taken effect or not.
    #[error("connection was lost before the answer came")]
    Unknown,
    /// The server can't do it.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// There is no connection any more.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// A feature that the server does not have; holds the name of the capability flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("server does not support {0}")]
pub struct Unsupported(pub &'static str);

/// Why a process was not started.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StartError {
    /// The server refused; `data` says more, where the server tells.
    #[error("{0}")]
    Refused(RpcError),
    /// This client follows a process of that id already.
    #[error("process {0} already exists")]
    Exists(ProcessId),
    /// The connection was lost before the answer came, and the server can't tell a repeat from a second start. The
    /// process was ended, in case it ran.
    #[error("connection was lost during the start of process {process_id}, which was ended (it {} running)", if *.was_running { "was" } else { "was not" })]
    Ambiguous {
        /// The process.
        process_id: ProcessId,
        /// Whether it had been started.
        was_running: bool,
    },
    /// The parameters ask for something that the server can't do.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// There is no connection any more.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// Why bytes did not get to a process's stdin.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WriteError {
    /// The process has no stdin, or it was closed.
    #[error("stdin of process {0} is closed")]
    StdinClosed(ProcessId),
    /// The server has no such process any more.
    #[error("unknown process id {0}")]
    UnknownProcess(ProcessId),
    /// Anything that may befall any request.
    #[error(transparent)]
    Request(#[from] RequestError),
}

/// Why a process can't be followed any further. Its last events before that have been delivered.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ProcessError {
    /// What was delivered is not what the process wrote.
    #[error("output is incomplete: {what} is {expected} at the server and {found} here")]
    Incomplete {
        /// `length` or `crc32c`.
        what: &'static str,
        /// As the server counted.
        expected: String,
        /// As it was delivered.
        found: String,
    },
    /// Output is gone, and the caller asked not to go on without it: see [`OnGap`](crate::OnGap).
    #[error("output of process {process_id} through event {through} is not retained any more")]
    Gap {
        /// The process.
        process_id: ProcessId,
        /// The last position that is missing.
        through: Seq,
        /// How many bytes are missing, where that is known.
        bytes: Option<u64>,
    },
    /// The server has forgotten the process.
    #[error("process {process_id} can't be read any more: {source}")]
    Forgotten {
        /// The process.
        process_id: ProcessId,
        /// The server's words.
        source: RpcError,
    },
    /// The server denies events that it has sent before.
    #[error("server sent event {seen} of process {process_id}, then claimed that {tip} was the last")]
    Inconsistent {
        /// The process.
        process_id: ProcessId,
        /// Position of an event that was sent.
        seen: Seq,
        /// The last position according to `process/read`.
        tip: Seq,
    },
    /// The server says of output that it stands where it can't: what came before was less, or more.
    #[error(
        "output {seq} of process {process_id} came with offset {offset}, but {expected} bytes came before it"
    )]
    Misplaced {
        /// The process.
        process_id: ProcessId,
        /// Position of the output.
        seq: Seq,
        /// Bytes of output before it.
        expected: u64,
        /// What the server says.
        offset: u64,
    },
    /// There is no connection any more.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// Why a process that runs already can't be followed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AdoptError {
    /// The session has no such process, or not any more.
    #[error("unknown process id {0}")]
    UnknownProcess(ProcessId),
    /// There is no connection any more.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl From<RequestError> for ExecError {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Refused(error) => Self::Refused(error),
            RequestError::Unknown => Self::OutcomeUnknown,
            RequestError::Unsupported(Unsupported(flag)) => Self::Unsupported(flag),
            RequestError::Client(error) => error.into(),
        }
    }
}

impl From<ClientError> for ExecError {
    fn from(error: ClientError) -> Self {
        Self::Disconnected(error.to_string().into())
    }
}

impl From<StartError> for ExecError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Refused(error) => Self::Refused(error),
            StartError::Exists(id) => Self::ProcessExists(id),
            StartError::Ambiguous { .. } => Self::OutcomeUnknown,
            StartError::Unsupported(Unsupported(flag)) => Self::Unsupported(flag),
            StartError::Client(error) => error.into(),
        }
    }
}

impl From<WriteError> for ExecError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::StdinClosed(id) => Self::StdinClosed(id),
            WriteError::UnknownProcess(id) => Self::UnknownProcess(id),
            WriteError::Request(error) => error.into(),
        }
    }
}

impl From<ProcessError> for ExecError {
    fn from(error: ProcessError) -> Self {
        match error {
            ProcessError::Forgotten { process_id, .. } => Self::UnknownProcess(process_id),
            ProcessError::Client(error) => error.into(),
            other @ (ProcessError::Incomplete { .. }
            | ProcessError::Gap { .. }
            | ProcessError::Inconsistent { .. }
            | ProcessError::Misplaced { .. }) => Self::Inconsistent(other.to_string().into()),
        }
    }
}

/// Sorts what one call on one connection came to into what its caller must know.
pub(crate) enum Outcome {
    /// The connection was lost; whether the request had left is told.
    Lost { sent: bool },
    /// The server refused.
    Refused(RpcError),
}

impl From<CallError> for Outcome {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Disconnected(lost) => Self::Lost { sent: lost.sent },
            CallError::Refused(error) => Self::Refused(error),
        }
    }
}
