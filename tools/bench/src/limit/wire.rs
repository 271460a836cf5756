//! The server's side of a WebSocket, for whole text messages only.

use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

pub(super) struct Client {
    pub(super) stream: TcpStream,
    /// Received and not yet a whole message.
    received: Vec<u8>,
}

impl Client {
    /// Waits for the request and answers it. `None` for whatever is none.
    pub(super) fn upgrade(mut stream: TcpStream) -> Option<Self> {
        stream.set_nodelay(true).ok()?;
        let mut received = Vec::new();
        let end = loop {
            if let Some(at) = memchr::memmem::find(&received, b"\r\n\r\n") {
                break at + 4;
            }
            let mut bytes = [0; 4096];
            match stream.read(&mut bytes).ok()? {
                0 => return None,
                count => received.extend_from_slice(&bytes[..count]),
            }
        };
        let head = String::from_utf8_lossy(&received[..end]).into_owned();
        let key = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim())
        })?;
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {}\r\n\r\n",
            derive_accept_key(key.as_bytes())
        );
        stream.write_all(answer.as_bytes()).ok()?;
        received.drain(..end);
        Some(Self { stream, received })
    }

    /// Reads once, through `buffer`; `None` when the client is gone. A ping has no place here: none of our clients
    /// sends one.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Option<Vec<Vec<u8>>> {
        match self.stream.read(buffer).ok()? {
            0 => return None,
            count => self.received.extend_from_slice(&buffer[..count]),
        }
        let (mut messages, mut taken) = (Vec::new(), 0);
        while let Some((start, length, mask)) = header(&self.received[taken..]) {
            let Some(payload) = self.received.get(taken + start..taken + start + length) else { break };
            if self.received[taken] & 0x0f == 8 {
                return None;
            }
            let mut message = payload.to_vec();
            unmask(&mut message, mask);
            messages.push(message);
            taken += start + length;
        }
        self.received.drain(..taken);
        Some(messages)
    }
}

/// Where the payload begins, its length and its mask; `None` while they are incomplete.
fn header(bytes: &[u8]) -> Option<(usize, usize, [u8; 4])> {
    let (skip, length) = match bytes.get(1)? & 0x7f {
        126 => (4, usize::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?)).ok()?),
        short => (2, usize::from(short)),
    };
    Some((skip + 4, length, *bytes.get(skip..)?.first_chunk()?))
}

fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    // Eight bytes at a time are enough for the compiler to use wider registers still.
    let wide = u64::from_ne_bytes([mask, mask].concat().try_into().unwrap_or_default());
    let mut chunks = payload.chunks_exact_mut(8);
    for chunk in &mut chunks {
        if let Ok(bytes) = <[u8; 8]>::try_from(&*chunk) {
            chunk.copy_from_slice(&(u64::from_ne_bytes(bytes) ^ wide).to_ne_bytes());
        }
    }
    for (byte, mask) in chunks.into_remainder().iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

/// Sends one text message, waiting for as long as the client makes it wait.
pub(super) fn send(stream: &mut TcpStream, text: &[u8]) -> io::Result<()> {
    let mut head = vec![0x81];
    match text.len() {
        short @ 0..126 => head.push(short as u8),
        medium @ 126..=0xffff => {
            head.push(126);
            head.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            head.push(127);
            head.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    let mut sent = stream.write_vectored(&[IoSlice::new(&head), IoSlice::new(text)])?;
    if sent < head.len() {
        stream.write_all(&head[sent..])?;
        sent = head.len();
    }
    stream.write_all(&text[sent - head.len()..])
}
