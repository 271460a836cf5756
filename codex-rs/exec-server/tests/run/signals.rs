//! Signals that reach the command line, and where they go.

use std::io::Read;

use nix::sys::signal::{Signal, kill};

use crate::support::{Running, Server, pid, run, run_script, wait};

#[test]
fn an_interrupt_is_the_commands_to_handle() {
    for server in Server::each() {
        let script = "trap 'echo caught; exit 7' INT; echo ready; while :; do sleep 0.05; done";
        let mut running = Running::start(run_script(&server.flags(), script));
        running.await_line("ready");
        running.signal(Signal::SIGINT);
        running.await_line("caught");
        assert_eq!(running.wait().code(), Some(7));
    }
}

#[test]
fn a_command_that_does_not_handle_an_interrupt_ends_with_130() {
    let mut running = Running::start(run_script(&[], "echo ready; exec sleep 1000"));
    running.await_line("ready");
    running.signal(Signal::SIGINT);
    assert_eq!(running.wait().code(), Some(130));
}

#[test]
fn a_second_interrupt_ends_a_command_that_ignores_the_first() {
    for server in Server::each() {
        // Says that it lives on after the first, so that the second is sent behind it.
        let script = "trap 'echo again' INT; echo ready; while :; do sleep 0.05; done";
        let mut running = Running::start(run_script(&server.flags(), script));
        running.await_line("ready");
        running.signal(Signal::SIGINT);
        running.await_line("again");
        running.signal(Signal::SIGINT);
        assert_eq!(running.wait().code(), Some(137));
    }
}

#[test]
fn being_told_to_end_tells_the_command_to_end() {
    for server in Server::each() {
        let script = "trap 'echo told; exit 8' TERM; echo ready; while :; do sleep 0.05; done";
        let mut running = Running::start(run_script(&server.flags(), script));
        running.await_line("ready");
        running.signal(Signal::SIGTERM);
        running.await_line("told");
        assert_eq!(running.wait().code(), Some(8));
    }
}

#[test]
fn a_command_whose_output_nobody_takes_can_still_be_ended() {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let mut command = run(&[], &["yes"]);
    command.stdout(writer);
    let mut child = command.spawn().expect("the program starts");
    drop(command);
    let mut line = [0; 2];
    reader.read_exact(&mut line).expect("a line");
    // From here on nobody reads, so it stops somewhere in a write. The second signal does not wait for that.
    kill(pid(&child), Signal::SIGTERM).expect("it takes signals");
    kill(pid(&child), Signal::SIGINT).expect("it takes signals");
    let code = wait(&mut child).code();
    assert!(matches!(code, Some(130 | 143)), "{code:?}");
    drop(reader);
}
