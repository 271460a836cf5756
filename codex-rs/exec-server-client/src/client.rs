//! A client: one session, kept over as many connections as it takes.
//!
//! One task owns the connection: it waits for its end and gets the next one. Everybody else asks for the present
//! connection, waits while there is none, and decides for each request whether it may be sent again.

use std::sync::Arc;

use codex_exec_server_core::reconnect::Repeat;
use codex_exec_server_protocol::ids::SessionId;
use codex_exec_server_protocol::methods::{Method, NoParams, ProcessList};
use codex_exec_server_protocol::process::ProcessSummary;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::config::ClientConfig;
use crate::dial::Dialer;
use crate::error::{ClientError, RequestError};
use crate::inner::Inner;
use crate::router::Router;
use crate::session::{Attached, Peer, Wanted, open};
use crate::state::{State, StatusWatch};
use crate::supervise::supervise;

/// What to do about a session that another connection has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfAttached {
    /// Leave it there.
    Refuse,
    /// Take it; the other connection is told and ended. For one that is half dead, or somebody's own elsewhere.
    TakeOver,
}

/// See the module. Cloning gives another handle to the same session; when the last one is gone, the connection is
/// dropped and the server keeps the session for its time.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
    _last: Arc<DropGuard>,
}

impl Client {
    /// Connects and opens a new session. Must be called within a tokio runtime, whose tasks the client uses.
    ///
    /// One attempt: whoever begins wants to hear of a wrong address at once.
    pub async fn connect(dialer: Dialer, config: ClientConfig) -> Result<Self, ClientError> {
        Self::open(dialer, config, Wanted::New).await
    }

    /// Connects and resumes a session that exists already, such as one that another client has left. Its processes are
    /// told by [`Client::list`] and followed with [`Client::adopt`].
    ///
    /// [`ClientError::SessionInUse`] if another connection has it, unless it may be taken over and the server can (flag
    /// `sessionTakeover`); [`ClientError::SessionLost`] if the server does not know it.
    pub async fn attach(
        dialer: Dialer,
        config: ClientConfig,
        session_id: SessionId,
        if_attached: IfAttached,
    ) -> Result<Self, ClientError> {
        let takeover = if_attached == IfAttached::TakeOver;
        Self::open(dialer, config, Wanted::Existing { session_id, takeover }).await
    }

    /// Connects and watches a session that another client holds, or has left. Its processes are told by [`Client::list`] and
    /// followed with [`Client::adopt`], at a pace of this client's own; a lost connection is found again as ever. Whatever
    /// would change something is refused by the server.
    ///
    /// [`ClientError::SessionLost`] if the server does not know the session, or no more may observe it;
    /// [`ClientError::Unsupported`] without the flag `observers`.
    pub async fn observe(
        dialer: Dialer,
        config: ClientConfig,
        session_id: SessionId,
    ) -> Result<Self, ClientError> {
        Self::open(dialer, config, Wanted::Observed { session_id }).await
    }

    async fn open(dialer: Dialer, config: ClientConfig, wanted: Wanted<'_>) -> Result<Self, ClientError> {
        let router = Arc::new(Router::default());
        let first = open(&dialer, &router, &config, &wanted).await?;
        let client = Self::new(dialer, config, router, &first);
        client.keep(first);
        Ok(client)
    }

    /// With its first connection, to which nobody sees before [`Self::keep`].
    pub(crate) fn new(
        dialer: Dialer,
        config: ClientConfig,
        router: Arc<Router>,
        first: &Arc<Attached>,
    ) -> Self {
        router.acknowledge_every(first.peer.acknowledge_every(&config));
        let stop = CancellationToken::new();
        let inner = Arc::new(Inner {
            config,
            router,
            tasks: TaskTracker::new(),
            stop: stop.clone(),
            dialer,
            state: watch::Sender::new(State::Connected(Arc::clone(first))),
            starts: Arc::default(),
        });
        Self { inner, _last: Arc::new(stop.drop_guard()) }
    }

    /// From now on the session is kept over lost connections.
    pub(crate) fn keep(&self, first: Arc<Attached>) {
        self.inner.tasks.spawn(supervise(Arc::clone(&self.inner), first));
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer(&self) -> Arc<Peer> {
        self.inner.peer()
    }

    /// Tells how the connection changes from now on.
    #[must_use]
    pub fn status(&self) -> StatusWatch {
        StatusWatch(self.inner.state.subscribe())
    }

    /// The session's processes, in the order of their starts. Flag `processList`.
    pub async fn list(&self) -> Result<Vec<ProcessSummary>, RequestError> {
        self.inner.require("processList", |flags| flags.process_list)?;
        Ok(self.call::<ProcessList>(&NoParams {}).await?.processes)
    }

    /// Sends a request once, waiting for the connection if need be. For requests that must not be repeated: when the
    /// connection is lost before the answer, that is the answer.
    pub async fn call_once<M: Method>(&self, params: &M::Params) -> Result<M::Response, RequestError>
    where
        M::Response: Send + 'static,
    {
        self.inner.call::<M>(params, Repeat::IfUnsent).await
    }

    /// Sends a request, and again on the next connection when one is lost before the answer. For requests of which a
    /// repeat does no harm.
    pub async fn call<M: Method>(&self, params: &M::Params) -> Result<M::Response, RequestError>
    where
        M::Response: Send + 'static,
    {
        self.inner.call::<M>(params, Repeat::Always).await
    }

    /// Says good-bye and ends the client, whoever else holds a handle to it. The server keeps the session for its time.
    pub async fn close(&self) {
        self.inner.stop.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }
}
