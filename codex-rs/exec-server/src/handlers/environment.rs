//! `environment/*`

use codex_exec_server_protocol::environment::{
    EnvironmentInfo, EnvironmentStatus, EnvironmentStatusResponse,
};
use codex_exec_server_protocol::rpc::{RequestId, encode_result};

/// What can be asked about the server's machine.
pub(crate) enum EnvironmentRequest {
    Info,
    Status,
}

/// The answer, as JSON text. What there is to be told is only put together if that was asked for.
pub(crate) fn answer(
    info: impl FnOnce() -> EnvironmentInfo,
    id: &RequestId,
    request: EnvironmentRequest,
) -> String {
    match request {
        EnvironmentRequest::Info => encode_result(id, &info()),
        EnvironmentRequest::Status => {
            encode_result(id, &EnvironmentStatusResponse { status: EnvironmentStatus::Ready })
        }
    }
}
