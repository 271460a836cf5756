//! Reading what was not pushed, or is not here any more, over whatever connection there is.

use std::sync::Arc;

use codex_exec_server_protocol::ids::{ProcessId, Seq};

use crate::error::{Outcome, ProcessError};
use crate::feed::{Feed, Work};
use crate::inner::Inner;
use crate::link::CallError;
use crate::reading::{Page, PageBytes, ask};
use crate::session::Attached;

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

/// Reads what a feed is missing while there is a connection, until nothing can be missing any more. What it misses when a
/// connection is lost is read before the next one is used; see [`crate::recovery`].
pub(crate) async fn keep_up(client: Arc<Inner>, feed: Arc<Feed>) {
    tokio::select! {
        () = keep_reading(&client, &feed) => {}
        () = client.stop.cancelled() => {}
    }
    client.router.remove(&feed);
}

async fn keep_reading(client: &Inner, feed: &Feed) {
    let mut connections = client.connections();
    let mut present = None;
    while feed.work().await == Work::Read {
        let attached = match present.take() {
            Some(attached) => attached,
            None => match connections.next().await {
                Ok(attached) => attached,
                Err(error) => return feed.fail(error.into()),
            },
        };
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
