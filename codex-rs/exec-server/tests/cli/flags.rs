//! Flags that are wrong, and what is said about them.

use crate::home::Home;
use crate::support::{Server, output};

#[test]
fn flags_that_are_wrong_are_refused_with_what_to_do() {
    let home = Home::new();
    for (args, reason) in [
        (&["run", "--keep", "1y", "--", "true"][..], "unknown unit y"),
        (&["run", "--keep", "0", "--", "true"], "more than 0"),
        (&["run", "--timeout", "soon", "--", "true"], "write a number of seconds"),
        (&["run", "--when-full", "burst", "--", "true"], "wait, drop-oldest"),
        (&["run", "--token-file", "x", "--", "true"], "--connect <URL>"),
        (&["run", "--connect", "ws://h:1"], "<COMMAND>"),
        (&["attach"], "<ID>"),
        (&["attach", "x", "--since", "-1"], "--since"),
        (&["logs", "x", "--since", "first"], "invalid digit"),
        (&["kill", "x", "--signal", "SIGSEGV"], "usr2"),
        (&["kill", "x", "--signal", "hup", "--grace", "1s"], "cannot be used with"),
        (&["kill", "x", "--grace", "forever"], "write a number of seconds"),
        (&["completions", "tcsh"], "fish"),
        (&["frobnicate"], "unrecognized subcommand"),
    ] {
        let (code, out, err) = home.outcome(args);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}: {err}");
        assert!(err.contains(reason), "{args:?}: {err}");
    }
}

#[test]
fn flags_that_do_not_go_together_are_refused_before_anything_runs() {
    let home = Home::new();
    for (args, reason) in [
        (&["run", "--detach", "--", "touch", "ran"][..], "--detach needs a server"),
        (&["run", "--keep", "1h", "--", "touch", "ran"], "--keep needs a server"),
        (&["attach", "--session", "s"], "which server?"),
        (&["logs", "1234", "--connect", "ws://127.0.0.1:1"], "goes with --session"),
        (&["kill", "1234"], "no command 1234 is remembered here"),
        (&["info", "--connect", "http://h"], "use ws://HOST:PORT"),
        (&["info", "--connect", "ws://127.0.0.1:1"], "is the server running?"),
        (&["info", "--connect", "ws://127.0.0.1:1", "--token-file", "/no/such"], "--token-file /no/such"),
    ] {
        let said = home.fails(args);
        assert!(said.contains(reason), "{args:?}: {said}");
    }
}

#[test]
fn without_a_home_there_is_nothing_to_find_and_a_detached_command_is_told_the_long_way() {
    let (server, home) = (Server::websocket(&[]), Home::new());
    let mut ps = home.command(&["ps"]);
    let lost = output({
        ps.env_remove("HOME");
        ps
    });
    assert_eq!(lost.status.code(), Some(125));
    assert!(String::from_utf8_lossy(&lost.stderr).contains("set HOME, or XDG_STATE_HOME"));

    let mut run =
        home.command(&["run", "--connect", server.url(), "--detach", "--json", "--", "sleep", "1000"]);
    run.env_remove("HOME").env("XDG_STATE_HOME", "relative/is/not/valid");
    let ran = output(run);
    assert_eq!(ran.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&ran.stderr).contains("can't be remembered"));
    let told: serde_json::Value = serde_json::from_slice(&ran.stdout).expect("JSON");
    assert_eq!(told["id"], serde_json::Value::Null);
    let attach: Vec<&str> =
        told["attach"].as_array().expect("a list").iter().filter_map(|word| word.as_str()).collect();
    let kill: Vec<&str> = [&["kill"], &attach[2..]].concat();
    assert_eq!(home.says(&kill), "ended, with every descendant\n");
}

#[test]
fn records_go_where_xdg_says() {
    let (server, home) = (Server::websocket(&[]), Home::new());
    let state = home.path().join("elsewhere");
    let mut run = home.command(&["run", "--connect", server.url(), "--detach", "--", "sleep", "1000"]);
    run.env("XDG_STATE_HOME", &state);
    let id = String::from_utf8(output(run).stdout).expect("text");
    assert!(state.join(format!("codex-exec-server/sessions/{}.json", id.trim())).exists());
    assert!(!home.path().join(".local").exists());
}
