//! MCP servers as real processes, on this machine and on one behind connections that break.

#[path = "mcp/bytes.rs"]
mod bytes;
#[path = "mcp/files.rs"]
mod files;
#[path = "mcp/machine.rs"]
mod machine;
#[path = "mcp/peers.rs"]
mod peers;
#[allow(dead_code, reason = "another test program takes the rest")]
#[path = "run/support.rs"]
mod programs;
#[path = "mcp/scripts.rs"]
mod scripts;
#[path = "mcp/stdio.rs"]
mod stdio;
#[path = "support/mod.rs"]
mod support;
#[path = "mcp/tools.rs"]
mod tools;
