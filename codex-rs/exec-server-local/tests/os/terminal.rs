//! Children on a terminal.

use codex_exec_server_local::os::{Signal, Size, Status, Stdio, resize, spawn};

use crate::support::{finish, read_line, run, shell_on_terminal, stdout_of};

#[test]
fn the_terminal_is_the_controlling_one_on_all_three_descriptors() {
    let finished =
        run(&shell_on_terminal("for fd in 0 1 2; do test -t $fd && echo $fd; done; echo via >/dev/tty"));
    assert_eq!(finished.stdout, "0\r\n1\r\n2\r\nvia\r\n");
    assert_eq!(finished.exit.status, Status::Exited(0));
}

#[test]
fn the_size_is_set_before_the_program_runs() {
    let mut command = shell_on_terminal("stty size");
    assert_eq!(run(&command).stdout, "24 80\r\n");
    command.stdio = Stdio::Pty(Size { rows: 50, cols: 132 });
    assert_eq!(run(&command).stdout, "50 132\r\n");
}

#[test]
fn a_resize_is_seen_and_announced() {
    let script = "trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep 0.01; done";
    let spawned = spawn(&shell_on_terminal(script)).expect("starts");
    let master = stdout_of(&spawned);
    assert_eq!(read_line(master), "ready\r\n");
    resize(master, Size { rows: 30, cols: 100 }).expect("it is a terminal");
    assert_eq!(finish(spawned).stdout, "30 100\r\n");
}

#[test]
fn the_interrupt_character_reaches_the_foreground_group() {
    let spawned = spawn(&shell_on_terminal("echo ready; exec cat")).expect("starts");
    let master = stdout_of(&spawned);
    assert_eq!(read_line(master), "ready\r\n");
    rustix::io::write(master, b"\x03").expect("it takes input");
    let exit = finish(spawned).exit;
    assert_eq!((exit.status, exit.code()), (Status::Signalled(2), 130));
}

#[test]
fn a_signal_to_the_group_reaches_a_child_on_a_terminal() {
    let spawned = spawn(&shell_on_terminal("echo ready; exec cat")).expect("starts");
    assert_eq!(read_line(stdout_of(&spawned)), "ready\r\n");
    assert!(spawned.child.signal_group(Signal::TERM).expect("may be signalled"));
    assert_eq!(finish(spawned).exit.code(), 143);
}

#[test]
fn a_pipe_is_not_a_terminal() {
    let spawned = spawn(&crate::support::shell("tty <&1")).expect("starts");
    assert!(resize(stdout_of(&spawned), Size::default()).is_err());
    assert_eq!(finish(spawned).stdout, "not a tty\n");
}
