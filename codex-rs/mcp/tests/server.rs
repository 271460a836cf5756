//! MCP servers on a backend of which the test says what happens: exact orders, lost output, servers that don't end.

#[path = "server/bridging.rs"]
mod bridging;
#[path = "server/ending.rs"]
mod ending;
#[path = "server/fake.rs"]
mod fake;
#[path = "server/messages.rs"]
mod messages;
