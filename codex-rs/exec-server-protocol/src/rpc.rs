//! The envelope: a JSON-RPC dialect without a `jsonrpc` member, one message per frame.
//!
//! [`Incoming::parse`] takes a message apart without decoding its parameters; the `encode_*` functions put one
//! together. Who may send what, and when, is decided elsewhere.

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use ts_rs::TS;

use crate::bytes::{encode_into, encoded_len};
use crate::error_code::RpcError;
use crate::ids::{ProcessId, Seq};
use crate::process::OutputStream;
use crate::scan::{ScanError, scan};

/// Matches an answer to its request. Client and server count in spaces of their own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, TS)]
#[serde(untagged)]
pub enum RequestId {
    /// Any signed 64-bit integer.
    Integer(#[ts(type = "number")] i64),
    /// Any string.
    String(String),
}

impl RequestId {
    /// What a message that could not be understood is answered to.
    pub const MALFORMED: Self = Self::Integer(-1);
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => number.fmt(f),
            Self::String(text) => write!(f, "{text:?}"),
        }
    }
}

/// W3C trace context that a request may carry. Its content is passed on as it is, never validated.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct TraceContext {
    /// `traceparent` header of W3C Trace Context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub traceparent: Option<String>,
    /// `tracestate` header of W3C Trace Context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub tracestate: Option<String>,
}

/// One message from the other side, its parameters or result still as JSON text.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// Wants an answer with the same id.
    Request {
        /// Chosen by the sender.
        id: RequestId,
        /// Name of the method, known or not.
        method: Cow<'a, str>,
        /// Absent means `null`.
        params: Option<&'a RawValue>,
        /// Trace context, if any.
        trace: Option<TraceContext>,
    },
    /// Wants no answer.
    Notification {
        /// Name of the notification, known or not.
        method: Cow<'a, str>,
        /// Absent means `null`.
        params: Option<&'a RawValue>,
    },
    /// Answers a request of ours.
    Response {
        /// Id of our request.
        id: RequestId,
        /// What the method returned, or why it failed.
        outcome: Result<&'a RawValue, RpcError>,
    },
}

/// Why a message is malformed. The text is for the `message` of the answer to id -1.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// A bound of [`crate::scan`] is passed, or a key repeats.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// Not JSON, or a member has the wrong type.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// JSON, but neither request, notification, response nor error.
    #[error("message is no request, notification, response or error")]
    Shape,
}

/// The members this dialect knows; all others, `jsonrpc` among them, are ignored.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    method: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    trace: Option<&'a RawValue>,
}

/// Unlike an `Option`'s own decoding, tells `null` from absence.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// An id from its JSON text. The integer `-0` is 0 here, where the JSON parser would make a float of it.
fn id(raw: &RawValue) -> Result<RequestId, serde_json::Error> {
    match raw.get().parse() {
        Ok(integer) => Ok(RequestId::Integer(integer)),
        Err(_) => serde_json::from_str(raw.get()),
    }
}

/// A name from its JSON text.
fn method(raw: &RawValue) -> Result<Cow<'_, str>, serde_json::Error> {
    let text = raw.get();
    match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        // The parser has seen that it is one string, so only escapes could change it.
        Some(plain) if memchr::memchr(b'\\', plain.as_bytes()).is_none() => Ok(Cow::Borrowed(plain)),
        _ => serde_json::from_str::<Text<'_>>(text).map(|text| text.0),
    }
}

/// A string that borrows from the message unless it had to be unescaped.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Incoming<'a> {
    /// Takes one message apart, after its bounds were checked.
    pub fn parse(message: &'a [u8]) -> Result<Self, ParseError> {
        scan(message)?;
        if message.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            // Serde would also take a struct from an array; this dialect has no batches and no positional envelopes.
            serde_json::from_slice::<serde::de::IgnoredAny>(message)?;
            return Err(ParseError::Shape);
        }
        let text = str::from_utf8(message);
        if let Ok(text) = text
            && text.len() <= SHORT_BYTES
            && let Some(usual) = usual_request(text)
        {
            return Ok(usual);
        }
        // Looked through once rather than member by member, if it is UTF-8 throughout, as all but what nobody reads must be.
        let envelope: Envelope<'a> = match text {
            Ok(text) => serde_json::from_str(text),
            Err(_) => serde_json::from_slice(message),
        }?;
        // What a kind of message does not need is not looked at: a request may carry a broken `error`.
        let trace = |raw: &RawValue| serde_json::from_str::<TraceContext>(raw.get());
        let params = envelope.params;
        Ok(match (envelope.id, envelope.method, envelope.result, envelope.error) {
            (Some(raw), Some(name), _, _) => {
                let trace = envelope.trace.map(trace).transpose()?;
                Self::Request { id: id(raw)?, method: method(name)?, params, trace }
            }
            (None, Some(name), _, _) => Self::Notification { method: method(name)?, params },
            (Some(raw), None, Some(result), _) => Self::Response { id: id(raw)?, outcome: Ok(result) },
            (Some(raw), None, None, Some(error)) => {
                let error = serde_json::from_str::<RpcError>(error.get())?;
                Self::Response { id: id(raw)?, outcome: Err(error) }
            }
            (_, None, _, _) => return Err(ParseError::Shape),
        })
    }
}

/// Longer messages are not tried as [`usual_request`]s: they gain nothing by it, and would be gone through twice where they
/// are none.
const SHORT_BYTES: usize = 4 << 10;

/// A request as nearly every client writes it: `id`, `method` and `params` in this order, with nothing between them. `None` for
/// any other message, which may be one all the same.
fn usual_request(message: &str) -> Option<Incoming<'_>> {
    let rest = message.strip_prefix(r#"{"id":"#)?;
    let (number, rest) = rest.split_at(rest.bytes().position(|byte| !byte.is_ascii_digit())?);
    // The parser refuses a number with a zero in front.
    if number.starts_with('0') && number.len() > 1 {
        return None;
    }
    let rest = rest.strip_prefix(r#","method":""#)?;
    let (method, rest) = rest.split_at(rest.bytes().position(|byte| !is_plain(byte))?);
    let params = rest.strip_prefix(r#"","params":"#)?.strip_suffix('}')?;
    // If there are more members, these are not one value.
    let params = serde_json::from_str::<&RawValue>(params).ok()?;
    let id = RequestId::Integer(number.parse().ok()?);
    Some(Incoming::Request { id, method: Cow::Borrowed(method), params: Some(params), trace: None })
}

/// What names of methods are made of.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'$' | b'_' | b'-' | b'.')
}

#[derive(Serialize)]
struct RequestOut<'a, P> {
    id: &'a RequestId,
    method: &'a str,
    params: &'a P,
}

#[derive(Serialize)]
struct NotificationOut<'a, P> {
    method: &'a str,
    params: &'a P,
}

#[derive(Serialize)]
struct ResultOut<'a, R> {
    id: &'a RequestId,
    result: &'a R,
}

#[derive(Serialize)]
struct ErrorOut<'a> {
    error: &'a RpcError,
    id: &'a RequestId,
}

pub(crate) fn to_json(value: &impl Serialize) -> String {
    // Wire types have string keys and no fallible serializers, which are the only ways to fail here.
    serde_json::to_string(value).expect("wire types always serialize")
}

/// Begins a successful answer whose result follows, and then a brace.
pub(crate) fn begin_result(text: &mut String, id: &RequestId) {
    text.push_str(r#"{"id":"#);
    match id {
        RequestId::Integer(number) => text.push_str(itoa::Buffer::new().format(*number)),
        RequestId::String(_) => text.push_str(&to_json(id)),
    }
    text.push_str(r#","result":"#);
}

/// A request as JSON text.
pub fn encode_request(id: &RequestId, method: &str, params: &impl Serialize) -> String {
    to_json(&RequestOut { id, method, params })
}

/// A notification as JSON text.
pub fn encode_notification(method: &str, params: &impl Serialize) -> String {
    to_json(&NotificationOut { method, params })
}

/// A successful answer as JSON text.
pub fn encode_result(id: &RequestId, result: &impl Serialize) -> String {
    to_json(&ResultOut { id, result })
}

/// A failed answer as JSON text.
pub fn encode_error(id: &RequestId, error: &RpcError) -> String {
    to_json(&ErrorOut { error, id })
}

/// A `process/output` notification that is about to become JSON text.
///
/// The hot path of a flood: its length is known beforehand and the chunk is encoded where the frame is put together.
/// Equal, byte for byte, to [`encode_notification`] of [`crate::process::ProcessOutputNotification`].
#[derive(Debug)]
pub struct OutputText<'a> {
    head: String,
    chunk: &'a [u8],
    tail: String,
}

impl<'a> OutputText<'a> {
    /// The output `chunk` of a process; with its `offset` if given.
    #[must_use]
    pub fn new(
        process_id: &ProcessId,
        seq: Seq,
        stream: OutputStream,
        offset: Option<u64>,
        chunk: &'a [u8],
    ) -> Self {
        let (process_id, seq, stream) = (to_json(process_id), seq.0, stream.as_str());
        Self {
            head: format!(
                r#"{{"method":"process/output","params":{{"processId":{process_id},"seq":{seq},"stream":"{stream}","chunk":""#
            ),
            chunk,
            tail: match offset {
                Some(offset) => format!(r#"","offset":{offset}}}}}"#),
                None => r#""}}"#.to_owned(),
            },
        }
    }

    /// How many bytes the text has.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.head.len() + encoded_len(self.chunk.len()) + self.tail.len()
    }

    /// Appends the text, which is UTF-8.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.head.as_bytes());
        encode_into(self.chunk, out);
        out.extend_from_slice(self.tail.as_bytes());
    }
}

#[cfg(test)]
#[path = "rpc_tests.rs"]
mod tests;
