//! The raw side of a small request: as many bytes there and back over a loopback socket, answered by a thread
//! that does nothing else.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Instant;

use crate::distance::Distance;
use crate::error::BenchError;
use crate::lanes::Probe;

/// About the size of a small request, and of its answer.
const REQUEST: [u8; 64] = [b'q'; 64];
const ANSWER: [u8; 48] = [b'a'; 48];

/// Microseconds for one round trip.
pub(crate) struct RawRoundTrip {
    /// Taken to close it, which ends the thread.
    stream: Option<TcpStream>,
    answerer: Option<JoinHandle<()>>,
    _distance: Option<Distance>,
}

impl RawRoundTrip {
    pub(crate) fn open() -> Result<Self, BenchError> {
        Self::open_to(TcpListener::bind("127.0.0.1:0")?, /*distance*/ None)
    }

    /// Through a proxy that delays.
    pub(crate) fn open_far() -> Result<Self, BenchError> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let distance = Distance::before(listener.local_addr()?)?;
        Self::open_to(listener, Some(distance))
    }

    fn open_to(listener: TcpListener, distance: Option<Distance>) -> Result<Self, BenchError> {
        let address = match &distance {
            Some(distance) => distance.address(),
            None => listener.local_addr()?,
        };
        let stream = TcpStream::connect(address)?;
        let (mut peer, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        peer.set_nodelay(true)?;
        let answerer = std::thread::spawn(move || {
            let mut request = REQUEST;
            while peer.read_exact(&mut request).is_ok() && peer.write_all(&ANSWER).is_ok() {}
        });
        Ok(Self { stream: Some(stream), answerer: Some(answerer), _distance: distance })
    }
}

impl Probe for RawRoundTrip {
    fn sample(&mut self) -> Result<f64, BenchError> {
        let Some(stream) = &mut self.stream else {
            return Err(BenchError::Closed);
        };
        let mut answer = ANSWER;
        let started = Instant::now();
        stream.write_all(&REQUEST)?;
        stream.read_exact(&mut answer)?;
        Ok(started.elapsed().as_secs_f64() * 1e6)
    }
}

impl Drop for RawRoundTrip {
    fn drop(&mut self) {
        self.stream = None;
        if let Some(answerer) = self.answerer.take() {
            // The thread has nothing to panic on, and a measurement is over by now.
            let _ = answerer.join();
        }
    }
}
