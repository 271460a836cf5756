//! Coming back to a command.

use std::io::Write;
use std::process::Stdio;

use nix::sys::signal::Signal;

use crate::home::{Home, release};
use crate::support::{Running, Server, stderr};

#[test]
fn attach_shows_what_was_said_and_is_said_and_ends_as_the_command_does() {
    let (server, home) = (Server::websocket(&[]), Home::new());
    let go = home.fifo("go");
    let script = format!("echo before; read line <{}; echo after; exit 7", go.display());
    let id = home.detach(server.url(), &[], &script);
    let mut attached = Running::start(home.command(&["attach", &id]));
    attached.await_line("before");
    release(go);
    attached.await_line("after");
    assert_eq!(attached.wait().code(), Some(7));
    // It is over, here and there.
    assert!(home.listed(&id).is_none());
    let again = home.fails(&["attach", &id]);
    assert!(again.contains(&format!("no command {id} is remembered here")), "{again}");
}

#[test]
fn a_command_that_ended_long_ago_still_has_its_exit_code() {
    let (server, home) = (Server::websocket(&[]), Home::new());
    let done = home.fifo("done");
    let id = home.detach(server.url(), &[], &format!("echo >{}; exit 6", done.display()));
    std::fs::read(&done).expect("it runs");
    // To its end.
    home.says(&["logs", &id, "--follow"]);
    let last = home.listed(&id).expect("it is remembered")["lastSeq"].to_string();
    assert_eq!(home.outcome(&["attach", &id, "--since", &last]).0, Some(6));
}

#[test]
fn stdin_goes_to_a_command_that_was_left_with_its_stdin_open() {
    let (server, home) = (Server::websocket(&[]), Home::new());
    let mut command =
        home.command(&["run", "--connect", server.url(), "--keep", "1h", "--", "/bin/sh", "-c"]);
    command.arg("echo ready; cat; exit 4").stdin(Stdio::piped());
    let mut running = Running::start(command);
    running.await_line("ready");
    // Held open, so that its end is not what the command sees.
    let stdin = running.child.stdin.take();
    running.signal(Signal::SIGHUP);
    assert_eq!(running.wait().code(), Some(129));
    drop(stdin);
    let id = home.json(&["ps", "--json"])["commands"][0]["id"].as_str().expect("it is remembered").to_owned();

    let mut attaching = home.command(&["attach", &id]);
    let mut attached = attaching.stdin(Stdio::piped()).spawn().expect("it starts");
    let mut stdin = attached.stdin.take().expect("it has a pipe");
    stdin.write_all(b"typed\n").expect("it is taken");
    drop(stdin);
    let output = attached.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert_eq!(output.stdout, b"ready\ntyped\n");
}

#[test]
fn a_command_that_another_holds_is_taken_only_by_whoever_says_so() {
    let (server, home) = (Server::websocket(&[]), Home::new());
    let go = home.fifo("go");
    let id = home.detach(server.url(), &[], &format!("echo up; read line <{}; echo done", go.display()));
    let mut first = Running::start(home.command(&["attach", &id]));
    first.await_line("up");
    for command in ["attach", "kill"] {
        let refused = home.fails(&[command, &id]);
        let told = format!("another client is attached to {id}; --takeover takes it from there\n");
        assert!(refused.ends_with(&told), "{refused}");
    }
    let mut second = Running::start(home.command(&["attach", &id, "--takeover"]));
    second.await_line("up");
    // The first does not fight for it, and says what became of it.
    assert_eq!(first.wait().code(), Some(125));
    let mut words = String::new();
    let mut stderr = first.child.stderr.take().expect("it has a pipe");
    std::io::Read::read_to_string(&mut stderr, &mut words).expect("text");
    assert!(words.contains("taken over by another connection") && words.contains(&id), "{words}");
    release(go);
    second.await_line("done");
    assert_eq!(second.wait().code(), Some(0));
}

#[test]
fn logs_are_followed_beside_whoever_is_attached_and_neither_notices_the_other() {
    for server in [Server::websocket(&[]), Server::unix()] {
        let home = Home::new();
        let (more, end) = (home.fifo("more"), home.fifo("end"));
        let script = format!(
            "echo up; read line <{}; echo more; read line <{}; echo done; exit 3",
            more.display(),
            end.display()
        );
        let id = home.detach(server.url(), &[], &script);
        let mut attached = Running::start(home.command(&["attach", &id]));
        attached.await_line("up");
        let mut following = Running::start(home.command(&["logs", &id, "--follow"]));
        following.await_line("up");
        let mut other = Running::start(home.command(&["logs", &id, "--follow"]));
        other.await_line("up");
        // Neither does whoever lists it.
        assert_eq!(home.listed_with(&id, "up\n".len() as u64)["state"], "running");
        // What there is so far is printed just so.
        assert_eq!(home.says(&["logs", &id]), "up\n");
        release(more);
        for running in [&attached, &following] {
            running.await_line("more");
        }
        // One of those who look on goes, then the one that holds it. It is nobody's now, and can be listed.
        other.signal(Signal::SIGKILL);
        other.wait();
        attached.signal(Signal::SIGTERM);
        assert_eq!(attached.wait().code(), Some(143));
        assert_eq!(home.listed(&id).expect("it is remembered")["state"], "running");
        // It does not end before somebody wants it to, so nobody lets it go before the other has read its end.
        release(end);
        following.await_line("done");
        assert_eq!(following.wait().code(), Some(0));
        assert_eq!(home.outcome(&["attach", &id]).0, Some(3));
    }
}

#[test]
fn who_may_not_look_on_takes_its_turn_and_forgets_nothing() {
    let home = Home::new();
    let settings = home.path().join("settings.toml");
    std::fs::write(&settings, "[server.limits]\nobservers_per_session = 0\n").expect("it is written");
    let server = Server::websocket(&["--config", &settings.display().to_string()]);
    let go = home.fifo("go");
    let id = home.detach(server.url(), &[], &format!("echo up; read line <{}; echo done", go.display()));
    let mut attached = Running::start(home.command(&["attach", &id]));
    attached.await_line("up");
    let refused = home.fails(&["logs", &id]);
    assert!(refused.contains("has 0 observers, the server's limit"), "{refused}");
    // That proves nothing about the command.
    let listed = home.listed(&id).expect("it stays remembered");
    assert_eq!(listed["state"], "held");
    assert!(listed["reason"].as_str().expect("why").contains("has 0 observers"), "{listed}");
    attached.signal(Signal::SIGTERM);
    assert_eq!(attached.wait().code(), Some(143));
    assert_eq!(home.listed(&id).expect("it is remembered")["state"], "running");
    assert_eq!(home.says(&["logs", &id]), "up\n");
    release(go);
    assert_eq!(home.says(&["logs", &id, "--follow"]), "up\ndone\n");
}

#[test]
fn an_interrupt_goes_to_the_command_and_a_second_one_leaves_it_running() {
    let (server, home) = (Server::websocket(&[]), Home::new());
    let id = home.detach(server.url(), &[], "trap 'echo again' INT; echo up; while :; do sleep 0.05; done");
    let mut attached = Running::start(home.command(&["attach", &id]));
    attached.await_line("up");
    attached.signal(Signal::SIGINT);
    attached.await_line("again");
    attached.signal(Signal::SIGINT);
    assert_eq!(attached.wait().code(), Some(130));
    assert_eq!(home.listed(&id).expect("it is remembered")["state"], "running");
}
