//! What the cases share: starting something in one line, and taking its events.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use codex_exec_server_core::process_event::{ExecProcessEvent, Exit, Proof};
use codex_exec_server_core::service::{ExecEvents, ExecProcess};
use codex_exec_server_protocol::ids::Seq;
use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_protocol::process::{OutputStream, ProcessReadResponse, ProcessStartParams};
use codex_exec_server_testkit::patiently;

use crate::place::Backend;

/// Longer than anything takes: who waits for it waits for an event.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// `script` run by `/bin/sh` in `/`, without stdin or terminal.
pub(crate) fn shell(process_id: &str, script: &str) -> ProcessStartParams {
    let argv = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
    let cwd = PathUri::from_path_bytes(b"/").expect("a path");
    ProcessStartParams {
        env: BTreeMap::from([("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())]),
        ..ProcessStartParams::new(process_id.into(), argv, cwd)
    }
}

/// As [`shell`], with a pipe as stdin.
pub(crate) fn fed(process_id: &str, script: &str) -> ProcessStartParams {
    ProcessStartParams { pipe_stdin: true, ..shell(process_id, script) }
}

/// As [`shell`], on a terminal.
pub(crate) fn on_terminal(process_id: &str, script: &str) -> ProcessStartParams {
    ProcessStartParams { tty: true, ..shell(process_id, script) }
}

pub(crate) async fn start(backend: &Backend, params: ProcessStartParams) -> Arc<dyn ExecProcess> {
    patiently("a start", backend.start(params)).await.expect("it starts")
}

pub(crate) async fn next(events: &mut Box<dyn ExecEvents>) -> ExecProcessEvent {
    patiently("an event", events.next()).await.expect("there is more").expect("it adds up")
}

/// A process's events, taken together.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) pty: Vec<u8>,
    /// Bytes that are gone, as far as they were counted.
    pub(crate) lost: u64,
    pub(crate) gaps: usize,
    pub(crate) exit: Option<Exit>,
    pub(crate) proof: Option<Proof>,
    last: Seq,
}

impl Seen {
    /// Nothing yet, of what comes behind `after`.
    pub(crate) fn after(after: Seq) -> Self {
        Self { last: after, ..Self::default() }
    }

    /// Everything there is.
    pub(crate) async fn all(process: &Arc<dyn ExecProcess>) -> Self {
        let mut seen = Self::default();
        seen.until_closed(&mut process.subscribe(Seq::START)).await;
        seen
    }

    pub(crate) async fn until_closed(&mut self, events: &mut Box<dyn ExecEvents>) {
        while self.proof.is_none() {
            let event = next(events).await;
            self.take(event);
        }
        assert!(patiently("the end", events.next()).await.is_none(), "nothing follows the close");
    }

    /// Until stdout, stderr or the terminal has said `text`.
    pub(crate) async fn until(&mut self, events: &mut Box<dyn ExecEvents>, text: &str) {
        while ![&self.stdout, &self.stderr, &self.pty].iter().any(|said| self::text(said).contains(text)) {
            assert!(self.proof.is_none(), "closed without {text:?}: {self:?}");
            let event = next(events).await;
            self.take(event);
        }
    }

    pub(crate) fn take(&mut self, event: ExecProcessEvent) {
        let seq = event.seq();
        match event {
            ExecProcessEvent::Gap { bytes, .. } => {
                assert!(seq > self.last, "a gap covers something");
                self.lost += bytes.unwrap_or(0);
                self.gaps += 1;
            }
            ExecProcessEvent::Output { stream, bytes, .. } => {
                assert_eq!(seq, self.last.next(), "in order, and each once");
                assert!(!bytes.is_empty());
                let said = match stream {
                    OutputStream::Stdout => &mut self.stdout,
                    OutputStream::Stderr => &mut self.stderr,
                    OutputStream::Pty => &mut self.pty,
                };
                said.extend_from_slice(&bytes);
            }
            ExecProcessEvent::Exited { exit, .. } => {
                assert!(seq >= self.last && self.exit.is_none());
                self.exit = Some(exit);
            }
            ExecProcessEvent::Closed { proof, .. } => {
                assert_eq!(seq, self.last.next());
                assert!(self.exit.is_some(), "it exited before it was closed");
                self.proof = Some(proof);
            }
        }
        self.last = seq;
    }

    pub(crate) fn code(&self) -> i32 {
        self.exit.as_ref().expect("it exited").code
    }

    /// The last position seen.
    pub(crate) const fn last(&self) -> Seq {
        self.last
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Output of a page, over all streams.
pub(crate) fn page_bytes(page: &ProcessReadResponse) -> Vec<u8> {
    page.chunks.iter().flat_map(|chunk| chunk.chunk.to_vec()).collect()
}

/// The numbers up to `n`, as `seq` writes them.
pub(crate) fn numbers(n: u32) -> Vec<u8> {
    (1..=n).flat_map(|n| format!("{n}\n").into_bytes()).collect()
}

/// A pipe with a name, in a folder of its own, for a process to announce itself through.
pub(crate) struct Fifo {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Fifo {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("fifo");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("it can be made");
        Self { path, _folder: folder }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it for reading, which waits for somebody who opens it for writing.
    pub(crate) async fn open(&self) -> Pipe {
        let path = self.path.clone();
        let opening = tokio::task::spawn_blocking(move || std::fs::File::open(path));
        let file =
            patiently("a process to write", opening).await.expect("no panic").expect("it can be opened");
        Pipe(Some(BufReader::new(file)))
    }
}

/// The reading end of a [`Fifo`].
pub(crate) struct Pipe(Option<BufReader<std::fs::File>>);

impl Pipe {
    pub(crate) async fn line(&mut self) -> String {
        self.read(|file, text| file.read_line(text)).await
    }

    /// Everything until nobody holds the writing end.
    pub(crate) async fn rest(&mut self) -> String {
        self.read(|file, text| file.read_to_string(text)).await
    }

    async fn read(
        &mut self,
        read: impl FnOnce(&mut BufReader<std::fs::File>, &mut String) -> io::Result<usize> + Send + 'static,
    ) -> String {
        let mut file = self.0.take().expect("one read at a time");
        let reading = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            read(&mut file, &mut text).map(|_| (file, text))
        });
        let (file, text) =
            patiently("a process to write", reading).await.expect("no panic").expect("it can be read");
        self.0 = Some(file);
        text
    }
}
