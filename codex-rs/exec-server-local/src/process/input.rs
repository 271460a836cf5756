//! What is given to a process: stdin in order, each piece once, the size of its terminal, signals.

use std::sync::Arc;

use bytes::Bytes;
use codex_exec_server_core::error::ServiceError;
use codex_exec_server_core::idempotency::RecentIds;
use codex_exec_server_protocol::ids::WriteId;
use codex_exec_server_protocol::process::WriteStatus;

use super::Process;
use super::start::check_size;
use super::stdin::StdinPipe;
use crate::os;

/// What a client gives to a process's stdin.
pub(crate) enum Input {
    /// Bytes.
    Bytes(Bytes),
    /// The end.
    End,
}

/// What the requests on one process's stdin share. Its lock is fair, so they take effect in the order of arrival;
/// it is first held by the start itself.
pub(super) struct Stdin {
    pub(super) state: StdinState,
    seen: RecentIds<WriteId>,
}

impl Stdin {
    /// That of a process that is about to start, which remembers so many writes.
    pub(super) fn new(remembered: usize) -> Self {
        Self { state: StdinState::NotStarted, seen: RecentIds::new(remembered) }
    }
}

/// What a write meets.
pub(super) enum StdinState {
    /// The process did not start.
    NotStarted,
    /// It was started without one.
    None,
    /// A pipe or terminal.
    Open(Arc<StdinPipe>),
    /// The client ended it.
    Ended,
}

impl Process {
    /// Takes `input` in order, once per `write_id`: `process/write` and `process/closeStdin`.
    pub(super) async fn feed_once(
        &self,
        write_id: WriteId,
        input: Input,
    ) -> Result<WriteStatus, ServiceError> {
        let mut stdin = self.stdin.lock().await;
        if stdin.seen.contains(&write_id) {
            return Ok(WriteStatus::Accepted);
        }
        let status = self.feed_in_turn(&mut stdin, input).await?;
        if status == WriteStatus::Accepted {
            stdin.seen.insert(write_id);
        }
        Ok(status)
    }

    /// Takes `input` in order.
    pub(crate) async fn feed(&self, input: Input) -> Result<WriteStatus, ServiceError> {
        let mut stdin = self.stdin.lock().await;
        self.feed_in_turn(&mut stdin, input).await
    }

    /// A terminal has no end of its own; it gets its end-of-file character, and goes on.
    async fn feed_in_turn(&self, stdin: &mut Stdin, input: Input) -> Result<WriteStatus, ServiceError> {
        const END_OF_TRANSMISSION: &[u8] = &[0x04];
        let pipe = match &stdin.state {
            StdinState::NotStarted => return Ok(WriteStatus::UnknownProcess),
            StdinState::None | StdinState::Ended => return Ok(WriteStatus::StdinClosed),
            StdinState::Open(pipe) => Arc::clone(pipe),
        };
        if self.killed.get().is_some() {
            return Err(ServiceError::StdinFailed);
        }
        match input {
            Input::Bytes(bytes) => pipe.write(bytes).await,
            Input::End if self.about.tty => pipe.write(Bytes::from_static(END_OF_TRANSMISSION)).await,
            Input::End => {
                pipe.end();
                stdin.state = StdinState::Ended;
            }
        }
        Ok(WriteStatus::Accepted)
    }

    /// Changes the size of its terminal, in turn with what is fed to it.
    pub(crate) async fn resize(&self, size: os::Size) -> Result<(), ServiceError> {
        check_size(size.rows, size.cols)?;
        let stdin = self.stdin.lock().await;
        match &stdin.state {
            StdinState::Open(pipe) if self.about.tty => pipe
                .resize(size)
                .map_err(|error| ServiceError::Internal(format!("resize of process {}: {error}", self.id))),
            StdinState::NotStarted => Err(ServiceError::UnknownProcess(self.id.clone())),
            _ => Err(ServiceError::WrongState(format!("process {} has no terminal to resize", self.id))),
        }
    }

    /// Signals its process group. That it is gone is no failure.
    pub(crate) async fn signal(&self, signal: os::Signal) {
        self.hurry();
        if *self.started.wait().await
            && let Some(child) = self.child()
            && let Err(error) = child.signal_group(signal)
        {
            tracing::debug!(process = %self.id, ?signal, %error, "signal was not delivered");
        }
    }
}
