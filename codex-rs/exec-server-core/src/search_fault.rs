//! What can be wrong with a search before it begins.

use codex_exec_server_protocol::error_code::ErrorCode;
use codex_exec_server_protocol::fs::{
    MAX_CONTEXT_LINES, MAX_SEARCH_ID_BYTES, MAX_SEARCH_MATCHES, MAX_SEARCH_PATTERN_BYTES, SearchId,
};

/// A search that is refused. Every variant is something that happened, with what its receiver needs to know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SearchFault {
    /// `fs/glob` without a glob.
    #[error("fs/glob needs one pattern at least; `**` finds everything")]
    NoPatterns,
    /// A malformed glob.
    #[error("glob `{glob}`: {detail}")]
    BadGlob {
        /// The glob.
        glob: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A malformed regular expression, or one that would need too much memory.
    #[error("pattern: {0}")]
    BadPattern(String),
    /// A pattern, or a list of globs, that is too long. Holds its length.
    #[error("a pattern, or a list of globs, may have {MAX_SEARCH_PATTERN_BYTES} bytes, got {0}")]
    PatternTooLong(usize),
    /// More lines around each match than are given.
    #[error("contextLines must be between 0 and {MAX_CONTEXT_LINES}, got {0}")]
    ContextLines(u32),
    /// None, or more than one search gives.
    #[error("maxMatches must be between 1 and {MAX_SEARCH_MATCHES}, got {0}")]
    MaxMatches(u64),
    /// A name that is too long.
    #[error("searchId must not exceed {MAX_SEARCH_ID_BYTES} bytes")]
    IdTooLong,
    /// The name is taken.
    #[error("search `{id}` is running already", id = .0.0)]
    IdTaken(SearchId),
    /// No room for another search of this connection.
    #[error("{0} searches of this connection are running, its limit; wait for one or cancel it")]
    TooManyHere(usize),
    /// No room for another search of this server.
    #[error("{0} searches are running on this server, its limit; try again later")]
    TooMany(usize),
}

impl SearchFault {
    pub(crate) const fn code(&self) -> ErrorCode {
        match self {
            Self::NoPatterns
            | Self::BadGlob { .. }
            | Self::BadPattern(_)
            | Self::PatternTooLong(_)
            | Self::ContextLines(_)
            | Self::MaxMatches(_) => ErrorCode::InvalidParams,
            Self::IdTooLong | Self::IdTaken(_) | Self::TooManyHere(_) | Self::TooMany(_) => {
                ErrorCode::InvalidRequest
            }
        }
    }
}
