//! The server: sockets in, services out.
//!
//! ```text
//! socket → transport → connection → session → handler → process table → operating system
//! operating system → log → follower → outbound scheduler → transport → socket
//! ```
//!
//! [`Server`] holds what all connections share. `connection` carries one connection from its first message to its
//! last, `sessions` keeps what outlives it, and `handlers` turn each request into one call of a service. The rules
//! themselves live in `codex-exec-server-core`.

pub mod cli;
pub mod config;
mod connection;
mod context;
pub mod environment;
mod handlers;
mod server;
mod sessions;
mod web_console;
mod welcome;

pub use config::ServerConfig;
pub use server::Server;
