//! `http/request`: an HTTP request that leaves from the server's machine, with its answer in one piece or as a stream.
//!
//! Shapes only. Which headers are refused, how redirects run and what is never sent is for the HTTP service.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::bytes::Base64Bytes;
use crate::ids::RequestKey;

/// Names a request on its connection, mainly to tell streams apart. Chosen by the client; a stream's name may not be
/// used for another stream while it runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, TS)]
#[serde(transparent)]
#[ts(type = "string")]
pub struct HttpRequestId(pub String);

/// Parameters of `http/request`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct HttpRequestParams {
    /// Any HTTP token, for example `GET`.
    pub method: String,
    /// An absolute `http` or `https` URL.
    pub url: String,
    /// In order; a name may repeat.
    #[serde(default)]
    #[ts(optional, as = "Option<Vec<HttpRequestHeader>>")]
    pub headers: Vec<HttpRequestHeader>,
    /// The body; absent means none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub body_base64: Option<Base64Bytes>,
    /// How long the exchange may take in all, a streamed body included; absent means for ever, 0 fails at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub timeout_ms: Option<u64>,
    /// What to do with a redirect.
    #[serde(default)]
    #[ts(optional, as = "Option<HttpRedirectPolicy>")]
    pub redirect_policy: HttpRedirectPolicy,
    /// Required of every request, but of importance only with `streamResponse`.
    pub request_id: HttpRequestId,
    /// Answer as soon as the headers are there, and send the body as `http/request/bodyDelta`.
    #[serde(default)]
    #[ts(optional, as = "Option<bool>")]
    pub stream_response: bool,
    /// A repeat of this request with the same key joins it or gets its answer. A streamed answer can't be given twice:
    /// its repeat is refused, and told that the request was sent. Flag `idempotentRequests`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub request_key: Option<RequestKey>,
    /// With `streamResponse`: how many bytes of the body may be sent before the client grants more with
    /// `http/request/bodyCredit`. Absent means any number. Flag `httpBodyCredit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub credit_bytes: Option<u64>,
}

/// One header of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct HttpRequestHeader {
    /// Name, in any case.
    pub name: String,
    /// Value, or the beginning of it.
    pub value: String,
    /// Name of a variable in the server's environment whose content is put behind `value`. Missing, empty and
    /// credential-bearing variables are refused with -32602.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub value_env_var: Option<String>,
}

/// What to do with a redirect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub enum HttpRedirectPolicy {
    /// Go along, ten times at most.
    #[default]
    Follow,
    /// Return the redirect itself.
    Stop,
}

/// Result of `http/request`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct HttpRequestResponse {
    /// Status code.
    pub status: u16,
    /// Headers with lower-case names; those whose value is no text are left out.
    pub headers: Vec<HttpHeader>,
    /// The whole body; empty for a streamed one.
    pub body_base64: Base64Bytes,
}

/// One header of a response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct HttpHeader {
    /// Name, in lower case.
    pub name: String,
    /// Value.
    pub value: String,
}

/// Parameters of the notification `http/request/bodyDelta`: a piece of a streamed body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct HttpBodyDeltaNotification {
    /// The stream.
    pub request_id: HttpRequestId,
    /// Number of this piece, from 1 without gaps.
    #[ts(type = "number")]
    pub seq: u64,
    /// The bytes; empty in the last piece.
    pub delta_base64: Base64Bytes,
    /// Whether this is the last piece.
    #[serde(default)]
    pub done: bool,
    /// Why the body broke off; only in a last piece, and null if it is complete.
    #[serde(default)]
    pub error: Option<String>,
    /// What kind of failure that was; absent from the reference peer. Flag `httpFailureCause`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub cause: Option<HttpFailureCause>,
}

/// What kept an HTTP exchange from its end: `data.cause` of a failed `http/request`, and `cause` of a body's last piece.
/// Flag `httpFailureCause`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub enum HttpFailureCause {
    /// The name of the host, or of the proxy, has no address. Nothing was sent.
    Dns,
    /// No connection to the host, or to the proxy. Nothing was sent.
    Connect,
    /// There is a connection, but no agreement on its encryption, or no trust in the certificate. Nothing was sent.
    Tls,
    /// The request's `timeoutMs` ran out.
    Timeout,
    /// More redirects than are followed, or one that leads to no `http` or `https` URL.
    Redirect,
    /// The connection broke off, or what came is no HTTP. The request may have taken effect.
    Protocol,
    /// The body is larger than what a buffered answer may hold.
    TooLarge,
    /// The client cancelled the request or its body.
    Cancelled,
}

/// Parameters of the notification `http/request/bodyCredit`: the server may send more of a streamed body that was
/// requested with `creditBytes`. For a body that is over, or unknown, it means nothing. Flag `httpBodyCredit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct HttpBodyCreditNotification {
    /// The stream.
    pub request_id: HttpRequestId,
    /// How many bytes more.
    #[ts(type = "number")]
    pub bytes: u64,
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
