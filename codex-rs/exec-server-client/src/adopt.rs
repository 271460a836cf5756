//! Following a process that the session has already.

use std::sync::Arc;

use codex_exec_server_protocol::ids::{ProcessId, Seq};
use codex_exec_server_protocol::process::ProcessReadResponse;

use crate::catch_up::{keep_up, page};
use crate::client::Client;
use crate::error::{AdoptError, ProcessError};
use crate::events::Events;
use crate::feed::Feed;
use crate::follow::Follow;
use crate::process::RemoteProcess;
use crate::reading::Page;
use crate::router::Route;

impl Client {
    /// Takes up a process that the session has: gives a handle, and its events behind `after` ([`Seq::START`] for all).
    ///
    /// What the server retains comes first; what it does not is a gap, told or a failure as `follow` says. Of a process
    /// that was closed at or before `after` there is no event at all: the subscription ends at once. A process that this
    /// client follows already has one more subscription.
    pub async fn adopt(
        &self,
        process_id: ProcessId,
        after: Seq,
        follow: impl Into<Follow>,
    ) -> Result<(RemoteProcess, Events), AdoptError> {
        let inner = &self.inner;
        let feed = Feed::new(process_id.clone(), inner.config.process, after);
        let (route, is_new) = Route::find_or_new(&inner.router, feed);
        let events = Events::new(Arc::clone(inner), Arc::clone(&route), after, follow.into());
        if is_new {
            // Asked for at once, so that an id that stands for nothing is found out here.
            let feed = route.feed();
            feed.begin_acknowledging();
            match page(inner, &process_id, feed.begin_read()).await {
                Ok(Page { response, whole }) => {
                    feed.started(/*missed*/ true);
                    match end_before(&response, after) {
                        Some(tip) => feed.begin_at(tip),
                        None => feed.caught_up(response, whole),
                    }
                }
                Err(ProcessError::Client(error)) => return Err(error.into()),
                Err(_) => return Err(AdoptError::UnknownProcess(process_id)),
            }
            inner.tasks.spawn(keep_up(Arc::clone(inner), Arc::clone(feed)));
        }
        Ok((RemoteProcess::new(self.clone(), route), events))
    }
}

/// The last position that there is, if that is before `after`.
fn end_before(response: &ProcessReadResponse, after: Seq) -> Option<Seq> {
    let tip = Seq(response.next_seq.0.saturating_sub(1));
    (response.chunks.is_empty() && tip < after).then_some(tip)
}
