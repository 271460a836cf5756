//! The few messages that the rows tell apart, and the parameters of the one call that most of them make.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::BenchError;

/// One message from the server. What no row asks about is [`Message::Other`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message<'a> {
    /// `result` is its JSON text.
    Reply {
        id: i64,
        result: &'a str,
    },
    Refused {
        id: i64,
        code: i64,
        message: String,
    },
    Output {
        process_id: String,
        seq: u64,
        bytes: Vec<u8>,
    },
    Exited {
        process_id: String,
        seq: u64,
        exit_code: i64,
    },
    Closed {
        process_id: String,
        seq: u64,
    },
    Other,
}

/// `process/start`: the command, with stdin closed and pipes unless said otherwise, in `/`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StartParams<'a> {
    process_id: &'a str,
    argv: &'a [&'a str],
    cwd: &'static str,
    env: BTreeMap<&'static str, &'static str>,
    tty: bool,
    pipe_stdin: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    sandbox: Option<&'a Value>,
}

impl<'a> StartParams<'a> {
    /// The environment is empty, as it is for the raw side.
    pub(crate) fn new(process_id: &'a str, argv: &'a [&'a str]) -> Self {
        Self {
            process_id,
            argv,
            cwd: "file:///",
            env: BTreeMap::new(),
            tty: false,
            pipe_stdin: false,
            sandbox: None,
        }
    }

    pub(crate) fn with_tty(mut self) -> Self {
        self.tty = true;
        self.env.insert("PATH", "/usr/local/bin:/usr/bin:/bin");
        self
    }

    pub(crate) fn with_stdin(mut self) -> Self {
        self.pipe_stdin = true;
        self
    }

    /// Confined, where a context is given.
    pub(crate) fn with_sandbox(mut self, context: Option<&'a Value>) -> Self {
        self.sandbox = context;
        self
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    id: Option<i64>,
    method: Option<String>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<ErrorObject>,
}

#[derive(Deserialize)]
struct ErrorObject {
    code: i64,
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    process_id: String,
    seq: u64,
    #[serde(default)]
    exit_code: i64,
    #[serde(default)]
    chunk: String,
}

impl<'a> Message<'a> {
    pub(crate) fn parse(payload: &'a [u8]) -> Result<Self, BenchError> {
        let envelope: Envelope<'a> = decode(payload)?;
        match envelope {
            Envelope { id: Some(id), error: Some(error), .. } => {
                Ok(Self::Refused { id, code: error.code, message: error.message })
            }
            Envelope { id: Some(id), method: None, result: Some(result), .. } => {
                Ok(Self::Reply { id, result: result.get() })
            }
            Envelope { id: None, method: Some(method), params: Some(params), .. } => {
                let event = |params: &RawValue| decode::<Event>(params.get().as_bytes());
                Ok(match method.as_str() {
                    "process/output" => {
                        let Event { process_id, seq, chunk, .. } = event(params)?;
                        let bytes = base64_simd::STANDARD
                            .decode_to_vec(chunk)
                            .map_err(|_| BenchError::Protocol(format!("output {seq} is not base64")))?;
                        Self::Output { process_id, seq, bytes }
                    }
                    "process/exited" => {
                        let Event { process_id, seq, exit_code, .. } = event(params)?;
                        Self::Exited { process_id, seq, exit_code }
                    }
                    "process/closed" => {
                        let Event { process_id, seq, .. } = event(params)?;
                        Self::Closed { process_id, seq }
                    }
                    _ => Self::Other,
                })
            }
            _ => Ok(Self::Other),
        }
    }
}

fn decode<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, BenchError> {
    serde_json::from_slice(payload)
        .map_err(|error| BenchError::Protocol(format!("undecodable message: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Message<'_> {
        Message::parse(text.as_bytes()).expect("the message is well formed")
    }

    #[test]
    fn each_kind_of_message_is_told_apart() {
        let p = || "p".to_owned();
        assert_eq!(parse(r#"{"id":4,"result":{"a":1}}"#), Message::Reply { id: 4, result: r#"{"a":1}"# });
        assert_eq!(
            parse(r#"{"error":{"code":-32600,"message":"no"},"id":4}"#),
            Message::Refused { id: 4, code: -32600, message: "no".to_owned() }
        );
        assert_eq!(
            parse(
                r#"{"method":"process/output","params":{"processId":"p","seq":1,"stream":"pty","chunk":"aGk="}}"#
            ),
            Message::Output { process_id: p(), seq: 1, bytes: b"hi".to_vec() }
        );
        assert_eq!(
            parse(r#"{"method":"process/exited","params":{"processId":"p","seq":2,"exitCode":3}}"#),
            Message::Exited { process_id: p(), seq: 2, exit_code: 3 }
        );
        assert_eq!(
            parse(r#"{"method":"process/closed","params":{"processId":"p","seq":3}}"#),
            Message::Closed { process_id: p(), seq: 3 }
        );
        assert_eq!(parse(r#"{"id":1,"method":"network/policyRequest","params":{}}"#), Message::Other);
        assert_eq!(parse(r#"{"method":"news","params":{}}"#), Message::Other);
    }

    #[test]
    fn what_is_no_message_is_an_error() {
        assert!(Message::parse(b"[]").is_err());
        assert!(Message::parse(br#"{"method":"process/closed","params":{}}"#).is_err());
    }
}
