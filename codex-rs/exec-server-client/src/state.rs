//! How a client is connected, for all who wait for it or show it.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::ClientError;
use crate::session::{Attached, Peer};

/// How a client is connected right now.
#[derive(Debug, Clone)]
pub(crate) enum State {
    Connected(Arc<Attached>),
    Recovering(Arc<Peer>, Instant),
    Failed(Arc<Peer>, ClientError),
}

/// How a client is connected right now, for whoever shows it to people.
#[derive(Debug, Clone)]
pub enum Status {
    /// Requests are on their way as soon as they are made.
    Connected,
    /// The connection was lost and is sought again; requests wait.
    Recovering {
        /// When the client gives up.
        until: Instant,
    },
    /// It did not come back, or the client was closed; requests fail.
    Failed(ClientError),
}

impl State {
    pub(crate) fn peer(&self) -> &Arc<Peer> {
        match self {
            Self::Connected(attached) => &attached.peer,
            Self::Recovering(peer, _) | Self::Failed(peer, _) => peer,
        }
    }
}

/// Tells how the connection changes; see [`Client::status`](crate::Client::status).
#[derive(Debug, Clone)]
pub struct StatusWatch(pub(crate) watch::Receiver<State>);

impl StatusWatch {
    /// The next status after the one last returned. States in between that lasted too short are left out. Never
    /// resolves once the client is gone. Cancel-safe.
    pub async fn changed(&mut self) -> Status {
        match self.0.changed().await {
            Ok(()) => self.now(),
            Err(_) => std::future::pending().await,
        }
    }

    /// The status at this moment; counts as returned.
    pub fn now(&mut self) -> Status {
        match &*self.0.borrow_and_update() {
            State::Connected(_) => Status::Connected,
            State::Recovering(_, until) => Status::Recovering { until: *until },
            State::Failed(_, error) => Status::Failed(error.clone()),
        }
    }
}

/// The present connection and those that follow it.
pub(crate) struct Connections(watch::Receiver<State>);

impl Connections {
    pub(crate) fn of(state: &watch::Sender<State>) -> Self {
        let mut state = state.subscribe();
        state.mark_changed();
        Self(state)
    }

    /// The first time the present connection, waiting for one if there is none; afterwards the one that takes the place
    /// of the last.
    pub(crate) async fn next(&mut self) -> Result<Arc<Attached>, ClientError> {
        loop {
            self.0.changed().await.map_err(|_| ClientError::Closed)?;
            match &*self.0.borrow_and_update() {
                State::Connected(attached) => return Ok(Arc::clone(attached)),
                State::Recovering(..) => {}
                State::Failed(_, error) => return Err(error.clone()),
            }
        }
    }
}
