//! Accepting connections: sockets in, upgraded connections out.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::connection::Connection;
use crate::limits::WireLimits;
use crate::listen_url::ListenUrl;
use crate::peer::Peer;
use crate::stream::{self, Stream};
use crate::unix_socket::{BoundSocket, UnixSocketError};
use crate::upgrade::{self, AcceptPolicy};
use crate::websocket::Role;

/// How long accepting rests when the system has run out of something, usually file descriptors. The clients
/// wait in the kernel's backlog meanwhile, and the connections that are open go on.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A place where clients can connect. Dropping it ends the handshakes that are under way and removes a Unix
/// socket's file; accepted connections live on.
#[derive(Debug)]
pub struct Listener {
    source: Source,
    local_url: String,
    policy: Arc<AcceptPolicy>,
    limits: WireLimits,
    /// One task for each client that is still in its upgrade, at most [`WireLimits::pending_handshakes`].
    /// Beyond that nothing is accepted, so more clients wait in the kernel's backlog.
    handshakes: JoinSet<Option<Connection>>,
    /// While set, accepting rests.
    resting_until: Option<Instant>,
}

#[derive(Debug)]
enum Source {
    Tcp(TcpListener),
    Unix(BoundSocket),
    /// Standard input and output, until they are handed out.
    Stdio {
        taken: bool,
    },
}

/// Why nothing can be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Everyone on the network could run anything here.
    #[error(
        "refusing to listen on {0} without authentication: it is reachable from other machines, configure a token"
    )]
    AuthRequired(SocketAddr),
    /// Whoever holds the pipes has been let in already.
    #[error("authentication cannot be combined with stdio")]
    AuthOnStdio,
    /// The address is taken, not ours, or not permitted.
    #[error("cannot listen on {address}: {source}")]
    Tcp {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The Unix socket cannot be made.
    #[error("cannot listen on unix socket: {0}")]
    Unix(#[from] UnixSocketError),
}

impl Listener {
    /// Starts to listen. From now on clients may connect; they are answered while [`Listener::accept`] is
    /// polled.
    pub async fn bind(url: &ListenUrl, policy: AcceptPolicy, limits: WireLimits) -> Result<Self, BindError> {
        let (source, local_url) = match url {
            ListenUrl::Ws(address) => {
                if policy.auth.is_none() && !url.is_loopback() {
                    return Err(BindError::AuthRequired(*address));
                }
                let tcp_error = |source| BindError::Tcp { address: *address, source };
                let listener = TcpListener::bind(address).await.map_err(tcp_error)?;
                stream::tune(&listener);
                if url.is_loopback() {
                    stream::do_not_pace(&listener);
                }
                let local = listener.local_addr().map_err(tcp_error)?;
                (Source::Tcp(listener), ListenUrl::Ws(local).to_string())
            }
            ListenUrl::Unix(path) => (Source::Unix(BoundSocket::bind(path).await?), url.to_string()),
            ListenUrl::Stdio if policy.auth.is_some() => return Err(BindError::AuthOnStdio),
            ListenUrl::Stdio => (Source::Stdio { taken: false }, url.to_string()),
        };
        let policy = Arc::new(policy);
        Ok(Self { source, local_url, policy, limits, handshakes: JoinSet::new(), resting_until: None })
    }

    /// Where clients connect, with the real port: `ws://127.0.0.1:46385`, `unix:///path` or `stdio`.
    pub fn local_url(&self) -> &str {
        &self.local_url
    }

    /// The next connection that is ready for messages. `None` when there will be no more: stdio has exactly
    /// one, a socket never ends.
    ///
    /// Clients that are slow, silent, refused or gone before that delay nobody else and are not reported.
    /// Failures to accept are logged, and accepting goes on after a pause. Cancel-safe.
    pub async fn accept(&mut self) -> Option<Connection> {
        loop {
            if let Source::Stdio { taken } = &mut self.source {
                return (!std::mem::replace(taken, true)).then(|| Connection::stdio(&self.limits));
            }
            let has_room = self.handshakes.len() < self.limits.pending_handshakes.max(1);
            let resting_until = self.resting_until;
            tokio::select! {
                Some(finished) = self.handshakes.join_next(), if !self.handshakes.is_empty() => match finished {
                    Ok(Some(connection)) => return Some(connection),
                    Ok(None) => {}
                    Err(error) => tracing::error!(%error, "handshake task failed"),
                },
                () = sleep_until(resting_until.unwrap_or_else(Instant::now)), if resting_until.is_some() => {
                    self.resting_until = None;
                }
                accepted = self.source.accept(), if has_room && resting_until.is_none() => match accepted {
                    Ok((stream, peer)) => self.shake_hands(stream, peer),
                    Err(error) if is_about_one_client(&error) => {
                        tracing::debug!(%error, "client vanished before it was accepted");
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept connections, trying again shortly");
                        self.resting_until = Some(Instant::now() + ACCEPT_PAUSE);
                    }
                },
            }
        }
    }

    fn shake_hands(&mut self, stream: Stream, peer: Peer) {
        let policy = Arc::clone(&self.policy);
        let limits = self.limits.clone();
        self.handshakes.spawn(async move {
            let (stream, leftover) = upgrade::accept(stream, &policy, &limits).await?;
            Some(Connection::websocket(stream, &leftover, Role::Server, peer, &limits))
        });
    }
}

impl Source {
    async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok((Stream::Tcp(stream), Peer::Tcp(address)))
            }
            Self::Unix(bound) => {
                let (stream, _) = bound.listener.accept().await?;
                Ok((Stream::Unix(stream), Peer::Unix))
            }
            Self::Stdio { .. } => std::future::pending().await,
        }
    }
}

/// Whether a failure to accept says something about the client rather than about this system.
fn is_about_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
