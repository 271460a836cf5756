//! A person's own folders, empty at first: nothing of the host's is read.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Instant;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{PATIENCE, output, program, stderr};

/// See the module. Goes away with everything in it.
pub(crate) struct Home {
    dir: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { dir: TempDir::new().expect("a temporary directory") }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    fn settings(&self) -> PathBuf {
        self.path().join("config.toml")
    }

    /// Writes this person's environments.
    pub(crate) fn environments(&self, text: &str) {
        std::fs::write(self.settings(), "").expect("it can be written");
        std::fs::write(self.path().join("environments.toml"), text).expect("it can be written");
    }

    /// The program with these arguments, for this person.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = program();
        command.args(args).env("HOME", self.path()).env_remove("XDG_STATE_HOME");
        if self.settings().exists() {
            command.env("CODEX_EXEC_SERVER_CONFIG", self.settings());
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs to the end, which has to be a good one; what was printed.
    pub(crate) fn says(&self, args: &[&str]) -> String {
        let output = output(self.command(args));
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).expect("text")
    }

    /// Runs to the end, which has to be this failure of our own; what was said about it.
    pub(crate) fn fails(&self, args: &[&str]) -> String {
        let output = output(self.command(args));
        assert_eq!(output.status.code(), Some(125), "{args:?}: {}", stderr(&output));
        assert_eq!(output.stdout, b"", "{args:?}");
        stderr(&output)
    }

    /// Fails because of what it is about, and says why.
    pub(crate) fn is_undone(&self, args: &[&str]) -> String {
        let (code, printed, said) = self.outcome(args);
        assert_eq!((code, printed.as_str()), (Some(1), ""), "{args:?}: {said}");
        said
    }

    /// Runs to the end; the exit code and both streams.
    pub(crate) fn outcome(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let Output { status, stdout, stderr } = output(self.command(args));
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (status.code(), text(stdout), text(stderr))
    }

    /// Leaves a script running at `server`; its id.
    pub(crate) fn detach(&self, server: &str, flags: &[&str], script: &str) -> String {
        let mut args = vec!["run", "--connect", server, "--detach"];
        args.extend(flags);
        args.extend(["--", "/bin/sh", "-c", script]);
        let id = self.says(&args).trim().to_owned();
        assert!(id.len() == 8 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id:?}");
        id
    }

    /// One document of JSON.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.says(args)).expect("JSON")
    }

    /// What `ps --json` says of this command, if it is remembered.
    pub(crate) fn listed(&self, id: &str) -> Option<Value> {
        let listed = self.json(&["ps", "--json"]);
        listed["commands"].as_array().expect("a list").iter().find(|command| command["id"] == id).cloned()
    }

    /// As [`Self::listed`], once the server has taken so many bytes of its output: what a command has written is not the
    /// server's yet.
    pub(crate) fn listed_with(&self, id: &str, output_bytes: u64) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let listed = self.listed(id).expect("it is remembered");
            if listed["outputBytes"] == output_bytes {
                return listed;
            }
            assert!(Instant::now() < deadline, "it never says {output_bytes} bytes: {listed}");
        }
    }

    /// A fifo of this name: what opens it at one end waits for the other.
    pub(crate) fn fifo(&self, name: &str) -> PathBuf {
        let path = self.path().join(name);
        mkfifo(&path, Mode::S_IRWXU).expect("a fifo can be made");
        path
    }
}

/// Opens a fifo for writing and closes it, once a reader is there.
pub(crate) fn release(fifo: PathBuf) {
    let released = thread::spawn(move || std::fs::write(fifo, "go\n"));
    released.join().expect("no panic").expect("it can be written");
}
