//! A server far away: a proxy on loopback that gives every byte the time it would take to get there.
//!
//! Each direction is delayed by half a round trip, in order, without Nagle. A proxy can't delay the kernel's own
//! handshake, so a dial through it succeeds at once; to make up for that, nothing that comes from the client is
//! taken to have left before one round trip after the dial. Whoever dials and speaks thus pays for the dial as over
//! a real distance, and [`Distance::dialled`] says when that began.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::error::BenchError;

/// What is emulated: 80 ms there and back.
pub(crate) const ROUND_TRIP: Duration = Duration::from_millis(80);

/// Longer than anything that is measured takes, and short enough to wait for when it never happens.
const PATIENCE: Duration = Duration::from_secs(20);

/// See the module. Everything through it ends when it is dropped.
pub(crate) struct Distance {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    stopping: AtomicBool,
}

#[derive(Default)]
struct State {
    /// Both sides of every connection, to be cut.
    streams: Vec<TcpStream>,
    /// When the first client dialled since the last cut.
    dialled: Option<Instant>,
    /// Bytes that servers have sent, arrived or not.
    sent_by_server: u64,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Plain values that are right between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `done` says so.
    fn wait<T>(&self, done: impl Fn(&State) -> Option<T>) -> Result<T, BenchError> {
        let mut state = self.lock();
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(value) = done(&state) {
                return Ok(value);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(BenchError::Silent { seconds: PATIENCE.as_secs() });
            }
            (state, _) = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Distance {
    /// Before what listens on `target`.
    pub(crate) fn before(target: SocketAddr) -> Result<Self, BenchError> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let carried = Arc::clone(&shared);
        let accepting = std::thread::spawn(move || {
            while let Ok((near, _)) = listener.accept() {
                if carried.stopping.load(Ordering::Relaxed) {
                    return;
                }
                // A server that is gone looks to the client like a connection that is cut.
                let _ = carry(near, target, &carried);
            }
        });
        Ok(Self { address, shared, accepting: Some(accepting) })
    }

    /// Before the server at `url`, which is `ws://IP:PORT`.
    pub(crate) fn before_url(url: &str) -> Result<Self, BenchError> {
        let address =
            url.strip_prefix("ws://").and_then(|address| address.trim_end_matches('/').parse().ok());
        let fail = || BenchError::Upgrade { url: url.to_owned(), reason: "not ws://IP:PORT".to_owned() };
        Self::before(address.ok_or_else(fail)?)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Bytes that the server has sent so far.
    pub(crate) fn sent_by_server(&self) -> u64 {
        self.shared.lock().sent_by_server
    }

    /// Waits until the server has sent more than `bytes`.
    pub(crate) fn wait_for_more_than(&self, bytes: u64) -> Result<(), BenchError> {
        self.shared.wait(|state| (state.sent_by_server > bytes).then_some(()))
    }

    /// Ends every connection at once. What is under way is lost.
    pub(crate) fn cut(&self) {
        let mut state = self.shared.lock();
        state.dialled = None;
        for stream in state.streams.drain(..) {
            // One that has ended already is cut enough.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// When somebody dialled for the first time since the last cut; waits for that.
    pub(crate) fn dialled(&self) -> Result<Instant, BenchError> {
        self.shared.wait(|state| state.dialled)
    }
}

impl Drop for Distance {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.cut();
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

/// Starts the two threads of a connection; they end with it.
fn carry(near: TcpStream, target: SocketAddr, shared: &Arc<Shared>) -> io::Result<()> {
    let dialled = Instant::now();
    let far = TcpStream::connect(target)?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let mut state = shared.lock();
    state.streams.push(near.try_clone()?);
    state.streams.push(far.try_clone()?);
    state.dialled.get_or_insert(dialled);
    drop(state);
    shared.changed.notify_all();
    let (near_out, far_out) = (near.try_clone()?, far.try_clone()?);
    // The client could not have spoken before its dial was answered.
    std::thread::spawn(move || delay(near, far_out, dialled + ROUND_TRIP, |_| {}));
    let shared = Arc::clone(shared);
    std::thread::spawn(move || {
        delay(far, near_out, dialled, |bytes| {
            shared.lock().sent_by_server += bytes as u64;
            shared.changed.notify_all();
        });
    });
    Ok(())
}

/// Moves bytes half a round trip after they came, or after `not_before` if that is later. Returns when either side
/// ends; an end travels like a byte.
fn delay(mut from: TcpStream, mut to: TcpStream, not_before: Instant, mut came: impl FnMut(usize)) {
    let mut under_way: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let mut ended = false;
    let mut buffer = vec![0; 64 << 10];
    while !(ended && under_way.is_empty()) {
        let now = Instant::now();
        if let Some((_, bytes)) = under_way.pop_front_if(|(due, _)| *due <= now) {
            if to.write_all(&bytes).is_err() {
                break;
            }
            continue;
        }
        let limit = under_way.front().map(|(due, _)| {
            let left = *due - now;
            Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) }
        });
        let mut sources = [PollFd::new(&from, PollFlags::IN)];
        let sources = if ended { &mut sources[..0] } else { &mut sources[..] };
        match poll(sources, limit.as_ref()) {
            Ok(0) => continue,
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => break,
        }
        match from.read(&mut buffer) {
            Ok(0) | Err(_) => ended = true,
            Ok(count) => {
                came(count);
                let due = Instant::now().max(not_before) + ROUND_TRIP / 2;
                under_way.push_back((due, buffer[..count].to_vec()));
            }
        }
    }
    // The other direction may still be under way; a side that is gone already does not mind.
    let _ = to.shutdown(Shutdown::Write);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers every byte with itself.
    fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be listened on");
        let address = listener.local_addr().expect("it is bound");
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let mut byte = [0];
                while stream.read_exact(&mut byte).is_ok() && stream.write_all(&byte).is_ok() {}
            }
        });
        address
    }

    #[test]
    fn bytes_take_at_least_the_round_trip_and_the_first_ones_the_dials_as_well() {
        let distance = Distance::before(echo()).expect("it listens");
        let dialled = Instant::now();
        let mut stream = TcpStream::connect(distance.address()).expect("it accepts");
        let mut answer = [0; 3];
        stream.write_all(b"abc").expect("it takes bytes");
        stream.read_exact(&mut answer).expect("it answers");
        assert_eq!(&answer, b"abc");
        assert!(dialled.elapsed() >= 2 * ROUND_TRIP);
        let sent = Instant::now();
        stream.write_all(b"def").expect("it takes bytes");
        stream.read_exact(&mut answer).expect("it answers");
        assert_eq!(&answer, b"def");
        assert!(sent.elapsed() >= ROUND_TRIP);
    }

    #[test]
    fn a_cut_ends_connections_and_the_next_dial_is_noted() {
        let distance = Distance::before(echo()).expect("it listens");
        let mut stream = TcpStream::connect(distance.address()).expect("it accepts");
        let before = distance.sent_by_server();
        stream.write_all(b"a").expect("it takes bytes");
        distance.wait_for_more_than(before).expect("the byte is answered");
        distance.cut();
        // An end or a reset.
        let _ = stream.read_to_end(&mut Vec::new());
        let redialled = Instant::now();
        let _second = TcpStream::connect(distance.address()).expect("it accepts");
        assert!(distance.dialled().expect("it is noted") >= redialled);
    }
}
