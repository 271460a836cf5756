//! Starting the program and servers for it, and a proxy that cuts connections.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::net::TcpSocket;

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);

/// The program, with nothing of the host's settings. Its place may be told from where the tests run, and some tests run
/// it elsewhere.
pub(crate) fn program() -> Command {
    let place = std::path::absolute(env!("CARGO_BIN_EXE_codex-exec-server"));
    let mut command = Command::new(place.expect("there is a current directory"));
    command.env("CODEX_EXEC_SERVER_CONFIG", "none").env_remove("CODEX_EXEC_SERVER_URL");
    command
}

/// `codex-exec-server run`, with the flags given, on `argv`.
pub(crate) fn run(flags: &[&str], argv: &[&str]) -> Command {
    let mut command = program();
    command.arg("run").args(flags).arg("--").args(argv);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// As [`run`], on a script.
pub(crate) fn run_script(flags: &[&str], script: &str) -> Command {
    run(flags, &["/bin/sh", "-c", script])
}

/// Runs to the end.
pub(crate) fn output(mut command: Command) -> Output {
    command.output().expect("the program starts")
}

/// What was written to standard error.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Where a command may run; each is told to the program by flags.
pub(crate) enum Server {
    /// In the program itself.
    Embedded,
    /// A server on a socket, which goes with its directory when dropped.
    Separate { child: Child, url: String, _dir: Option<TempDir> },
}

impl Server {
    /// One of each kind.
    pub(crate) fn each() -> Vec<Self> {
        vec![Self::Embedded, Self::websocket(&[]), Self::unix()]
    }

    /// A server on a free port of loopback.
    pub(crate) fn websocket(flags: &[&str]) -> Self {
        Self::start(program(), "ws://127.0.0.1:0", flags, /*dir*/ None)
    }

    /// A server on a Unix socket.
    pub(crate) fn unix() -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let url = format!("unix://{}", dir.path().join("server.sock").display());
        Self::start(program(), &url, &[], Some(dir))
    }

    /// Any program that says on its first line where it listens.
    pub(crate) fn start(mut command: Command, url: &str, flags: &[&str], dir: Option<TempDir>) -> Self {
        command.args(["--listen", url]).args(flags).stdin(Stdio::null()).stdout(Stdio::piped());
        // Whoever runs the tests may have none, and a server hands its own on.
        command.env("HOME", "/root");
        let mut child = command.spawn().expect("the server starts");
        let stdout = child.stdout.take().expect("it has a pipe");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("it says where it listens");
        Self::Separate { child, url: line.trim().to_owned(), _dir: dir }
    }

    pub(crate) fn url(&self) -> &str {
        match self {
            Self::Embedded => "",
            Self::Separate { url, .. } => url,
        }
    }

    /// The operating system's number of a separate one.
    pub(crate) fn pid(&self) -> u32 {
        match self {
            Self::Embedded => std::process::id(),
            Self::Separate { child, .. } => child.id(),
        }
    }

    /// The flags that lead to it.
    pub(crate) fn flags(&self) -> Vec<&str> {
        match self {
            Self::Embedded => vec![],
            Self::Separate { url, .. } => vec!["--connect", url],
        }
    }

    /// `host:port` of a WebSocket server.
    pub(crate) fn address(&self) -> &str {
        self.url().strip_prefix("ws://").expect("a websocket server")
    }

    /// Ends it without a word, and then what it ran, which it had no chance to.
    pub(crate) fn kill(&mut self) {
        if let Self::Separate { child, .. } = self {
            let groups = children(child);
            child.kill().expect("it can be killed");
            child.wait().expect("it ends");
            for group in groups {
                // It may have ended by itself, for lack of a reader.
                let _ = killpg(group, Signal::SIGKILL);
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that was killed and waited for has given its number back.
        if let Self::Separate { child, .. } = self
            && matches!(child.try_wait(), Ok(None))
        {
            let _ = kill(pid(child), Signal::SIGTERM);
            let _ = child.wait();
        }
    }
}

pub(crate) fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("pids are small"))
}

/// The children of a program, each of which leads a process group if the program is a server.
fn children(child: &Child) -> Vec<Pid> {
    let threads = std::fs::read_dir(format!("/proc/{}/task", child.id())).expect("it runs");
    let of_thread = |thread: std::io::Result<std::fs::DirEntry>| {
        // A thread may end meanwhile; another one has its children then.
        std::fs::read_to_string(thread.ok()?.path().join("children")).ok()
    };
    let lists: Vec<String> = threads.filter_map(of_thread).collect();
    let numbers = lists.iter().flat_map(|list| list.split_whitespace());
    numbers.map(|number| Pid::from_raw(number.parse().expect("a number"))).collect()
}

/// A program under way whose output is read line by line; killed when dropped.
pub(crate) struct Running {
    pub(crate) child: Child,
    lines: mpsc::Receiver<String>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
        let stdout = child.stdout.take().expect("it has a pipe");
        Self { child, lines: lines(stdout) }
    }

    /// Waits for a line of output.
    pub(crate) fn await_line(&self, expected: &str) {
        await_line(&self.lines, expected);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(pid(&self.child), signal).expect("it takes signals");
    }

    /// Waits for the end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait(&mut self.child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for the end of `child`; one that does not end fails the test instead of holding it up for ever.
pub(crate) fn wait(child: &mut Child) -> ExitStatus {
    let (done, waiting) = mpsc::channel::<()>();
    let target = pid(child);
    let watchdog = thread::spawn(move || {
        if waiting.recv_timeout(PATIENCE).is_err() {
            let _ = kill(target, Signal::SIGKILL);
        }
    });
    let status = child.wait().expect("it can be waited for");
    let _ = done.send(());
    watchdog.join().expect("the watchdog does not panic");
    status
}

/// The lines of a stream, as they come.
pub(crate) fn lines(stream: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while matches!(stream.read_until(b'\n', &mut line), Ok(1..)) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            if sender.send(text).is_err() {
                return;
            }
        }
    });
    receiver
}

pub(crate) fn await_line(lines: &mpsc::Receiver<String>, expected: &str) {
    let mut seen = Vec::new();
    loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) if line == expected => return,
            Ok(line) => seen.push(line),
            Err(error) => panic!("waited for {expected:?}, saw {seen:?}: {error}"),
        }
    }
}

/// A TCP proxy on loopback. Connection by connection it cuts what goes through after as many bytes from the server as it
/// was told; when the list is used up, it lets everything through. It holds little itself, as a cable does.
pub(crate) struct Proxy {
    pub(crate) url: String,
    /// One message per connection that was cut.
    pub(crate) cuts: mpsc::Receiver<()>,
}

/// What comes behind the bytes that may pass.
#[derive(Clone, Copy)]
enum Then {
    Cut,
    /// Nothing, while the connection stands.
    Stall,
}

/// What the kernel holds for the proxy, in bytes.
const CABLE_BYTES: u32 = 64 << 10;

impl Proxy {
    pub(crate) fn before(server: &Server, cut_after_bytes: Vec<usize>) -> Self {
        let budgets = cut_after_bytes.into_iter().map(|bytes| (usize::MAX, bytes));
        Self::with_budgets(server, budgets, Then::Cut)
    }

    /// Cuts after as many bytes from the client.
    pub(crate) fn before_requests(server: &Server, cut_after_bytes: Vec<usize>) -> Self {
        let budgets = cut_after_bytes.into_iter().map(|bytes| (bytes, usize::MAX));
        Self::with_budgets(server, budgets, Then::Cut)
    }

    /// Lets as many bytes from the server through on the first connection, and nothing more on that and on all later ones.
    pub(crate) fn stalling(server: &Server, after_bytes: usize) -> Self {
        let budgets = std::iter::once(after_bytes).chain(std::iter::repeat(0));
        Self::with_budgets(server, budgets.map(|bytes| (usize::MAX, bytes)), Then::Stall)
    }

    /// For each connection, what may come from the client and from the server.
    fn with_budgets(
        server: &Server,
        mut budgets: impl Iterator<Item = (usize, usize)> + Send + 'static,
        then: Then,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be listened on");
        let url = format!("ws://{}", listener.local_addr().expect("it is bound"));
        let target: SocketAddr = server.address().parse().expect("an address");
        let (cut, cuts) = mpsc::channel();
        thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, connect(target)) else { continue };
                let (up, down) = budgets.next().unwrap_or((usize::MAX, usize::MAX));
                let handles = (client.try_clone().expect("a handle"), server.try_clone().expect("a handle"));
                for (from, to, budget) in [(handles.0, handles.1, up), (server, client, down)] {
                    let cut = cut.clone();
                    thread::spawn(move || {
                        if pass(from, to, budget, then) {
                            let _ = cut.send(());
                        }
                    });
                }
            }
        });
        Self { url, cuts }
    }
}

/// A connection with a small receive buffer, which the standard library does not offer.
fn connect(target: SocketAddr) -> std::io::Result<TcpStream> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let stream = runtime.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(CABLE_BYTES)?;
        socket.connect(target).await?.into_std()
    })?;
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// Carries bytes until either side ends or `budget` is used up. Then it cuts both ways in the middle of whatever is under way
/// and returns true, or takes what comes and passes nothing on.
fn pass(mut from: TcpStream, mut to: TcpStream, mut budget: usize, then: Then) -> bool {
    let mut buffer = vec![0; 64 << 10];
    let is_cut = loop {
        match from.read(&mut buffer) {
            Ok(0) | Err(_) => break false,
            Ok(read) => {
                let passed = read.min(budget);
                budget -= passed;
                if to.write_all(&buffer[..passed]).is_err() {
                    break false;
                }
                match then {
                    Then::Cut if budget == 0 => break true,
                    Then::Cut | Then::Stall => {}
                }
            }
        }
    };
    // Either may be closed already.
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
    is_cut
}

/// Bytes that look random and are the same every time.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// A file in a directory that goes away with the first part.
pub(crate) fn file(contents: &[u8]) -> (TempDir, PathBuf) {
    let dir = TempDir::new().expect("a temporary directory");
    let path = dir.path().join("file");
    std::fs::write(&path, contents).expect("it can be written");
    (dir, path)
}
