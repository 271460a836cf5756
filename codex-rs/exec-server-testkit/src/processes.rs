//! What a [`Client`] asks of processes, and what it knows of them.

use codex_exec_server_protocol::bytes::Base64Bytes;
use codex_exec_server_protocol::process::ProcessReadResponse;
use serde_json::{Value, json};

use crate::{Client, Transcript};

impl Client {
    /// `process/start`, which must succeed.
    pub async fn start(&mut self, params: Value) {
        self.done("process/start", params).await;
    }

    /// `process/write` of `bytes`; returns the status.
    pub async fn write(&mut self, process: &str, write_id: &str, bytes: &[u8]) -> String {
        let answer = self.done("process/write", write_params(process, write_id, bytes)).await;
        answer["status"].as_str().expect("a write has a status").to_owned()
    }

    /// `process/closeStdin`; returns the status.
    pub async fn close_stdin(&mut self, process: &str, write_id: &str) -> String {
        let answer =
            self.done("process/closeStdin", json!({"processId": process, "writeId": write_id})).await;
        answer["status"].as_str().expect("a write has a status").to_owned()
    }

    /// One `process/read`, which must succeed.
    pub async fn read(&mut self, params: Value) -> ProcessReadResponse {
        serde_json::from_value(self.done("process/read", params).await).expect("a read answer decodes")
    }

    /// Everything that can be read of a process, up to its close: a transcript without exit and close events.
    pub async fn read_to_close(&mut self, process: &str) -> (Transcript, ProcessReadResponse) {
        let mut transcript = Transcript::default();
        let mut after = 0;
        loop {
            let params =
                json!({"processId": process, "afterSeq": after, "maxBytes": 1 << 20, "waitMs": 60_000});
            let page = self.read(params).await;
            transcript.absorb_read(&page);
            after = page.next_seq.0 - 1;
            if page.closed && page.chunks.is_empty() {
                return (transcript, page);
            }
        }
    }

    /// What a client does that came back with `output`, all that came through event `after`: reads what it missed, up
    /// to where the server pushes again, and lets itself be pushed the rest. Returns everything, up to the close.
    ///
    /// # Panics
    /// When a byte is missing, or comes twice.
    pub async fn recover(&mut self, process: &str, mut output: Vec<u8>, mut after: u64) -> Vec<u8> {
        let pushed_from = loop {
            let page =
                json!({"processId": process, "afterSeq": after, "maxBytes": 1 << 20, "waitMs": 60_000});
            let page = self.read(page).await;
            // What was pushed before the server read its log has come before this page, and may be missing from it.
            let pushed_from = self.transcripts.get(process).and_then(Transcript::first_offset);
            if pushed_from.is_some_and(|offset| offset <= output.len() as u64) {
                break pushed_from;
            }
            for chunk in &page.chunks {
                assert_eq!(
                    chunk.offset,
                    Some(output.len() as u64),
                    "nothing is missing and nothing comes twice"
                );
                output.extend_from_slice(&chunk.chunk);
            }
            after = page.next_seq.0 - 1;
            if page.closed && page.chunks.is_empty() {
                break None;
            }
        };
        if let Some(pushed_from) = pushed_from {
            let pushed = self.until(process, "the close", |transcript| transcript.closed.is_some()).await;
            assert!(pushed.holes.len() <= 1, "{:?}", pushed.holes);
            // The last page may have held the first of what was pushed, too.
            let known = output.len() - usize::try_from(pushed_from).expect("it is not more than there is");
            output.extend_from_slice(&pushed.output[known.min(pushed.output.len())..]);
        }
        output
    }

    /// What was pushed of a process so far.
    #[must_use]
    pub fn transcript(&self, process: &str) -> Transcript {
        self.transcripts.get(process).cloned().unwrap_or_default()
    }

    /// Reads on until `seen` is true of what was pushed of a process; returns all of that.
    pub async fn until(
        &mut self,
        process: &str,
        what: &str,
        seen: impl Fn(&Transcript) -> bool,
    ) -> Transcript {
        loop {
            if let Some(transcript) = self.transcripts.get(process).filter(|transcript| seen(transcript)) {
                return transcript.clone();
            }
            let what = format!("{what} of {process}");
            assert!(self.advance(&what).await, "the connection ended before {what}");
        }
    }

    /// Reads on until a process has written `text`.
    pub async fn sees(&mut self, process: &str, text: &str) -> Transcript {
        self.until(process, &format!("output {text:?}"), |transcript| transcript.shows(text)).await
    }

    /// Reads on until a process has exited.
    pub async fn exited(&mut self, process: &str) -> Transcript {
        self.until(process, "the exit", |transcript| transcript.exited.is_some()).await
    }

    /// Reads on until a process has closed; checks that nothing was missed.
    pub async fn closed(&mut self, process: &str) -> Transcript {
        let transcript = self.until(process, "the close", |transcript| transcript.closed.is_some()).await;
        transcript.assert_complete();
        transcript
    }

    /// Starts a process and sees it through to its close.
    pub async fn run(&mut self, params: Value) -> Transcript {
        let process = params["processId"].as_str().expect("a start names its process").to_owned();
        self.start(params).await;
        self.closed(&process).await
    }
}

/// Parameters of `process/write`.
#[must_use]
pub fn write_params(process: &str, write_id: &str, bytes: &[u8]) -> Value {
    let chunk = Base64Bytes::from(bytes.to_vec()).encode();
    json!({"processId": process, "chunk": chunk, "writeId": write_id})
}
