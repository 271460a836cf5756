//! A server that accepts, and peers that are not ours.

use std::time::Duration;

use codex_exec_server_transport::{AcceptPolicy, Connection, ListenUrl, Listener, WireLimits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// Longer than anything here takes, on any machine; only a test that fails waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);

/// A listener whose connections arrive in a channel.
pub(crate) struct Server {
    pub(crate) url: String,
    connections: mpsc::Receiver<Connection>,
    /// Ends with the server.
    _accepting: JoinSet<()>,
}

impl Server {
    pub(crate) async fn start(policy: AcceptPolicy, limits: WireLimits) -> Self {
        Self::start_at("ws://127.0.0.1:0", policy, limits).await
    }

    pub(crate) async fn open() -> Self {
        // Pings would come in between where a test takes long on a busy machine.
        Self::start(AcceptPolicy::default(), WireLimits { liveness: None, ..WireLimits::default() }).await
    }

    pub(crate) async fn start_at(url: &str, policy: AcceptPolicy, limits: WireLimits) -> Self {
        let url: ListenUrl = url.parse().unwrap();
        let mut listener = Listener::bind(&url, policy, limits).await.unwrap();
        let url = listener.local_url().to_owned();
        let (sender, connections) = mpsc::channel(64);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            while let Some(connection) = listener.accept().await {
                if sender.send(connection).await.is_err() {
                    return;
                }
            }
        });
        Self { url, connections, _accepting: accepting }
    }

    pub(crate) fn address(&self) -> &str {
        self.url.strip_prefix("ws://").unwrap()
    }

    pub(crate) async fn next(&mut self) -> Connection {
        soon(self.connections.recv()).await.unwrap()
    }

    pub(crate) async fn tcp(&self) -> TcpStream {
        TcpStream::connect(self.address()).await.unwrap()
    }

    /// Sends a request head as it is, and returns all that comes back until the server hangs up.
    pub(crate) async fn http(&self, request: &str) -> String {
        let mut stream = self.tcp().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        soon(stream.read_to_string(&mut response)).await.unwrap();
        response
    }

    /// A raw TCP stream that is past its upgrade.
    pub(crate) async fn upgraded_tcp(&self) -> TcpStream {
        let mut stream = self.tcp().await;
        stream.write_all(upgrade_request("").as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(soon(stream.read_u8()).await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
        stream
    }

    /// A client of another implementation, without limits of its own.
    pub(crate) async fn tungstenite(&self) -> WebSocketStream<TcpStream> {
        let stream = self.tcp().await;
        let unlimited = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        soon(client_async_with_config(&self.url, stream, Some(unlimited))).await.unwrap().0
    }
}

/// An upgrade request as RFC 6455 has it, with `extra` header lines.
pub(crate) fn upgrade_request(extra: &str) -> String {
    format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{extra}\r\n"
    )
}

/// What an event that has to happen gives; fails the test if it does not happen.
pub(crate) async fn soon<T>(event: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, event).await.expect("this should have happened by now")
}
