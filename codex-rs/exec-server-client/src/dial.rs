//! Where connections come from: a URL, or whatever the caller has.

use std::fmt;
use std::pin::Pin;

use codex_exec_server_transport::client::{ConnectError, ConnectOptions, Connected, Departure, connect_with};
use codex_exec_server_transport::{Connection, Message};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// A URL could not be connected to.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// There is nothing to connect to any more, or never will be.
    #[error("{0}")]
    Gone(String),
}

impl DialError {
    /// Whether the server has certainly read nothing, although it may have left.
    pub(crate) const fn is_refusal(&self) -> bool {
        matches!(self, Self::Connect(error) if error.is_refusal())
    }

    /// Whether trying again soon may help.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        /// Statuses that say "not now".
        const TIMEOUT: u16 = 408;
        const TOO_MANY: u16 = 429;
        match self {
            Self::Connect(ConnectError::Io { .. } | ConnectError::TimedOut { .. }) => true,
            Self::Connect(ConnectError::Refused { status, .. }) => {
                matches!(*status, TIMEOUT | TOO_MANY | 500..)
            }
            Self::Connect(
                ConnectError::InvalidUrl(_)
                | ConnectError::TlsUnsupported(_)
                | ConnectError::InvalidToken
                | ConnectError::Unauthorized { .. }
                | ConnectError::Forbidden
                | ConnectError::NotFound
                | ConnectError::NotAWebSocket(_),
            )
            | Self::Gone(_) => false,
        }
    }
}

type Dialing = Pin<Box<dyn Future<Output = Result<Connected, DialError>> + Send>>;

/// Makes a new connection to one server, again and again.
pub struct Dialer(Box<dyn Fn(Vec<Message>, Departure) -> Dialing + Send + Sync>);

impl Dialer {
    /// Connections made by `dial`, all of them to one and the same server.
    pub fn new<F>(dial: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Connection, DialError>> + Send + 'static,
    {
        Self(Box::new(move |unsent, _| {
            let dialing = dial();
            Box::pin(async { Ok(Connected { connection: dialing.await?, unsent }) })
        }))
    }

    /// Connections to `ws://HOST:PORT` or `unix:///path`.
    #[must_use]
    pub fn url(url: String, options: ConnectOptions) -> Self {
        Self(Box::new(move |messages, departure| {
            let (url, options) = (url.clone(), options.clone());
            Box::pin(async move { Ok(connect_with(&url, &options, messages, &departure).await?) })
        }))
    }

    /// A connection that carries `messages` first, on the way there if it can; `departure` tells whether they left so.
    pub(crate) fn dial(&self, messages: Vec<Message>, departure: &Departure) -> Dialing {
        (self.0)(messages, departure.clone())
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dialer")
    }
}
