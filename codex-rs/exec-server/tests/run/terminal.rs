//! `--tty`: a terminal here, connected to one there.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;

use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, Termios, tcgetattr};

use crate::support::{Server, await_line, lines, pid, run_script, wait};

/// A terminal with a program on it.
struct Session {
    child: Child,
    lines: Receiver<String>,
    master: File,
    slave: File,
    before: Termios,
}

impl Session {
    fn start(mut command: Command) -> Self {
        let size = Winsize { ws_row: 33, ws_col: 101, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).expect("a terminal");
        let (master, slave) = (File::from(pty.master), File::from(pty.slave));
        let before = tcgetattr(&slave).expect("it has attributes");
        let handle = || Stdio::from(slave.try_clone().expect("a handle"));
        command.env("TERM", "vt100").stdin(handle()).stdout(handle()).stderr(handle());
        let child = command.spawn().expect("the program starts");
        let lines = lines(master.try_clone().expect("a handle"));
        Self { child, lines, master, slave, before }
    }

    fn await_line(&self, expected: &str) {
        await_line(&self.lines, expected);
    }

    fn kill(&self, signal: Signal) {
        kill(pid(&self.child), signal).expect("it takes signals");
    }

    fn type_keys(&mut self, keys: &[u8]) {
        std::io::Write::write_all(&mut self.master, keys).expect("the terminal takes keys");
    }

    /// Waits for the end; the terminal must be as it was.
    fn end(mut self) -> Option<i32> {
        let code = wait(&mut self.child).code();
        let after = tcgetattr(&self.slave).expect("it has attributes");
        assert_eq!(after.local_flags, self.before.local_flags);
        assert_eq!(after.input_flags, self.before.input_flags);
        assert_eq!(after.output_flags, self.before.output_flags);
        code
    }
}

fn on_terminal(server: &Server, script: &str) -> Session {
    let mut flags = server.flags();
    flags.push("--tty");
    Session::start(run_script(&flags, script))
}

#[test]
fn the_command_sees_a_terminal_of_the_same_size_and_kind() {
    for server in Server::each() {
        let session =
            on_terminal(&server, "stty size; echo $TERM; test -t 0 && test -t 1 && test -t 2; exit $?");
        session.await_line("33 101");
        session.await_line("vt100");
        assert_eq!(session.end(), Some(0));
    }
}

#[test]
fn the_command_learns_when_the_window_changes() {
    for server in Server::each() {
        let script = "trap 'stty size; exit 4' WINCH; echo ready; while :; do sleep 0.05; done";
        let session = on_terminal(&server, script);
        session.await_line("ready");
        let resized = Command::new("stty")
            .args(["rows", "50", "cols", "140"])
            .stdin(session.slave.try_clone().expect("a handle"))
            .status();
        assert!(resized.expect("stty is there").success());
        // The kernel tells only the terminal's own session, which this test is not.
        session.kill(Signal::SIGWINCH);
        session.await_line("50 140");
        assert_eq!(session.end(), Some(4));
    }
}

#[test]
fn keys_go_through_as_they_are_and_the_terminal_there_makes_signals_of_them() {
    for server in Server::each() {
        let script = "trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.05; done";
        let mut session = on_terminal(&server, script);
        session.await_line("ready");
        assert!(!tcgetattr(&session.slave).expect("attributes").local_flags.contains(LocalFlags::ICANON));
        session.type_keys(b"\x03");
        session.await_line("^Ccaught");
        assert_eq!(session.end(), Some(5));
    }
}

#[test]
fn the_end_of_input_is_a_key_as_well() {
    for server in Server::each() {
        let mut session = on_terminal(&server, "echo ready; cat; exit 6");
        session.await_line("ready");
        session.type_keys(b"word\r\x04");
        session.await_line("word");
        assert_eq!(session.end(), Some(6));
    }
}

#[test]
fn a_signal_that_ends_it_leaves_the_terminal_as_it_was() {
    for server in Server::each() {
        for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGHUP, 143), (Signal::SIGQUIT, 143)] {
            let session = on_terminal(&server, "echo ready; exec sleep 1000");
            session.await_line("ready");
            session.kill(signal);
            assert_eq!(session.end(), Some(code), "{signal} over {:?}", server.url());
        }
    }
}
