//! What the tests of this folder share: a command in one line, and reading a child to its end.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use codex_exec_server_local::os::{
    Child, Command, Exit, Output, Size, Spawned, Stdin, Stdio, read_output, spawn,
};
use rustix::event::{PollFd, PollFlags, poll};

/// Everything that a finished child left. A terminal's output is `stdout`.
pub(crate) struct Finished {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) exit: Exit,
}

/// `script` run by `/bin/sh`, in `/`, with a usual search path.
pub(crate) fn shell(script: &str) -> Command {
    let mut command = Command::new(["/bin/sh", "-c", script], "/");
    command.env = vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())];
    command
}

/// The same with a pipe as stdin.
pub(crate) fn shell_with_stdin(script: &str) -> Command {
    Command { stdio: Stdio::Pipes { stdin: Stdin::Pipe }, ..shell(script) }
}

/// The same on a terminal of the default size.
pub(crate) fn shell_on_terminal(script: &str) -> Command {
    Command { stdio: Stdio::Pty(Size::default()), ..shell(script) }
}

/// Starts the command and waits until its output ends and it is dead.
pub(crate) fn run(command: &Command) -> Finished {
    finish(spawn(command).expect("the command starts"))
}

/// Closes stdin and waits for the end.
pub(crate) fn finish(spawned: Spawned) -> Finished {
    let Spawned { child, stdin, output } = spawned;
    drop(stdin);
    let (stdout, stderr) = match output {
        Output::Pipes { stdout, stderr } => {
            let reader = std::thread::spawn(move || read_to_end(&stderr));
            (read_to_end(&stdout), reader.join().expect("the reader does not panic"))
        }
        Output::Pty { master } => (read_to_end(&master), String::new()),
    };
    Finished { stdout, stderr, exit: wait(&child) }
}

/// Sleeps until the child is dead and reaps it.
pub(crate) fn wait(child: &Child) -> Exit {
    readable(child);
    child.try_wait().expect("nobody else reaps it").expect("a readable pidfd means dead")
}

/// Sleeps until the descriptor has something to read or has ended. Fails the test rather than hanging it for
/// ever.
pub(crate) fn readable(descriptor: impl AsFd) {
    let mut polled = [PollFd::new(&descriptor, PollFlags::IN)];
    let limit = rustix::event::Timespec { tv_sec: 60, tv_nsec: 0 };
    let count = rustix::io::retry_on_intr(|| poll(&mut polled, Some(&limit))).expect("poll works");
    assert_eq!(count, 1, "nothing to read within a minute");
}

/// All that is still to come.
pub(crate) fn read_to_end(output: impl AsFd) -> String {
    read_until(output, |_| false)
}

/// Up to the end of the first line, or of the output.
pub(crate) fn read_line(output: impl AsFd) -> String {
    read_until(output, |text| text.ends_with(b"\n"))
}

fn read_until(output: impl AsFd, enough: impl Fn(&[u8]) -> bool) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    while !enough(&text) {
        readable(&output);
        match read_output(&output, &mut buffer) {
            Ok(0) => break,
            Ok(count) => text.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => panic!("cannot read: {error}"),
        }
    }
    String::from_utf8(text).expect("the tests write text")
}

/// The stdout pipe of a child started with pipes, or the terminal.
pub(crate) fn stdout_of(spawned: &Spawned) -> &std::os::fd::OwnedFd {
    match &spawned.output {
        Output::Pipes { stdout, .. } => stdout,
        Output::Pty { master } => master,
    }
}

/// Far enough away not to matter unless something is broken.
pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

/// Whether a process with this number runs code. A zombie does not.
pub(crate) fn runs(os_pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{os_pid}/stat"))
        .ok()
        .and_then(|stat| stat.rsplit_once(") ").map(|(_, rest)| !rest.starts_with(['Z', 'X'])))
        .unwrap_or(false)
}
