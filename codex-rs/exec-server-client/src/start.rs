//! Starting a process exactly once, whatever becomes of the connection meanwhile.

use std::sync::Arc;

use codex_exec_server_protocol::environment::EnvironmentCapabilities;
use codex_exec_server_protocol::ids::{ProcessId, RequestKey};
use codex_exec_server_protocol::methods::ProcessStart;
use codex_exec_server_protocol::process::ProcessStartParams;
use uuid::Uuid;

use crate::client::{Client, Inner};
use crate::error::{Outcome, RequestError, StartError, Unsupported};
use crate::events::{Events, Route};
use crate::inbox::{Inbox, Lag};
use crate::process::{RemoteProcess, follow, terminate};

impl Client {
    /// Starts a process; returns once the server has confirmed it.
    ///
    /// A server that knows request keys (flag `idempotentRequests`) is asked again when the connection was lost before
    /// the answer. Of another it can't be known whether the process runs, so then it is ended and that is reported. A
    /// start whose future is dropped is ended as well.
    pub async fn start(
        &self,
        mut params: ProcessStartParams,
        lag: Lag,
    ) -> Result<(RemoteProcess, Events), StartError> {
        check(&params, &self.peer().environment.capabilities)?;
        let has_keys = self.peer().environment.capabilities.idempotent_requests;
        if has_keys && params.request_key.is_none() {
            params.request_key = Some(RequestKey::from(Uuid::new_v4().to_string()));
        }
        let id = params.process_id.clone();
        let inbox = Arc::new(Inbox::new(id.clone(), self.inner.config.process, lag));
        let Some(route) = Route::new(&self.inner.router, &id, &inbox) else {
            return Err(StartError::Exists(id));
        };
        let given_up = GivenUp { client: Arc::clone(&self.inner), id: Some(id.clone()) };
        let attempts = self.attempt(&params).await;
        given_up.disarm();
        inbox.started(attempts? > 1);
        self.inner.tasks.spawn(follow(Arc::clone(&self.inner), id.clone(), Arc::clone(&inbox)));
        Ok((RemoteProcess::new(self.clone(), id), Events::new(inbox, route)))
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
                    return match terminate(&self.inner, &process_id, None).await {
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
                    ended = terminate(&client, &id, None) => {
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
