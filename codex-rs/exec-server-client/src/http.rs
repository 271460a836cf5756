//! HTTP requests that leave from the server's machine.

use codex_exec_server_core::reconnect::Repeat;
use codex_exec_server_protocol::http::{HttpHeader, HttpRequestParams, HttpRequestResponse};
use codex_exec_server_protocol::methods::HttpRequest;

use crate::bodies::HttpBody;
use crate::client::Client;
use crate::error::RequestError;

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
    /// Sends an HTTP request from the server's machine and returns the whole answer. `request_id` and `stream_response` are
    /// set here.
    ///
    /// Sent once, unless it carries a `request_key` and the server knows it by that (flag `idempotentRequests`):
    /// [`RequestError::Unknown`] when the connection was lost before the answer.
    pub async fn http(&self, mut params: HttpRequestParams) -> Result<HttpRequestResponse, RequestError> {
        self.inner.check_http(&params)?;
        params.request_id = self.inner.router.bodies().new_id();
        params.stream_response = false;
        let repeat = if params.request_key.is_some() { Repeat::Always } else { Repeat::IfUnsent };
        self.inner.call::<HttpRequest>(&params, repeat).await
    }

    /// As [`Client::http`], but returns as soon as the headers are there. Always sent once: a body does not survive its
    /// connection.
    pub async fn http_stream(&self, mut params: HttpRequestParams) -> Result<HttpAnswer, RequestError> {
        self.inner.check_http(&params)?;
        let bodies = self.inner.router.bodies();
        params.request_id = bodies.new_id();
        params.stream_response = true;
        // Opened before it is asked for: its first piece may come with the answer.
        let body = HttpBody::open(bodies, &params.request_id, self.inner.config.http_body_bytes);
        let HttpRequestResponse { status, headers, .. } =
            self.inner.call::<HttpRequest>(&params, Repeat::IfUnsent).await?;
        Ok(HttpAnswer { status, headers, body })
    }
}
