//! HTTP requests that leave from this machine.
//!
//! [`LocalHttp`] sends them, whole or streamed; [`KeyedHttp`] is the memory of one session, in which a repeat of a request
//! finds the first. What of a request is refused stands in `outgoing`, how connections are made in `clients`, and what went
//! wrong in `failure`.

mod body;
mod clients;
mod failure;
mod keyed;
mod outgoing;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use codex_exec_server_core::error::{HttpFailure, HttpStage, ServiceError};
use codex_exec_server_core::limits::HttpLimits;
use codex_exec_server_core::service::ServiceFuture;
use codex_exec_server_core::service::http::{HttpClient, HttpError, HttpStream};
use codex_exec_server_protocol::bytes::Base64Bytes;
use codex_exec_server_protocol::http::{
    HttpFailureCause, HttpHeader, HttpRedirectPolicy, HttpRequestParams, HttpRequestResponse,
};
use tokio::sync::OnceCell;
use tokio::time::Instant;

pub use self::body::LocalBody;
use self::clients::Clients;
pub use self::keyed::KeyedHttp;
use self::outgoing::Outgoing;
use crate::env::Environment;

/// Sends requests. Shared by everybody on this machine, so that they share connections.
///
/// Nothing is loaded before the first request: a server that is never asked for HTTP holds no certificates.
pub struct LocalHttp {
    environment: Arc<Environment>,
    limits: HttpLimits,
    clients: OnceCell<Clients>,
}

/// An answer whose headers have come.
#[derive(Debug)]
pub struct Answered {
    /// Status code.
    pub status: u16,
    /// Headers with lower-case names. Repeats of a name stand together, in their order, where it came first.
    pub headers: Vec<HttpHeader>,
    /// What follows.
    pub body: LocalBody,
}

impl LocalHttp {
    /// Takes proxies, places of certificates and what `valueEnvVar` names from `environment`.
    #[must_use]
    pub fn new(environment: Environment, limits: HttpLimits) -> Arc<Self> {
        Arc::new(Self { environment: Arc::new(environment), limits, clients: OnceCell::new() })
    }

    /// The bounds that it keeps.
    #[must_use]
    pub const fn limits(&self) -> &HttpLimits {
        &self.limits
    }

    /// Sends a request and reads the whole answer. Dropping the future gives it up.
    ///
    /// # Errors
    /// [`ServiceError::InvalidArgument`] for what is refused before anything is sent, [`ServiceError::Http`] otherwise.
    pub async fn request(&self, params: HttpRequestParams) -> Result<HttpRequestResponse, ServiceError> {
        let Answered { status, headers, body } = self.open(params, HttpStage::Body).await?;
        let body = body.whole(self.limits.buffered_body_bytes).await?;
        Ok(HttpRequestResponse { status, headers, body_base64: Base64Bytes(body) })
    }

    /// Sends a request and returns when the headers of the answer are there. `stage` says how the body will be read.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub async fn open(&self, params: HttpRequestParams, stage: HttpStage) -> Result<Answered, ServiceError> {
        let deadline = params.timeout_ms.map(Deadline::in_ms);
        let redirects = params.redirect_policy;
        let outgoing = Outgoing::check(params, &self.environment)?;
        if deadline.is_some_and(|deadline| deadline.ms == 0) {
            return Err(Deadline::passed(/*ms*/ 0, HttpStage::Request).into());
        }
        let exchange = async {
            let clients = self.clients().await?;
            let client = match redirects {
                HttpRedirectPolicy::Follow if outgoing.has_secrets() => &clients.follow_within_site,
                HttpRedirectPolicy::Follow => &clients.follow,
                HttpRedirectPolicy::Stop => &clients.stop,
            };
            let sent = outgoing.send(client).await;
            sent.map_err(|error| failure::describe(&error, HttpStage::Request))
        };
        let response = within(deadline, HttpStage::Request, exchange).await?;
        let headers = response.headers().iter().filter_map(|(name, value)| {
            // A value that is no text can't be said in JSON.
            let value = std::str::from_utf8(value.as_bytes()).ok()?.to_owned();
            Some(HttpHeader { name: name.as_str().to_owned(), value })
        });
        Ok(Answered {
            status: response.status().as_u16(),
            headers: headers.collect(),
            body: LocalBody::new(response, deadline, stage),
        })
    }

    async fn clients(&self) -> Result<&Clients, HttpFailure> {
        let make = || async {
            let environment = Arc::clone(&self.environment);
            // Certificates are read from files.
            let made = tokio::task::spawn_blocking(move || Clients::new(&environment)).await;
            made.unwrap_or_else(|error| {
                Err(HttpFailure {
                    cause: HttpFailureCause::Connect,
                    stage: HttpStage::Request,
                    detail: format!("the HTTP client could not be made: {error}"),
                })
            })
        };
        self.clients.get_or_try_init(make).await
    }
}

impl fmt::Debug for LocalHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The environment holds secrets.
        f.debug_struct("LocalHttp").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl HttpClient for LocalHttp {
    fn request(
        &self,
        params: HttpRequestParams,
    ) -> ServiceFuture<'_, Result<HttpRequestResponse, HttpError>> {
        Box::pin(async move { Ok(LocalHttp::request(self, params).await?) })
    }

    fn stream(&self, params: HttpRequestParams) -> ServiceFuture<'_, Result<HttpStream, HttpError>> {
        Box::pin(async move {
            let Answered { status, headers, body } = self.open(params, HttpStage::Stream).await?;
            Ok(HttpStream { status, headers, body: Box::new(body) })
        })
    }
}

/// When an exchange has to be over.
#[derive(Debug, Clone, Copy)]
struct Deadline {
    /// `None` is beyond what a clock can show.
    at: Option<Instant>,
    ms: u64,
}

impl Deadline {
    fn in_ms(ms: u64) -> Self {
        Self { at: Instant::now().checked_add(Duration::from_millis(ms)), ms }
    }

    fn passed(ms: u64, stage: HttpStage) -> HttpFailure {
        HttpFailure {
            cause: HttpFailureCause::Timeout,
            stage,
            detail: format!("timed out after {ms} ms, the request's timeoutMs"),
        }
    }
}

async fn within<T>(
    deadline: Option<Deadline>,
    stage: HttpStage,
    work: impl Future<Output = Result<T, HttpFailure>>,
) -> Result<T, HttpFailure> {
    match deadline {
        Some(Deadline { at: Some(at), ms }) => match tokio::time::timeout_at(at, work).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Deadline::passed(ms, stage)),
        },
        Some(Deadline { at: None, .. }) | None => work.await,
    }
}
