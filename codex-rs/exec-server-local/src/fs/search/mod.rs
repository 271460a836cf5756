//! Searching: paths by their names (`fs/glob`), lines by their content (`fs/search`).
//!
//! ```text
//! scope (globs, ignored) → tree → names | contents (line) → feed → LocalSearch
//! ```
//!
//! A search runs on a thread of its own, under a policy in a helper, with less of a claim on the processor than everything
//! else here; there are a bounded number of them ([`Searches`]). It waits when its reader does not take what it found, and
//! ends soon after its reader has gone.

mod contents;
mod feed;
mod ignored;
mod line;
mod names;
mod tree;

use std::fmt;
use std::sync::Arc;

use codex_exec_server_core::error::ServiceError;
use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_core::search_fault::SearchFault;
use codex_exec_server_core::service::{FileSearch, Found, FsError, SearchEnd, ServiceFuture};
use codex_exec_server_protocol::error_code::RpcError;
use codex_exec_server_protocol::fs::{
    FsGlobParams, FsSearchMatch, FsSearchParams, FsWalkEntry, MAX_SEARCH_MATCHES,
};
use codex_exec_server_protocol::path_uri::PathUri;
use rustix::process::{getpriority_process, setpriority_process};
use rustix::thread::gettid;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(super) use self::contents::find as find_lines;
use self::feed::Taker;
pub(super) use self::feed::{Feed, open as open_feed};
pub(super) use self::names::find as find_paths;
use super::confined::Search;
use super::host::{FsHost, Interest, Interested};
use super::sandbox::Confined;

/// How much less than others a search claims of the processor: a tenth.
const NICENESS: i32 = 10;

/// The searches of a server.
#[derive(Debug)]
pub(super) struct Searches {
    running: Arc<Semaphore>,
    limit: usize,
}

impl Searches {
    pub(super) fn new(limit: usize) -> Self {
        Self { running: Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS))), limit }
    }

    fn enter(&self) -> Result<OwnedSemaphorePermit, SearchFault> {
        Arc::clone(&self.running).try_acquire_owned().map_err(|_| SearchFault::TooMany(self.limit))
    }
}

type Work<T> = Box<dyn FnOnce(&Feed<T>) -> Result<SearchEnd, FsFault> + Send>;

/// A search of this machine's files. Dropping it ends the search; its thread follows as soon as the disk lets it.
pub struct LocalSearch<T> {
    host: Arc<FsHost>,
    path: PathUri,
    stage: Stage<T>,
    /// Tells a helper when this is dropped.
    _interested: Interested,
}

enum Stage<T> {
    /// Nothing was asked for yet. Empty only for a moment.
    Asked(Option<Work<T>>),
    Running(Taker<T>),
    /// It was refused.
    Refused(FsFault),
}

impl<T> fmt::Debug for LocalSearch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalSearch").field("path", &self.path).finish_non_exhaustive()
    }
}

impl LocalSearch<FsWalkEntry> {
    /// `fs/glob`
    pub(super) fn glob(host: &Arc<FsHost>, params: FsGlobParams) -> Self {
        let (policy, path) = (Confined::new(host, params.sandbox.as_ref()), params.path.clone());
        Self::new(host, path, policy, move |policy, interest, feed| match policy {
            None => names::find(&params, feed),
            Some(policy) => {
                policy.find(Search::Paths(params), interest, |found| pass(feed, found, names::weight))
            }
        })
    }
}

impl LocalSearch<FsSearchMatch> {
    /// `fs/search`
    pub(super) fn search(host: &Arc<FsHost>, params: FsSearchParams) -> Self {
        let (policy, path) = (Confined::new(host, params.sandbox.as_ref()), params.path.clone());
        Self::new(host, path, policy, move |policy, interest, feed| match policy {
            None => contents::find(&params, feed),
            Some(policy) => {
                policy.find(Search::Lines(params), interest, |found| pass(feed, found, contents::weight))
            }
        })
    }
}

impl<T: Send + 'static> LocalSearch<T> {
    fn new(
        host: &Arc<FsHost>,
        path: PathUri,
        policy: Result<Option<Confined>, FsFault>,
        work: impl FnOnce(Option<&Confined>, &Interest, &Feed<T>) -> Result<SearchEnd, FsFault> + Send + 'static,
    ) -> Self {
        let (interest, interested) = Interest::new();
        let stage = match policy {
            Ok(policy) => Stage::Asked(Some(Box::new(move |feed| work(policy.as_ref(), &interest, feed)))),
            Err(fault) => Stage::Refused(fault),
        };
        Self { host: Arc::clone(host), path, stage, _interested: interested }
    }

    /// As [`FileSearch::next`], with the fault as it is.
    pub async fn next_found(&mut self) -> Result<Found<T>, FsFault> {
        if let Stage::Asked(work) = &mut self.stage {
            let work = work.take().expect("it is put in with the stage and taken out once");
            self.stage = self.begin(work).map_or_else(Stage::Refused, Stage::Running);
        }
        match &self.stage {
            Stage::Running(taker) => taker.next().await,
            Stage::Refused(fault) => Err(fault.clone()),
            Stage::Asked(_) => unreachable!("it has begun"),
        }
    }

    fn begin(&self, work: Work<T>) -> Result<Taker<T>, FsFault> {
        let running = self.host.searches.enter()?;
        let (feed, taker) = feed::open(&self.path, self.host.limits.search_ahead_bytes);
        let run = move || {
            let _running = running;
            step_back();
            let outcome = work(&feed);
            feed.end(outcome);
        };
        // It owns all that it uses, and ends when its reader has gone; nobody waits for it, since a disk may never answer.
        let thread = std::thread::Builder::new().name("fs-search".into()).spawn(run);
        thread.map_err(|error| FsFault::io(&self.path, error))?;
        Ok(taker)
    }
}

impl<T: Send + 'static> FileSearch<T> for LocalSearch<T> {
    fn next(&mut self) -> ServiceFuture<'_, Result<Found<T>, FsError>> {
        Box::pin(async move {
            self.next_found().await.map_err(|fault| RpcError::from(&ServiceError::Fs(fault)).into())
        })
    }
}

/// Hands on what was found elsewhere.
fn pass<T>(feed: &Feed<T>, found: Vec<T>, weight: fn(&T) -> usize) -> Result<(), FsFault> {
    found.into_iter().try_for_each(|one| {
        let bytes = weight(&one);
        feed.put(one, bytes)
    })
}

/// Gives way to the server's other threads, on which keystrokes travel. Without the right to do so, or where the kernel
/// has no such thing, the search is as good without.
pub(super) fn step_back() {
    let thread = Some(gettid());
    if let Ok(present) = getpriority_process(thread) {
        let _ = setpriority_process(thread, present.saturating_add(NICENESS));
    }
}

/// How many matches are wanted.
fn wanted(max_matches: Option<u64>) -> Result<u64, SearchFault> {
    match max_matches {
        None => Ok(MAX_SEARCH_MATCHES),
        Some(number @ 1..=MAX_SEARCH_MATCHES) => Ok(number),
        Some(other) => Err(SearchFault::MaxMatches(other)),
    }
}
