//! Reading what was not pushed, or is not here any more, over whatever connection there is.

use std::sync::Arc;

use codex_exec_server_protocol::ids::{ProcessId, Seq};

use crate::error::{Outcome, ProcessError};
use crate::feed::{Feed, Work};
use crate::inner::Inner;
use crate::link::CallError;
use crate::reading::{Page, PageBytes, ask};
use crate::session::Attached;
use crate::state::State;

/// Reads what is behind `after`.
pub(crate) async fn page(client: &Inner, id: &ProcessId, after: Seq) -> Result<Page, ProcessError> {
    let mut connections = client.connections();
    loop {
        let attached = connections.next().await?;
        match page_over(&attached, id, after).await.map_err(Outcome::from) {
            Ok(page) => return Ok(page),
            Err(Outcome::Refused(source)) => {
                return Err(ProcessError::Forgotten { process_id: id.clone(), source });
            }
            Err(Outcome::Lost { .. }) => {}
        }
    }
}

async fn page_over(attached: &Attached, id: &ProcessId, after: Seq) -> Result<Page, CallError> {
    let flags = &attached.peer.environment.capabilities;
    ask(&attached.link, flags, id, after, PageBytes::USUAL).await?.answer().await
}

/// Reads what a feed is missing while there is a connection, and has the server told how far its subscribers are, until
/// nothing can be missing any more. What it misses when a connection is lost is read before the next one is used; see
/// [`crate::recovery`].
pub(crate) async fn keep_up(client: Arc<Inner>, feed: Arc<Feed>) {
    tokio::select! {
        () = keep_reading(&client, &feed) => {}
        () = client.stop.cancelled() => {}
    }
    client.router.remove(&feed);
    if feed.is_abandoned() {
        silence(&client, feed.id()).await;
    }
}

/// Has the server told that nobody here reads the process any more. Where there is no connection, whoever is pushed some of
/// it over the next one says so.
async fn silence(client: &Inner, id: &ProcessId) {
    let present = match &*client.state.borrow() {
        State::Connected(attached) => Arc::clone(attached),
        State::Recovering(..) | State::Failed(..) => return,
    };
    if let Ok(floor) = present.link.floor().await {
        client.router.silence(id, |word| {
            floor.say(word);
            true
        });
    }
}

async fn keep_reading(client: &Inner, feed: &Arc<Feed>) {
    let mut connections = client.connections();
    let mut present = None;
    loop {
        let work = feed.work().await;
        if work == Work::Done {
            return;
        }
        let attached = match present.take() {
            Some(attached) => attached,
            None => match connections.next().await {
                Ok(attached) => attached,
                Err(error) => return feed.fail(error.into()),
            },
        };
        if work == Work::Acknowledge {
            // What does not get there is said again over the next connection.
            let said = attached.link.floor().await.map(|floor| {
                client.router.acknowledge(feed, |word| floor.say(word));
            });
            if said.is_ok() {
                present = Some(attached);
            }
            continue;
        }
        // It may have been read while there was no connection to wait for.
        if !feed.is_behind() {
            present = Some(attached);
            continue;
        }
        match page_over(&attached, feed.id(), feed.begin_read()).await.map_err(Outcome::from) {
            Ok(Page { response, whole }) => {
                feed.caught_up(response, whole);
                present = Some(attached);
            }
            Err(Outcome::Refused(source)) => {
                feed.fail(ProcessError::Forgotten { process_id: feed.id().clone(), source });
            }
            Err(Outcome::Lost { .. }) => {}
        }
    }
}
