//! From the parameters of `http/request` to something that can be sent.
//!
//! Everything that can be refused without asking anybody is refused here, in the reference peer's order and words.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use codex_exec_server_core::error::ServiceError;
use codex_exec_server_protocol::bytes::Base64Bytes;
use codex_exec_server_protocol::http::{HttpRequestHeader, HttpRequestParams};
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Response, Url};

use super::failure;
use crate::env::Environment;

/// Variables whose content is never sent, whatever their case. They open accounts, and nobody who may ask for a request
/// needs them in a header.
const PRIVATE_VARIABLES: [&str; 14] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "AZURE_CLIENT_SECRET",
    "AZURE_FEDERATED_TOKEN_FILE",
    "CODEX_ACCESS_TOKEN",
    "CODEX_API_KEY",
    "CODEX_CONNECTORS_TOKEN",
    "CODEX_EXEC_SERVER_NOISE_AUTH_TOKEN",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "OPENAI_API_KEY",
    "AZURE_PASSWORD",
];
/// Variables that begin like this are settings of the server, credentials among them.
const PRIVATE_PREFIX: &str = "CODEX_EXEC_SERVER_";
/// Headers of one request; well beyond what any server takes, and below where a map of headers has its end.
const MAX_HEADERS: usize = 4_096;

/// A request that was checked.
#[derive(Debug)]
pub(super) struct Outgoing {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Option<bytes::Bytes>,
}

impl Outgoing {
    /// Checks everything that can be checked. `environment` is the server's.
    pub(super) fn check(params: HttpRequestParams, environment: &Environment) -> Result<Self, ServiceError> {
        let method = Method::from_bytes(params.method.as_bytes())
            .map_err(|error| refused(format!("http/request method is invalid: {error}")))?;
        let url = Url::parse(&params.url)
            .map_err(|error| refused(format!("http/request url is invalid: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            let scheme = url.scheme();
            return Err(refused(format!("http/request only supports http and https URLs, got {scheme}")));
        }
        let body = params.body_base64.map(Base64Bytes::into_bytes);
        if params.headers.len() > MAX_HEADERS {
            let count = params.headers.len();
            return Err(refused(format!("http/request has {count} headers, more than {MAX_HEADERS}")));
        }
        let mut headers = HeaderMap::new();
        for header in &params.headers {
            let (name, value) = checked(header, environment)?;
            if name == CONTENT_LENGTH {
                agree_on_length(&value, body.as_ref().map_or(0, bytes::Bytes::len))?;
            }
            headers.append(name, value);
        }
        Ok(Self { method, url, headers, body })
    }

    /// Whether something of it comes from the server's environment.
    pub(super) fn has_secrets(&self) -> bool {
        self.headers.values().any(HeaderValue::is_sensitive)
    }

    /// Sends it and waits for the headers of the answer.
    ///
    /// A connection that was kept may be closed by the other side at the moment at which it is used again. What may be
    /// repeated without doing anything twice (RFC 9110 §9.2.2) is then sent a second time, so that nobody sees that.
    pub(super) async fn send(self, client: &Client) -> reqwest::Result<Response> {
        // The builder makes a header of what the URL says of a user, and appends what it is given.
        let mut request = client.request(self.method, self.url);
        if let Some(body) = self.body {
            request = request.body(body);
        }
        let mut request = request.build()?;
        let mut previous = None;
        for (name, value) in self.headers {
            // Only the first of several values comes with its name.
            previous = name.or(previous);
            if let Some(name) = &previous {
                request.headers_mut().append(name.clone(), value);
            }
        }
        let again = if request.method().is_idempotent() { request.try_clone() } else { None };
        match (client.execute(request).await, again) {
            (Err(error), Some(again)) if failure::was_left_unanswered(&error) => client.execute(again).await,
            (outcome, _) => outcome,
        }
    }
}

fn refused(text: String) -> ServiceError {
    ServiceError::InvalidArgument(text)
}

/// Another length than the body's would leave the other side waiting, or with a request that nobody made.
fn agree_on_length(value: &HeaderValue, bytes: usize) -> Result<(), ServiceError> {
    let said = value.to_str().ok().and_then(|text| text.trim().parse::<usize>().ok());
    if said == Some(bytes) {
        return Ok(());
    }
    Err(refused(format!("http/request header content-length does not say {bytes}, the length of the body")))
}

fn checked(
    header: &HttpRequestHeader,
    environment: &Environment,
) -> Result<(HeaderName, HeaderValue), ServiceError> {
    let name = HeaderName::from_bytes(header.name.as_bytes())
        .map_err(|error| refused(format!("http/request header name is invalid: {error}")))?;
    let mut value = header.value.clone().into_bytes();
    if let Some(variable) = &header.value_env_var {
        value.extend_from_slice(looked_up(&header.name, variable, environment)?.as_bytes());
    }
    let mut value = HeaderValue::from_bytes(&value).map_err(|error| {
        refused(format!("http/request header value is invalid for {}: {error}", header.name))
    })?;
    // What must not be remembered by anybody on the way, such as an index of an HTTP/2 connection.
    value.set_sensitive(header.value_env_var.is_some());
    Ok((name, value))
}

fn looked_up<'a>(
    header: &str,
    variable: &str,
    environment: &'a Environment,
) -> Result<&'a OsStr, ServiceError> {
    let upper = variable.to_ascii_uppercase();
    if PRIVATE_VARIABLES.contains(&upper.as_str()) || upper.starts_with(PRIVATE_PREFIX) {
        return Err(refused(format!(
            "http/request header {header} cannot use executor environment variable {variable}"
        )));
    }
    match environment.get(OsStr::new(variable)) {
        None => Err(refused(format!(
            "http/request header {header} requires executor environment variable {variable}"
        ))),
        Some(value) if value.is_empty() => Err(refused(format!(
            "http/request header {header} requires a non-empty executor environment variable {variable}"
        ))),
        Some(value) => Ok(value),
    }
}

#[cfg(test)]
#[path = "outgoing_tests.rs"]
mod tests;
