//! Our own Rust client as something to measure: what a program that uses it sees.

use std::sync::Arc;

use codex_exec_server_client::{Client, ClientConfig, Dialer, Events, ExecProcessEvent, Lag, RemoteProcess};
use codex_exec_server_protocol::process::ProcessStartParams;
use codex_exec_server_transport::client::ConnectOptions;
use tokio::runtime::{Builder, Runtime};

use crate::error::BenchError;
use crate::wire::StartParams;

/// A session on a server.
#[derive(Clone)]
pub(crate) struct RustClient {
    client: Client,
}

/// A runtime with a thread of its own, so that a client answers its server's pings while others are measured.
pub(crate) fn runtime() -> Result<Arc<Runtime>, BenchError> {
    Ok(Arc::new(Builder::new_multi_thread().worker_threads(1).enable_all().build()?))
}

/// The same parameters as those of the other side.
pub(crate) fn start_params(params: &StartParams<'_>) -> Result<ProcessStartParams, BenchError> {
    Ok(serde_json::from_value(serde_json::to_value(params)?)?)
}

impl RustClient {
    pub(crate) async fn connect(url: String) -> Result<Self, BenchError> {
        let dialer = Dialer::url(url, ConnectOptions::default());
        let client = Client::connect(dialer, ClientConfig::default()).await.map_err(BenchError::client)?;
        Ok(Self { client })
    }

    /// A session for one command, which is run to its close. Both are asked for in one flight.
    pub(crate) async fn run_cold(url: String, params: &StartParams<'_>) -> Result<Self, BenchError> {
        let dialer = Dialer::url(url, ConnectOptions::default());
        let params = start_params(params)?;
        let cold = Client::connect_and_start(dialer, ClientConfig::default(), params, Lag::ReadLater);
        let (client, started) = cold.await.map_err(BenchError::client)?;
        let (_process, mut events) = started.map_err(BenchError::client)?;
        wait_for_success(&mut events).await?;
        Ok(Self { client })
    }

    pub(crate) async fn start(
        &self,
        params: &StartParams<'_>,
    ) -> Result<(RemoteProcess, Events), BenchError> {
        self.client.start(start_params(params)?, Lag::ReadLater).await.map_err(BenchError::client)
    }

    /// Runs a command to its close. It has to succeed.
    pub(crate) async fn run(&self, params: &StartParams<'_>) -> Result<(), BenchError> {
        let (_process, mut events) = self.start(params).await?;
        wait_for_success(&mut events).await
    }

    pub(crate) async fn close(&self) {
        self.client.close().await;
    }
}

/// Waits for the close of a command, which has to succeed.
async fn wait_for_success(events: &mut Events) -> Result<(), BenchError> {
    loop {
        match next(events).await? {
            ExecProcessEvent::Closed { .. } => return Ok(()),
            ExecProcessEvent::Exited { exit, .. } if exit.code != 0 => {
                return Err(BenchError::Protocol(format!("the command exited with {}", exit.code)));
            }
            _ => {}
        }
    }
}

/// The next event; there has to be one.
pub(crate) async fn next(events: &mut Events) -> Result<ExecProcessEvent, BenchError> {
    match events.next().await {
        Some(Ok(event)) => Ok(event),
        Some(Err(error)) => Err(BenchError::client(error)),
        None => Err(BenchError::Closed),
    }
}
