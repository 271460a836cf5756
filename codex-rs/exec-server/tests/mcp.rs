//! MCP servers as real processes, on this machine and on one behind connections that break.

#[path = "mcp/bytes.rs"]
mod bytes;
#[path = "mcp/machine.rs"]
mod machine;
#[path = "mcp/peers.rs"]
mod peers;
#[path = "mcp/scripts.rs"]
mod scripts;
#[path = "support/mod.rs"]
mod support;
