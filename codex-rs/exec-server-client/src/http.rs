//! HTTP requests that leave from the server's machine.

use std::sync::Arc;

use codex_exec_server_core::reconnect::{AfterLoss, Repeat};
use codex_exec_server_core::service::ServiceFuture;
use codex_exec_server_core::service::http::{HttpBodyStream, HttpClient, HttpError, HttpStream};
use codex_exec_server_protocol::http::{HttpHeader, HttpRequestParams, HttpRequestResponse};
use codex_exec_server_protocol::methods::HttpRequest;

use crate::bodies::{Credit, HttpBody};
use crate::client::Client;
use crate::error::{Outcome, RequestError};
use crate::link::CallError;
use crate::session::Attached;
use crate::unfinished::Unfinished;

/// The beginning of a streamed answer.
#[derive(Debug)]
pub struct HttpAnswer {
    /// Status code.
    pub status: u16,
    /// Headers with lower-case names.
    pub headers: Vec<HttpHeader>,
    /// What follows.
    pub body: HttpBody,
}

impl Client {
    /// Sends an HTTP request from the server's machine and returns the whole answer. `request_id`, `stream_response` and
    /// `credit_bytes` are set here.
    ///
    /// Sent once, unless it carries a `request_key` and the server knows it by that (flag `idempotentRequests`):
    /// [`RequestError::Unknown`] when the connection was lost before the answer. Dropping the future gives the request up,
    /// of which the server is told if it has the flag `cancel`.
    pub async fn http(&self, mut params: HttpRequestParams) -> Result<HttpRequestResponse, RequestError> {
        self.inner.check_http(&params)?;
        params.request_id = self.inner.router.bodies().new_id();
        params.stream_response = false;
        params.credit_bytes = None;
        let repeat = if params.request_key.is_some() { Repeat::Always } else { Repeat::IfUnsent };
        let mut present = self.inner.connections();
        loop {
            let attached = present.next().await?;
            match self.send(&attached, &params).await {
                Ok((answer, unfinished)) => {
                    unfinished.finish();
                    return Ok(answer);
                }
                Err(outcome) => may_repeat(outcome, repeat)?,
            }
        }
    }

    /// As [`Client::http`], but returns as soon as the headers are there. Always sent once: a body does not survive its
    /// connection.
    pub async fn http_stream(&self, mut params: HttpRequestParams) -> Result<HttpAnswer, RequestError> {
        self.inner.check_http(&params)?;
        let bodies = self.inner.router.bodies();
        let limit = self.inner.config.http_body_bytes;
        params.request_id = bodies.new_id();
        params.stream_response = true;
        let mut present = self.inner.connections();
        loop {
            let attached = present.next().await?;
            let can_wait = attached.peer.environment.capabilities.http_body_credit;
            params.credit_bytes = can_wait.then_some(limit as u64);
            let credit = can_wait.then(|| Credit::new(Arc::clone(&attached), limit));
            // Opened before it is asked for: its first piece may come with the answer.
            let mut body = HttpBody::open(bodies, &params.request_id, limit, credit);
            match self.send(&attached, &params).await {
                Ok((HttpRequestResponse { status, headers, .. }, unfinished)) => {
                    body.give_up_with(unfinished);
                    return Ok(HttpAnswer { status, headers, body });
                }
                Err(outcome) => may_repeat(outcome, Repeat::IfUnsent)?,
            }
        }
    }

    /// Sends the request over this connection and waits for the answer, or its beginning.
    async fn send(
        &self,
        attached: &Arc<Attached>,
        params: &HttpRequestParams,
    ) -> Result<(HttpRequestResponse, Unfinished), Outcome> {
        let pending = attached.link.begin::<HttpRequest>(params).await.map_err(CallError::from)?;
        let unfinished = Unfinished::new(attached, pending.id(), &self.inner.tasks);
        match pending.answer().await {
            Ok(answer) => Ok((answer, unfinished)),
            Err(error) => {
                unfinished.finish();
                Err(error.into())
            }
        }
    }
}

/// Whether it goes on over the next connection.
fn may_repeat(outcome: Outcome, repeat: Repeat) -> Result<(), RequestError> {
    match outcome {
        Outcome::Refused(error) => Err(RequestError::Refused(error)),
        Outcome::Lost { sent } => match repeat.after_loss(sent) {
            AfterLoss::SendAgain => Ok(()),
            AfterLoss::Unknown => Err(RequestError::Unknown),
        },
    }
}

impl From<RequestError> for HttpError {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Refused(error) => Self::Refused(error),
            RequestError::Unknown => Self::OutcomeUnknown,
            RequestError::Unsupported(unsupported) => Self::Unsupported(unsupported.0),
            RequestError::Client(error) => Self::Disconnected(error.to_string().into()),
        }
    }
}

impl HttpClient for Client {
    fn request(
        &self,
        params: HttpRequestParams,
    ) -> ServiceFuture<'_, Result<HttpRequestResponse, HttpError>> {
        Box::pin(async { Ok(self.http(params).await?) })
    }

    fn stream(&self, params: HttpRequestParams) -> ServiceFuture<'_, Result<HttpStream, HttpError>> {
        Box::pin(async {
            let HttpAnswer { status, headers, body } = self.http_stream(params).await?;
            Ok(HttpStream { status, headers, body: Box::new(body) as Box<dyn HttpBodyStream> })
        })
    }
}
