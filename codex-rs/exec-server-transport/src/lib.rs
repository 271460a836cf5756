//! Messages between a client and a server, over WebSocket (TCP or Unix socket), stdio, or memory.
//!
//! This crate owns frames, the HTTP upgrade with its side endpoints and files, the credential check, and the question
//! whether a peer is still there. It carries opaque messages and knows no method, no session and no JSON.
//!
//! * A server calls [`Listener::bind`] and then [`Listener::accept`] in a loop.
//! * A client calls [`client::connect`], or [`client::from_stdio`] with the pipes of a child.
//! * Both get a [`Connection`]: a [`MessageReader`] and a [`MessageWriter`] that never wait for each other.
//! * Every bound is in [`WireLimits`].

pub mod client;

mod auth;
mod close;
mod connection;
mod content_coding;
mod error;
mod express;
mod jwt;
mod limits;
mod lines;
mod listen_url;
mod listener;
mod liveness;
pub mod memory;
mod message;
mod peer;
mod presence;
mod segments;
mod site;
mod stream;
mod subprotocol;
mod unix_socket;
mod upgrade;
mod websocket;

pub use tokio_tungstenite::tungstenite::Utf8Bytes;

pub use crate::auth::{AuthConfigError, AuthRefusal, Authenticator, MIN_SECRET_BYTES};
pub use crate::close::{CloseReason, close_code};
pub use crate::connection::{Connection, MessageReader, MessageWriter};
pub use crate::error::{ReadError, Violation, WriteError};
pub use crate::express::{Express, Sent};
pub use crate::jwt::{JwtRefusal, SignedTokenRules};
pub use crate::limits::{Leeway, Liveness, WireLimits};
pub use crate::listen_url::{ListenUrl, ListenUrlError};
pub use crate::listener::{BindError, Listener};
pub use crate::message::{Message, MessageKind, Received};
pub use crate::peer::{Peer, PeerKind};
pub use crate::presence::Presence;
pub use crate::site::{Coding, Site, SiteFile};
pub use crate::subprotocol::SUBPROTOCOL;
pub use crate::unix_socket::UnixSocketError;
pub use crate::upgrade::AcceptPolicy;
pub use crate::websocket::Role;
