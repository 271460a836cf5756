//! A network that breaks by itself, again and again, in ways that a seed decides: a TCP proxy between client and server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// What each socket of the proxy may hold.
const BUFFER_BYTES: u32 = 64 << 10;
/// Longest that a connection stands still.
const LONGEST_DELAY_MS: u64 = 60;

/// What befalls a connection once so many bytes went through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Both ends are reset, in the middle of whatever is under way.
    Cut,
    /// Nothing gets through for a while; then it goes on, until the next fault.
    Delay,
    /// One direction ends in good order while the other goes on for a while; then both are reset.
    HalfClose,
    /// The last bytes are withheld and both ends are closed as if that had been all.
    Truncate,
}

/// Every kind.
pub const FAULTS: [Fault; 4] = [Fault::Cut, Fault::Delay, Fault::HalfClose, Fault::Truncate];

/// Numbers that look random and are the same again for the same seed.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice that fall as `seed` says.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number (splitmix64).
    pub const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }
}

/// See the module. All connections end when it is dropped.
#[derive(Debug)]
pub struct Storm {
    url: String,
    counts: Arc<[AtomicU64; FAULTS.len()]>,
    calm: Arc<watch::Sender<bool>>,
    accepting: JoinHandle<()>,
}

impl Storm {
    /// A storm before the server at `url`, which is `ws://IP:PORT`. A fault follows the one before, or the beginning of its
    /// connection, after `mean_bytes` on average, in both directions together.
    pub async fn before(url: &str, seed: u64, mean_bytes: u64) -> Self {
        let target =
            url.strip_prefix("ws://").and_then(|address| address.parse().ok()).expect("ws://IP:PORT");
        let listener = socket();
        listener.bind(([127, 0, 0, 1], 0).into()).expect("loopback can be bound to");
        let listener = listener.listen(64).expect("loopback can be listened on");
        let url = format!("ws://{}", listener.local_addr().expect("it is bound"));
        let counts: Arc<[AtomicU64; FAULTS.len()]> = Arc::default();
        let calm = Arc::new(watch::Sender::new(false));
        let (counting, calming) = (Arc::clone(&counts), Arc::clone(&calm));
        let accepting = tokio::spawn(async move {
            let mut dice = Dice::new(seed);
            let mut connections = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let fate = Fate {
                    dice: Dice::new(dice.roll()),
                    mean_bytes,
                    counts: Arc::clone(&counting),
                    calm: calming.subscribe(),
                };
                connections.spawn(async move {
                    if let Ok(far) = socket().connect(target).await {
                        carry(near, far, fate).await;
                    }
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Self { url, counts, calm, accepting }
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How many faults there were of a kind.
    #[must_use]
    pub fn count(&self, fault: Fault) -> u64 {
        self.counts[fault as usize].load(Ordering::Relaxed)
    }

    /// How many faults there were.
    #[must_use]
    pub fn faults(&self) -> u64 {
        FAULTS.into_iter().map(|fault| self.count(fault)).sum()
    }

    /// From now on nothing breaks any more.
    pub fn abate(&self) {
        self.calm.send_replace(true);
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// What is in store for one connection.
struct Fate {
    dice: Dice,
    mean_bytes: u64,
    counts: Arc<[AtomicU64; FAULTS.len()]>,
    calm: watch::Receiver<bool>,
}

impl Fate {
    fn is_calm(&self) -> bool {
        *self.calm.borrow()
    }

    /// The next fault, and how many bytes go through before it.
    fn next(&mut self) -> (Fault, u64) {
        let fault = FAULTS[self.dice.below(FAULTS.len() as u64) as usize];
        (fault, 1 + self.dice.below(2 * self.mean_bytes))
    }

    fn delay(&mut self) -> Duration {
        Duration::from_millis(self.dice.below(LONGEST_DELAY_MS))
    }
}

/// A socket whose kernel buffers are small, so that the proxy adds next to nothing to what is on its way.
fn socket() -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("there are descriptors left");
    for set in [TcpSocket::set_recv_buffer_size, TcpSocket::set_send_buffer_size] {
        set(&socket, BUFFER_BYTES).expect("a small buffer is always granted");
    }
    socket
}

/// One direction of a connection.
struct Way {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    buffer: Vec<u8>,
}

impl Way {
    fn new(from: OwnedReadHalf, to: OwnedWriteHalf) -> Self {
        Self { from, to, buffer: vec![0; 16 << 10] }
    }

    /// Waits for bytes; `None` at the end. Cancel-safe.
    async fn read(&mut self) -> Option<usize> {
        match self.from.read(&mut self.buffer).await {
            Ok(read @ 1..) => Some(read),
            Ok(0) | Err(_) => None,
        }
    }
}

/// Moves bytes both ways, and breaks what it is told to break.
async fn carry(near: TcpStream, far: TcpStream, mut fate: Fate) {
    let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
    let (mut up, mut down) = (Way::new(near_read, far_write), Way::new(far_read, near_write));
    loop {
        let (fault, bytes) = fate.next();
        let mut left = bytes;
        let broken = loop {
            let (way, read) = tokio::select! {
                read = up.read() => (&mut up, read),
                read = down.read() => (&mut down, read),
            };
            let Some(read) = read else { return };
            let due = left <= read as u64 && !fate.is_calm();
            let passed = left as usize;
            left = left.saturating_sub(read as u64);
            // Whoever does not take it holds up both directions, as a network does that is full.
            // Where something may still follow, nothing is left out: that is what no network does.
            let goes_on = matches!(fault, Fault::Delay | Fault::HalfClose);
            let through = if due && !goes_on { passed } else { read };
            if way.to.write_all(&way.buffer[..through]).await.is_err() {
                return;
            }
            if due {
                break fault;
            }
        };
        fate.counts[broken as usize].fetch_add(1, Ordering::Relaxed);
        match broken {
            Fault::Delay => tokio::time::sleep(fate.delay()).await,
            Fault::Truncate => return,
            Fault::Cut => return reset(&up, &down),
            Fault::HalfClose => {
                let (ended, open) = if fate.dice.below(/*bound*/ 2) == 0 {
                    (&mut up, &mut down)
                } else {
                    (&mut down, &mut up)
                };
                let _ = ended.to.shutdown().await;
                let going_on = async {
                    while let Some(read) = open.read().await {
                        if open.to.write_all(&open.buffer[..read]).await.is_err() {
                            return;
                        }
                    }
                };
                let _ = tokio::time::timeout(fate.delay(), going_on).await;
                return reset(&up, &down);
            }
        }
    }
}

/// Closing a socket with this set sends a reset, and drops what it still held.
fn reset(up: &Way, down: &Way) {
    for socket in [up.from.as_ref(), down.from.as_ref()] {
        // One that is reset already refuses it.
        let _ = socket.set_zero_linger();
    }
}
