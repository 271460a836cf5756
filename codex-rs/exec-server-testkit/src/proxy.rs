//! A network that breaks: a TCP proxy between client and server.

use std::sync::Arc;

use codex_exec_server_transport::client::{self, ConnectOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::Client;

/// What each socket of the proxy may hold.
const BUFFER_BYTES: u32 = 64 << 10;

/// What the network does with the connections that go through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weather {
    Fine,
    /// Nothing gets through in either direction, and nobody is told.
    Silent,
    /// Every connection is reset.
    Cut,
}

/// See the module. All connections end when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    url: String,
    weather: Arc<watch::Sender<Weather>>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// A proxy before the server at `url`, which is `ws://IP:PORT`.
    pub async fn before(url: &str) -> Self {
        let target =
            url.strip_prefix("ws://").and_then(|address| address.parse().ok()).expect("ws://IP:PORT");
        let listener = socket();
        listener.bind(([127, 0, 0, 1], 0).into()).expect("loopback can be bound to");
        let listener = listener.listen(64).expect("loopback can be listened on");
        let url = format!("ws://{}", listener.local_addr().expect("it is bound"));
        let weather = Arc::new(watch::Sender::new(Weather::Fine));
        let over_all = Arc::clone(&weather);
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let weather = over_all.subscribe();
                connections.spawn(async move {
                    if let Ok(far) = socket().connect(target).await {
                        carry(near, far, weather).await;
                    }
                });
            }
        });
        Self { url, weather, accepting }
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A client whose connection goes through here.
    pub async fn connect(&self) -> Client {
        let connection = client::connect(&self.url, &ConnectOptions::default()).await;
        Client::new(connection.expect("the server accepts connections"))
    }

    /// From now on nothing gets through, as if a cable had been pulled. What is on its way is lost.
    pub fn fall_silent(&self) {
        self.weather.send_replace(Weather::Silent);
    }

    /// Resets every connection at once, in the middle of whatever it carries.
    pub fn cut(&self) {
        self.weather.send_replace(Weather::Cut);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A socket whose kernel buffers are small, so that the proxy adds next to nothing to what is on its way: a server
/// keeps what the kernels at both ends of one connection may hold, and no more.
fn socket() -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("there are descriptors left");
    for set in [TcpSocket::set_recv_buffer_size, TcpSocket::set_send_buffer_size] {
        set(&socket, BUFFER_BYTES).expect("a small buffer is always granted");
    }
    socket
}

/// Moves bytes both ways while the weather is fine; holds on to both sockets while it is silent; resets both when it
/// is cut.
async fn carry(near: TcpStream, far: TcpStream, mut weather: watch::Receiver<Weather>) {
    let (mut near_read, mut near_write) = near.into_split();
    let (mut far_read, mut far_write) = far.into_split();
    let carried = {
        let both_ways = async {
            tokio::join!(pass(&mut near_read, &mut far_write), pass(&mut far_read, &mut near_write));
        };
        tokio::select! {
            () = both_ways => true,
            _ = weather.wait_for(|weather| *weather != Weather::Fine) => false,
        }
    };
    if !carried {
        let _ = weather.wait_for(|weather| *weather == Weather::Cut).await;
        for socket in [near_read.as_ref(), far_read.as_ref()] {
            // Closing a socket with this set sends a reset. One that is reset already refuses it.
            let _ = socket.set_zero_linger();
        }
    }
}

async fn pass(from: &mut (impl AsyncReadExt + Unpin), to: &mut (impl AsyncWriteExt + Unpin)) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}
