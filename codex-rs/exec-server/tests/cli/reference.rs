//! Against the program that this one must get along with, where it is at hand: set `CODEX_REFERENCE_BIN` to its path.

use std::process::Command;

use serde_json::json;

use crate::home::Home;
use crate::support::Server;

#[test]
fn what_the_reference_server_can_do_is_told_and_what_it_can_not_is_refused() {
    let Some(path) = std::env::var_os("CODEX_REFERENCE_BIN") else {
        println!("skipped: CODEX_REFERENCE_BIN is not set");
        return;
    };
    let home = Home::new();
    let mut command = Command::new(path);
    command.arg("exec-server").env("HOME", home.path());
    let server = Server::start(command, "ws://127.0.0.1:0", &[], /*dir*/ None);
    let info = home.json(&["info", "--connect", server.url(), "--json"]);
    assert_eq!((&info["limits"], &info["detachedLifetimeMs"]), (&json!(null), &json!(null)));
    assert!(home.says(&["info", "--connect", server.url()]).contains("version"));
    for flags in [&["--detach"][..], &["--keep", "1h"]] {
        let run = [&["run", "--connect", server.url()], flags, &["--", "true"]].concat();
        let said = home.fails(&run);
        assert!(said.contains(&format!("{} is not possible", flags[0])), "{said}");
    }
    let (code, out, _) =
        home.outcome(&["run", "--connect", server.url(), "--json", "--", "/bin/sh", "-c", "echo hi; exit 4"]);
    assert_eq!((code, out.lines().count()), (Some(4), 4), "{out}");
}
