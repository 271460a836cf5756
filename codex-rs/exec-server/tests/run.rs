//! `codex-exec-server run` as a person meets it: the real program, real signals, a real terminal, and a network that
//! breaks.

#[path = "run/cold.rs"]
mod cold;
#[path = "run/connections.rs"]
mod connections;
#[path = "run/reference.rs"]
mod reference;
#[path = "run/signals.rs"]
mod signals;
#[path = "run/streams.rs"]
mod streams;
#[path = "run/support.rs"]
#[allow(dead_code, reason = "each test program takes the part that it needs")]
mod support;
#[path = "run/terminal.rs"]
mod terminal;
