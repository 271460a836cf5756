//! One attempt to get a lost session back: another connection, on which every process is caught up before it is used.
//!
//! Nothing waits for anything that it does not need. On a first attempt the question for the session, `initialized` and what
//! gets at what was missed leave together, with the request for the connection if it can carry them.
//!
//! What was missed is read page by page. A server that wants to know what is here is told so instead, and pushes what comes
//! behind that: nothing comes twice, and of each process it is only asked whether there still is one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use codex_exec_server_protocol::environment::EnvironmentCapabilities;
use codex_exec_server_transport::client::Departure;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::config::ClientConfig;
use crate::dial::Dialer;
use crate::error::{ClientError, Outcome, ProcessError};
use crate::feed::Feed;
use crate::link::{Disconnected, Link};
use crate::reading::{Asked, Page, PageBytes, ask, ask_for_nothing};
use crate::router::Router;
use crate::session::{Attached, Manner, Peer, Wanted, begin, complete, dial, lost};

/// Processes that are caught up at the same time: each may bring a page.
const AT_ONCE: usize = 32;
/// What is sent of each of them at first: what is here, and a question.
const MESSAGES_EACH: usize = 2;

/// How to go about an attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Approach {
    pub(crate) manner: Manner,
    pub(crate) page: PageBytes,
}

impl Approach {
    pub(crate) const FIRST: Self = Self { manner: Manner::Together, page: PageBytes::USUAL };

    /// After an attempt that failed. If it brought nothing, it may have been too much at once.
    pub(crate) fn after_failure(self, has_progressed: bool) -> Self {
        if has_progressed { self } else { Self { manner: Manner::InTurn, page: self.page.smaller() } }
    }
}

/// See the module. `progress` is set when the server has told something new.
pub(crate) async fn attempt(
    dialer: &Dialer,
    router: &Arc<Router>,
    config: &ClientConfig,
    peer: &Peer,
    approach: Approach,
    progress: &Arc<AtomicBool>,
) -> Result<Arc<Attached>, ClientError> {
    router.reconnecting();
    let (link, place) = Link::prepare(Arc::clone(router), &config.link);
    let wanted = Wanted::Lost(peer);
    let (peer, asked) = match approach.manner {
        Manner::Together => {
            let opening = begin(&link, config, &wanted).await?;
            complete(&link).await?;
            // Nobody takes anything from the queue yet.
            let behind = behind(router).take(AT_ONCE.min(link.room() / MESSAGES_EACH));
            let flags = &peer.environment.capabilities;
            let asked = Asking { link: &link, router, flags, page: approach.page }.all(behind).await;
            dial(dialer, config, &link, place, &Departure::default()).await?;
            (opening.opened(&link).await?, asked)
        }
        Manner::InTurn => {
            dial(dialer, config, &link, place, &Departure::default()).await?;
            let peer = begin(&link, config, &wanted).await?.opened(&link).await?;
            complete(&link).await?;
            (peer, Vec::new())
        }
    };
    let attached = Arc::new(Attached { link, peer: Arc::new(peer) });
    if catch_up(&attached, router, asked, approach.page, progress).await.is_err() {
        return Err(lost(&attached.link).await);
    }
    router.caught_up();
    Ok(attached)
}

/// Processes of which something was missed.
fn behind(router: &Router) -> impl Iterator<Item = Arc<Feed>> {
    router.feeds().into_iter().filter(|feed| feed.is_behind())
}

/// How it is asked for what was missed, on one connection.
#[derive(Clone, Copy)]
struct Asking<'a> {
    link: &'a Link,
    router: &'a Router,
    flags: &'a EnvironmentCapabilities,
    page: PageBytes,
}

/// What was asked of a process.
enum Question {
    /// For a page of what was missed.
    Page(Asked),
    /// Whether there still is one; the server was told what to push.
    Existence(Asked),
}

impl Asking<'_> {
    /// Asks about each. What can't be asked any more is found out by who waits for the session.
    async fn all(self, feeds: impl Iterator<Item = Arc<Feed>>) -> Vec<(Arc<Feed>, Question)> {
        let mut all = Vec::new();
        for feed in feeds {
            match self.one(&feed).await {
                Ok(question) => all.push((feed, question)),
                Err(_) => break,
            }
        }
        all
    }

    async fn one(self, feed: &Arc<Feed>) -> Result<Question, Disconnected> {
        let Self { link, router, flags, page } = self;
        if flags.output_window {
            let floor = link.floor().await?;
            if router.resume(feed, |word| floor.say(word)) {
                return Ok(Question::Existence(ask_for_nothing(link, feed.id()).await?));
            }
        }
        Ok(Question::Page(ask(link, flags, feed.id(), feed.begin_read(), page).await?))
    }
}

/// Catches up every process, beginning with those that were `asked` about already.
async fn catch_up(
    attached: &Arc<Attached>,
    router: &Arc<Router>,
    asked: Vec<(Arc<Feed>, Question)>,
    page: PageBytes,
    progress: &Arc<AtomicBool>,
) -> Result<(), Disconnected> {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    let begun: Vec<Arc<Feed>> = asked.iter().map(|(feed, _)| Arc::clone(feed)).collect();
    let rest = behind(router).filter(|feed| !begun.iter().any(|begun| Arc::ptr_eq(begun, feed)));
    let all = asked.into_iter().map(|(feed, asked)| (feed, Some(asked))).chain(rest.map(|feed| (feed, None)));
    for (feed, asked) in all {
        let (attached, turns, progress) = (Arc::clone(attached), Arc::clone(&turns), Arc::clone(progress));
        let router = Arc::clone(router);
        tasks.spawn(async move {
            let _turn = turns.acquire().await;
            let flags = &attached.peer.environment.capabilities;
            let asking = Asking { link: &attached.link, router: &router, flags, page };
            catch_up_one(asking, &feed, asked, &progress).await
        });
    }
    while let Some(outcome) = tasks.join_next().await {
        // A task that panicked leaves its process to be read later, as it is still behind.
        outcome.unwrap_or(Ok(()))?;
    }
    Ok(())
}

async fn catch_up_one(
    asking: Asking<'_>,
    feed: &Arc<Feed>,
    mut asked: Option<Question>,
    progress: &AtomicBool,
) -> Result<(), Disconnected> {
    while feed.is_behind() {
        let question = match asked.take() {
            Some(question) => question,
            None => asking.one(feed).await?,
        };
        let outcome = match question {
            Question::Page(asked) => asked.answer().await.map(|Page { response, whole }| {
                feed.caught_up(response, whole);
            }),
            Question::Existence(asked) => asked.answer().await.map(|page| feed.resumed(&page.response)),
        };
        match outcome.map_err(Outcome::from) {
            Ok(()) => progress.store(true, Ordering::Relaxed),
            // It is gone, and nothing else is.
            Err(Outcome::Refused(source)) => {
                feed.fail(ProcessError::Forgotten { process_id: feed.id().clone(), source });
            }
            Err(Outcome::Lost { .. }) => return Err(asking.link.disconnected()),
        }
    }
    Ok(())
}
