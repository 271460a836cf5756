//! What the limit understands of the protocol: the parameters of three requests, and three notifications.

use std::borrow::Cow;

use base64_simd::{Out, STANDARD};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::BenchError;

#[derive(Deserialize)]
pub(super) struct Request<'a> {
    pub(super) id: Option<i64>,
    #[serde(borrow)]
    pub(super) method: &'a str,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StartParams<'a> {
    pub(super) process_id: &'a str,
    pub(super) argv: Vec<Cow<'a, str>>,
    pub(super) tty: bool,
    pub(super) pipe_stdin: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfProcess<'a> {
    process_id: &'a str,
    #[serde(default)]
    chunk: &'a str,
}

#[derive(Deserialize)]
struct OfPath<'a> {
    path: &'a str,
}

impl<'a> Request<'a> {
    fn params<T: Deserialize<'a>>(&self) -> Option<T> {
        serde_json::from_str(self.params?.get()).ok()
    }

    pub(super) fn start_params(&self) -> Result<StartParams<'a>, BenchError> {
        self.params().ok_or_else(|| BenchError::Protocol("a start that the limit can't read".to_owned()))
    }

    /// The process, and the bytes for it.
    pub(super) fn write_params(&self) -> Option<(&'a str, Vec<u8>)> {
        let params: OfProcess<'a> = self.params()?;
        Some((params.process_id, STANDARD.decode_to_vec(params.chunk).ok()?))
    }

    pub(super) fn process_id(&self) -> Option<&'a str> {
        self.params().map(|params: OfProcess<'a>| params.process_id)
    }

    /// The result of whatever needs no process.
    pub(super) fn answer(&self) -> String {
        match self.method {
            "initialize" => r#"{"sessionId":"limit"}"#.to_owned(),
            "environment/status" => r#"{"status":"ready"}"#.to_owned(),
            "process/read" => {
                r#"{"chunks":[],"nextSeq":3,"exited":true,"exitCode":0,"closed":true}"#.to_owned()
            }
            "fs/getMetadata" => self.metadata().unwrap_or_else(|| "null".to_owned()),
            _ => "{}".to_owned(),
        }
    }

    fn metadata(&self) -> Option<String> {
        let params: OfPath<'a> = self.params()?;
        let found = std::fs::metadata(params.path.strip_prefix("file://")?).ok()?;
        let modified = found.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?.as_millis();
        Some(format!(
            r#"{{"isDirectory":{},"isFile":{},"isSymlink":false,"size":{},"createdAtMs":0,"modifiedAtMs":{modified}}}"#,
            found.is_dir(),
            found.is_file(),
            found.len()
        ))
    }
}

/// `process/output`
pub(super) fn output(process_id: &str, seq: u64, stream: &str, bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(STANDARD.encoded_length(bytes.len()) + 160 + process_id.len());
    text.extend_from_slice(
        format!(
            r#"{{"method":"process/output","params":{{"processId":"{process_id}","seq":{seq},"stream":"{stream}","chunk":""#
        )
        .as_bytes(),
    );
    let start = text.len();
    text.resize(start + STANDARD.encoded_length(bytes.len()), 0);
    let _ = STANDARD.encode(bytes, Out::from_slice(&mut text[start..]));
    text.extend_from_slice(br#""}}"#);
    text
}

/// `process/exited` or `process/closed`, with `more` members.
pub(super) fn ending(what: &str, process_id: &str, seq: u64, more: &str) -> String {
    format!(r#"{{"method":"process/{what}","params":{{"processId":"{process_id}","seq":{seq}{more}}}}}"#)
}
