//! Reading from the server what was not pushed, or is not here any more.

use std::sync::Arc;

use codex_exec_server_protocol::ids::{ProcessId, Seq};
use codex_exec_server_protocol::methods::ProcessRead;
use codex_exec_server_protocol::process::{ProcessReadParams, ProcessReadResponse};

use crate::client::Inner;
use crate::error::{Outcome, ProcessError};
use crate::feed::{Feed, Work};
use crate::session::Attached;

/// Read at once of what was missed.
const PAGE_BYTES: u64 = 1 << 20;

/// An answer to `process/read`.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) response: ProcessReadResponse,
    /// It was asked for without a bound.
    pub(crate) whole: bool,
}

/// Reads what is behind `after()`, which is asked for each connection that it takes.
pub(crate) async fn page(
    client: &Inner,
    id: &ProcessId,
    mut after: impl FnMut() -> Seq,
) -> Result<Page, ProcessError> {
    let mut connections = client.connections();
    loop {
        let attached = connections.next().await?;
        match page_over(&attached, id, after()).await {
            Ok(page) => return Ok(page),
            Err(Outcome::Refused(source)) => {
                return Err(ProcessError::Forgotten { process_id: id.clone(), source });
            }
            Err(Outcome::Lost { .. }) => {}
        }
    }
}

/// Reads what is behind `after` over one connection.
///
/// Page by page, so that there is progress however often the connection breaks. Where the server does not say how far
/// it dropped, only an answer without a bound tells an exit from what is gone; it retains little anyway.
pub(crate) async fn page_over(attached: &Attached, id: &ProcessId, after: Seq) -> Result<Page, Outcome> {
    let whole = !attached.peer.environment.capabilities.gap_accounting;
    let params = ProcessReadParams {
        process_id: id.clone(),
        after_seq: Some(after),
        max_bytes: (!whole).then_some(PAGE_BYTES),
        wait_ms: None,
    };
    let response = attached.link.call::<ProcessRead>(&params).await?;
    Ok(Page { response, whole })
}

/// Reads what a feed is missing, until nothing can be missing any more.
pub(crate) async fn keep_up(client: Arc<Inner>, feed: Arc<Feed>) {
    while feed.work().await == Work::Read {
        let read = tokio::select! {
            read = page(&client, feed.id(), || feed.begin_read()) => read,
            () = client.stop.cancelled() => return,
        };
        match read {
            Ok(Page { response, whole }) => feed.caught_up(response, whole),
            Err(error) => feed.fail(error),
        }
    }
    client.router.remove(&feed);
}
