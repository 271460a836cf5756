//! The codes a failure may carry, and the error object itself.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use ts_rs::TS;

/// JSON-RPC error codes of this protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// -32600: the message is malformed, or the request does not fit the present state.
    InvalidRequest,
    /// -32601: no such method here.
    MethodNotFound,
    /// -32602: parameters do not decode, or an argument is refused.
    InvalidParams,
    /// -32603: the operating system, or the server itself, failed.
    Internal,
    /// -32004: a file or file handle does not exist.
    NotFound,
    /// -32010: the session is attached to another connection.
    SessionInUse,
    /// -32800: the client cancelled the request (`$/cancel`).
    Cancelled,
}

impl ErrorCode {
    /// Every code, for tables and tests.
    pub const ALL: [Self; 7] = [
        Self::InvalidRequest,
        Self::MethodNotFound,
        Self::InvalidParams,
        Self::Internal,
        Self::NotFound,
        Self::SessionInUse,
        Self::Cancelled,
    ];

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> i64 {
        match self {
            Self::InvalidRequest => -32600,
            Self::MethodNotFound => -32601,
            Self::InvalidParams => -32602,
            Self::Internal => -32603,
            Self::NotFound => -32004,
            Self::SessionInUse => -32010,
            Self::Cancelled => -32800,
        }
    }

    /// The code behind a number, if this protocol knows it.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.number() == number)
    }
}

/// The `error` member of a failed request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
pub struct RpcError {
    /// One of [`ErrorCode`]'s numbers, or a peer's own.
    #[ts(type = "number")]
    pub code: i64,
    /// What happened, for people.
    pub message: String,
    /// What happened, for programs; absent from the reference peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "unknown")]
    pub data: Option<Value>,
}

impl RpcError {
    /// An error without `data`.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code: code.number(), message: message.into(), data: None }
    }
}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl std::error::Error for RpcError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_found_again_by_its_number() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_number(code.number()), Some(code));
        }
        assert_eq!(ErrorCode::from_number(-1), None);
    }
}
