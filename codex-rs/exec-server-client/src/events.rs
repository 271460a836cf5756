//! The caller's end of a process's events.

use std::sync::Arc;

use codex_exec_server_protocol::ids::ProcessId;

use crate::error::ProcessError;
use crate::event::Event;
use crate::inbox::Inbox;
use crate::router::Router;

/// The events of one process, in order and each once, over as many connections as it takes.
///
/// Dropping it stops delivery; the process runs on.
#[derive(Debug)]
pub struct Events {
    inbox: Arc<Inbox>,
    /// Held for what its end does.
    _route: Route,
}

impl Events {
    pub(crate) const fn new(inbox: Arc<Inbox>, route: Route) -> Self {
        Self { inbox, _route: route }
    }

    /// The next event. `None` after [`Event::Closed`], or after an error, which is told once.
    ///
    /// Cancel-safe: an event is either returned or still to come.
    pub async fn next(&mut self) -> Option<Result<Event, ProcessError>> {
        self.inbox.next().await
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.inbox.abandon();
    }
}

/// Keeps an inbox reachable; dropping it frees the id.
#[derive(Debug)]
pub(crate) struct Route {
    router: Arc<Router>,
    id: ProcessId,
}

impl Route {
    /// `None` if a process of that id is followed already.
    pub(crate) fn new(router: &Arc<Router>, id: &ProcessId, inbox: &Arc<Inbox>) -> Option<Self> {
        let added = router.add(id.clone(), Arc::clone(inbox));
        added.then(|| Self { router: Arc::clone(router), id: id.clone() })
    }
}

impl Drop for Route {
    fn drop(&mut self) {
        self.router.remove(&self.id);
    }
}
