//! A server with a home that is empty at first, and a client of it.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use codex_exec_server_client::{ClientConfig, Dialer};
use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_testkit::{Client, Program};
use codex_exec_server_transport::client::ConnectOptions;
use tempfile::TempDir;

/// What a case is given.
pub(crate) struct Machine {
    pub(crate) client: Client,
    program: Program,
    home: TempDir,
    /// What the program is, and the words before its address.
    path: PathBuf,
    words: &'static [&'static str],
}

impl Machine {
    async fn start(path: &Path, words: &'static [&'static str]) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let program = Self::program(path, words, &home).await;
        Self { client: program.ready().await, program, home, path: path.to_owned(), words }
    }

    /// Another server with the same home, instead of this one: some of what it finds it may have looked for when it started.
    pub(crate) async fn restart(&mut self) {
        self.program = Self::program(&self.path, self.words, &self.home).await;
        self.client = self.program.ready().await;
    }

    async fn program(path: &Path, words: &[&str], home: &TempDir) -> Program {
        let place = std::fs::canonicalize(home.path()).expect("it is there");
        let environment = [
            ("PATH", std::env::var("PATH").unwrap_or_default()),
            ("HOME", place.to_str().expect("text").to_owned()),
        ];
        Program::start_in(path, words, &environment).await
    }

    /// Another client of the same server.
    pub(crate) async fn another(&self) -> Client {
        self.program.ready().await
    }

    /// Our own client of the same server.
    pub(crate) async fn our_client(&self) -> codex_exec_server_client::Client {
        let dialer = Dialer::url(self.program.url().to_owned(), ConnectOptions::default());
        codex_exec_server_client::Client::connect(dialer, ClientConfig::default()).await.expect("it answers")
    }

    /// The native path of something in the home.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        std::fs::canonicalize(self.home.path()).expect("it is there").join(name)
    }

    /// The same for the wire.
    pub(crate) fn uri(&self, name: &str) -> String {
        uri(&self.path(name))
    }

    /// Makes a file and the directories that it is in.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("it is below the home")).expect("it can be made");
        std::fs::write(path, content).expect("it can be written");
        self.uri(name)
    }

    /// Makes a directory.
    pub(crate) fn folder(&self, name: &str) -> String {
        std::fs::create_dir_all(self.path(name)).expect("it can be made");
        self.uri(name)
    }

    /// Makes a link.
    pub(crate) fn link(&self, target: &str, name: &str) -> String {
        std::os::unix::fs::symlink(target, self.path(name)).expect("it can be made");
        self.uri(name)
    }
}

pub(crate) fn uri(path: &Path) -> String {
    PathUri::from_path_bytes(path.as_os_str().as_bytes()).expect("a path").as_str().to_owned()
}

pub(crate) async fn on_ours(case: impl AsyncFnOnce(&mut Machine)) {
    let mut machine = Machine::start(Path::new(env!("CARGO_BIN_EXE_codex-exec-server")), &[]).await;
    case(&mut machine).await;
    machine.program.stop().await;
}

pub(crate) async fn on_reference(case: impl AsyncFnOnce(&mut Machine)) {
    let Some(path) = std::env::var_os("CODEX_REFERENCE_BIN") else {
        println!("skipped: CODEX_REFERENCE_BIN is not set");
        return;
    };
    let mut machine = Machine::start(Path::new(&path), &["exec-server"]).await;
    case(&mut machine).await;
    machine.program.stop().await;
}

/// Makes a test of each case on each server; those that ask for what the reference lacks say so there.
macro_rules! machine_cases {
    (everywhere $everywhere:tt not_on_reference $ours:tt) => {
        cases_at! { machine { ours: on_ours } everywhere $everywhere not_on_reference $ours }
    };
}
