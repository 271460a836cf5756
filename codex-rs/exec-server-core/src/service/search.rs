//! Searches of a machine's files: what is asked stands in [`FileSystem`](super::FileSystem), what comes of it here.
//!
//! A search looks no further than its reader takes: what is found ahead of that is bounded, and then the search waits.

use std::fmt;

use codex_exec_server_protocol::fs::{FsGlobResponse, FsSearchResponse};

use super::{FsError, ServiceFuture};

/// A search for `T`. Nothing is looked for before the first [`next`](Self::next); dropping it ends the search.
pub trait FileSearch<T>: fmt::Debug + Send {
    /// What was found next, or how it ended; again and again, once it has. Cancel-safe: matches are either returned or
    /// still to come.
    fn next(&mut self) -> ServiceFuture<'_, Result<Found<T>, FsError>>;
}

/// What a search tells next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<T> {
    /// Matches, one at least.
    Matches(Vec<T>),
    /// There are no more.
    End(SearchEnd),
}

/// What became of a search that came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchEnd {
    /// How many matches were found.
    pub matches: u64,
    /// Whether it stopped at a bound, so that there may be more.
    pub truncated: bool,
    /// How many files and directories could not be looked at.
    pub unreadable: u64,
}

impl From<FsGlobResponse> for SearchEnd {
    fn from(FsGlobResponse { batches: _, matches, truncated, unreadable }: FsGlobResponse) -> Self {
        Self { matches, truncated, unreadable }
    }
}

impl From<FsSearchResponse> for SearchEnd {
    fn from(FsSearchResponse { batches: _, matches, truncated, unreadable }: FsSearchResponse) -> Self {
        Self { matches, truncated, unreadable }
    }
}
