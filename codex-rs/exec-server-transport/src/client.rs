//! Connecting to a server.

use std::fmt;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use hyper::StatusCode;
use hyper::header::{self, HeaderMap, HeaderValue};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite;
use tungstenite::handshake::client::{Response, generate_key};
use tungstenite::handshake::derive_accept_key;
use tungstenite::handshake::machine::TryParse;
use tungstenite::http::Uri;

use crate::connection::Connection;
use crate::limits::WireLimits;
use crate::message::Message;
use crate::peer::Peer;
use crate::stream::Stream;
use crate::websocket::{self, Role};

/// Largest response head that is read, in bytes.
const HEAD_BYTES: usize = 64 * 1024;
/// How much of a refusal's body is kept, in bytes.
const BODY_BYTES: usize = 4 * 1024;
/// What may leave together with the request for the upgrade, in bytes.
const EARLY_BYTES: usize = 16 * 1024;
/// The port of `ws://` without one.
const DEFAULT_PORT: u16 = 80;

/// How to connect. Its debug form does not show the token.
#[derive(Clone)]
pub struct ConnectOptions {
    /// Sent as `Authorization: Bearer …`.
    pub bearer_token: Option<String>,
    /// How long connecting may take, from looking up the name to the end of the upgrade. Default 10 s, as in
    /// clients of the reference.
    pub connect_timeout: Duration,
    /// Limits of the connection. Default [`WireLimits::for_client`].
    pub limits: WireLimits,
    /// Whether [`connect_with`] may send messages right behind the upgrade request, before it is answered. RFC 6455 has
    /// clients wait; this server and the reference's take it, and a server that refuses the upgrade throws it away
    /// unread. Turn it off behind a proxy that takes offence. Default on.
    pub early: bool,
}

impl fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectOptions")
            .field("bearer_token", &self.bearer_token.as_ref().map(|_| "hidden"))
            .field("connect_timeout", &self.connect_timeout)
            .field("limits", &self.limits)
            .finish()
    }
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            bearer_token: None,
            connect_timeout: Duration::from_secs(10),
            limits: WireLimits::for_client(),
            early: true,
        }
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL is not one that can be connected to.
    #[error("cannot connect to {0}: use ws://HOST:PORT or unix:///path")]
    InvalidUrl(String),
    /// TLS is not available.
    #[error("cannot connect to {0}: TLS is not built in yet, use ws:// or a tunnel")]
    TlsUnsupported(String),
    /// The token holds characters that a header cannot carry. It is not shown.
    #[error("bearer token holds characters that cannot be sent in a header")]
    InvalidToken,
    /// Nobody answers there, or the connection broke during the upgrade.
    #[error("cannot connect to {url}: {source}")]
    Io {
        /// Where to.
        url: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The server took too long.
    #[error("cannot connect to {url}: no answer within {} ms", after.as_millis())]
    TimedOut {
        /// Where to.
        url: String,
        /// [`ConnectOptions::connect_timeout`].
        after: Duration,
    },
    /// 401: the credential is missing or wrong; the server says which.
    #[error("server refused the credential: {reason}")]
    Unauthorized {
        /// The body of the response.
        reason: String,
    },
    /// 403: the server refuses this kind of client, whatever its credential.
    #[error("server refused the connection (403)")]
    Forbidden,
    /// 404: there is no WebSocket at this path.
    #[error("server has no websocket at this path (404)")]
    NotFound,
    /// Any other answer than an upgrade.
    #[error("server answered {status} instead of a websocket upgrade: {body}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The start of the body.
        body: String,
    },
    /// What answered does not speak HTTP, or claims an upgrade that is none.
    #[error("server does not speak websocket: {0}")]
    NotAWebSocket(&'static str),
}

impl ConnectError {
    /// Whether a server answered that there will be no upgrade. It has thrown away what came behind the request for it.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        match self {
            Self::Unauthorized { .. } | Self::Forbidden | Self::NotFound | Self::Refused { .. } => true,
            Self::InvalidUrl(_)
            | Self::TlsUnsupported(_)
            | Self::InvalidToken
            | Self::Io { .. }
            | Self::TimedOut { .. }
            | Self::NotAWebSocket(_) => false,
        }
    }
}

/// Connects to the WebSocket at `url`: `ws://HOST[:PORT][/PATH]` or `unix:///path`.
pub async fn connect(url: &str, options: &ConnectOptions) -> Result<Connection, ConnectError> {
    Ok(connect_with(url, options, Vec::new(), &Departure::default()).await?.connection)
}

/// A connection, and whether it has carried messages already.
#[derive(Debug)]
pub struct Connected {
    /// The connection.
    pub connection: Connection,
    /// What of the messages is still to be sent: all of them, or none.
    pub unsent: Vec<Message>,
}

/// Tells whether messages have left with the request for the upgrade, also to somebody who stopped waiting for the
/// connection. Cloning gives another handle to the same.
#[derive(Debug, Clone, Default)]
pub struct Departure(Arc<AtomicBool>);

impl Departure {
    /// Whether any of it may be on its way. If not, the server has certainly seen nothing.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn begin(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// As [`connect`], for somebody who knows what to say first: `messages` leave in one flight with the request for the
/// upgrade, which saves a round trip.
///
/// They are left to the caller when [`ConnectOptions::early`] is off or when they are more than 16 KiB, which a server might
/// take for too long a request. If there is an error, `departure` says whether they have left at all; a server that refused
/// the upgrade ([`ConnectError::is_refusal`]) has read none of them; after any other error that can't be known.
pub async fn connect_with(
    url: &str,
    options: &ConnectOptions,
    messages: Vec<Message>,
    departure: &Departure,
) -> Result<Connected, ConnectError> {
    let target = Target::parse(url)?;
    let request = target.request(options.bearer_token.as_deref())?;
    let deadline = Instant::now() + options.connect_timeout;
    let is_early = options.early && messages.iter().map(Message::len).sum::<usize>() <= EARLY_BYTES;
    let (early, unsent) = if is_early { (messages, Vec::new()) } else { (Vec::new(), messages) };
    let attempt = async {
        let io_error = |source| ConnectError::Io { url: url.to_owned(), source };
        let (mut stream, peer) = target.open().await.map_err(io_error)?;
        let mut flight = request.bytes;
        if !early.is_empty() {
            departure.begin();
        }
        flight.extend(websocket::frames(early, Role::Client));
        stream.write_all(&flight).await.map_err(io_error)?;
        let leftover = read_response(&mut stream, &request.key).await.map_err(|failure| match failure {
            Failure::Io(source) => io_error(source),
            Failure::Answer(error) => error,
        })?;
        let connection = Connection::websocket(stream, &leftover, Role::Client, peer, &options.limits);
        Ok(Connected { connection, unsent })
    };
    timeout_at(deadline, attempt)
        .await
        .map_err(|_| ConnectError::TimedOut { url: url.to_owned(), after: options.connect_timeout })?
}

/// A connection to a server whose stdin and stdout are at hand, usually a child process.
pub fn from_stdio(
    child_stdin: impl AsyncWrite + Send + Unpin + 'static,
    child_stdout: impl AsyncRead + Send + Unpin + 'static,
    limits: &WireLimits,
) -> Connection {
    Connection::from_lines(child_stdout, child_stdin, limits)
}

/// Where a URL points.
#[derive(Debug, PartialEq, Eq)]
enum Target {
    Tcp { host: String, port: u16, authority: String, path_and_query: String },
    Unix(PathBuf),
}

struct UpgradeRequest {
    bytes: Vec<u8>,
    key: String,
}

impl Target {
    fn parse(url: &str) -> Result<Self, ConnectError> {
        let invalid = || ConnectError::InvalidUrl(url.to_owned());
        if let Some(path) = url.strip_prefix("unix://") {
            return if path.starts_with('/') { Ok(Self::Unix(PathBuf::from(path))) } else { Err(invalid()) };
        }
        let uri: Uri = url.parse().map_err(|_| invalid())?;
        match uri.scheme_str() {
            Some("ws") => {}
            Some("wss") => return Err(ConnectError::TlsUnsupported(url.to_owned())),
            _ => return Err(invalid()),
        }
        let authority =
            uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or_else(invalid)?;
        let host = authority.host();
        // The brackets of an IPv6 address belong to the URL, not to the address.
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = match authority.port_u16() {
            Some(port) => port,
            None if authority.as_str() == host => DEFAULT_PORT,
            None => return Err(invalid()),
        };
        if bare.is_empty() {
            return Err(invalid());
        }
        let path_and_query = uri.path_and_query().map_or("/", |both| both.as_str());
        Ok(Self::Tcp {
            host: bare.to_owned(),
            port,
            authority: authority.as_str().to_owned(),
            path_and_query: if path_and_query.starts_with('/') {
                path_and_query.to_owned()
            } else {
                format!("/{path_and_query}")
            },
        })
    }

    async fn open(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Self::Tcp { host, port, .. } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                let address = stream.peer_addr()?;
                let stream = Stream::from_tcp(stream, address.ip());
                stream.bound_window();
                Ok((stream, Peer::Tcp(address)))
            }
            Self::Unix(path) => Ok((Stream::Unix(UnixStream::connect(path).await?), Peer::Unix)),
        }
    }

    fn request(&self, bearer_token: Option<&str>) -> Result<UpgradeRequest, ConnectError> {
        let (host, path_and_query) = match self {
            Self::Tcp { authority, path_and_query, .. } => (authority.as_str(), path_and_query.as_str()),
            Self::Unix(_) => ("localhost", "/"),
        };
        let key = generate_key();
        let mut bytes = Vec::new();
        write!(
            bytes,
            "GET {path_and_query} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
        )
        .expect("writing to memory never fails");
        if let Some(token) = bearer_token {
            // Only checked here: a line break in it would let the token's author write headers of his own.
            let value = HeaderValue::try_from(format!("Bearer {}", token.trim()))
                .map_err(|_| ConnectError::InvalidToken)?;
            bytes.extend_from_slice(b"Authorization: ");
            bytes.extend_from_slice(value.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        Ok(UpgradeRequest { bytes, key })
    }
}

enum Failure {
    Io(io::Error),
    Answer(ConnectError),
}

/// Reads the response to the upgrade; returns what was read beyond it.
async fn read_response(stream: &mut Stream, key: &str) -> Result<BytesMut, Failure> {
    let mut buffer = BytesMut::with_capacity(4 * 1024);
    loop {
        let read = stream.read_buf(&mut buffer).await.map_err(Failure::Io)?;
        if read == 0 {
            return Err(Failure::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        match Response::try_parse(&buffer) {
            Ok(Some((head_bytes, response))) => {
                let rest = buffer.split_off(head_bytes);
                return match response.status() {
                    StatusCode::SWITCHING_PROTOCOLS => match check_upgrade(response.headers(), key) {
                        Ok(()) => Ok(rest),
                        Err(wrong) => Err(Failure::Answer(ConnectError::NotAWebSocket(wrong))),
                    },
                    status => Err(Failure::Answer(refusal(status, response.headers(), rest, stream).await)),
                };
            }
            Ok(None) if buffer.len() < HEAD_BYTES => {}
            Ok(None) => return Err(not_http("its response head is too long")),
            Err(_) => return Err(not_http("its response is not http")),
        }
    }
}

fn not_http(wrong: &'static str) -> Failure {
    Failure::Answer(ConnectError::NotAWebSocket(wrong))
}

/// The checks of RFC 6455 §4.1 on a 101 response.
fn check_upgrade(headers: &HeaderMap, key: &str) -> Result<(), &'static str> {
    let says = |name, token: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value: &HeaderValue| value.to_str().ok())
            .any(|value| value.split(',').any(|value| value.trim().eq_ignore_ascii_case(token)))
    };
    if !says(header::UPGRADE, "websocket") || !says(header::CONNECTION, "upgrade") {
        return Err("its 101 response upgrades to something else");
    }
    if headers
        .get(header::SEC_WEBSOCKET_ACCEPT)
        .is_none_or(|accept| *accept != *derive_accept_key(key.as_bytes()))
    {
        return Err("its Sec-WebSocket-Accept does not match our key");
    }
    if headers.contains_key(header::SEC_WEBSOCKET_EXTENSIONS)
        || headers.contains_key(header::SEC_WEBSOCKET_PROTOCOL)
    {
        return Err("it chose an extension or sub-protocol that was not offered");
    }
    Ok(())
}

/// Turns any other response into an error, with the start of its body.
async fn refusal(
    status: StatusCode,
    headers: &HeaderMap,
    mut body: BytesMut,
    stream: &mut Stream,
) -> ConnectError {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let wanted = announced.unwrap_or(BODY_BYTES).min(BODY_BYTES);
    while body.len() < wanted && matches!(stream.read_buf(&mut body).await, Ok(1..)) {}
    body.truncate(wanted);
    let body = String::from_utf8_lossy(&body).into_owned();
    match status {
        StatusCode::UNAUTHORIZED => ConnectError::Unauthorized { reason: body },
        StatusCode::FORBIDDEN => ConnectError::Forbidden,
        StatusCode::NOT_FOUND => ConnectError::NotFound,
        status => ConnectError::Refused { status: status.as_u16(), body },
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
