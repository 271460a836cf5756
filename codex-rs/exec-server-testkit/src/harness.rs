//! A server behind a transport: where clients of a test connect.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use codex_exec_server_transport::client::{self, ConnectOptions};
use codex_exec_server_transport::{AcceptPolicy, Connection, ListenUrl, Listener, WireLimits, memory};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::Client;
use crate::patience::patiently;

/// Something under way.
type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A server, as far as a harness has to know it.
#[derive(Clone)]
pub struct Host {
    serve: Arc<dyn Fn(Connection) -> Work + Send + Sync>,
    shut_down: Arc<dyn Fn() -> Work + Send + Sync>,
}

impl Host {
    /// `serve` serves one connection to its end; `shut_down` ends everything.
    pub fn new<S, D>(
        serve: impl Fn(Connection) -> S + Send + Sync + 'static,
        shut_down: impl Fn() -> D + Send + Sync + 'static,
    ) -> Self
    where
        S: Future<Output = ()> + Send + 'static,
        D: Future<Output = ()> + Send + 'static,
    {
        Self {
            serve: Arc::new(move |connection| Box::pin(serve(connection))),
            shut_down: Arc::new(move || Box::pin(shut_down())),
        }
    }
}

/// A server that clients can connect to. Ends with [`Harness::stop`].
pub struct Harness {
    way: Way,
    limits: WireLimits,
}

enum Way {
    /// In this process, behind a socket.
    Socket {
        hosted: Arc<Hosted>,
        url: String,
        accepting: JoinHandle<()>,
        /// Where a Unix socket's file is.
        _folder: Option<TempDir>,
    },
    /// In this process, without a socket.
    Memory { hosted: Arc<Hosted> },
    /// Each client gets a real program of its own and talks to its standard input and output.
    Stdio { program: PathBuf, children: Mutex<Vec<Child>> },
}

/// A host and the connections that it serves.
struct Hosted {
    host: Host,
    connections: Mutex<JoinSet<()>>,
    open: watch::Sender<usize>,
}

impl Hosted {
    fn new(host: Host) -> Arc<Self> {
        Arc::new(Self { host, connections: Mutex::default(), open: watch::Sender::new(0) })
    }

    fn serve(self: &Arc<Self>, connection: Connection) {
        let serving = (self.host.serve)(connection);
        let hosted = Arc::clone(self);
        self.open.send_modify(|open| *open += 1);
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).spawn(async move {
            serving.await;
            hosted.open.send_modify(|open| *open -= 1);
        });
    }

    async fn stop(&self) {
        patiently("the server to shut down", (self.host.shut_down)()).await;
        let mut connections =
            std::mem::take(&mut *self.connections.lock().unwrap_or_else(PoisonError::into_inner));
        while let Some(served) = patiently("a connection to be done with", connections.join_next()).await {
            served.expect("serving a connection does not panic");
        }
    }
}

impl Harness {
    /// `host` behind a WebSocket on loopback.
    pub async fn websocket(host: Host) -> Self {
        Self::websocket_with(host, WireLimits::for_server()).await
    }

    /// As [`Self::websocket`], with limits for the server's side.
    pub async fn websocket_with(host: Host, limits: WireLimits) -> Self {
        let url = "ws://127.0.0.1:0".parse().expect("this is a URL to listen on");
        Self::listen(host, &url, /*folder*/ None, limits).await
    }

    /// `host` behind a WebSocket on a Unix socket.
    pub async fn unix_socket(host: Host) -> Self {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let url = ListenUrl::Unix(folder.path().join("socket"));
        Self::listen(host, &url, Some(folder), WireLimits::for_server()).await
    }

    async fn listen(host: Host, url: &ListenUrl, folder: Option<TempDir>, limits: WireLimits) -> Self {
        let bound = Listener::bind(url, AcceptPolicy::default(), limits).await;
        let mut listener = bound.expect("loopback can be listened on");
        let url = listener.local_url().to_owned();
        let hosted = Hosted::new(host);
        let serving = Arc::clone(&hosted);
        let accepting = tokio::spawn(async move {
            while let Some(connection) = listener.accept().await {
                serving.serve(connection);
            }
        });
        Self {
            way: Way::Socket { hosted, url, accepting, _folder: folder },
            limits: WireLimits::for_client(),
        }
    }

    /// `host` at the other end of a pair in memory.
    #[must_use]
    pub fn memory(host: Host) -> Self {
        Self { way: Way::Memory { hosted: Hosted::new(host) }, limits: WireLimits::for_client() }
    }

    /// `program` with `--listen stdio`, one for each client.
    #[must_use]
    pub fn stdio(program: &Path) -> Self {
        let way = Way::Stdio { program: program.to_owned(), children: Mutex::default() };
        Self { way, limits: WireLimits::for_client() }
    }

    /// Whether binary messages can travel between server and clients.
    #[must_use]
    pub const fn carries_binary(&self) -> bool {
        match self.way {
            Way::Socket { .. } | Way::Memory { .. } => true,
            Way::Stdio { .. } => false,
        }
    }

    /// Where the server listens.
    ///
    /// # Panics
    /// Without a socket.
    #[must_use]
    pub fn url(&self) -> &str {
        match &self.way {
            Way::Socket { url, .. } => url,
            Way::Memory { .. } | Way::Stdio { .. } => panic!("this server has no address"),
        }
    }

    /// A client on which nothing was said yet.
    pub async fn connect(&self) -> Client {
        Client::new(match &self.way {
            Way::Socket { url, .. } => {
                let options = ConnectOptions { limits: self.limits.clone(), ..ConnectOptions::default() };
                client::connect(url, &options).await.expect("the server accepts connections")
            }
            Way::Memory { hosted } => {
                let (ours, theirs) = memory::pair_with(&self.limits);
                hosted.serve(theirs);
                ours
            }
            Way::Stdio { program, children } => {
                let mut child = Command::new(program)
                    .args(["--listen", "stdio"])
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .kill_on_drop(true)
                    .spawn()
                    .expect("the program starts");
                let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
                children.lock().unwrap_or_else(PoisonError::into_inner).push(child);
                let piped = "the child has pipes";
                client::from_stdio(stdin.expect(piped), stdout.expect(piped), &self.limits)
            }
        })
    }

    /// A client with a session of its own.
    pub async fn ready(&self) -> Client {
        let mut client = self.connect().await;
        client.initialize().await;
        client
    }

    /// Waits until the server is done with every connection: each has ended and let go of its session.
    ///
    /// # Panics
    /// With programs on stdio, whose insides cannot be watched.
    pub async fn idle(&self) {
        match &self.way {
            Way::Socket { hosted, .. } | Way::Memory { hosted } => {
                let mut open = hosted.open.subscribe();
                let idle = open.wait_for(|open| *open == 0);
                patiently("the server to be done with its connections", idle)
                    .await
                    .expect("the harness lives");
            }
            Way::Stdio { .. } => panic!("a program cannot be asked whether it is idle"),
        }
    }

    /// Ends the server in good order. Clients should be gone before: a program on stdio ends when its client does.
    ///
    /// # Panics
    /// When serving a connection panicked, when a program fails, or when it takes too long.
    pub async fn stop(self) {
        match self.way {
            Way::Socket { hosted, accepting, .. } => {
                accepting.abort();
                hosted.stop().await;
            }
            Way::Memory { hosted } => hosted.stop().await,
            Way::Stdio { children, .. } => {
                for mut child in children.into_inner().unwrap_or_else(PoisonError::into_inner) {
                    let status =
                        patiently("the program to end", child.wait()).await.expect("it is our child");
                    assert!(status.success(), "the program ended with {status}");
                }
            }
        }
    }
}
