//! A client: one session, kept over as many connections as it takes.
//!
//! One task owns the connection: it waits for its end and gets the next one. Everybody else asks for the present
//! connection, waits while there is none, and decides for each request whether it may be sent again.

use std::sync::Arc;

use codex_exec_server_protocol::environment::EnvironmentCapabilities;
use codex_exec_server_protocol::ids::SessionId;
use codex_exec_server_protocol::methods::{Method, NoParams, ProcessList};
use codex_exec_server_protocol::process::ProcessSummary;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::config::ClientConfig;
use crate::dial::Dialer;
use crate::error::{ClientError, Outcome, RequestError, Unsupported};
use crate::link::End;
use crate::recovery;
use crate::router::Router;
use crate::session::{Attached, Peer, Wanted, open};

/// How a client is connected right now.
#[derive(Debug, Clone)]
enum State {
    Connected(Arc<Attached>),
    Recovering(Arc<Peer>, Instant),
    Failed(Arc<Peer>, ClientError),
}

/// How a client is connected right now, for whoever shows it to people.
#[derive(Debug, Clone)]
pub enum Status {
    /// Requests are on their way as soon as they are made.
    Connected,
    /// The connection was lost and is sought again; requests wait.
    Recovering {
        /// When the client gives up.
        until: Instant,
    },
    /// It did not come back, or the client was closed; requests fail.
    Failed(ClientError),
}

/// What to do about a session that another connection has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfAttached {
    /// Leave it there.
    Refuse,
    /// Take it; the other connection is told and ended. For one that is half dead, or somebody's own elsewhere.
    TakeOver,
}

/// Tells how the connection changes; see [`Client::status`].
#[derive(Debug, Clone)]
pub struct StatusWatch(watch::Receiver<State>);

impl StatusWatch {
    /// The next status after the one last returned. States in between that lasted too short are left out. Never
    /// resolves once the client is gone. Cancel-safe.
    pub async fn changed(&mut self) -> Status {
        match self.0.changed().await {
            Ok(()) => self.now(),
            Err(_) => std::future::pending().await,
        }
    }

    /// The status at this moment; counts as returned.
    pub fn now(&mut self) -> Status {
        match &*self.0.borrow_and_update() {
            State::Connected(_) => Status::Connected,
            State::Recovering(_, until) => Status::Recovering { until: *until },
            State::Failed(_, error) => Status::Failed(error.clone()),
        }
    }
}

/// See the module. Cloning gives another handle to the same session; when the last one is gone, the connection is
/// dropped and the server keeps the session for its time.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
    _last: Arc<DropGuard>,
}

/// What a client's handles and tasks share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: ClientConfig,
    pub(crate) router: Arc<Router>,
    pub(crate) tasks: TaskTracker,
    /// Ends all tasks.
    pub(crate) stop: CancellationToken,
    dialer: Dialer,
    state: watch::Sender<State>,
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

    async fn open(dialer: Dialer, config: ClientConfig, wanted: Wanted<'_>) -> Result<Self, ClientError> {
        let router = Arc::new(Router::default());
        let first = open(&dialer, &router, &config, wanted).await?;
        let stop = CancellationToken::new();
        let inner = Arc::new(Inner {
            config,
            router,
            tasks: TaskTracker::new(),
            stop: stop.clone(),
            dialer,
            state: watch::Sender::new(State::Connected(Arc::clone(&first))),
        });
        inner.tasks.spawn(supervise(Arc::clone(&inner), first));
        Ok(Self { inner, _last: Arc::new(stop.drop_guard()) })
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

/// When a request may be sent a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// When the first certainly did not arrive.
    IfUnsent,
    /// In any case.
    Always,
}

impl Inner {
    pub(crate) fn peer(&self) -> Arc<Peer> {
        match &*self.state.borrow() {
            State::Connected(attached) => Arc::clone(&attached.peer),
            State::Recovering(peer, _) | State::Failed(peer, _) => Arc::clone(peer),
        }
    }

    /// Fails unless the server has the flag, whose name on the wire is `name`.
    pub(crate) fn require(
        &self,
        name: &'static str,
        flag: impl FnOnce(&EnvironmentCapabilities) -> bool,
    ) -> Result<(), Unsupported> {
        if flag(&self.peer().environment.capabilities) { Ok(()) } else { Err(Unsupported(name)) }
    }

    pub(crate) async fn call<M: Method>(
        &self,
        params: &M::Params,
        repeat: Repeat,
    ) -> Result<M::Response, RequestError>
    where
        M::Response: Send + 'static,
    {
        let response = self.call_while::<M>(params, repeat, || true).await?;
        Ok(response.expect("there was no reason not to send it"))
    }

    /// As [`Self::call`], but `None` when `holds` no longer does before it is sent, or sent again.
    pub(crate) async fn call_while<M: Method>(
        &self,
        params: &M::Params,
        repeat: Repeat,
        holds: impl Fn() -> bool,
    ) -> Result<Option<M::Response>, RequestError>
    where
        M::Response: Send + 'static,
    {
        let mut present = self.connections();
        loop {
            let attached = present.next().await?;
            if !holds() {
                return Ok(None);
            }
            match attached.link.call::<M>(params).await.map_err(Outcome::from) {
                Ok(response) => return Ok(Some(response)),
                Err(Outcome::Refused(error)) => return Err(RequestError::Refused(error)),
                Err(Outcome::Lost { sent: true }) if repeat == Repeat::IfUnsent => {
                    return Err(RequestError::Unknown);
                }
                Err(Outcome::Lost { .. }) => {}
            }
        }
    }

    /// The present connection and those that follow it.
    pub(crate) fn connections(&self) -> Connections {
        let mut state = self.state.subscribe();
        state.mark_changed();
        Connections(state)
    }
}

/// See [`Inner::connections`].
pub(crate) struct Connections(watch::Receiver<State>);

impl Connections {
    /// The first time the present connection, waiting for one if there is none; afterwards the one that takes the place
    /// of the last.
    pub(crate) async fn next(&mut self) -> Result<Arc<Attached>, ClientError> {
        loop {
            self.0.changed().await.map_err(|_| ClientError::Closed)?;
            match &*self.0.borrow_and_update() {
                State::Connected(attached) => return Ok(Arc::clone(attached)),
                State::Recovering(..) => {}
                State::Failed(_, error) => return Err(error.clone()),
            }
        }
    }
}

/// Owns the connection, whichever it is.
async fn supervise(inner: Arc<Inner>, mut attached: Arc<Attached>) {
    let fail = |peer: &Arc<Peer>, error: ClientError| {
        inner.state.send_replace(State::Failed(Arc::clone(peer), error.clone()));
        inner.router.fail(&error);
    };
    loop {
        let peer = Arc::clone(&attached.peer);
        let end = tokio::select! {
            end = attached.link.ended() => end,
            () = inner.stop.cancelled() => {
                fail(&peer, ClientError::Closed);
                return attached.link.close().await;
            }
        };
        let lost = match &end {
            End::Lost(reason) => reason,
            End::TakenOver(reason) => return fail(&peer, ClientError::TakenOver(Arc::clone(reason))),
            End::Violation(reason) => return fail(&peer, ClientError::Protocol(Arc::clone(reason))),
        };
        tracing::debug!(reason = %lost, session = %peer.session_id, "connection was lost");
        let until = Instant::now() + inner.config.recovery_deadline;
        inner.state.send_replace(State::Recovering(Arc::clone(&peer), until));
        // What it still held must not be taken for something that came over the next one.
        attached.link.abandon().await;
        let resumed = tokio::select! {
            resumed = recovery::resume(&inner.dialer, &inner.router, &inner.config, &peer, lost, until) => {
                resumed
            }
            () = inner.stop.cancelled() => Err(ClientError::Closed),
        };
        attached = match resumed {
            Ok(attached) => attached,
            Err(error) => return fail(&peer, error),
        };
        tracing::debug!(session = %peer.session_id, "session was resumed");
        inner.router.reconnected();
        inner.state.send_replace(State::Connected(Arc::clone(&attached)));
    }
}
