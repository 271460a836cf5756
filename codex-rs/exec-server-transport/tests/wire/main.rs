//! The transport as its users see it: real sockets, and another WebSocket implementation at the other end.

#![allow(clippy::unwrap_used, reason = "the helpers here are tests, too")]

mod backpressure;
mod browser;
mod client;
mod closing;
mod early;
mod http;
mod liveness;
mod marks;
mod presence;
mod round_trip;
mod sizes;
mod support;
mod unix_socket;
