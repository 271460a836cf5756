//! The services over a connection.
//!
//! ```text
//! transport → link → router → inbox (timeline) → Events, read by the caller
//! caller → RemoteProcess → Client (session, recovery) → link → transport
//! ```
//!
//! [`Client`] holds a session and keeps it over lost connections; whatever carries it comes from a [`Dialer`].
//! [`Client::start`] gives a [`RemoteProcess`] to act on and the [`Events`] to read. A [`link::Link`] is one
//! connection, and nothing that outlives it.
//!
//! What is promised: every event of a process is delivered once, in order, whatever connections break; what the
//! server no longer holds is an explicit [`Event::Gap`]; and at the end [`Event::Closed`] says how far it was proven
//! that nothing is missing.

mod client;
mod config;
mod dial;
mod error;
mod event;
mod events;
mod inbox;
pub mod link;
mod process;
mod recovery;
mod router;
mod start;
mod timeline;

pub use client::{Client, Peer, Status, StatusWatch};
pub use config::{ClientConfig, LinkLimits, ProcessLimits};
pub use dial::{DialError, Dialer};
pub use error::{ClientError, ProcessError, RequestError, StartError, Unsupported, WriteError};
pub use event::{Event, Exit, Proof};
pub use events::Events;
pub use inbox::Lag;
pub use process::RemoteProcess;
