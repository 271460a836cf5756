//! From a process's events to whole lines of its stdout.

use std::sync::Arc;

use bytes::Bytes;
use codex_exec_server_core::process_event::{ExecProcessEvent, Exit};
use codex_exec_server_core::service::ExecEvents;
use codex_exec_server_protocol::process::OutputStream;
use tokio::time::{Duration, Instant, timeout_at};

use crate::config::ServerConfig;
use crate::error::{Reason, ServerError};
use crate::lines::Lines;
use crate::stderr::Stderr;

/// Something that a server wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// A line of stdout, without its newline.
    Line(Bytes),
    /// What stood on stdout behind the last newline when it ended; never empty.
    Rest(Bytes),
    /// A stretch of stderr, cut anywhere. It was logged already.
    Stderr(Bytes),
}

impl Output {
    /// The bytes themselves.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        let (Self::Line(bytes) | Self::Rest(bytes) | Self::Stderr(bytes)) = self;
        bytes
    }
}

/// What a server writes, until it ends.
#[derive(Debug)]
pub struct Incoming {
    server: Arc<str>,
    events: Box<dyn ExecEvents>,
    lines: Lines,
    stderr: Stderr,
    /// How long streams may stay open when the process itself has ended.
    close_wait: Duration,
    exit: Option<(Exit, Instant)>,
    /// All its streams have ended.
    closed: bool,
    /// Told again to whoever asks again.
    end: Option<ServerError>,
}

impl Incoming {
    pub(crate) fn new(server: Arc<str>, events: Box<dyn ExecEvents>, config: &ServerConfig) -> Self {
        Self {
            stderr: Stderr::new(Arc::clone(&server), &config.limits),
            server,
            events,
            lines: Lines::new(config.limits.line_bytes),
            close_wait: config.patience.close,
            exit: None,
            closed: false,
            end: None,
        }
    }

    /// What the server writes next, or why nothing comes any more. Cancel-safe: output is either returned or still to
    /// come.
    pub async fn next(&mut self) -> Result<Output, ServerError> {
        loop {
            if let Some(end) = &self.end {
                return Err(end.clone());
            }
            match self.lines.next() {
                Ok(Some(line)) => return Ok(Output::Line(line)),
                Ok(None) => {}
                Err(too_long) => {
                    self.fail(too_long.into());
                    continue;
                }
            }
            if let Some(output) = self.take_event().await {
                return Ok(output);
            }
        }
    }

    /// How the process ended, as soon as that is known.
    #[must_use]
    pub fn exit(&self) -> Option<Exit> {
        self.exit.as_ref().map(|(exit, _)| exit.clone())
    }

    /// Whether all its streams have ended as well, so that nothing of it is left to end.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// An error about this server.
    pub(crate) fn error(&mut self, reason: Reason) -> ServerError {
        ServerError { server: Arc::clone(&self.server), reason, stderr: self.stderr.tail() }
    }

    fn fail(&mut self, reason: Reason) {
        self.end = Some(self.error(reason));
    }

    /// Waits for one event. Nothing is awaited once it was taken.
    async fn take_event(&mut self) -> Option<Output> {
        let event = match &self.exit {
            // A descendant may hold the streams open for ever, and whoever waits for an answer with it.
            Some((exit, at)) => match timeout_at(*at + self.close_wait, self.events.next()).await {
                Ok(event) => event,
                Err(_) => {
                    let reason = Reason::Exited(exit.clone());
                    self.fail(reason);
                    return None;
                }
            },
            None => self.events.next().await,
        };
        match event {
            Some(Ok(ExecProcessEvent::Output { stream: OutputStream::Stderr, bytes, .. })) => {
                self.stderr.push(&bytes);
                return Some(Output::Stderr(bytes));
            }
            Some(Ok(ExecProcessEvent::Output { bytes, .. })) => self.lines.push(bytes),
            Some(Ok(ExecProcessEvent::Gap { bytes, .. })) => self.fail(Reason::OutputLost { bytes }),
            Some(Ok(ExecProcessEvent::Exited { exit, .. })) => self.exit = Some((exit, Instant::now())),
            Some(Ok(ExecProcessEvent::Closed { .. })) | None => {
                self.closed = true;
                let rest = self.lines.rest();
                self.fail(self.exit().map_or(Reason::Closed, Reason::Exited));
                return rest.map(Output::Rest);
            }
            Some(Err(error)) => self.fail(Reason::Unreachable(error)),
        }
        None
    }
}
