//! What tests of servers and clients share: a server behind any transport, a client that says exactly what it is
//! told to, a proxy that breaks connections, and the real program.
//!
//! It knows the wire and no server: a [`Host`] is made of two closures, so this crate depends on nothing that depends
//! on it. Nothing here sleeps. Every wait is for an event and gives up, by a panic that says what it waited for, after
//! [`PATIENCE`].

mod client;
mod harness;
mod patience;
mod processes;
mod program;
mod proxy;
mod start;
pub mod storm;
mod transcript;
mod users;

pub use client::{Answer, Client, Ended, session_id};
pub use harness::{Harness, Host};
pub use patience::{PATIENCE, patiently};
pub use processes::write_params;
pub use program::Program;
pub use proxy::Proxy;
pub use start::{shell, shell_with, start_params};
pub use transcript::{Gap, Transcript};
pub use users::is_mapped;
