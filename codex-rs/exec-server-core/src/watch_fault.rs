//! Why a watch can't be set.

use codex_exec_server_protocol::error_code::ErrorCode;
use codex_exec_server_protocol::fs::WatchId;

/// A watch that is refused. Every variant is something that happened, with what its receiver needs to know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WatchFault {
    /// The name is taken.
    #[error("watch {id} exists already", id = .0.0)]
    IdTaken(WatchId),
    /// No room for another watch of this connection.
    #[error("{0} watches of this connection stand, its limit; end one with fs/unwatch")]
    TooManyHere(usize),
    /// No room for another watch of this server.
    #[error("{0} watches stand on this server, its limit; try again later")]
    TooMany(usize),
    /// More directories than one watch may have.
    #[error(
        "there are more than {0} directories to watch, the limit of one watch; watch less, or exclude some"
    )]
    TooManyDirectories(usize),
    /// The system gives no more. Holds the name of its limit.
    #[error(
        "the system gives no more watches: its limit {0} is reached; watch less, exclude directories, or have it raised"
    )]
    System(&'static str),
}

impl WatchFault {
    pub(crate) const fn code(&self) -> ErrorCode {
        match self {
            Self::IdTaken(_) | Self::TooManyHere(_) | Self::TooMany(_) | Self::TooManyDirectories(_) => {
                ErrorCode::InvalidRequest
            }
            Self::System(_) => ErrorCode::Internal,
        }
    }
}
