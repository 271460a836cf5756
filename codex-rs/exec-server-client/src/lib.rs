//! The services over a connection.
//!
//! ```text
//! transport → link → router → feed (timeline, history) → Events, read by the caller
//! caller → RemoteProcess → Client (session, recovery) → link → transport
//! ```
//!
//! [`Client`] holds a session and keeps it over lost connections; whatever carries it comes from a [`Dialer`].
//! [`Client::start`] gives a [`RemoteProcess`] to act on and the [`Events`] to read, and
//! [`Client::connect_and_start`] does both in one flight, for a command that is all there is to run; [`Client::attach`] and
//! [`Client::adopt`] give those of a process that runs already. Behind the traits of
//! [`core::service`](codex_exec_server_core::service) a client is a machine like any other. A [`link::Link`] is one
//! connection, and nothing that outlives it.
//!
//! What is promised: every event of a process is delivered once, in order, whatever connections break; what the
//! server no longer holds is an explicit [`ExecProcessEvent::Gap`] (or a failure of that subscription, see [`OnGap`]); and at the end [`ExecProcessEvent::Closed`] says how
//! far it was proven that nothing is missing.

mod acknowledging;
mod adopt;
mod backend;
mod block;
mod bodies;
mod catch_up;
mod client;
mod cold;
mod config;
mod dial;
mod discovery;
pub mod environments;
mod error;
mod events;
mod feed;
mod follow;
mod fs;
mod history;
mod http;
mod inner;
pub mod link;
mod process;
mod reading;
mod record;
mod recovery;
mod router;
mod searches;
mod session;
mod start;
mod state;
mod supervise;
mod timeline;
mod unfinished;
mod watches;

pub use bodies::{HttpBody, HttpBodyError};
pub use client::{Client, IfAttached};
pub use codex_exec_server_core::process_event::{ExecProcessEvent, Exit, Proof};
pub use cold::FirstStart;
pub use config::{ClientConfig, LinkLimits, ProcessLimits};
pub use dial::{DialError, Dialer};
pub use error::{AdoptError, ClientError, ProcessError, RequestError, StartError, Unsupported, WriteError};
pub use events::Events;
pub use follow::{Follow, Lag, OnGap};
pub use fs::{FileReading, MissingWatch, READING_BLOCK_BYTES, ReadingError};
pub use http::HttpAnswer;
pub use process::RemoteProcess;
pub use session::Peer;
pub use state::{Status, StatusWatch};
