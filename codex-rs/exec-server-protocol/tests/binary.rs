//! The binary messages of `schema/vectors/binary.json`: each says what a message in JSON says, or is refused for the fault
//! it has; and encoding what it says gives the same bytes.

use std::collections::BTreeSet;

use bytes::Bytes;
use codex_exec_server_protocol::binary::{BinaryError, BinaryMessage, Head, Pack};
use codex_exec_server_protocol::methods::ServerNotification;
use codex_exec_server_protocol::rpc::encode_result;
use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    hex: String,
    /// The message in JSON that says the same.
    says: Option<Value>,
    /// What a body or a block says beyond that.
    offset: Option<u64>,
    /// What is wrong with it.
    fault: Option<String>,
    /// For readers in other languages; nothing is beyond this one.
    #[serde(rename = "needs")]
    _needs: Option<String>,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../../../schema/vectors/binary.json")).expect("a list of cases")
}

fn bytes(hex: &str) -> Bytes {
    assert!(hex.len().is_multiple_of(2), "{hex}");
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex digits"))
        .collect()
}

/// What a message says, in JSON and beyond it.
fn told(message: BinaryMessage) -> (Value, Option<u64>) {
    let (json, offset) = match message {
        BinaryMessage::Pack(records) => {
            return (records.into_iter().map(|record| told(BinaryMessage::Output(record)).0).collect(), None);
        }
        BinaryMessage::Output(output) => (ServerNotification::ProcessOutput(output).encode(), None),
        BinaryMessage::Body { offset, delta } => {
            (ServerNotification::HttpBodyDelta(delta).encode(), Some(offset))
        }
        BinaryMessage::Block { id, offset, response } => (encode_result(&id, &response), Some(offset)),
        BinaryMessage::Range { id, offset, response } => (encode_result(&id, &response), Some(offset)),
    };
    (serde_json::from_str(&json).expect("it is JSON"), offset)
}

const fn fault(error: &BinaryError) -> &'static str {
    match error {
        BinaryError::Header { .. } => "header",
        BinaryError::Kind(_) => "kind",
        BinaryError::Detail { .. } => "detail",
        BinaryError::Seq { .. } => "seq",
        BinaryError::Length { .. } => "length",
        BinaryError::Name => "name",
        BinaryError::RequestId(_) => "requestId",
        BinaryError::Range(_) => "range",
    }
}

/// Encodes what was decoded.
fn encoded(message: &BinaryMessage) -> Vec<u8> {
    let (head, payload) = match message {
        BinaryMessage::Pack(records) => {
            let mut pack = Pack::default();
            for record in records {
                pack.push(&encoded(&BinaryMessage::Output(record.clone())), /*payload*/ &[]);
            }
            return pack.take().expect("there is something in it").to_vec();
        }
        BinaryMessage::Output(output) => {
            let (process_id, offset) = (&output.process_id, output.offset.expect("it is always told"));
            let head = Head::Output { process_id, seq: output.seq, stream: output.stream, offset };
            (head, &output.chunk)
        }
        BinaryMessage::Body { offset, delta } => {
            let (request_id, seq, done) = (&delta.request_id, delta.seq, delta.done);
            (Head::Body { request_id, seq, offset: *offset, done }, &delta.delta_base64)
        }
        BinaryMessage::Block { id, offset, response } => {
            (Head::Block { id, offset: *offset, eof: response.eof }, &response.chunk)
        }
        BinaryMessage::Range { id, offset, response } => {
            let (eof, size, etag) = (response.eof, response.size, response.etag.as_str());
            (Head::Range { id, offset: *offset, eof, size, etag }, &response.data_base64)
        }
    };
    let mut bytes = head.encode(payload.len()).expect("it fits");
    bytes.extend_from_slice(payload);
    bytes
}

#[test]
fn every_message_says_what_its_example_says_and_is_written_so() {
    for case in cases() {
        let message = bytes(&case.hex);
        let decoded = BinaryMessage::decode(&message);
        match (decoded, case.says, case.fault) {
            (Ok(decoded), Some(says), None) => {
                assert!(BinaryMessage::is_one(&message), "{}", case.name);
                assert_eq!(encoded(&decoded), message, "{}", case.name);
                assert_eq!(told(decoded), (says, case.offset), "{}", case.name);
            }
            (Err(error), None, Some(expected)) => assert_eq!(fault(&error), expected, "{}", case.name),
            (decoded, ..) => panic!("{}: {decoded:?}", case.name),
        }
    }
}

#[test]
fn no_two_examples_share_a_name() {
    let mut seen = BTreeSet::new();
    for case in cases() {
        assert!(seen.insert(case.name.clone()), "{}", case.name);
    }
}
