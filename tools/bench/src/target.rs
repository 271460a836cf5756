//! Starting a server, learning its URL, and stopping it. Knows the process, not the protocol.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::error::BenchError;
use crate::lanes::LIMIT;
use crate::machine;
use crate::split::split;

/// The flag that makes this program the naive server.
pub(crate) const SERVE_LIMIT: &str = "serve-limit";

/// A server that has not said its URL by then is taken for broken.
const START_LIMIT: Duration = Duration::from_secs(20);
/// A server that has not ended by then, after being asked to, is killed.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// Why a target takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// What is to be measured.
    Server,
    /// What it is compared with.
    Peer,
    /// What no server can be better than by much.
    Limit,
}

/// How to start one target, and what to call it.
#[derive(Clone, Debug)]
pub(crate) struct TargetSpec {
    /// Unique within a run.
    pub(crate) name: String,
    pub(crate) role: Role,
    argv: Vec<String>,
}

impl TargetSpec {
    /// Splits `command`. The name is the program's; a program named before gets a number.
    pub(crate) fn parse(command: &str, role: Role, earlier: &[Self]) -> Result<Self, BenchError> {
        let argv = split(command)?;
        let program = program(&argv);
        let program = Path::new(program).file_name().map_or_else(|| program.to_owned(), lossy);
        let role_mark = if role == Role::Peer { " (peer)" } else { "" };
        let mut name = format!("{program}{role_mark}");
        let mut number = 1;
        while earlier.iter().any(|spec| spec.name == name) {
            number += 1;
            name = format!("{program}#{number}{role_mark}");
        }
        Ok(Self { name, role, argv })
    }

    /// The server that was built together with this program.
    pub(crate) fn beside_this_program() -> Result<Self, BenchError> {
        let own = std::env::current_exe()?;
        let path = own.with_file_name("codex-exec-server");
        if !path.exists() {
            return Err(BenchError::NoServer(path));
        }
        let argv = vec![lossy(path.as_os_str()), "--listen".to_owned(), "ws://127.0.0.1:0".to_owned()];
        Ok(Self { name: "codex-exec-server".to_owned(), role: Role::Server, argv })
    }

    /// The naive server in this very program.
    pub(crate) fn limit() -> Result<Self, BenchError> {
        let own = std::env::current_exe()?;
        let argv = vec![lossy(own.as_os_str()), format!("--{SERVE_LIMIT}")];
        Ok(Self { name: LIMIT.to_owned(), role: Role::Limit, argv })
    }

    /// Size of the program file; of the wrapper, where a wrapper is the command.
    pub(crate) fn binary_bytes(&self) -> Result<u64, BenchError> {
        let path = self.program_path();
        let metadata =
            std::fs::metadata(&path).map_err(|source| BenchError::File { path: path.clone(), source })?;
        Ok(metadata.len())
    }

    /// A program without a slash is looked up in PATH, as the start itself does.
    pub(crate) fn program_path(&self) -> PathBuf {
        let name = program(&self.argv);
        let program = PathBuf::from(name);
        if name.contains('/') {
            return program;
        }
        let runnable = |path: &PathBuf| {
            std::fs::metadata(path)
                .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
        };
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
            .map(|folder| folder.join(&program))
            .find(runnable)
            .unwrap_or(program)
    }

    /// Starts a fresh server and waits for its URL. Its log goes nowhere: writing it is not what is measured.
    pub(crate) fn start(&self) -> Result<Target, BenchError> {
        let fail = |source| BenchError::Start { program: self.argv[0].clone(), source };
        let started = Instant::now();
        let mut child = Command::new(&self.argv[0])
            .args(&self.argv[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(fail)?;
        let stdout = child.stdout.take();
        let mut target =
            Target { child, url: String::new(), start_time: Duration::ZERO, role: self.role, _stdout: None };
        let Some(mut stdout) = stdout else {
            return Err(fail(std::io::Error::other("no stdout pipe")));
        };
        let line = first_line(&mut stdout, started + START_LIMIT).map_err(fail)?;
        target.start_time = started.elapsed();
        match line.filter(|line| line.starts_with("ws://")) {
            Some(line) => target.url = line,
            None => {
                let seconds = START_LIMIT.as_secs();
                return Err(BenchError::NoUrl { program: self.argv[0].clone(), seconds });
            }
        }
        target._stdout = Some(stdout);
        Ok(target)
    }
}

/// A running server. Dropping it stops it and waits for its end.
pub(crate) struct Target {
    child: Child,
    pub(crate) url: String,
    /// From just before the start to the URL line.
    pub(crate) start_time: Duration,
    role: Role,
    /// Kept open, so that a later line of the server does not hit a closed pipe.
    _stdout: Option<std::process::ChildStdout>,
}

impl Target {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills the processes that it has started itself: thousands of them are not what a server should have to end within
    /// the time that it is given, and the naive one ends none.
    pub(crate) fn kill_children(&self) {
        for child in machine::children(self.pid()) {
            // One that has ended meanwhile is dead enough.
            let _ = kill_process(child, Signal::KILL);
        }
    }

    /// Asks politely, so that the server can end its own children; true when it ended in time.
    fn stop(&self) -> bool {
        let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) else {
            return false;
        };
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else {
            return false;
        };
        if kill_process(pid, Signal::TERM).is_err() {
            return false;
        }
        let limit = Timespec { tv_sec: STOP_LIMIT.as_secs() as i64, tv_nsec: 0 };
        poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&limit)).is_ok_and(|ready| ready > 0)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if self.role == Role::Limit {
            self.kill_children();
        }
        if !self.stop() {
            // It may be gone already; the wait below tells either way.
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// The first line of `stdout` without its end, or `None` at end of file or at the deadline.
fn first_line(stdout: &mut std::process::ChildStdout, deadline: Instant) -> std::io::Result<Option<String>> {
    let mut line = Vec::new();
    let mut buffer = [0; 512];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let limit = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        if poll(&mut [PollFd::new(&*stdout, PollFlags::IN)], Some(&limit))? == 0 {
            return Ok(None);
        }
        let count = stdout.read(&mut buffer)?;
        if count == 0 {
            return Ok(None);
        }
        line.extend_from_slice(&buffer[..count]);
        if let Some(end) = line.iter().position(|&byte| byte == b'\n') {
            return Ok(Some(String::from_utf8_lossy(&line[..end]).trim().to_owned()));
        }
    }
}

/// The word that names the program: the first, or after `env` the first that is no assignment. `env` becomes
/// the program that it names, so process ids and memory are that program's.
fn program(argv: &[String]) -> &str {
    let first = argv.first().map_or("", String::as_str);
    let is_env = Path::new(first).file_name().is_some_and(|name| name == "env");
    let named = argv.iter().skip(1).find(|word| !word.contains('=')).filter(|_| is_env);
    named.map_or(first, String::as_str)
}

fn lossy(text: &OsStr) -> String {
    text.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_of_one_program_get_different_names() {
        let mut specs = Vec::new();
        for role in [Role::Server, Role::Server, Role::Peer] {
            let spec =
                TargetSpec::parse("/opt/x/codex exec-server", role, &specs).expect("the command is fine");
            specs.push(spec);
        }
        let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
        assert_eq!(names, ["codex", "codex#2", "codex (peer)"]);
    }

    #[test]
    fn a_program_behind_env_gives_the_name() {
        let spec = TargetSpec::parse("/usr/bin/env A=b C= /bin/true x", Role::Server, &[])
            .expect("the command is fine");
        assert_eq!((spec.name.as_str(), spec.program_path()), ("true", PathBuf::from("/bin/true")));
    }

    #[test]
    fn the_first_line_is_the_url_and_dropping_the_target_ends_the_program() {
        let spec = TargetSpec::parse(
            "sh -c 'echo ws://here:1; echo more; exec cat /dev/zero >/dev/null'",
            Role::Server,
            &[],
        )
        .expect("the command is fine");
        let target = spec.start().expect("sh runs");
        assert_eq!(target.url, "ws://here:1");
        let proc_folder = PathBuf::from(format!("/proc/{}", target.pid()));
        assert!(proc_folder.exists());
        drop(target);
        assert!(!proc_folder.exists());
    }

    #[test]
    fn a_program_that_says_no_url_is_refused() {
        let spec = TargetSpec::parse("echo hello", Role::Server, &[]).expect("the command is fine");
        assert!(matches!(spec.start(), Err(BenchError::NoUrl { .. })));
    }
}
