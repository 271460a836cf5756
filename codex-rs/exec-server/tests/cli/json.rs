//! The shapes of `--json`, as `docs/command-line.md` describes them.

use serde_json::{Value, json};

use crate::home::Home;
use crate::support::Server;

/// Lines of JSON, with what differs from run to run replaced by its type.
fn events(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| {
            let mut event: Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            for name in ["sessionId", "usage"] {
                if event.get(name).is_some_and(|value| value.is_string() || value.is_object()) {
                    event[name] = json!("…");
                }
            }
            event
        })
        .collect()
}

fn exited(seq: u64, code: i32) -> Value {
    json!({"type": "exited", "seq": seq, "exitCode": code, "reason": "exited", "sandboxDenied": false, "usage": "…"})
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[test]
fn run_writes_events_here_and_elsewhere() {
    for server in Server::each() {
        let home = Home::new();
        let mut args = vec!["run", "--json"];
        args.extend(server.flags());
        args.extend(["--", "/bin/sh", "-c", r"printf '\377'; exit 3"]);
        let (code, out, err) = home.outcome(&args);
        assert_eq!((code, err.as_str()), (Some(3), ""));
        assert_eq!(
            events(&out),
            [
                json!({"type": "started", "sessionId": "…", "processId": "run"}),
                json!({"type": "output", "seq": 1, "stream": "stdout", "base64": "/w=="}),
                exited(/*seq*/ 2, /*code*/ 3),
                json!({"type": "closed", "seq": 3, "proof": "checksum"}),
            ]
        );
    }
}

#[test]
fn detach_ps_logs_kill_and_attach_speak_of_one_command_in_one_way() {
    let (server, home) = (Server::websocket(&[]), Home::new());
    let said = home.fifo("said");
    let script = format!("echo hi; echo >{}; exec sleep 1000", said.display());
    let detached =
        home.json(&["run", "--connect", server.url(), "--detach", "--json", "--", "/bin/sh", "-c", &script]);
    std::fs::read(said).expect("it speaks");
    let id = detached["id"].as_str().expect("an id");
    let session = &detached["sessionId"];
    assert_eq!(
        detached,
        json!({
            "id": id, "sessionId": session, "processId": "run", "keptMs": 86_400_000,
            "attach": ["codex-exec-server", "attach", id],
        })
    );

    let listed = home.listed_with(id, "hi\n".len() as u64);
    let started = listed["startedAtMs"].as_u64().expect("a time");
    assert_eq!(
        listed,
        json!({
            "id": id, "state": "running", "server": {"kind": "url", "url": server.url()}, "sessionId": session,
            "processId": "run", "argv": ["/bin/sh", "-c", script], "tty": false, "startedAtMs": started,
            "keptMs": 86_400_000, "lastSeq": 1, "outputBytes": 3,
        })
    );

    let first = json!({"type": "started", "id": id, "sessionId": "…", "processId": "run"});
    let output = json!({"type": "output", "seq": 1, "stream": "stdout", "text": "hi\n"});
    let logs = home.says(&["logs", id, "--json"]);
    assert_eq!(events(&logs), [first.clone(), output.clone()]);

    assert_eq!(
        home.json(&["kill", id, "--signal", "usr1", "--json"]),
        json!({"action": "signal", "id": id, "processId": "run", "signal": "usr1"})
    );
    // To its end, so that nothing but what is kept comes.
    home.says(&["logs", id, "--follow"]);
    let (code, out, _) = home.outcome(&["attach", id, "--json"]);
    assert_eq!(code, Some(138));
    let end = json!({"type": "exited", "seq": 2, "exitCode": 138, "sandboxDenied": false});
    let mut attached = events(&out);
    // The end is pushed as well as read, and what is read has the code alone: whichever comes first is told.
    attached[2].as_object_mut().expect("an object").retain(|member, _| end.get(member).is_some());
    let proof = attached[3]["proof"].take();
    assert!(["numbering", "length", "checksum"].contains(&proof.as_str().expect("a word")), "{proof}");
    let closed = json!({"type": "closed", "seq": 3, "proof": null});
    assert_eq!(attached, [first, output, end, closed]);
}

#[test]
fn kill_says_how_complete_it_was() {
    let (server, home) = (Server::websocket(&[]), Home::new());
    let id = home.detach(server.url(), &[], "sleep 1000");
    assert_eq!(
        home.json(&["kill", &id, "--json"]),
        json!({"action": "terminate", "id": id, "processId": "run", "running": true, "survivors": 0})
    );
}

#[test]
fn info_tells_the_server_as_the_wire_does() {
    let (server, home) = (Server::websocket(&[]), Home::new());
    let info = home.json(&["info", "--connect", server.url(), "--json"]);
    assert_eq!(
        keys(&info),
        ["server", "roundTripMs", "sessionId", "detachedLifetimeMs", "environment", "limits"]
            .iter()
            .copied()
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
    );
    assert_eq!(info["environment"]["platformOs"], "linux");
    assert_eq!(info["environment"]["capabilities"]["sessionLifetime"], true);
    assert_eq!(info["limits"]["detachedSessionMaxMs"], 86_400_000);
    assert!(info["roundTripMs"].as_f64().is_some_and(|ms| ms > 0.0), "{info}");
}

#[test]
fn a_failure_is_the_last_event() {
    let home = Home::new();
    for args in [
        &["run", "--json", "--cwd", "/no/such/folder", "--", "true"][..],
        &["run", "--json", "--connect", "ws://127.0.0.1:1", "--", "true"],
        &["attach", "--json", "1234"],
        &["logs", "--json", "1234"],
    ] {
        let (code, out, err) = home.outcome(args);
        assert_eq!(code, Some(125));
        let last = events(&out).pop().expect("an event");
        assert_eq!(last["type"], "failed");
        assert_eq!(format!("codex-exec-server: {}\n", last["message"].as_str().expect("text")), err);
    }
}
