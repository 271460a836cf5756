//! The HTTP side of a WebSocket listener: the upgrade, the health endpoints, the way to a site, and every refusal.

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Version};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::auth::{AuthRefusal, Authenticator};
use crate::limits::WireLimits;
use crate::site::{self, Site, Target};
use crate::stream::Stream;
use crate::subprotocol::Offer;

/// Who may open a WebSocket here.
#[derive(Debug, Default)]
pub struct AcceptPolicy {
    /// The credential to ask for; `None` lets everybody in who can reach the listener.
    pub auth: Option<Authenticator>,
    /// Values of the `Origin` header to let in. A request with any other one is refused with 403: browsers
    /// send it on behalf of whatever page is open, and no other client does.
    pub allowed_origins: Vec<String>,
    /// Files to show to browsers. Their own pages are let in as if their origin were among the allowed ones.
    pub site: Option<Site>,
}

/// Least size of the buffer for a request head that the HTTP parser can work with.
const MIN_HEAD_BYTES: usize = 8 * 1024;

/// Speaks HTTP with a client for one request. Gives the stream back if that was an upgrade, with the bytes
/// that the client sent right behind it. `None` if the client was refused, only wanted to know our health, or
/// vanished.
pub(crate) async fn accept(
    stream: Stream,
    policy: &AcceptPolicy,
    limits: &WireLimits,
) -> Option<(Stream, Bytes)> {
    match timeout(limits.handshake_timeout, serve(stream, policy, limits)).await {
        Ok(result) => result,
        Err(_) => {
            tracing::debug!("client did not finish its upgrade in time");
            None
        }
    }
}

async fn serve(stream: Stream, policy: &AcceptPolicy, limits: &WireLimits) -> Option<(Stream, Bytes)> {
    let upgraded = Arc::new(AtomicBool::new(false));
    let service = service_fn(|request| {
        let response = respond(&request, policy);
        upgraded.store(response.status() == StatusCode::SWITCHING_PROTOCOLS, Ordering::Relaxed);
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let head_bytes = limits.http_head_bytes.max(MIN_HEAD_BYTES);
    let mut connection = hyper::server::conn::http1::Builder::new()
        .max_buf_size(head_bytes)
        .header_read_timeout(None)
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = poll_fn(|cx| connection.poll_without_shutdown(cx)).await {
        tracing::debug!(%error, "http connection failed before the upgrade");
    }
    let parts = connection.into_parts();
    let mut stream = parts.io.into_inner();
    if upgraded.load(Ordering::Relaxed) {
        return Some((stream, parts.read_buf));
    }
    // Anything that nobody read, such as a request body, would make the kernel reset the connection, and our
    // answer with it. So it is taken off the socket until the client hangs up or its time is over.
    let _ = timeout(limits.close_timeout, async {
        if stream.shutdown().await.is_ok() {
            let mut scratch = [0; 4096];
            while matches!(stream.read(&mut scratch).await, Ok(1..)) {}
        }
    })
    .await;
    None
}

/// The answer to one request. The order of the checks is part of the wire: an origin is refused on every path
/// and before the credential is looked at.
fn respond<B>(request: &Request<B>, policy: &AcceptPolicy) -> Response<Full<Bytes>> {
    if !origin_is_allowed(request.headers(), policy) {
        return answer(StatusCode::FORBIDDEN, String::new());
    }
    if let Some(site) = &policy.site
        && let Some(target) = site.target(request)
    {
        return show(site, &target, request, policy);
    }
    let is_root = match request.uri().path() {
        "/" => true,
        "/readyz" | "/healthz" => false,
        _ => return answer(StatusCode::NOT_FOUND, String::new()),
    };
    let get_only =
        matches!(*request.method(), Method::GET) || (!is_root && *request.method() == Method::HEAD);
    if !get_only {
        let mut response = answer(StatusCode::METHOD_NOT_ALLOWED, String::new());
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET"));
        return response;
    }
    if !is_root {
        return answer(StatusCode::OK, String::new());
    }
    let key = match upgrade_key(request) {
        Ok(key) => key,
        Err(reason) => {
            let mut response = answer(StatusCode::BAD_REQUEST, reason.to_owned());
            response.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            return response;
        }
    };
    let offer = Offer::of(request.headers());
    if let Some(refusal) = refusal(request, policy, &offer) {
        return answer(StatusCode::UNAUTHORIZED, refusal.to_string());
    }
    switch_protocols(key, offer.answer())
}

/// The answer of a site.
fn show<B>(
    site: &Site,
    target: &Target<'_>,
    request: &Request<B>,
    policy: &AcceptPolicy,
) -> Response<Full<Bytes>> {
    if !site::is_read(request.method()) {
        let mut response = answer(StatusCode::METHOD_NOT_ALLOWED, String::new());
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match target {
        Target::Redirect => site.redirect(),
        Target::File(file, tag) => site::file(request.headers(), file, tag),
        Target::Access => {
            let offer = Offer::of(request.headers());
            site::access(refusal(request, policy, &offer).map(|refusal| refusal.to_string()))
        }
    }
}

/// Why the credential in a request is not good enough, if it is not.
fn refusal<B>(request: &Request<B>, policy: &AcceptPolicy, offer: &Offer) -> Option<AuthRefusal> {
    let header = request.headers().get(header::AUTHORIZATION);
    policy.auth.as_ref()?.check_upgrade(header, &offer.bearer, SystemTime::now()).err()
}

fn origin_is_allowed(headers: &HeaderMap, policy: &AcceptPolicy) -> bool {
    let is_listed = |origin: &HeaderValue| {
        policy.allowed_origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes())
    };
    let is_own = |origin: &HeaderValue| {
        policy.site.is_some() && site::is_own_origin(origin, headers, policy.auth.is_some())
    };
    headers.get_all(header::ORIGIN).iter().all(|origin| is_listed(origin) || is_own(origin))
}

/// The key of a proper upgrade request, or what is wrong with the request.
fn upgrade_key<B>(request: &Request<B>) -> Result<&HeaderValue, &'static str> {
    let headers = request.headers();
    if !lists(headers, header::CONNECTION, "upgrade") {
        return Err("Connection header did not include 'upgrade'");
    }
    if !lists(headers, header::UPGRADE, "websocket") {
        return Err("Upgrade header did not include 'websocket'");
    }
    if request.version() != Version::HTTP_11 {
        return Err("WebSocket upgrade needs HTTP/1.1");
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err("Sec-WebSocket-Version header did not say '13'");
    }
    headers.get(header::SEC_WEBSOCKET_KEY).ok_or("Sec-WebSocket-Key header is missing")
}

/// Whether a comma-separated header names `token`, in any case.
fn lists(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().eq_ignore_ascii_case(token))
}

fn switch_protocols(key: &HeaderValue, subprotocol: Option<HeaderValue>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    let accept =
        HeaderValue::try_from(derive_accept_key(key.as_bytes())).expect("base64 is a valid header value");
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(subprotocol) = subprotocol {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, subprotocol);
    }
    response
}

/// A final answer: the connection ends with it, so that one client cannot hold a place among the pending
/// handshakes by asking for the health again and again.
fn answer(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let has_body = !body.is_empty();
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    if has_body {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    }
    response
}
