//! Environments by name: listed, checked, run in, and found again.

use serde_json::json;

use crate::home::Home;
use crate::support::{Server, output};

/// One environment of a file.
fn entry(id: &str, url: &str) -> String {
    format!("[[environments]]\nid = \"{id}\"\nurl = \"{url}\"\n")
}

/// One that a program leads to: the server itself, on its standard streams.
fn through_program(id: &str) -> String {
    let program = env!("CARGO_BIN_EXE_codex-exec-server");
    format!("[[environments]]\nid = \"{id}\"\nprogram = \"{program}\"\nargs = [\"--listen\", \"stdio\"]\n")
}

const WHERE: [&str; 5] = ["--", "/bin/sh", "-c", "echo $PPID; echo \"$WORD\"; echo $0", "zero"];

/// Runs there; the number of the process that is the server.
fn server_of(home: &Home, flags: &[&str]) -> String {
    let said = home.says(&[&["run"], flags, &WHERE].concat());
    said.lines().next().expect("a number").to_owned()
}

#[test]
fn a_command_runs_where_its_environment_is() {
    let (server, home) = (Server::websocket(&[]), Home::new());
    home.environments(&format!(
        "default = \"box\"\n{}{}",
        entry("box", server.url()),
        through_program("piped")
    ));
    let there = server.pid().to_string();
    assert_eq!(server_of(&home, &["--env", "box"]), there);
    // The default.
    assert_eq!(server_of(&home, &[]), there);
    for elsewhere in ["local", "piped"] {
        assert_ne!(server_of(&home, &["--env", elsewhere]), there, "{elsewhere}");
    }
    // A variable is told from an environment by its equals sign.
    let said =
        home.says(&[&["run", "--env", "WORD=a=b", "--env", "box", "--env", "X="], &WHERE[..]].concat());
    assert_eq!(said, format!("{there}\na=b\nzero\n"));
}

#[test]
fn the_variable_of_the_one_server_names_it_or_forbids_to_run() {
    let (server, home) = (Server::websocket(&[]), Home::new());
    let with = |value: &str, args: &[&str]| {
        let mut command = home.command(args);
        command.env("CODEX_EXEC_SERVER_URL", value);
        let output = output(command);
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let run = [&["run"], &WHERE[..]].concat();
    assert!(with(server.url(), &run).1.starts_with(&format!("{}\n", server.pid())));
    let (code, out, err) = with("none", &run);
    assert_eq!((code, out.as_str()), (Some(125), ""));
    assert!(err.contains("execution is disabled by CODEX_EXEC_SERVER_URL=none"), "{err}");
    let (code, _, err) = with("http://h", &run);
    assert_eq!(code, Some(125));
    assert!(err.contains("CODEX_EXEC_SERVER_URL"), "{err}");
    let (code, out, _) = with("none", &["envs", "--json"]);
    let listed: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, &listed["default"], &listed["environments"]), (Some(0), &json!(null), &json!([])));
    assert!(listed["disabled"].as_str().expect("why").contains("unset it"), "{listed}");
}

#[test]
fn environments_are_listed_and_checked() {
    let home = Home::new();
    let token = home.path().join("token");
    std::fs::write(&token, "secret\n").expect("it can be written");
    let token = token.to_str().expect("text");
    let strict = Server::websocket(&["--ws-auth", "capability-token", "--ws-token-file", token]);
    let with_token = format!("{}auth_bearer_token = \"secret\"\n", entry("box", strict.url()));
    home.environments(&format!(
        "default = \"box\"\n{with_token}{}{}{}",
        entry("shut", strict.url()),
        entry("gone", "ws://127.0.0.1:1"),
        through_program("piped")
    ));
    let row = |id: &str, kind: &str, description: &str| json!({"id": id, "kind": kind, "description": description, "isDefault": id == "box"});
    let mut listed = home.json(&["envs", "--json"]);
    let piped = listed["environments"][4]["description"].take();
    assert!(piped.as_str().is_some_and(|text| text.ends_with("--listen stdio")), "{piped}");
    let url = strict.url().trim_end_matches('/');
    let described = listed["environments"][1]["description"].as_str().expect("text").to_owned();
    assert!(described.starts_with(url), "{described}");
    assert_eq!(
        listed,
        json!({
            "default": "box",
            "environments": [
                row("local", "local", "this machine"),
                row("box", "url", &described),
                row("shut", "url", &described),
                row("gone", "url", listed["environments"][3]["description"].as_str().expect("text")),
                json!({"id": "piped", "kind": "program", "description": null, "isDefault": false}),
            ],
        })
    );
    let (code, table, _) = home.outcome(&["envs", "--check"]);
    assert_eq!(code, Some(1));
    let rows: Vec<&str> = table.lines().collect();
    assert!(rows[0].starts_with("  local  local") && rows[0].contains("ready in "), "{table}");
    assert!(rows[1].starts_with("* box    url") && rows[1].contains("ready in "), "{table}");
    assert!(rows[2].contains("refused: "), "{table}");
    assert!(rows[3].contains("failed: "), "{table}");
    assert!(rows[4].contains("ready in "), "{table}");
    let checked = home.outcome(&["envs", "--check", "--json"]).1;
    let checked: serde_json::Value = serde_json::from_str(&checked).expect("JSON");
    let states = checked["environments"].as_array().expect("a list").iter().map(|row| &row["check"]["state"]);
    assert_eq!(states.collect::<Vec<_>>(), ["ready", "ready", "refused", "failed", "ready"]);
    assert!(checked["environments"][1]["check"]["connectMs"].as_f64().is_some_and(|ms| ms > 0.0));
    assert!(!checked.to_string().contains("secret"));
}

#[test]
fn a_command_left_in_an_environment_is_found_by_its_name() {
    let (server, home) = (Server::websocket(&[]), Home::new());
    home.environments(&entry("box", server.url()));
    let run = ["run", "--env", "box", "--detach", "--", "/bin/sh", "-c", "echo hi; exec sleep 1000"];
    let id = home.says(&run).trim().to_owned();
    let listed = home.listed_with(&id, "hi\n".len() as u64);
    assert_eq!(listed["server"], json!({"kind": "environment", "name": "box"}));
    let session = listed["sessionId"].as_str().expect("text");
    assert_eq!(home.says(&["kill", &id]), "ended, with every descendant\n");
    assert_eq!(home.says(&["logs", "--env", "box", "--session", session, "--follow"]), "hi\n");
    assert_eq!(home.json(&["info", "--env", "box", "--json"])["server"], listed["server"]);
    assert_eq!(home.json(&["info", "--json"])["server"], json!({"kind": "local"}));
    // An environment that is there no more.
    home.environments("");
    let gone = home.fails(&["attach", &id]);
    assert!(gone.contains("box"), "{gone}");
}

#[test]
fn what_can_not_be_is_refused_with_what_to_do() {
    let home = Home::new();
    home.environments(&format!("{}{}", entry("box", "ws://127.0.0.1:1"), through_program("piped")));
    for (flags, reason) in [
        (&["--env", "bix"][..], "box"),
        (&["--env", "box", "--env", "piped"], "both name an environment"),
        (&["--env", "box", "--connect", "ws://127.0.0.1:1"], "give one of them"),
        (&["--env", "local", "--detach"], "--detach needs a server"),
        (&["--env", "piped", "--detach"], "reached through a program"),
        (&["--env", "piped", "--keep", "1h"], "reached through a program"),
        (&["--env", "box"], "environment box: "),
    ] {
        let said = home.fails(&[&["run"], flags, &["--", "touch", "ran"]].concat());
        assert!(said.contains(reason), "{flags:?}: {said}");
    }
    for text in ["a b", "ä", "=x", ""] {
        let (code, _, err) = home.outcome(&["run", "--env", text, "--", "true"]);
        assert_eq!(code, Some(2), "{text}: {err}");
        assert!(err.contains("--env NAME=VALUE"), "{text}: {err}");
    }
    home.environments("surprise = 1\n");
    let said = home.fails(&["envs"]);
    assert!(said.contains("environments.toml") && said.contains("surprise"), "{said}");
}
