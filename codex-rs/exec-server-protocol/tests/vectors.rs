//! The shared examples of `schema/vectors/`: every message is understood, refused or called malformed as they say, and
//! every row of the method table has an example.

use std::collections::BTreeSet;

use codex_exec_server_protocol::bytes::Base64Bytes;
use codex_exec_server_protocol::error_code::{ErrorCode, RpcError};
use codex_exec_server_protocol::methods::{
    ClientNotification, ClientRequest, DecodeError, Method, ServerNotification, ServerRequest,
};
use codex_exec_server_protocol::rpc::{Incoming, RequestId, TraceContext};
use codex_exec_server_protocol::table::{RowVisitor, Wire};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

const FILES: [(&str, &str); 5] = [
    ("requests", include_str!("../../../schema/vectors/requests.json")),
    ("refused", include_str!("../../../schema/vectors/refused.json")),
    ("notifications", include_str!("../../../schema/vectors/notifications.json")),
    ("responses", include_str!("../../../schema/vectors/responses.json")),
    ("malformed", include_str!("../../../schema/vectors/malformed.json")),
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    from: Side,
    text: Option<Text>,
    bytes: Option<Base64Bytes>,
    /// For readers in other languages; nothing is beyond this one.
    #[serde(rename = "needs")]
    _needs: Option<Needs>,
    expect: Expect,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Side {
    Client,
    Server,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Needs {
    Int64,
    Decoder,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Text {
    Whole(String),
    Pieces(Vec<Piece>),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Piece {
    Plain(String),
    Repeated { repeat: String, times: usize },
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", deny_unknown_fields)]
enum Expect {
    Request { id: RequestId, method: String, params: Value, trace: Option<TraceContext> },
    Notification { method: String, params: Value },
    Result { id: RequestId, method: String, result: Value },
    Error { id: RequestId, error: RpcError },
    Refused { id: RequestId, code: i64 },
    UnknownNotification { method: String },
    BadNotification { method: String },
    Malformed { id: RequestId, code: i64 },
}

fn cases() -> impl Iterator<Item = (&'static str, Case)> {
    FILES.into_iter().flat_map(|(file, text)| {
        let cases: Vec<Case> = serde_json::from_str(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        cases.into_iter().map(move |case| (file, case))
    })
}

impl Case {
    fn message(&self) -> Vec<u8> {
        match (&self.text, &self.bytes) {
            (Some(Text::Whole(text)), None) => text.clone().into_bytes(),
            (Some(Text::Pieces(pieces)), None) => pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Plain(text) => text.clone(),
                    Piece::Repeated { repeat, times } => repeat.repeat(*times),
                })
                .collect::<String>()
                .into_bytes(),
            (None, Some(bytes)) => bytes.to_vec(),
            _ => panic!("{}: either text or bytes", self.name),
        }
    }
}

/// Decodes a row's parameters or answer and encodes them again.
struct Recode<'a> {
    method: &'a str,
    json: &'a str,
    answer: bool,
    outcome: Option<Result<Value, serde_json::Error>>,
}

impl Recode<'_> {
    fn through<T: Wire>(&mut self) {
        self.outcome = Some(serde_json::from_str::<T>(self.json).and_then(serde_json::to_value));
    }
}

impl RowVisitor for Recode<'_> {
    fn request<M: Method>(&mut self) {
        if M::NAME == self.method {
            if self.answer { self.through::<M::Response>() } else { self.through::<M::Params>() }
        }
    }

    fn notification<P: Wire>(&mut self, name: &'static str, _: &'static str) {
        if name == self.method {
            self.through::<P>();
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Params,
    Answer,
    Notification,
}

fn recode(from: Side, kind: Kind, method: &str, json: &str) -> Value {
    let mut recode = Recode { method, json, answer: kind == Kind::Answer, outcome: None };
    match (from, kind) {
        // An answer belongs to a request of the other side.
        (Side::Client, Kind::Params) | (Side::Server, Kind::Answer) => ClientRequest::visit(&mut recode),
        (Side::Server, Kind::Params) | (Side::Client, Kind::Answer) => ServerRequest::visit(&mut recode),
        (Side::Client, Kind::Notification) => ClientNotification::visit(&mut recode),
        (Side::Server, Kind::Notification) => ServerNotification::visit(&mut recode),
    }
    recode
        .outcome
        .unwrap_or_else(|| panic!("no method {method}"))
        .unwrap_or_else(|error| panic!("{method}: {error}"))
}

fn text(json: Option<&RawValue>) -> &str {
    json.map_or("null", RawValue::get)
}

/// What the crate makes of a message. `answers` is the method that a response belongs to.
fn observe(from: Side, message: &[u8], answers: Option<&str>) -> Expect {
    let incoming = match Incoming::parse(message) {
        Ok(incoming) => incoming,
        Err(_) => {
            return Expect::Malformed { id: RequestId::MALFORMED, code: ErrorCode::InvalidRequest.number() };
        }
    };
    match incoming {
        Incoming::Request { id, method, params, trace } => {
            let decoded = match from {
                Side::Client => ClientRequest::decode(&method, params).map(|request| request.method()),
                Side::Server => ServerRequest::decode(&method, params).map(|request| request.method()),
            };
            match decoded {
                Ok(name) => {
                    let params = recode(from, Kind::Params, name, text(params));
                    Expect::Request { id, method: name.to_owned(), params, trace }
                }
                Err(DecodeError::UnknownMethod(_)) => {
                    Expect::Refused { id, code: ErrorCode::MethodNotFound.number() }
                }
                Err(DecodeError::InvalidParams(_)) => {
                    Expect::Refused { id, code: ErrorCode::InvalidParams.number() }
                }
            }
        }
        Incoming::Notification { method, params } => {
            let encoded = match from {
                Side::Client => ClientNotification::decode(&method, params).map(|note| note.encode()),
                Side::Server => ServerNotification::decode(&method, params).map(|note| note.encode()),
            };
            let method = method.into_owned();
            match encoded {
                Ok(encoded) => {
                    let params = recode(from, Kind::Notification, &method, text(params));
                    let whole: Value =
                        serde_json::from_str(&encoded).expect("a notification encodes as JSON");
                    assert_eq!(whole, serde_json::json!({ "method": method, "params": params }));
                    Expect::Notification { method, params }
                }
                Err(DecodeError::UnknownMethod(_)) => Expect::UnknownNotification { method },
                Err(DecodeError::InvalidParams(_)) => Expect::BadNotification { method },
            }
        }
        Incoming::Response { id, outcome: Ok(result) } => {
            let method = answers.expect("only an expected result is one");
            let result = recode(from, Kind::Answer, method, result.get());
            Expect::Result { id, method: method.to_owned(), result }
        }
        Incoming::Response { id, outcome: Err(error) } => Expect::Error { id, error },
    }
}

#[test]
fn every_message_is_taken_as_its_example_says() {
    for (file, case) in cases() {
        let answers = match &case.expect {
            Expect::Result { method, .. } => Some(method.as_str()),
            _ => None,
        };
        let observed = observe(case.from, &case.message(), answers);
        assert_eq!(observed, case.expect, "{file}: {}", case.name);
    }
}

#[test]
fn what_an_example_expects_is_written_as_it_would_be_sent() {
    for (file, case) in cases() {
        let (kind, method, json) = match &case.expect {
            Expect::Request { method, params, .. } => (Kind::Params, method, params),
            Expect::Notification { method, params } => (Kind::Notification, method, params),
            Expect::Result { method, result, .. } => (Kind::Answer, method, result),
            _ => continue,
        };
        assert_eq!(recode(case.from, kind, method, &json.to_string()), *json, "{file}: {}", case.name);
    }
}

#[test]
fn no_two_examples_of_a_file_share_a_name() {
    let mut seen = BTreeSet::new();
    for (file, case) in cases() {
        assert!(seen.insert((file, case.name.clone())), "{file}: {}", case.name);
    }
}

/// The rows that still have no example.
#[derive(Default)]
struct Uncovered {
    params: BTreeSet<&'static str>,
    answers: BTreeSet<&'static str>,
    notifications: BTreeSet<&'static str>,
}

impl RowVisitor for Uncovered {
    fn request<M: Method>(&mut self) {
        self.params.insert(M::NAME);
        self.answers.insert(M::NAME);
    }

    fn notification<P: Wire>(&mut self, name: &'static str, _: &'static str) {
        self.notifications.insert(name);
    }
}

#[test]
fn every_row_of_the_method_table_has_an_example() {
    let mut left = Uncovered::default();
    ClientRequest::visit(&mut left);
    ServerRequest::visit(&mut left);
    ClientNotification::visit(&mut left);
    ServerNotification::visit(&mut left);
    for (_, case) in cases() {
        match &case.expect {
            Expect::Request { method, .. } => left.params.remove(method.as_str()),
            Expect::Result { method, .. } => left.answers.remove(method.as_str()),
            Expect::Notification { method, .. } => left.notifications.remove(method.as_str()),
            _ => continue,
        };
    }
    assert_eq!((left.params, left.answers, left.notifications), Default::default());
}
