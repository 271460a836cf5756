//! From a request to one call of a service, and from its outcome to an answer.
//!
//! Checks common to a family are not made here: a handler runs when its request decoded and the connection may use
//! its family.

pub(crate) mod discovery;
pub(crate) mod environment;
pub(crate) mod fs;
pub(crate) mod http;
pub(crate) mod lending;
pub(crate) mod process;
mod search;

use std::pin::Pin;

use codex_exec_server_core::error::ServiceError;
use codex_exec_server_protocol::error_code::RpcError;
use codex_exec_server_protocol::http::HttpRequestParams;
use codex_exec_server_protocol::methods::{ClientRequest, Family, Row};
use codex_exec_server_protocol::rpc::{RequestId, encode_error, encode_result};
use codex_exec_server_protocol::session::InitializeParams;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::OwnedSemaphorePermit;

use self::discovery::DiscoveryRequest;
use self::environment::EnvironmentRequest;
use self::fs::FsRequest;
use self::process::ProcessRequest;
use crate::connection::Reply;

/// A request at work.
pub(crate) type Work = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// The answer to a request.
pub(crate) struct Answer {
    /// The whole message.
    pub(crate) reply: Reply,
    /// To be done when the message is on its way.
    pub(crate) then: Option<Box<dyn FnOnce() + Send>>,
    /// Room in memory that the message takes until it has left.
    pub(crate) hold: Option<OwnedSemaphorePermit>,
    /// Whether it only confirms one piece of many, and holds nothing.
    pub(crate) is_receipt: bool,
}

impl<R: Into<Reply>> From<R> for Answer {
    fn from(reply: R) -> Self {
        Self { reply: reply.into(), then: None, hold: None, is_receipt: false }
    }
}

/// A request of a family that this server serves.
pub(crate) enum Served {
    Initialize(InitializeParams),
    Environment(EnvironmentRequest),
    Process(ProcessRequest),
    Http(HttpRequestParams),
    Discovery(DiscoveryRequest),
    Files(Box<FsRequest>),
}

impl Served {
    /// The row of a method that this server serves. One of another family is as unknown as one that is not in the table,
    /// whatever its parameters are.
    pub(crate) fn row(method: &str) -> Result<&'static Row<ClientRequest>, ServiceError> {
        let row = ClientRequest::row(method).filter(|row| match row.family() {
            Family::Session
            | Family::Process
            | Family::Filesystem
            | Family::Http
            | Family::EnvironmentInfo
            | Family::EnvironmentStatus
            | Family::EnvironmentConfig
            | Family::CapabilityDiscovery => true,
            Family::Network => false,
        });
        row.ok_or_else(|| ServiceError::UnknownMethod(method.to_owned()))
    }

    /// Takes a request from its row and its parameters.
    pub(crate) fn decode(row: &Row<ClientRequest>, params: Option<&RawValue>) -> Result<Self, ServiceError> {
        let unknown = || ServiceError::UnknownMethod(row.name().to_owned());
        Ok(match row.decode(params)? {
            ClientRequest::Initialize(params) => Self::Initialize(params),
            ClientRequest::EnvironmentInfo(_) => Self::Environment(EnvironmentRequest::Info),
            ClientRequest::EnvironmentStatus(_) => Self::Environment(EnvironmentRequest::Status),
            ClientRequest::ProcessStart(params) => Self::Process(ProcessRequest::Start(Box::new(params))),
            ClientRequest::ProcessRead(params) => Self::Process(ProcessRequest::Read(params)),
            ClientRequest::ProcessWrite(params) => Self::Process(ProcessRequest::Write(params)),
            ClientRequest::ProcessCloseStdin(params) => Self::Process(ProcessRequest::CloseStdin(params)),
            ClientRequest::ProcessResize(params) => Self::Process(ProcessRequest::Resize(params)),
            ClientRequest::ProcessSignal(params) => Self::Process(ProcessRequest::Signal(params)),
            ClientRequest::ProcessTerminate(params) => Self::Process(ProcessRequest::Terminate(params)),
            ClientRequest::ProcessList(_) => Self::Process(ProcessRequest::List),
            ClientRequest::HttpRequest(params) => Self::Http(params),
            ClientRequest::EnvironmentConfigRead(params) => Self::Discovery(DiscoveryRequest::Config(params)),
            ClientRequest::CapabilityRootsDiscover(params) => {
                Self::Discovery(DiscoveryRequest::Roots(params))
            }
            ClientRequest::CapabilitiesDiscover(params) => {
                Self::Discovery(DiscoveryRequest::Installed(params))
            }
            other => Self::Files(Box::new(FsRequest::take(other).ok_or_else(unknown)?)),
        })
    }
}

/// The message that tells an outcome.
fn encode<R: Serialize>(id: &RequestId, outcome: Result<R, ServiceError>) -> String {
    match outcome {
        Ok(response) => encode_result(id, &response),
        Err(error) => encode_error(id, &RpcError::from(&error)),
    }
}
