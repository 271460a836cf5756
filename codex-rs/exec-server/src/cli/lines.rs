//! A process's events as lines of JSON, one event each: what `--json` of `run`, `attach` and `logs` writes. The shapes
//! are described in `docs/command-line.md`.

use bytes::Bytes;
use codex_exec_server_core::process_event::{ExecProcessEvent, Exit, Proof};
use codex_exec_server_protocol::bytes::Base64Bytes;
use codex_exec_server_protocol::ids::{ProcessId, Seq, SessionId};
use codex_exec_server_protocol::process::{ExitReason, OutputStream, ProcessUsage, SandboxDenial};
use serde::Serialize;

/// One line.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "type")]
pub(super) enum Line<'a> {
    /// The process is there. Always the first.
    Started {
        /// Names it on this machine, if it is remembered.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        session_id: &'a SessionId,
        process_id: &'a ProcessId,
    },
    /// Output.
    Output {
        seq: Seq,
        stream: OutputStream,
        #[serde(flatten)]
        data: Data<'a>,
    },
    /// Output that nobody holds any more.
    Gap {
        through_seq: Seq,
        #[serde(skip_serializing_if = "Option::is_none")]
        bytes: Option<u64>,
    },
    /// The process itself ended.
    Exited {
        seq: Seq,
        exit_code: i32,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<ExitReason>,
        #[serde(skip_serializing_if = "Option::is_none")]
        signal: Option<i32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        sandbox_denied: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        usage: Option<ProcessUsage>,
        #[serde(skip_serializing_if = "Option::is_none")]
        denials: Option<&'a [SandboxDenial]>,
    },
    /// Nothing follows.
    Closed { seq: Seq, proof: &'static str },
    /// This command goes and the process runs on.
    Left {
        /// The command that attaches again.
        attach: &'a [String],
    },
    /// This command failed.
    Failed { message: &'a str },
}

/// Output as text where it is UTF-8, and in base64 otherwise.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Data<'a> {
    Text(&'a str),
    Base64(Base64Bytes),
}

impl<'a> From<&'a ExecProcessEvent> for Line<'a> {
    fn from(event: &'a ExecProcessEvent) -> Self {
        match event {
            ExecProcessEvent::Output { seq, stream, bytes } => {
                let data = match std::str::from_utf8(bytes) {
                    Ok(text) => Data::Text(text),
                    Err(_) => Data::Base64(bytes.clone().into()),
                };
                Self::Output { seq: *seq, stream: *stream, data }
            }
            ExecProcessEvent::Gap { through, bytes } => Self::Gap { through_seq: *through, bytes: *bytes },
            ExecProcessEvent::Exited { seq, exit } => {
                let Exit { code, sandbox_denied, reason, signal, usage, ref denials } = *exit;
                let denials = denials.as_deref();
                Self::Exited { seq: *seq, exit_code: code, reason, signal, sandbox_denied, usage, denials }
            }
            ExecProcessEvent::Closed { seq, proof } => {
                let proof = match proof {
                    Proof::Checksum => "checksum",
                    Proof::Length => "length",
                    Proof::Numbering => "numbering",
                    Proof::Gap => "gap",
                };
                Self::Closed { seq: *seq, proof }
            }
        }
    }
}

impl Line<'_> {
    /// With its line end.
    pub(super) fn to_bytes(&self) -> Bytes {
        let mut line =
            serde_json::to_vec(self).expect("there is nothing in a line that JSON has no words for");
        line.push(b'\n');
        line.into()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn line(event: ExecProcessEvent) -> Value {
        let bytes = Line::from(&event).to_bytes();
        assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 1);
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn output_is_text_where_it_can_be() {
        let output = |bytes: &'static [u8]| {
            line(ExecProcessEvent::Output {
                seq: Seq(3),
                stream: OutputStream::Stderr,
                bytes: Bytes::from_static(bytes),
            })
        };
        assert_eq!(
            output("ä\n".as_bytes()),
            json!({"type": "output", "seq": 3, "stream": "stderr", "text": "ä\n"})
        );
        assert_eq!(
            output(b"\xff\x00"),
            json!({"type": "output", "seq": 3, "stream": "stderr", "base64": "/wA="})
        );
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let exit = Exit {
            code: 137,
            sandbox_denied: None,
            reason: Some(ExitReason::Signalled),
            signal: Some(9),
            usage: None,
            denials: None,
        };
        assert_eq!(
            line(ExecProcessEvent::Exited { seq: Seq(4), exit }),
            json!({"type": "exited", "seq": 4, "exitCode": 137, "reason": "signalled", "signal": 9})
        );
        assert_eq!(
            line(ExecProcessEvent::Gap { through: Seq(2), bytes: None }),
            json!({"type": "gap", "throughSeq": 2})
        );
        assert_eq!(
            line(ExecProcessEvent::Closed { seq: Seq(5), proof: Proof::Checksum }),
            json!({"type": "closed", "seq": 5, "proof": "checksum"})
        );
    }
}
