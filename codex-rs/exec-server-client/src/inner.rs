//! What a client's handles and tasks share, and how each of them makes a call.

use std::sync::Arc;

use codex_exec_server_core::reconnect::{AfterLoss, Repeat};
use codex_exec_server_protocol::environment::EnvironmentCapabilities;
use codex_exec_server_protocol::http::HttpRequestParams;
use codex_exec_server_protocol::methods::Method;
use tokio::sync::{RwLock, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::ClientConfig;
use crate::dial::Dialer;
use crate::error::{Outcome, RequestError, Unsupported};
use crate::router::Router;
use crate::session::Peer;
use crate::state::{Connections, State};

/// See the module.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: ClientConfig,
    pub(crate) router: Arc<Router>,
    pub(crate) tasks: TaskTracker,
    /// Ends all tasks.
    pub(crate) stop: CancellationToken,
    pub(crate) dialer: Dialer,
    pub(crate) state: watch::Sender<State>,
    /// Shared by starts that wait for an answer on the present connection, until what came of it is known to their feeds.
    pub(crate) starts: Arc<RwLock<()>>,
}

impl Inner {
    pub(crate) fn peer(&self) -> Arc<Peer> {
        Arc::clone(self.state.borrow().peer())
    }

    /// Fails unless the server has the flag, whose name on the wire is `name`.
    pub(crate) fn require(
        &self,
        name: &'static str,
        flag: impl FnOnce(&EnvironmentCapabilities) -> bool,
    ) -> Result<(), Unsupported> {
        if flag(&self.peer().environment.capabilities) { Ok(()) } else { Err(Unsupported(name)) }
    }

    /// Fails if the request asks for something that the server would ignore.
    pub(crate) fn check_http(&self, params: &HttpRequestParams) -> Result<(), Unsupported> {
        if params.request_key.is_some() {
            self.require("idempotentRequests", |flags| flags.idempotent_requests)?;
        }
        if params.headers.iter().any(|header| header.value_env_var.is_some()) {
            self.require("httpHeaderEnvVars", |flags| flags.http_header_env_vars)?;
        }
        Ok(())
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
                Err(Outcome::Lost { sent }) => match repeat.after_loss(sent) {
                    AfterLoss::SendAgain => {}
                    AfterLoss::Unknown => return Err(RequestError::Unknown),
                },
            }
        }
    }

    /// The present connection and those that follow it.
    pub(crate) fn connections(&self) -> Connections {
        Connections::of(&self.state)
    }
}
