//! `environment/*`

use codex_exec_server_protocol::environment::{EnvironmentStatus, EnvironmentStatusResponse};
use codex_exec_server_protocol::rpc::{RequestId, encode_result};

use crate::Server;

/// What can be asked about the server's machine.
pub(crate) enum EnvironmentRequest {
    Info,
    Status,
}

/// The answer, as JSON text.
pub(crate) fn answer(server: &Server, id: &RequestId, request: EnvironmentRequest) -> String {
    match request {
        EnvironmentRequest::Info => encode_result(id, &server.environment),
        EnvironmentRequest::Status => {
            encode_result(id, &EnvironmentStatusResponse { status: EnvironmentStatus::Ready })
        }
    }
}
