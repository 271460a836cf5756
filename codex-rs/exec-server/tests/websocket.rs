//! A WebSocket whose other end sends nonsense, sends far too much at once, never reads, or never finishes a sentence.

#[macro_use]
mod support;

#[path = "websocket/burst.rs"]
mod burst;
#[path = "websocket/malformed.rs"]
mod malformed;
#[path = "websocket/raw.rs"]
mod raw;
#[path = "websocket/stalled.rs"]
mod stalled;
