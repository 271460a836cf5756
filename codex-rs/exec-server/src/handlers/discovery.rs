//! What a client finds out about the machine: `environmentConfig/*`, `capabilityRoots/*`,
//! `capabilities/*`

use std::sync::Arc;

use codex_exec_server_core::error::ServiceError;
use codex_exec_server_local::discovery::{discover_installed, discover_roots, read_config};
use codex_exec_server_local::env::Environment;
use codex_exec_server_protocol::capabilities::{
    CapabilitiesDiscoverParams, CapabilityRootsDiscoverParams, EnvironmentConfigReadParams,
};
use codex_exec_server_protocol::rpc::RequestId;

use super::{Answer, Work, encode};
use crate::sessions::{Displaced, Session};

/// What can be asked.
pub(crate) enum DiscoveryRequest {
    Config(EnvironmentConfigReadParams),
    Roots(CapabilityRootsDiscoverParams),
    Installed(CapabilitiesDiscoverParams),
}

/// Answers `request`, unless the session goes to another connection before. Nothing is changed.
pub(crate) fn answer(
    session: Arc<Session>,
    environment: Arc<Environment>,
    id: RequestId,
    request: DiscoveryRequest,
    displaced: Displaced,
) -> Work {
    Box::pin(async move {
        tokio::select! {
            biased;
            _ = displaced.wait() => encode::<()>(&id, Err(ServiceError::Displaced)).into(),
            answer = run(&session, &environment, &id, request) => answer,
        }
    })
}

async fn run(
    session: &Session,
    environment: &Environment,
    id: &RequestId,
    request: DiscoveryRequest,
) -> Answer {
    match request {
        DiscoveryRequest::Config(params) => {
            encode(id, read_config(&session.files, environment, params).await).into()
        }
        DiscoveryRequest::Roots(params) => {
            let (answer, room) = discover_roots(&session.files, params).await;
            Answer { hold: Some(room), ..encode(id, answer).into() }
        }
        DiscoveryRequest::Installed(params) => {
            let (answer, room) = discover_installed(&session.files, environment, params).await;
            Answer { hold: Some(room), ..encode(id, answer).into() }
        }
    }
}
