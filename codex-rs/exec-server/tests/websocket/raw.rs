//! A socket that sends bytes, for what no WebSocket client would send.

use codex_exec_server_testkit::patiently;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A correct request for an upgrade.
const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// See the module.
pub(crate) struct RawSocket {
    stream: TcpStream,
    received: Vec<u8>,
}

impl RawSocket {
    /// Connects to the server at `url` and says nothing.
    pub(crate) async fn connected(url: &str) -> Self {
        let address = url.strip_prefix("ws://").expect("a websocket url");
        let stream = TcpStream::connect(address).await.expect("it is accepted");
        Self { stream, received: Vec::new() }
    }

    /// Connects and gets through the upgrade.
    pub(crate) async fn upgraded(url: &str) -> Self {
        let mut socket = Self::connected(url).await;
        socket.send(UPGRADE).await;
        assert!(socket.receive_until(b"\r\n\r\n").await, "it is upgraded");
        socket
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("it is taken");
    }

    /// Sends a text message; less than 64 KiB.
    pub(crate) async fn say(&mut self, text: &str) {
        let length = u16::try_from(text.len()).expect("it is short").to_be_bytes();
        // Masked with zeros, which leave it as it is.
        self.send(&[&[0x81, 0xfe][..], &length, &[0; 4], text.as_bytes()].concat()).await;
    }

    /// One byte more, however many are there.
    pub(crate) async fn receive_byte(&mut self) {
        let byte = patiently("a byte from the server", self.stream.read_u8()).await.expect("there is one");
        self.received.push(byte);
    }

    /// As [`Self::receive_until`], for a text that comes behind more than memory is to hold.
    pub(crate) async fn receive_far_until(&mut self, text: &[u8]) -> bool {
        loop {
            if self.received.windows(text.len()).any(|window| window == text) {
                self.received.clear();
                return true;
            }
            // It may have begun.
            self.received.drain(..self.received.len().saturating_sub(text.len()));
            let read = patiently("bytes from the server", self.stream.read_buf(&mut self.received)).await;
            if !matches!(read, Ok(1..)) {
                return false;
            }
        }
    }

    /// Reads until `text` has come, and forgets everything up to there. `false` if the server hangs up before.
    pub(crate) async fn receive_until(&mut self, text: &[u8]) -> bool {
        loop {
            if let Some(found) = self.received.windows(text.len()).position(|window| window == text) {
                self.received.drain(..found + text.len());
                return true;
            }
            let read = patiently("bytes from the server", self.stream.read_buf(&mut self.received)).await;
            if !matches!(read, Ok(1..)) {
                return false;
            }
        }
    }
}
