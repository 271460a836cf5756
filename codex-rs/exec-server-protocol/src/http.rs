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
    /// A repeat of this request with the same key joins it or gets its answer. Flag `idempotentRequests`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub request_key: Option<RequestKey>,
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
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
