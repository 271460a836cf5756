//! What became of a server, told once and to everybody who asks: its users hold handles that can only say "closed".

use std::sync::Arc;

use tokio::sync::watch;

use crate::error::ServerError;

/// Tells what becomes of a server. Cloning gives another handle.
#[derive(Debug, Clone)]
pub struct ServerWatch(watch::Receiver<Option<ServerError>>);

impl ServerWatch {
    /// What became of it; `None` while it runs.
    #[must_use]
    pub fn now(&self) -> Option<ServerError> {
        self.0.borrow().clone()
    }

    /// Waits for its end. Cancel-safe.
    pub async fn ended(&mut self) -> ServerError {
        loop {
            if let Some(end) = self.now() {
                return end;
            }
            if self.0.changed().await.is_err() && self.now().is_none() {
                // Its keeper panicked, or the runtime is being shut down.
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Where an end is told. The first one counts.
#[derive(Debug, Clone)]
pub(crate) struct Fate(Arc<watch::Sender<Option<ServerError>>>);

impl Fate {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }

    pub(crate) fn tell(&self, end: &ServerError) {
        self.0.send_if_modified(|told| {
            let first = told.is_none();
            if first {
                *told = Some(end.clone());
            }
            first
        });
    }

    pub(crate) fn watch(&self) -> ServerWatch {
        ServerWatch(self.0.subscribe())
    }
}
