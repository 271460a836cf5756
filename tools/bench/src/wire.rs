//! A small blocking client of the protocol: just enough to measure with, and nothing that would be measured
//! along.
//!
//! tungstenite does the upgrade; from there on frames are read and written here, so that a gigabyte of output
//! costs this side one copy out of the kernel and one scan. One thread both reads and writes: what the socket
//! does not take at once is sent while reading goes on, so that a burst of any size cannot lock client and
//! server against each other.

mod bulk;
mod continuity;
mod flight;
mod frames;
mod message;

use std::io::{ErrorKind, Read};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::SendFlags;
use serde::Serialize;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite;

pub(crate) use self::bulk::{is_about, scan_output};
pub(crate) use self::continuity::Continuity;
pub(crate) use self::message::{Message, StartParams};
use crate::error::BenchError;
use crate::wire::frames::{Inbox, Opcode, push_frame};

/// How long a server may say nothing while something is owed, unless a row says otherwise.
const PATIENCE: Duration = Duration::from_secs(60);

/// The flag of binary messages, and the client's word for it.
const BINARY_OUTPUT: &str = "binaryOutput";

/// One connection that has been through the handshake.
pub(crate) struct Connection {
    stream: TcpStream,
    inbox: Inbox,
    /// Frames that the socket has not taken yet, from `sent` on.
    outbox: Vec<u8>,
    sent: usize,
    scratch: Vec<u8>,
    next_id: i64,
    patience: Duration,
    /// What `initialize` was answered, as it came: looking into it is no part of connecting.
    welcome: String,
    throttle: Option<Throttle>,
}

/// A bound on how fast the socket is read.
struct Throttle {
    bytes_per_second: f64,
    since: Instant,
    read: u64,
}

#[derive(Serialize)]
struct Request<'a, P> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<i64>,
    method: &'a str,
    params: P,
}

impl Connection {
    /// Dials `url` (`ws://host:port`), upgrades, and initialises a new session.
    pub(crate) fn open(url: &str) -> Result<Self, BenchError> {
        Self::open_with(url, &json!({ "clientName": "bench" }))
    }

    /// Like [`open`](Self::open), but goes on with a session that lost its connection.
    pub(crate) fn resume(url: &str, session_id: &str) -> Result<Self, BenchError> {
        Self::open_with(url, &json!({ "clientName": "bench", "resumeSessionId": session_id }))
    }

    /// Asks for output as binary messages; [`BenchError::NotOffered`] where the server has none.
    pub(crate) fn open_binary(url: &str) -> Result<Self, BenchError> {
        let params = json!({ "clientName": "bench", "capabilities": { BINARY_OUTPUT: true } });
        let connection = Self::open_with(url, &params)?;
        if connection.offers(BINARY_OUTPUT) { Ok(connection) } else { Err(BenchError::NotOffered) }
    }

    /// Dials, upgrades, and initialises with `params`.
    pub(crate) fn open_with(url: &str, params: &Value) -> Result<Self, BenchError> {
        let fail = |reason: String| BenchError::Upgrade { url: url.to_owned(), reason };
        let address = url.strip_prefix("ws://").ok_or_else(|| fail("not a ws:// url".to_owned()))?;
        let address = address.split('/').next().unwrap_or(address);
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let (socket, _) = tungstenite::client(url, &stream).map_err(|error| fail(error.to_string()))?;
        // Nothing is lost with the wrapper's buffer: a server is silent until it is asked to initialise.
        drop(socket);
        let mut connection = Self::on(stream);
        connection.welcome = connection.call("initialize", params)?;
        connection.queue_message(/*id*/ None, "initialized", json!({}))?;
        connection.flush()?;
        Ok(connection)
    }

    /// On a socket that is or will be upgraded.
    fn on(stream: TcpStream) -> Self {
        Self {
            stream,
            inbox: Inbox::new(),
            outbox: Vec::new(),
            sent: 0,
            scratch: Vec::new(),
            next_id: 0,
            patience: PATIENCE,
            welcome: String::new(),
            throttle: None,
        }
    }

    /// What `initialize` was answered; nothing where that is no JSON, which no server gets away with elsewhere.
    fn welcome(&self) -> Value {
        serde_json::from_str(&self.welcome).unwrap_or_default()
    }

    /// The session's id, as the server named it.
    pub(crate) fn session_id(&self) -> String {
        self.welcome()["sessionId"].as_str().unwrap_or_default().to_owned()
    }

    /// Whether the server's capabilities show `flag`.
    pub(crate) fn offers(&self, flag: &str) -> bool {
        self.welcome()["environmentInfo"]["capabilities"][flag] == true
    }

    /// Whether the server says that it can enforce sandboxes.
    pub(crate) fn confines(&self) -> bool {
        self.welcome()["environmentInfo"]["sandbox"]["processes"] == true
    }

    /// From now on reads at most this much, on average.
    pub(crate) fn throttle(&mut self, bytes_per_second: f64) {
        self.throttle = Some(Throttle { bytes_per_second, since: Instant::now(), read: 0 });
    }

    /// Ends the connection without a word.
    pub(crate) fn cut(self) {
        // One that has ended already is cut enough.
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// How long to wait for the next message before [`BenchError::Silent`].
    pub(crate) fn set_patience(&mut self, patience: Duration) -> Result<(), BenchError> {
        self.patience = patience;
        Ok(self.stream.set_read_timeout(Some(patience))?)
    }

    /// Sends a request now and returns its id. What the socket does not take goes out while reading.
    pub(crate) fn request(&mut self, method: &str, params: impl Serialize) -> Result<i64, BenchError> {
        let id = self.queue(method, params)?;
        self.flush()?;
        Ok(id)
    }

    /// Like [`request`](Self::request), but leaves the sending to a later request, flush or read.
    pub(crate) fn queue(&mut self, method: &str, params: impl Serialize) -> Result<i64, BenchError> {
        self.next_id += 1;
        self.queue_message(Some(self.next_id), method, params)?;
        Ok(self.next_id)
    }

    /// Sends a request and waits for its result, dropping notifications meanwhile.
    pub(crate) fn call(&mut self, method: &str, params: impl Serialize) -> Result<String, BenchError> {
        let wanted = self.request(method, params)?;
        loop {
            match self.next()? {
                Message::Reply { id, result } if id == wanted => return Ok(result.to_owned()),
                Message::Refused { id, code, message } if id == wanted => {
                    return Err(BenchError::Refused { code, message });
                }
                _ => {}
            }
        }
    }

    /// The next message, decoded.
    pub(crate) fn next(&mut self) -> Result<Message<'_>, BenchError> {
        Message::parse(self.next_payload()?)
    }

    /// The next message as it came, valid until the next call.
    pub(crate) fn next_payload(&mut self) -> Result<&[u8], BenchError> {
        while !self.take_received()? {
            self.fill()?;
        }
        Ok(self.inbox.payload())
    }

    /// Queues a request whose parameters are JSON already: for large ones, which are not to be scanned again.
    pub(crate) fn queue_text(&mut self, method: &str, params: &str) {
        self.next_id += 1;
        self.scratch.clear();
        let id = self.next_id;
        for part in [r#"{"id":"#, &id.to_string(), r#","method":""#, method, r#"","params":"#, params, "}"] {
            self.scratch.extend_from_slice(part.as_bytes());
        }
        push_frame(&mut self.outbox, Opcode::Data, &self.scratch);
    }

    /// Bytes that the socket has not taken yet.
    pub(crate) fn unsent_bytes(&self) -> usize {
        self.outbox.len() - self.sent
    }

    /// The next message that has been received already.
    pub(crate) fn try_next(&mut self) -> Result<Option<Message<'_>>, BenchError> {
        match self.take_received()? {
            true => Message::parse(self.inbox.payload()).map(Some),
            false => Ok(None),
        }
    }

    /// Whether a whole message was there to be taken.
    fn take_received(&mut self) -> Result<bool, BenchError> {
        loop {
            match self.inbox.take_frame()? {
                Some(Opcode::Data) => return Ok(true),
                Some(Opcode::Ping) => {
                    push_frame(&mut self.outbox, Opcode::Pong, self.inbox.payload());
                    self.flush()?;
                }
                Some(Opcode::Pong) => {}
                Some(Opcode::Close) => return Err(BenchError::Closed),
                None => return Ok(false),
            }
        }
    }

    fn queue_message(
        &mut self,
        id: Option<i64>,
        method: &str,
        params: impl Serialize,
    ) -> Result<(), BenchError> {
        self.scratch.clear();
        serde_json::to_writer(&mut self.scratch, &Request { id, method, params })?;
        push_frame(&mut self.outbox, Opcode::Data, &self.scratch);
        Ok(())
    }

    /// Hands the socket as much as it takes without waiting.
    pub(crate) fn flush(&mut self) -> Result<(), BenchError> {
        while self.sent < self.outbox.len() {
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            match rustix::net::send(&self.stream, &self.outbox[self.sent..], flags) {
                Ok(count) => self.sent += count,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.outbox.clear();
        self.sent = 0;
        Ok(())
    }

    /// Waits for bytes and reads them. With nothing left to send a plain blocking read does, the quickest way
    /// to wait.
    fn fill(&mut self) -> Result<(), BenchError> {
        while !self.outbox.is_empty() {
            let limit = Timespec { tv_sec: self.patience.as_secs() as i64, tv_nsec: 0 };
            let mut ready = [PollFd::new(&self.stream, PollFlags::IN | PollFlags::OUT)];
            if poll(&mut ready, Some(&limit))? == 0 {
                return Err(self.silent());
            }
            let events = ready[0].revents();
            if events.contains(PollFlags::OUT) {
                self.flush()?;
            }
            if !(events - PollFlags::OUT).is_empty() {
                break;
            }
        }
        self.read_once()
    }

    fn read_once(&mut self) -> Result<(), BenchError> {
        if let Some(Throttle { bytes_per_second, since, read }) = &self.throttle {
            let due = *since + Duration::from_secs_f64(*read as f64 / bytes_per_second);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        match (&self.stream).read(self.inbox.room()) {
            Ok(0) => Err(BenchError::Closed),
            Ok(count) => {
                self.inbox.filled(count);
                if let Some(throttle) = &mut self.throttle {
                    throttle.read += count as u64;
                }
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err(self.silent()),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn silent(&self) -> BenchError {
        BenchError::Silent { seconds: self.patience.as_secs() }
    }
}

/// Waits until one of `connections` has received something, or the socket of one takes more of what is to be sent; with
/// `room`, also until one would take more than there is. Sends and reads.
pub(crate) fn wait(connections: &mut [Connection], room: bool) -> Result<(), BenchError> {
    let patience = connections.first().map_or(PATIENCE, |connection| connection.patience);
    let mut ready: Vec<PollFd<'_>> = connections
        .iter()
        .map(|connection| {
            let out = if room || !connection.outbox.is_empty() { PollFlags::OUT } else { PollFlags::empty() };
            PollFd::new(&connection.stream, PollFlags::IN | out)
        })
        .collect();
    let limit = Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: 0 };
    if poll(&mut ready, Some(&limit))? == 0 {
        return Err(BenchError::Silent { seconds: patience.as_secs() });
    }
    let ready: Vec<PollFlags> = ready.iter().map(PollFd::revents).collect();
    for (connection, events) in connections.iter_mut().zip(ready) {
        if events.contains(PollFlags::OUT) {
            connection.flush()?;
        }
        if !(events - PollFlags::OUT).is_empty() {
            connection.read_once()?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
