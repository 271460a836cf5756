//! Searches under a policy: they run in the helper, and what they find comes over the connection, some of it at a time.

use std::io;
use std::os::fd::OwnedFd;

use codex_exec_server_core::error::ServiceError;
use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_core::service::{Found, SearchEnd};
use codex_exec_server_protocol::error_code::RpcError;
use codex_exec_server_protocol::fs::{FsGlobParams, FsSearchParams};
use codex_exec_server_protocol::path_uri::PathUri;
use serde::{Deserialize, Serialize};

use super::super::host::Interest;
use super::super::search::{self, Feed};
use super::frame;

/// What is found and not on the connection yet.
const AHEAD_BYTES: usize = 128 << 10;

/// What a helper can be asked to find.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::fs) enum Search {
    Paths(FsGlobParams),
    Lines(FsSearchParams),
}

impl Search {
    /// Where.
    pub(super) fn path(&self) -> &PathUri {
        match self {
            Self::Paths(params) => &params.path,
            Self::Lines(params) => &params.path,
        }
    }

    /// Takes out what the helper need not be told.
    pub(super) fn strip(&mut self) {
        match self {
            Self::Paths(FsGlobParams { sandbox, .. }) | Self::Lines(FsSearchParams { sandbox, .. }) => {
                *sandbox = None;
            }
        }
    }
}

/// What comes of it: any number of finds, and then an end or an error.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Told<T> {
    Found(Vec<T>),
    End { matches: u64, truncated: bool, unreadable: u64 },
}

/// The helper's side: searches, and tells over `connection`.
pub(super) fn serve(connection: &OwnedFd, search: Search, interest: &Interest) -> io::Result<()> {
    match search {
        Search::Paths(params) => {
            stream(connection, &params.path, interest, |feed| search::find_paths(&params, feed))
        }
        Search::Lines(params) => {
            stream(connection, &params.path, interest, |feed| search::find_lines(&params, feed))
        }
    }
}

fn stream<T: Serialize + Send>(
    connection: &OwnedFd,
    path: &PathUri,
    interest: &Interest,
    find: impl FnOnce(&Feed<T>) -> Result<SearchEnd, FsFault> + Send,
) -> io::Result<()> {
    let (feed, taker) = search::open_feed(path, AHEAD_BYTES);
    let feed = feed.watched_by(interest.clone());
    std::thread::scope(|scope| {
        // Dropped before the search is waited for, which then ends.
        let taker = taker;
        std::thread::Builder::new().spawn_scoped(scope, move || {
            search::step_back();
            let outcome = find(&feed);
            feed.end(outcome);
        })?;
        loop {
            let told = match taker.wait() {
                Ok(Found::Matches(found)) => Ok(Told::Found(found)),
                Ok(Found::End(SearchEnd { matches, truncated, unreadable })) => {
                    Ok(Told::End { matches, truncated, unreadable })
                }
                Err(fault) => Err(RpcError::from(&ServiceError::Fs(fault))),
            };
            frame::write(connection, &told, &[], /*file*/ None)?;
            if !matches!(told, Ok(Told::Found(_))) {
                return Ok(());
            }
        }
    })
}
