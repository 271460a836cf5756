//! Where to listen: the `--listen` value, parsed.
//!
//! Whether an address may be listened on without a credential is decided by the listener, not here.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// A place to listen. Displays as the URL it was parsed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenUrl {
    /// `ws://IP:PORT`: WebSocket over TCP. Port 0 lets the kernel choose.
    Ws(SocketAddr),
    /// `stdio` or `stdio://`: one connection over standard input and output.
    Stdio,
    /// `unix:///path`: WebSocket over a Unix socket. The path is taken literally, without percent-decoding.
    Unix(PathBuf),
}

impl ListenUrl {
    /// Whether only this machine can reach the place: a loopback address, a Unix socket, or stdio.
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Ws(address) => address.ip().to_canonical().is_loopback(),
            Self::Stdio | Self::Unix(_) => true,
        }
    }
}

/// Why a `--listen` value was not understood, and what would be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListenUrlError {
    /// `ws://` with something that is not a literal address, such as a host name.
    #[error(
        "cannot listen on {0}: a literal IP address and a port are required, such as ws://127.0.0.1:0 or ws://[::1]:9000"
    )]
    NotAnAddress(String),
    /// `ws://IP:PORT` with a path, a query or a user behind or before it.
    #[error("cannot listen on {0}: only ws://IP:PORT is understood, without a path or query")]
    MoreThanAnAddress(String),
    /// `unix://` without an absolute path.
    #[error(
        "cannot listen on {0}: a Unix socket needs an absolute path, such as unix:///run/exec-server.sock"
    )]
    RelativeUnixPath(String),
    /// `wss://`.
    #[error("cannot listen on {0}: TLS is not built in, listen on ws:// behind a proxy that ends TLS")]
    TlsUnsupported(String),
    /// Anything else.
    #[error("cannot listen on {0}: use ws://IP:PORT, unix:///path or stdio")]
    UnknownScheme(String),
}

impl FromStr for ListenUrl {
    type Err = ListenUrlError;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        if url == "stdio" || url == "stdio://" {
            return Ok(Self::Stdio);
        }
        if let Some(address) = url.strip_prefix("ws://") {
            let address = address.strip_suffix('/').unwrap_or(address);
            if address.contains(['/', '?', '#', '@']) {
                return Err(ListenUrlError::MoreThanAnAddress(url.to_owned()));
            }
            return address.parse().map(Self::Ws).map_err(|_| ListenUrlError::NotAnAddress(url.to_owned()));
        }
        if let Some(path) = url.strip_prefix("unix://") {
            if !path.starts_with('/') || path.ends_with('/') {
                return Err(ListenUrlError::RelativeUnixPath(url.to_owned()));
            }
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        if url.starts_with("wss://") {
            return Err(ListenUrlError::TlsUnsupported(url.to_owned()));
        }
        Err(ListenUrlError::UnknownScheme(url.to_owned()))
    }
}

impl fmt::Display for ListenUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ws(address) => write!(f, "ws://{address}"),
            Self::Stdio => f.write_str("stdio"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_listened_on_parses_and_displays_alike() {
        for url in ["ws://127.0.0.1:0", "ws://[::1]:9000", "ws://0.0.0.0:80", "stdio", "unix:///run/a b.sock"]
        {
            assert_eq!(url.parse::<ListenUrl>().unwrap().to_string(), url);
        }
        assert_eq!("stdio://".parse(), Ok(ListenUrl::Stdio));
        assert_eq!("ws://127.0.0.1:7/".parse(), Ok(ListenUrl::Ws("127.0.0.1:7".parse().unwrap())));
    }

    #[test]
    fn every_refusal_says_what_would_do() {
        let refusal = |url: &str| url.parse::<ListenUrl>().unwrap_err();
        for url in ["ws://localhost:1", "ws://127.0.0.1", "ws://", "ws://::1:80", "ws://127.0.0.1:65536"] {
            assert_eq!(refusal(url), ListenUrlError::NotAnAddress(url.to_owned()));
            assert!(refusal(url).to_string().contains("a literal IP address and a port are required"));
        }
        for url in ["ws://127.0.0.1:1/path", "ws://me@127.0.0.1:1", "ws://127.0.0.1:1?x"] {
            assert_eq!(refusal(url), ListenUrlError::MoreThanAnAddress(url.to_owned()));
        }
        for url in ["unix://relative.sock", "unix://", "unix:///run/"] {
            assert_eq!(refusal(url), ListenUrlError::RelativeUnixPath(url.to_owned()));
        }
        assert_eq!(refusal("wss://1.2.3.4:5"), ListenUrlError::TlsUnsupported("wss://1.2.3.4:5".to_owned()));
        for url in ["", "http://1.2.3.4:5", "127.0.0.1:80", "stdio:/", "unix:/path"] {
            assert_eq!(refusal(url), ListenUrlError::UnknownScheme(url.to_owned()));
        }
    }

    #[test]
    fn only_loopback_addresses_and_local_transports_count_as_loopback() {
        let is_loopback = |url: &str| url.parse::<ListenUrl>().unwrap().is_loopback();
        for url in ["ws://127.9.9.9:1", "ws://[::1]:1", "ws://[::ffff:127.0.0.1]:1", "stdio", "unix:///x"] {
            assert!(is_loopback(url), "{url}");
        }
        for url in ["ws://0.0.0.0:1", "ws://[::]:1", "ws://192.168.0.1:1", "ws://[::ffff:10.0.0.1]:1"] {
            assert!(!is_loopback(url), "{url}");
        }
    }
}
