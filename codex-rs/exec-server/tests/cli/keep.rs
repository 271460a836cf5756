//! `run --keep`, and a connection that does not come back: commands that outlive the one that started them.

use std::io::Read;

use nix::sys::signal::Signal;

use crate::home::{Home, release};
use crate::relay::Relay;
use crate::support::{Running, Server};

/// What was said on standard error.
fn words(running: &mut Running) -> String {
    let mut words = String::new();
    let mut stderr = running.child.stderr.take().expect("it has a pipe");
    stderr.read_to_string(&mut words).expect("text");
    words
}

/// The id in a hint to attach again.
fn hinted(words: &str) -> String {
    let (_, id) = words.rsplit_once("codex-exec-server attach ").unwrap_or_else(|| panic!("{words}"));
    id.trim().to_owned()
}

#[test]
fn a_kept_command_that_ends_is_as_any_other_and_leaves_nothing_behind() {
    let (server, home) = (Server::websocket(&[]), Home::new());
    let run = ["run", "--connect", server.url(), "--keep", "10m", "--", "/bin/sh", "-c", "echo out; exit 3"];
    assert_eq!(home.outcome(&run), (Some(3), "out\n".into(), String::new()));
    assert_eq!(home.json(&["ps", "--json"]), serde_json::json!({"commands": [], "forgotten": []}));
}

#[test]
fn whatever_would_end_a_kept_command_leaves_it_running_and_says_how_to_come_back() {
    for (signal, code) in [(Signal::SIGHUP, 129), (Signal::SIGTERM, 143), (Signal::SIGQUIT, 131)] {
        let (server, home) = (Server::websocket(&[]), Home::new());
        let go = home.fifo("go");
        let script = format!("echo up; read line <{}; echo went; exit 8", go.display());
        let run = ["run", "--connect", server.url(), "--keep", "1h", "--", "/bin/sh", "-c", &script];
        let mut running = Running::start(home.command(&run));
        running.await_line("up");
        running.signal(signal);
        assert_eq!(running.wait().code(), Some(code));
        let words = words(&mut running);
        assert!(words.contains("the command runs on, for 1 h without a client"), "{words}");
        let mut attached = Running::start(home.command(&["attach", &hinted(&words)]));
        attached.await_line("up");
        release(go);
        attached.await_line("went");
        assert_eq!(attached.wait().code(), Some(8));
    }
}

#[test]
fn a_reader_that_goes_away_leaves_a_kept_command_running() {
    let (server, home) = (Server::websocket(&[]), Home::new());
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let script = "while :; do echo line; sleep 0.02; done";
    let mut command =
        home.command(&["run", "--connect", server.url(), "--keep", "1h", "--", "/bin/sh", "-c", script]);
    command.stdout(writer);
    let child = command.spawn().expect("it starts");
    drop((command, reader));
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(141));
    let id = hinted(&String::from_utf8(output.stderr).expect("text"));
    assert_eq!(home.listed(&id).expect("it is remembered")["state"], "running");
    assert_eq!(home.says(&["kill", &id]), "ended, with every descendant\n");
}

#[test]
fn a_connection_that_does_not_come_back_ends_with_the_command_that_attaches_again() {
    for flags in [&[][..], &["--keep", "1h"]] {
        let (server, home) = (Server::unix(), Home::new());
        let relay = Relay::before(&server);
        let go = home.fifo("go");
        let script = format!("echo up; read line <{}; echo went; exit 8", go.display());
        let mut args = vec!["run", "--connect", relay.url(), "--resume-for", "200ms"];
        args.extend(flags);
        args.extend(["--", "/bin/sh", "-c", &script]);
        let mut running = Running::start(home.command(&args));
        running.await_line("up");
        let relay = relay.cut();
        assert_eq!(running.wait().code(), Some(125));
        let words = words(&mut running);
        assert!(words.contains("connection lost, resuming (1 s left)\n"), "{words}");
        assert!(words.contains("the command may run on there"), "{words}");
        let id = hinted(&words);
        assert_eq!(home.listed(&id).expect("it is remembered")["state"], "unreachable");

        let _relay = relay.mend();
        let mut attached = Running::start(home.command(&["attach", &id]));
        attached.await_line("up");
        release(go);
        attached.await_line("went");
        assert_eq!(attached.wait().code(), Some(8));
        assert!(home.listed(&id).is_none());
    }
}
