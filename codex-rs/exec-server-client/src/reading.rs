//! Pages of a process's output, read over one connection.

use codex_exec_server_protocol::environment::EnvironmentCapabilities;
use codex_exec_server_protocol::ids::{ProcessId, Seq};
use codex_exec_server_protocol::methods::ProcessRead;
use codex_exec_server_protocol::process::{ProcessReadParams, ProcessReadResponse};

use crate::link::{CallError, Disconnected, Link, Pending};

/// How much output to ask for at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageBytes(u64);

impl PageBytes {
    /// What costs few round trips: 1 MiB.
    pub(crate) const USUAL: Self = Self(1 << 20);
    /// What gets through where hardly anything does: one chunk of our server's, at most.
    const LEAST: Self = Self(64 << 10);

    /// After a connection that broke before a page was through.
    pub(crate) fn smaller(self) -> Self {
        Self((self.0 / 4).max(Self::LEAST.0))
    }
}

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
    page: PageBytes,
) -> Result<Asked, Disconnected> {
    let whole = !flags.gap_accounting;
    let params = ProcessReadParams {
        process_id: id.clone(),
        after_seq: Some(after),
        max_bytes: (!whole).then_some(page.0),
        wait_ms: None,
    };
    Ok(Asked { pending: link.begin::<ProcessRead>(&params).await?, whole })
}

/// Asks whether there still is such a process: for what is behind every position, so that no output is in the answer.
pub(crate) async fn ask_for_nothing(link: &Link, id: &ProcessId) -> Result<Asked, Disconnected> {
    let params = ProcessReadParams {
        process_id: id.clone(),
        after_seq: Some(Seq::END),
        max_bytes: None,
        wait_ms: None,
    };
    Ok(Asked { pending: link.begin::<ProcessRead>(&params).await?, whole: true })
}

impl Asked {
    pub(crate) async fn answer(self) -> Result<Page, CallError> {
        Ok(Page { response: self.pending.answer().await?, whole: self.whole })
    }
}
