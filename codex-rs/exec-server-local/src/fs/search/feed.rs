//! What a search has found and its reader has not taken yet: between a thread that may wait, and a task that must not.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_core::service::{Found, SearchEnd};
use codex_exec_server_protocol::path_uri::PathUri;
use tokio::sync::Notify;

use super::super::host::Interest;

/// What is taken at once, about: small enough to take its turn among other messages.
const TAKEN_BYTES: usize = 64 << 10;

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    /// The searching thread may go on.
    room: Condvar,
    /// The reader may look again.
    news: Notify,
    /// The same for one who waits on a thread.
    arrived: Condvar,
    /// The reader has gone.
    gone: AtomicBool,
}

#[derive(Debug)]
struct State<T> {
    /// With what each of them takes.
    waiting: VecDeque<(T, usize)>,
    bytes: usize,
    end: Option<Result<SearchEnd, FsFault>>,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing under this lock panics halfway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There is something for the reader.
    fn tell(&self) {
        self.news.notify_one();
        self.arrived.notify_one();
    }
}

/// Where a search puts what it finds.
#[derive(Debug)]
pub(in crate::fs) struct Feed<T> {
    shared: Arc<Shared<T>>,
    path: PathUri,
    ahead_bytes: usize,
    /// Of somebody behind the reader.
    interest: Option<Interest>,
}

/// Where it is taken from. Dropping it ends the search.
#[derive(Debug)]
pub(in crate::fs) struct Taker<T>(Arc<Shared<T>>);

/// For a search below `path`, which waits when `ahead_bytes` were not taken.
pub(in crate::fs) fn open<T>(path: &PathUri, ahead_bytes: usize) -> (Feed<T>, Taker<T>) {
    let state = State { waiting: VecDeque::new(), bytes: 0, end: None };
    let shared = Arc::new(Shared {
        state: Mutex::new(state),
        room: Condvar::new(),
        news: Notify::new(),
        arrived: Condvar::new(),
        gone: AtomicBool::new(false),
    });
    let feed = Feed { shared: Arc::clone(&shared), path: path.clone(), ahead_bytes, interest: None };
    (feed, Taker(shared))
}

impl<T> Feed<T> {
    /// Whether nobody wants to know any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.shared.gone.load(Ordering::Relaxed)
            || self.interest.as_ref().is_some_and(|interest| interest.check(&self.path).is_err())
    }

    /// The same feed, of which nobody wants to know any more when `interest` ends either.
    pub(in crate::fs) fn watched_by(self, interest: Interest) -> Self {
        // It tells of its end when it is dropped, so it can't be taken apart.
        let mut feed = self;
        feed.interest = Some(interest);
        feed
    }

    /// Fails if nobody wants to know any more.
    pub(super) fn check(&self) -> Result<(), FsFault> {
        if self.is_abandoned() { Err(FsFault::GivenUp(self.path.clone())) } else { Ok(()) }
    }

    /// Adds a match that takes about `bytes`, waiting for room.
    pub(super) fn put(&self, found: T, bytes: usize) -> Result<(), FsFault> {
        let mut state = self.shared.lock();
        while state.bytes >= self.ahead_bytes && !self.is_abandoned() {
            state = self.shared.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        self.check()?;
        state.bytes += bytes;
        state.waiting.push_back((found, bytes));
        drop(state);
        self.shared.tell();
        Ok(())
    }

    /// There is nothing more.
    pub(in crate::fs) fn end(self, outcome: Result<SearchEnd, FsFault>) {
        self.shared.lock().end = Some(outcome);
        // Whoever reads is told when this is dropped.
    }
}

impl<T> Drop for Feed<T> {
    fn drop(&mut self) {
        // Without an end only if the search panicked.
        self.shared.lock().end.get_or_insert_with(|| Err(FsFault::GivenUp(self.path.clone())));
        self.shared.tell();
    }
}

impl<T> Taker<T> {
    /// What was found, as soon as there is something. Cancel-safe.
    pub(super) async fn next(&self) -> Result<Found<T>, FsFault> {
        loop {
            if let Some(found) = self.take() {
                return found;
            }
            self.0.news.notified().await;
        }
    }

    /// The same on a thread that may wait.
    pub(in crate::fs) fn wait(&self) -> Result<Found<T>, FsFault> {
        loop {
            if let Some(found) = self.take() {
                return found;
            }
            let state = self.0.lock();
            if state.waiting.is_empty() && state.end.is_none() {
                drop(self.0.arrived.wait(state).unwrap_or_else(PoisonError::into_inner));
            }
        }
    }

    fn take(&self) -> Option<Result<Found<T>, FsFault>> {
        let mut state = self.0.lock();
        let mut taken = Vec::new();
        let mut bytes = 0;
        while bytes < TAKEN_BYTES
            && let Some((found, size)) = state.waiting.pop_front()
        {
            bytes += size;
            taken.push(found);
        }
        if taken.is_empty() {
            return state.end.clone().map(|end| end.map(Found::End));
        }
        state.bytes -= bytes;
        drop(state);
        self.0.room.notify_one();
        Some(Ok(Found::Matches(taken)))
    }
}

impl<T> Drop for Taker<T> {
    fn drop(&mut self) {
        // Under the lock, so that a search that is about to wait sees it.
        let mut state = self.0.lock();
        self.0.gone.store(true, Ordering::Relaxed);
        state.waiting.clear();
        drop(state);
        self.0.room.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: SearchEnd = SearchEnd { matches: 5, truncated: false, unreadable: 0 };

    fn path() -> PathUri {
        "file:///tmp".parse().expect("a URI")
    }

    #[tokio::test]
    async fn a_search_is_no_further_ahead_of_its_reader_than_it_may_be() {
        let (feed, taker) = open(&path(), /*ahead_bytes*/ 2 * TAKEN_BYTES);
        let searching = tokio::task::spawn_blocking(move || {
            for number in 1..=5 {
                feed.put(number, TAKEN_BYTES).expect("somebody reads");
                assert!(feed.shared.lock().bytes <= 2 * TAKEN_BYTES);
            }
            feed.end(Ok(END));
        });
        for number in 1..=5 {
            assert_eq!(taker.next().await.expect("it goes on"), Found::Matches(vec![number]));
        }
        for _ in 0..2 {
            assert_eq!(taker.next().await.expect("it has ended"), Found::End(END));
        }
        searching.await.expect("it has ended");
    }

    #[tokio::test]
    async fn a_search_that_waits_ends_when_its_reader_goes() {
        let (feed, taker) = open(&path(), /*ahead_bytes*/ 1);
        feed.put("first", /*bytes*/ 1).expect("there is room");
        let searching = tokio::task::spawn_blocking(move || feed.put("second", /*bytes*/ 1));
        drop(taker);
        let outcome = searching.await.expect("it ends");
        assert!(matches!(outcome, Err(FsFault::GivenUp(_))), "{outcome:?}");
    }

    #[tokio::test]
    async fn a_search_that_breaks_down_is_told() {
        let (feed, taker) = open::<()>(&path(), /*ahead_bytes*/ 1);
        drop(feed);
        assert!(matches!(taker.next().await, Err(FsFault::GivenUp(_))));
    }
}
