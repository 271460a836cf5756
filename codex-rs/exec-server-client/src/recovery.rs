//! One attempt to get a lost session back: another connection, on which every process is caught up before it is used.
//!
//! Nothing waits for anything that it does not need. On a first attempt the question for the session, `initialized` and the
//! reads of what was missed leave together, which costs one round trip. A server that does not take that, or has no
//! session for us, may end the connection without a word; so the next attempt asks one thing after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use codex_exec_server_protocol::environment::EnvironmentCapabilities;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::config::ClientConfig;
use crate::dial::Dialer;
use crate::error::{ClientError, Outcome, ProcessError};
use crate::feed::Feed;
use crate::link::{Disconnected, Link};
use crate::reading::{Asked, Page, ask};
use crate::router::Router;
use crate::session::{Attached, Peer, Wanted, begin, complete, dial, lost};

/// Processes that are caught up at the same time: each may bring a page.
const AT_ONCE: usize = 32;

/// How to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Everything at once.
    Together,
    /// One thing after the other.
    InTurn,
}

/// See the module. `progress` is set when the server has told something new.
pub(crate) async fn attempt(
    dialer: &Dialer,
    router: &Arc<Router>,
    config: &ClientConfig,
    peer: &Peer,
    manner: Manner,
    progress: &Arc<AtomicBool>,
) -> Result<Arc<Attached>, ClientError> {
    router.reconnecting();
    let link = dial(dialer, router, config).await?;
    let opening = begin(&link, config, Wanted::Lost(peer)).await?;
    let mut asked = Vec::new();
    if manner == Manner::Together {
        complete(&link).await?;
        asked = ask_all(&link, &peer.environment.capabilities, behind(router).take(AT_ONCE)).await;
    }
    let peer = opening.opened(&link).await?;
    if manner == Manner::InTurn {
        complete(&link).await?;
    }
    let attached = Arc::new(Attached { link, peer: Arc::new(peer) });
    if catch_up(&attached, router, asked, progress).await.is_err() {
        return Err(lost(&attached.link).await);
    }
    router.caught_up();
    Ok(attached)
}

/// Processes of which something was missed.
fn behind(router: &Router) -> impl Iterator<Item = Arc<Feed>> {
    router.feeds().into_iter().filter(|feed| feed.is_behind())
}

/// Asks for a page of each. What can't be asked any more is found out by who waits for the session.
async fn ask_all(
    link: &Link,
    flags: &EnvironmentCapabilities,
    feeds: impl Iterator<Item = Arc<Feed>>,
) -> Vec<(Arc<Feed>, Asked)> {
    let mut all = Vec::new();
    for feed in feeds {
        match ask(link, flags, feed.id(), feed.begin_read()).await {
            Ok(asked) => all.push((feed, asked)),
            Err(_) => break,
        }
    }
    all
}

/// Catches up every process, beginning with those that were `asked` about already.
async fn catch_up(
    attached: &Arc<Attached>,
    router: &Router,
    asked: Vec<(Arc<Feed>, Asked)>,
    progress: &Arc<AtomicBool>,
) -> Result<(), Disconnected> {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    let begun: Vec<Arc<Feed>> = asked.iter().map(|(feed, _)| Arc::clone(feed)).collect();
    let rest = behind(router).filter(|feed| !begun.iter().any(|begun| Arc::ptr_eq(begun, feed)));
    let all = asked.into_iter().map(|(feed, asked)| (feed, Some(asked))).chain(rest.map(|feed| (feed, None)));
    for (feed, asked) in all {
        let (attached, turns, progress) = (Arc::clone(attached), Arc::clone(&turns), Arc::clone(progress));
        tasks.spawn(async move {
            let _turn = turns.acquire().await;
            catch_up_one(&attached, &feed, asked, &progress).await
        });
    }
    while let Some(outcome) = tasks.join_next().await {
        // A task that panicked leaves its process to be read later, as it is still behind.
        outcome.unwrap_or(Ok(()))?;
    }
    Ok(())
}

async fn catch_up_one(
    attached: &Attached,
    feed: &Feed,
    mut asked: Option<Asked>,
    progress: &AtomicBool,
) -> Result<(), Disconnected> {
    let flags = &attached.peer.environment.capabilities;
    while feed.is_behind() {
        let asked = match asked.take() {
            Some(asked) => asked,
            None => ask(&attached.link, flags, feed.id(), feed.begin_read()).await?,
        };
        match asked.answer().await.map_err(Outcome::from) {
            Ok(Page { response, whole }) => {
                feed.caught_up(response, whole);
                progress.store(true, Ordering::Relaxed);
            }
            // It is gone, and nothing else is.
            Err(Outcome::Refused(source)) => {
                feed.fail(ProcessError::Forgotten { process_id: feed.id().clone(), source });
            }
            Err(Outcome::Lost { .. }) => return Err(attached.link.disconnected()),
        }
    }
    Ok(())
}
