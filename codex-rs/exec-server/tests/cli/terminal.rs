//! A terminal that is left and come back to.

use std::fs::File;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;

use nix::pty::{Winsize, openpty};
use nix::sys::termios::{LocalFlags, tcgetattr};

use crate::home::Home;
use crate::support::{PATIENCE, Server, await_line, lines, wait};

/// A terminal of this size with a program on it.
struct Screen {
    child: Child,
    lines: Receiver<String>,
    master: File,
    slave: File,
}

impl Screen {
    fn start(mut command: Command, rows: u16, cols: u16) -> Self {
        let size = Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).expect("a terminal");
        let (master, slave) = (File::from(pty.master), File::from(pty.slave));
        let handle = || Stdio::from(slave.try_clone().expect("a handle"));
        command.env("TERM", "vt100").stdin(handle()).stdout(handle()).stderr(handle());
        let child = command.spawn().expect("the program starts");
        let lines = lines(master.try_clone().expect("a handle"));
        Self { child, lines, master, slave }
    }

    fn type_keys(&mut self, keys: &[u8]) {
        self.master.write_all(keys).expect("the terminal takes keys");
    }

    /// The first line that holds `part`.
    fn await_part(&self, part: &str) -> String {
        loop {
            let line =
                self.lines.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("no {part:?}: {error}"));
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Waits for the end; keys are handled as before.
    fn end(mut self) -> Option<i32> {
        let code = wait(&mut self.child).code();
        assert!(tcgetattr(&self.slave).expect("attributes").local_flags.contains(LocalFlags::ICANON));
        code
    }
}

#[test]
fn keys_leave_a_terminal_and_attach_comes_back_to_it_in_its_own_size() {
    let (server, home) = (Server::websocket(&[]), Home::new());
    // The trap interrupts a read.
    let script = "trap 'stty size' WINCH; stty size; while [ \"$line\" != end ]; do \
                  read line && echo got $line; done; exit 5";
    let run = ["run", "--connect", server.url(), "--tty", "--keep", "1h", "--", "/bin/sh", "-c", script];
    let mut screen = Screen::start(home.command(&run), /*rows*/ 33, /*cols*/ 101);
    await_line(&screen.lines, "33 101");
    screen.type_keys(b"one\r");
    await_line(&screen.lines, "got one");
    screen.type_keys(b"\x1dd");
    let hint = screen.await_part("codex-exec-server attach ");
    assert_eq!(screen.end(), Some(0));
    let (_, id) = hint.rsplit_once(' ').expect("an id");

    let mut screen = Screen::start(home.command(&["attach", id]), /*rows*/ 20, /*cols*/ 60);
    await_line(&screen.lines, "got one");
    await_line(&screen.lines, "20 60");
    // Twice it is a key like any other.
    screen.type_keys(b"a\x1d\x1db\r");
    assert_eq!(screen.await_part("got a").trim_end(), "got a\x1db");
    screen.type_keys(b"end\r");
    assert_eq!(screen.end(), Some(5));
}

#[test]
fn a_terminal_can_be_left_to_itself_from_the_start() {
    let (server, home) = (Server::websocket(&[]), Home::new());
    let id = home.detach(server.url(), &["--tty"], "test -t 0 && echo terminal; read line; exit 6");
    let mut screen = Screen::start(home.command(&["attach", &id]), /*rows*/ 24, /*cols*/ 80);
    await_line(&screen.lines, "terminal");
    screen.type_keys(b"\r");
    assert_eq!(screen.end(), Some(6));
}
