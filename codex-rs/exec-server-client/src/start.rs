//! Starting a process exactly once, whatever becomes of the connection meanwhile.

use std::sync::Arc;

use codex_exec_server_protocol::environment::EnvironmentCapabilities;
use codex_exec_server_protocol::ids::{ProcessId, RequestKey, Seq};
use codex_exec_server_protocol::methods::ProcessStart;
use codex_exec_server_protocol::process::ProcessStartParams;
use uuid::Uuid;

use crate::client::{Client, Inner};
use crate::error::{Outcome, RequestError, StartError, Unsupported};
use crate::events::Events;
use crate::feed::Feed;
use crate::follow::Follow;
use crate::process::{RemoteProcess, terminate};
use crate::reading::keep_up;
use crate::router::Route;

impl Client {
    /// Starts a process; returns once the server has confirmed it.
    ///
    /// A server that knows request keys (flag `idempotentRequests`) is asked again when the connection was lost before
    /// the answer. Of another it can't be known whether the process runs, so then it is ended and that is reported. A
    /// start whose future is dropped is ended as well.
    ///
    /// The events are followed from the first on.
    pub async fn start(
        &self,
        params: ProcessStartParams,
        follow: impl Into<Follow>,
    ) -> Result<(RemoteProcess, Events), StartError> {
        let (route, events) = self.start_followed(params, Some(follow.into())).await?;
        let process = RemoteProcess::new(self.clone(), route);
        Ok((process, events.expect("it was asked for")))
    }

    /// As [`Client::start`], for somebody who will follow later.
    pub async fn start_process(&self, params: ProcessStartParams) -> Result<RemoteProcess, StartError> {
        let (route, _) = self.start_followed(params, None).await?;
        Ok(RemoteProcess::new(self.clone(), route))
    }

    async fn start_followed(
        &self,
        mut params: ProcessStartParams,
        follow: Option<Follow>,
    ) -> Result<(Arc<Route>, Option<Events>), StartError> {
        check(&params, &self.peer().environment.capabilities)?;
        let has_keys = self.peer().environment.capabilities.idempotent_requests;
        if has_keys && params.request_key.is_none() {
            params.request_key = Some(RequestKey::from(Uuid::new_v4().to_string()));
        }
        let id = params.process_id.clone();
        let feed = Feed::new(id.clone(), self.inner.config.process, Seq::START);
        let Some(route) = Route::new(&self.inner.router, feed) else {
            return Err(StartError::Exists(id));
        };
        let events =
            follow.map(|follow| Events::new(Arc::clone(&self.inner), Arc::clone(&route), Seq::START, follow));
        let given_up = GivenUp { client: Arc::clone(&self.inner), id: Some(id.clone()) };
        let attempts = self.attempt(&params).await;
        given_up.disarm();
        route.feed().started(attempts? > 1);
        self.inner.tasks.spawn(keep_up(Arc::clone(&self.inner), Arc::clone(route.feed())));
        Ok((route, events))
    }

    /// Returns how many connections it took.
    async fn attempt(&self, params: &ProcessStartParams) -> Result<u32, StartError> {
        let mut connections = self.inner.connections();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let attached = connections.next().await?;
            match attached.link.call::<ProcessStart>(params).await.map_err(Outcome::from) {
                Ok(_) => return Ok(attempts),
                Err(Outcome::Refused(error)) => return Err(StartError::Refused(error)),
                Err(Outcome::Lost { sent: false }) => {}
                Err(Outcome::Lost { sent: true }) if params.request_key.is_some() => {}
                Err(Outcome::Lost { sent: true }) => {
                    let process_id = params.process_id.clone();
                    return match terminate(&self.inner, &process_id).await {
                        Ok(ended) => Err(StartError::Ambiguous { process_id, was_running: ended.running }),
                        Err(RequestError::Refused(error)) => Err(StartError::Refused(error)),
                        Err(RequestError::Client(error)) => Err(error.into()),
                        Err(RequestError::Unsupported(flag)) => Err(flag.into()),
                        Err(RequestError::Unknown) => {
                            Err(StartError::Ambiguous { process_id, was_running: false })
                        }
                    };
                }
            }
        }
    }
}

/// Ends a process whose start nobody waits for any more.
struct GivenUp {
    client: Arc<Inner>,
    id: Option<ProcessId>,
}

impl GivenUp {
    fn disarm(mut self) {
        self.id = None;
    }
}

impl Drop for GivenUp {
    fn drop(&mut self) {
        if let (Some(id), Ok(runtime)) = (self.id.take(), tokio::runtime::Handle::try_current()) {
            let client = Arc::clone(&self.client);
            let ending = async move {
                tokio::select! {
                    ended = terminate(&client, &id) => {
                        if let Err(error) = ended {
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

/// Whatever the server would ignore is refused here.
fn check(params: &ProcessStartParams, flags: &EnvironmentCapabilities) -> Result<(), Unsupported> {
    let needs = [
        (params.output.is_some(), flags.output_budget, "outputBudget"),
        (params.size.is_some(), flags.process_resize, "processResize"),
        (params.timeout_ms.is_some(), flags.process_timeout, "processTimeout"),
        (params.limits.is_some(), flags.process_limits, "processLimits"),
        (params.request_key.is_some(), flags.idempotent_requests, "idempotentRequests"),
        (params.network_proxy.is_some(), flags.network_proxy_launch, "networkProxyLaunch"),
    ];
    match needs.into_iter().find(|(asked, has, _)| *asked && !has) {
        Some((_, _, name)) => Err(Unsupported(name)),
        None => Ok(()),
    }
}
