//! What a client finds out about a machine before it works there. The same cases on this program and on the reference's, where
//! that is at hand: each on a server of its own, whose user has a home of its own.

#[macro_use]
#[path = "support/cases.rs"]
mod cases;
#[macro_use]
#[path = "discovery/machine.rs"]
mod machine;

#[path = "discovery/capabilities.rs"]
mod capabilities;
#[path = "discovery/client.rs"]
mod client;
#[path = "discovery/config.rs"]
mod config;
#[path = "discovery/missing.rs"]
mod missing;
#[path = "discovery/roots.rs"]
mod roots;
