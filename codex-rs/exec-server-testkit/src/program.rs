//! The real program behind a real socket, for what can only be measured from outside.

use std::path::Path;
use std::process::Stdio;

use codex_exec_server_transport::client::{self, ConnectOptions};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::Client;
use crate::patience::patiently;

/// A running server program. Killed when dropped; ended in good order by [`Program::stop`].
#[derive(Debug)]
pub struct Program {
    child: Child,
    url: String,
}

impl Program {
    /// Starts `program` on a free port of loopback.
    pub async fn start(program: &Path) -> Self {
        Self::start_with(program, &[]).await
    }

    /// As [`Self::start`], for a program that takes other words before the address.
    pub async fn start_with(program: &Path, words: &[&str]) -> Self {
        Self::spawned(Command::new(program).args(words)).await
    }

    /// As [`Self::start_with`], with these variables alone.
    pub async fn start_in(program: &Path, words: &[&str], environment: &[(&str, String)]) -> Self {
        Self::spawned(Command::new(program).args(words).env_clear().envs(environment.iter().cloned())).await
    }

    async fn spawned(command: &mut Command) -> Self {
        let mut child = command
            .args(["--listen", "ws://127.0.0.1:0"])
            // What the machine is set up for is no matter of a test.
            .env("CODEX_EXEC_SERVER_CONFIG", "none")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        let stdout = child.stdout.take().expect("the child has a pipe");
        let mut lines = BufReader::new(stdout).lines();
        let line = patiently("the program to say where it listens", lines.next_line()).await;
        let url = line.expect("its output can be read").expect("it says where it listens");
        Self { child, url }
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A client with a session of its own.
    pub async fn ready(&self) -> Client {
        let connection = client::connect(&self.url, &ConnectOptions::default()).await;
        let mut client = Client::new(connection.expect("the program accepts connections"));
        client.initialize().await;
        client
    }

    /// Memory that it has in use right now, in bytes.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.os_pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("the kernel writes numbers");
        kib * 1024
    }

    fn os_pid(&self) -> i32 {
        self.child.id().and_then(|id| i32::try_from(id).ok()).expect("it was not waited for")
    }

    /// Ends it in good order.
    ///
    /// # Panics
    /// When it fails, or takes too long.
    pub async fn stop(mut self) {
        kill(Pid::from_raw(self.os_pid()), Signal::SIGTERM).expect("it may be signalled");
        let status = patiently("the program to end", self.child.wait()).await.expect("it is our child");
        assert!(status.success(), "the program ended with {status}");
    }
}
