//! MCP over backends: stdio MCP servers run as processes of any [`ExecBackend`], near or far, and a backend is served
//! to MCP clients as tools.
//!
//! ```text
//! process → incoming (whole lines) → transport (messages) → rmcp → caller
//! caller → rmcp → transport → keeper (one message after the other) → process
//! ```
//!
//! [`connect`] starts a server and gives an `rmcp` session; [`StdioServer`] is the transport alone, and [`launch`] the
//! process with its lines. [`bridge`] carries those to and from somebody's pipes, whatever they say.
//!
//! The other way round, [`ToolServer`] is an MCP server whose tools run commands on a backend.
//!
//! What is promised: every message of a server is delivered once, in order, whatever connections break; when that can't
//! be, the server is at an end and [`ServerWatch`] says why.
//!
//! [`ExecBackend`]: codex_exec_server_core::service::ExecBackend

mod bridge;
mod config;
mod connect;
mod decode;
mod error;
mod fate;
mod incoming;
mod keeper;
mod launch;
mod lines;
mod stderr;
mod tools;
mod transport;

pub use bridge::{BridgeError, Pipes, bridge};
pub use config::{ServerConfig, ServerLimits, ServerPatience};
pub use connect::{ConnectError, connect};
pub use error::{Reason, ServerError};
pub use fate::ServerWatch;
pub use incoming::{Incoming, Output};
pub use launch::{Launched, launch, start_params};
pub use lines::LineTooLong;
pub use stderr::StderrTail;
pub use tools::{ServeError, ToolServer};
pub use transport::StdioServer;
