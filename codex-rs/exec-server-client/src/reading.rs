//! Pages of a process's output, read over one connection.

use codex_exec_server_protocol::environment::EnvironmentCapabilities;
use codex_exec_server_protocol::ids::{ProcessId, Seq};
use codex_exec_server_protocol::methods::ProcessRead;
use codex_exec_server_protocol::process::{ProcessReadParams, ProcessReadResponse};

use crate::link::{CallError, Disconnected, Link, Pending};

/// Read at once of what was missed.
const PAGE_BYTES: u64 = 1 << 20;

/// An answer to `process/read`.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) response: ProcessReadResponse,
    /// It was asked for without a bound.
    pub(crate) whole: bool,
}

/// A page that was asked for.
#[derive(Debug)]
pub(crate) struct Asked {
    pending: Pending<ProcessReadResponse>,
    whole: bool,
}

/// Asks for what is behind `after`.
///
/// Page by page, so that there is progress however often the connection breaks. Where the server does not say how far
/// it dropped, only an answer without a bound tells an exit from what is gone; it retains little anyway.
pub(crate) async fn ask(
    link: &Link,
    flags: &EnvironmentCapabilities,
    id: &ProcessId,
    after: Seq,
) -> Result<Asked, Disconnected> {
    let whole = !flags.gap_accounting;
    let params = ProcessReadParams {
        process_id: id.clone(),
        after_seq: Some(after),
        max_bytes: (!whole).then_some(PAGE_BYTES),
        wait_ms: None,
    };
    Ok(Asked { pending: link.begin::<ProcessRead>(&params).await?, whole })
}

impl Asked {
    pub(crate) async fn answer(self) -> Result<Page, CallError> {
        Ok(Page { response: self.pending.answer().await?, whole: self.whole })
    }
}
