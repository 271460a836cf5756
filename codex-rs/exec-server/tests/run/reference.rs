//! Against the program that this one must get along with, where it is at hand: set `CODEX_REFERENCE_BIN` to its path.

use std::fs::File;
use std::process::Command;

use crate::support::{Server, file, noise, output, run, run_script, stderr};

fn reference() -> Option<Server> {
    let Some(path) = std::env::var_os("CODEX_REFERENCE_BIN") else {
        println!("skipped: CODEX_REFERENCE_BIN is not set");
        return None;
    };
    let mut command = Command::new(path);
    command.arg("exec-server");
    Some(Server::start(command, "ws://127.0.0.1:0", &[], /*dir*/ None))
}

#[test]
fn commands_run_on_the_reference_server() {
    let Some(server) = reference() else { return };
    let flags = server.flags();
    let ran = output(run_script(&flags, "echo out; echo err >&2; exit 3"));
    assert_eq!((ran.status.code(), &ran.stdout[..]), (Some(3), &b"out\n"[..]), "{}", stderr(&ran));
    assert_eq!(stderr(&ran), "err\n");

    let flood = output(run(&flags, &["seq", "1", "4000000"]));
    assert!(flood.stdout == crate::streams::count_to(/*last*/ 4_000_000), "{}", stderr(&flood));

    assert_eq!(output(run_script(&flags, "kill -TERM $$")).status.code(), Some(143));
    assert_eq!(output(run(&flags, &["no-such-program"])).status.code(), Some(126));
}

#[test]
fn commands_leave_with_the_connection_to_the_reference_server() {
    let Some(server) = reference() else { return };
    crate::cold::runs_as_ever(&server);
}

#[test]
fn what_the_reference_server_can_not_do_is_said_once() {
    let Some(server) = reference() else { return };
    let sent = noise(/*len*/ 5_000_000);
    let (_dir, path) = file(&sent);
    // It can't end standard input, so the command has to know how much to expect.
    let mut command = run(&server.flags(), &["head", "-c", "5000000"]);
    command.stdin(File::open(&path).expect("the file is there"));
    let ran = output(command);
    assert!(ran.stdout == sent, "{}", stderr(&ran));
    assert!(stderr(&ran).matches("standard input").count() <= 1, "{}", stderr(&ran));

    let mut flags = server.flags();
    flags.extend(["--timeout", "0.2"]);
    let ended = output(run(&flags, &["sleep", "1000"]));
    assert_eq!(ended.status.code(), Some(124), "{}", stderr(&ended));
}
