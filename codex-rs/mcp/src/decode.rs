//! From a line of a server's stdout to messages.
//!
//! A line that is no message at all is what a stray `print` leaves, and skipping it loses nothing, since whole lines are
//! what arrives here. A message that can't be understood is never dropped in silence while somebody waits because of it:
//! an answer fails its request, a request is refused.

use std::borrow::Cow;

use rmcp::model::{ClientJsonRpcMessage, ErrorData, RequestId, ServerJsonRpcMessage};
use serde::Deserialize;
use serde_json::value::RawValue;

/// UTF-8's byte order mark, which some runtimes put before their first line.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// How much of a line that is skipped is quoted in the log.
const QUOTED_BYTES: usize = 200;

/// What a part of a line comes to.
#[derive(Debug)]
pub(crate) enum Decoded {
    /// A message.
    Message(ServerJsonRpcMessage),
    /// What the server is to be told instead of having its message handled.
    Refusal(ClientJsonRpcMessage),
    /// Nothing that anybody waits for; says why.
    Skipped(Cow<'static, str>),
}

/// The messages of a line: one, or several when it is a JSON-RPC batch.
pub(crate) fn decode(line: &[u8]) -> Vec<Decoded> {
    let line = line.strip_prefix(BOM).unwrap_or(line).trim_ascii();
    if line.is_empty() {
        return Vec::new();
    }
    if line.starts_with(b"[")
        && let Ok(batch) = serde_json::from_slice::<Vec<&RawValue>>(line)
    {
        return batch.into_iter().map(|part| decode_one(part.get().as_bytes())).collect();
    }
    vec![decode_one(line)]
}

/// What a message is about, as far as that can be told without understanding it.
#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    id: Option<RequestId>,
    #[serde(default)]
    method: Option<String>,
}

fn decode_one(json: &[u8]) -> Decoded {
    let error = match serde_json::from_slice(json) {
        Ok(message) => return Decoded::Message(message),
        Err(error) => error,
    };
    match serde_json::from_slice(json) {
        Ok(Envelope { id: Some(id), method: Some(method) }) => {
            let error = ErrorData::invalid_request(format!("{method} is not understood: {error}"), None);
            Decoded::Refusal(ClientJsonRpcMessage::error(error, Some(id)))
        }
        Ok(Envelope { id: Some(id), method: None }) => {
            let error = ErrorData::internal_error(
                format!("the MCP server's answer is not understood here: {error}"),
                None,
            );
            Decoded::Message(ServerJsonRpcMessage::error(error, Some(id)))
        }
        Ok(Envelope { id: None, method: Some(method) }) => {
            Decoded::Skipped(format!("notification {method} is not understood: {error}").into())
        }
        Ok(Envelope { id: None, method: None }) | Err(_) => {
            let quoted = &json[..json.len().min(QUOTED_BYTES)];
            Decoded::Skipped(format!("not a message: {}", String::from_utf8_lossy(quoted)).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What the parts of a line come to, each as the kind of it and the JSON.
    fn kinds(line: &str) -> Vec<(&'static str, Value)> {
        let kind = |decoded| match decoded {
            Decoded::Message(message) => ("message", serde_json::to_value(message).unwrap()),
            Decoded::Refusal(message) => ("refusal", serde_json::to_value(message).unwrap()),
            Decoded::Skipped(why) => ("skipped", Value::from(why)),
        };
        decode(line.as_bytes()).into_iter().map(kind).collect()
    }

    #[test]
    fn a_message_is_a_message_whatever_stands_around_it() {
        let pong = json!({"jsonrpc": "2.0", "id": 1, "result": {}});
        for line in [format!("{pong}"), format!(" {pong}\r"), format!("\u{feff}{pong}")] {
            assert_eq!(kinds(&line), [("message", pong.clone())], "{line:?}");
        }
        assert_eq!(kinds(" \r"), []);
    }

    #[test]
    fn a_batch_is_its_messages() {
        let [one, two] = [1, 2].map(|id| json!({"jsonrpc": "2.0", "id": id, "result": {}}));
        assert_eq!(kinds(&json!([one, two]).to_string()), [("message", one), ("message", two)]);
    }

    #[test]
    fn what_is_no_message_is_skipped_and_quoted() {
        for line in ["Server running on stdio", "[INFO] ready", "42", "{\"id\":", "{}"] {
            let [("skipped", why)] = &kinds(line)[..] else { panic!("{line}") };
            assert!(why.as_str().unwrap().contains(line), "{why}");
        }
    }

    #[test]
    fn an_answer_that_is_not_understood_fails_its_request() {
        let [("message", error)] = &kinds(r#"{"jsonrpc":"2.0","id":7,"result":{},"error":null}"#)[..] else {
            panic!("an error for request 7")
        };
        assert_eq!(error["id"], 7);
        assert!(error["error"]["message"].as_str().unwrap().contains("not understood"), "{error}");
    }

    #[test]
    fn a_request_that_is_not_understood_is_refused() {
        let line = r#"{"jsonrpc":"2.0","id":"a","method":"sampling/createMessage","result":1}"#;
        let [("refusal", error)] = &kinds(line)[..] else { panic!("a refusal") };
        assert_eq!((&error["id"], &error["error"]["code"]), (&json!("a"), &json!(-32600)));
    }

    #[test]
    fn a_notification_that_is_not_understood_is_skipped() {
        let line =
            r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":"x"},"error":1}"#;
        let [("skipped", why)] = &kinds(line)[..] else { panic!("skipped") };
        assert!(why.as_str().unwrap().contains("notifications/progress"), "{why}");
    }
}
