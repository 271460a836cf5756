//! Starting a process exactly once, whatever becomes of the connection meanwhile.

use std::sync::Arc;

use codex_exec_server_core::reconnect::{AfterLoss, Repeat};
use codex_exec_server_core::service::missing_flag;
use codex_exec_server_protocol::ids::{RequestKey, Seq};
use codex_exec_server_protocol::methods::ProcessStart;
use codex_exec_server_protocol::process::{ProcessStartParams, ProcessStartResponse};
use tokio::sync::{OwnedRwLockReadGuard, oneshot};
use uuid::Uuid;

use crate::catch_up::keep_up;
use crate::client::Client;
use crate::error::{ClientError, Outcome, RequestError, StartError, Unsupported};
use crate::events::Events;
use crate::feed::Feed;
use crate::follow::Follow;
use crate::inner::Inner;
use crate::link::Pending;
use crate::process::{RemoteProcess, terminate};
use crate::router::Route;

impl Client {
    /// Starts a process; returns once the server has confirmed it. Its events are followed from the first on.
    ///
    /// A server that knows request keys (flag `idempotentRequests`) is asked again when the connection was lost before
    /// the answer. Of another it can't be known whether the process runs, so then it is ended and that is reported. A
    /// start whose future is dropped is ended as well. Until the server has answered for such an end, the id stays taken;
    /// and a server that knows request keys ends only what this very start began, whoever else has used the id since.
    pub async fn start(
        &self,
        params: ProcessStartParams,
        follow: impl Into<Follow>,
    ) -> Result<(RemoteProcess, Events), StartError> {
        let route = self.reserve(&params)?;
        let events = Events::new(Arc::clone(&self.inner), Arc::clone(&route), Seq::START, follow.into());
        self.start_at(route, params).await.map(|process| (process, events))
    }

    /// As [`Client::start`], for somebody who will follow later.
    pub async fn start_process(&self, params: ProcessStartParams) -> Result<RemoteProcess, StartError> {
        let route = self.reserve(&params)?;
        self.start_at(route, params).await
    }

    /// Takes the id, if what is asked for can be done.
    fn reserve(&self, params: &ProcessStartParams) -> Result<Arc<Route>, StartError> {
        // Whatever the server would ignore is refused here.
        if let Some(flag) = missing_flag(params, &self.peer().environment.capabilities) {
            return Err(Unsupported(flag).into());
        }
        let id = params.process_id.clone();
        let feed = Feed::new(id.clone(), self.inner.config.process, Seq::START);
        Route::new(&self.inner.router, feed).ok_or(StartError::Exists(id))
    }

    async fn start_at(
        &self,
        route: Arc<Route>,
        mut params: ProcessStartParams,
    ) -> Result<RemoteProcess, StartError> {
        if self.peer().environment.capabilities.idempotent_requests && params.request_key.is_none() {
            params.request_key = Some(RequestKey::from(Uuid::new_v4().to_string()));
        }
        self.see_through(route, params, /*departed*/ None).await
    }

    /// Waits for a start, which may have `departed` already.
    pub(crate) async fn see_through(
        &self,
        route: Arc<Route>,
        params: ProcessStartParams,
        departed: Option<Departed>,
    ) -> Result<RemoteProcess, StartError> {
        let (tell, told) = oneshot::channel();
        // A task sees it through: whoever asked for it may lose interest, and then somebody has to clean up.
        let settling = settle(Arc::clone(&self.inner), Arc::clone(&route), params, departed, tell);
        self.inner.tasks.spawn(settling);
        match told.await {
            Ok(outcome) => {
                outcome?.taken();
                Ok(RemoteProcess::new(self.clone(), route))
            }
            Err(_) => Err(ClientError::Closed.into()),
        }
    }
}

/// A start that left with the first connection.
pub(crate) struct Departed {
    pub(crate) pending: Pending<ProcessStartResponse>,
    /// Of [`Inner::starts`].
    pub(crate) under_way: OwnedRwLockReadGuard<()>,
}

/// Starts a process and tells what came of it. If nobody wants to know any more, ends it.
async fn settle(
    client: Arc<Inner>,
    route: Arc<Route>,
    params: ProcessStartParams,
    departed: Option<Departed>,
    tell: oneshot::Sender<Result<Unclaimed, StartError>>,
) {
    let started = tokio::select! {
        started = start(&client, &route, &params, departed, || tell.is_closed()) => started,
        () = client.stop.cancelled() => return,
    };
    let outcome = started.map(|()| {
        client.tasks.spawn(keep_up(Arc::clone(&client), Arc::clone(route.feed())));
        Unclaimed { client: Arc::clone(&client), route: Some(route), key: params.request_key }
    });
    // One that nobody takes ends its process when it is dropped.
    let _ = tell.send(outcome);
}

async fn start(
    client: &Inner,
    route: &Route,
    params: &ProcessStartParams,
    mut departed: Option<Departed>,
    is_abandoned: impl Fn() -> bool,
) -> Result<(), StartError> {
    let repeat = if params.request_key.is_some() { Repeat::Always } else { Repeat::IfUnsent };
    let process_id = &params.process_id;
    let mut connections = client.connections();
    let mut may_run = false;
    loop {
        let (under_way, answer) = match departed.take() {
            Some(Departed { pending, under_way }) => (under_way, pending.answer().await),
            None => {
                let attached = connections.next().await?;
                if is_abandoned() {
                    // It is not started now for nobody, but it may have been before.
                    let was_running = may_run && end(client, route, &params.request_key).await?;
                    return Err(StartError::Ambiguous { process_id: process_id.clone(), was_running });
                }
                let under_way = Arc::clone(&client.starts).read_owned().await;
                (under_way, attached.link.call::<ProcessStart>(params).await)
            }
        };
        match answer.map_err(Outcome::from) {
            Ok(_) => {
                route.feed().started(may_run);
                return Ok(());
            }
            Err(Outcome::Refused(error)) => return Err(StartError::Refused(error)),
            Err(Outcome::Lost { sent }) => {
                drop(under_way);
                may_run |= sent;
                if repeat.after_loss(sent) == AfterLoss::Unknown {
                    let was_running = end(client, route, &params.request_key).await?;
                    return Err(StartError::Ambiguous { process_id: process_id.clone(), was_running });
                }
            }
        }
    }
}

/// Ends a process that may have been started, with `key` if the server knows keys; returns whether it had been.
async fn end(client: &Inner, route: &Route, key: &Option<RequestKey>) -> Result<bool, StartError> {
    match terminate(client, route.feed().id(), key.clone()).await {
        Ok(ended) => Ok(ended.running),
        Err(RequestError::Refused(error)) => Err(StartError::Refused(error)),
        Err(RequestError::Client(error)) => Err(error.into()),
        Err(RequestError::Unsupported(flag)) => Err(flag.into()),
        // It is sent until it is answered.
        Err(RequestError::Unknown) => Ok(false),
    }
}

/// A process on its way to whoever started it; ends it when it does not get there.
struct Unclaimed {
    client: Arc<Inner>,
    route: Option<Arc<Route>>,
    /// What its start was sent with.
    key: Option<RequestKey>,
}

impl Unclaimed {
    fn taken(mut self) {
        self.route = None;
    }
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        if let (Some(route), Ok(runtime)) = (self.route.take(), tokio::runtime::Handle::try_current()) {
            let (client, key) = (Arc::clone(&self.client), self.key.take());
            let ending = async move {
                tokio::select! {
                    ended = end(&client, &route, &key) => {
                        if let Err(error) = ended {
                            let id = route.feed().id();
                            tracing::debug!(process = %id, %error, "process of an abandoned start may run on");
                        }
                    }
                    () = client.stop.cancelled() => {}
                }
            };
            self.client.tasks.spawn_on(ending, &runtime);
        }
    }
}
