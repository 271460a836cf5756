//! Why an environment can't be used.

use std::sync::Arc;

use super::config::DisabledBy;
use super::id::EnvironmentId;
use super::program::ProgramError;
use super::unknown::UnknownEnvironment;
use crate::error::ClientError;

/// See the module. Cheap to clone: everybody who waits for the same connection gets the same one.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EnvironmentError {
    /// None was named, and there is no default; or there is none at all.
    #[error("execution is disabled {0}")]
    Disabled(DisabledBy),
    /// There is none of that name.
    #[error(transparent)]
    Unknown(#[from] UnknownEnvironment),
    /// This machine was asked for by a program that has no backend for it.
    #[error("environment local has no backend in this program; name another environment")]
    NoLocalBackend,
    /// A connection was asked for, but this machine needs none.
    #[error("environment local is this machine; no connection leads to it")]
    NoConnection,
    /// There is no connection to the server.
    #[error("environment {id}: {source}")]
    Connect {
        /// To which.
        id: EnvironmentId,
        /// Why.
        source: ClientError,
    },
    /// The program that leads to the server failed.
    #[error("environment {id}: {source}")]
    Program {
        /// Of which.
        id: EnvironmentId,
        /// How.
        source: Arc<ProgramError>,
    },
    /// The manager was closed.
    #[error("environment {0} is closed")]
    Closed(EnvironmentId),
}
