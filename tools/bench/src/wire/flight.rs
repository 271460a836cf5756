//! A cold command in one flight: the upgrade, the handshake and the first request leave together, before anything was
//! answered. What a client over a long distance does, where the server takes it.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde::Serialize;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{Connection, PATIENCE};
use crate::error::BenchError;

/// Far more than any server's answer to the upgrade.
const HEAD_LIMIT_BYTES: usize = 16 << 10;

impl Connection {
    /// Dials `url` and sends everything up to and including the request `method`. Its answer and that to `initialize`
    /// are still to come.
    pub(crate) fn open_in_one_flight(
        url: &str,
        method: &str,
        params: impl Serialize,
    ) -> Result<Self, BenchError> {
        let fail = |reason: &str| BenchError::Upgrade { url: url.to_owned(), reason: reason.to_owned() };
        let address = url.strip_prefix("ws://").ok_or_else(|| fail("not a ws:// url"))?;
        let address = address.split('/').next().unwrap_or(address);
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let key = generate_key();
        let mut connection = Self::on(stream.try_clone()?);
        connection.queue("initialize", serde_json::json!({ "clientName": "bench" }))?;
        connection.queue_message(/*id*/ None, "initialized", serde_json::json!({}))?;
        connection.queue(method, params)?;
        let mut flight = format!(
            "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        )
        .into_bytes();
        flight.append(&mut connection.outbox);
        stream.write_all(&flight)?;

        let mut head = Vec::new();
        let end = loop {
            if let Some(at) = memchr::memmem::find(&head, b"\r\n\r\n") {
                break at + 4;
            }
            if head.len() > HEAD_LIMIT_BYTES {
                return Err(fail("the answer has no end"));
            }
            let mut bytes = [0; 4096];
            match stream.read(&mut bytes)? {
                0 => return Err(BenchError::Closed),
                count => head.extend_from_slice(&bytes[..count]),
            }
        };
        let (head, rest) = head.split_at(end);
        let text = String::from_utf8_lossy(head);
        if !text.starts_with("HTTP/1.1 101") || !text.contains(&derive_accept_key(key.as_bytes())) {
            return Err(fail(text.lines().next().unwrap_or_default()));
        }
        connection.inbox.room()[..rest.len()].copy_from_slice(rest);
        connection.inbox.filled(rest.len());
        Ok(connection)
    }
}
