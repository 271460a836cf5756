//! Commands that are left to themselves, and other programs that find them again.

use crate::home::{Home, release};
use crate::support::{Server, program};

#[test]
fn a_command_left_to_itself_is_listed_read_and_ended_by_others() {
    for server in [Server::websocket(&[]), Server::unix()] {
        let home = Home::new();
        let said = home.fifo("said");
        let script = format!("echo out; echo err >&2; echo >{}; sleep 1000 & sleep 1000", said.display());
        let id = home.detach(server.url(), &[], &script);
        std::fs::read(&said).expect("it speaks");

        assert_eq!(home.listed_with(&id, /*output_bytes*/ 8)["state"], "running");
        let table = home.says(&["ps"]);
        assert!(table.lines().nth(1).expect("a row").starts_with(&format!("{id}  running")), "{table}");

        // Any beginning that is its own will do.
        let (code, out, err) = home.outcome(&["logs", &id[..5]]);
        assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "out\n", "err\n"));

        assert_eq!(home.says(&["kill", &id]), "ended, with every descendant\n");
        let listed = home.listed(&id).expect("it stays, for its logs");
        assert_eq!((&listed["state"], &listed["exitCode"]), (&"closed".into(), &143.into()));
        assert_eq!(home.says(&["kill", &id]), "had ended already\n");
        assert_eq!(home.outcome(&["logs", &id, "--follow"]).1, "out\n");
    }
}

#[test]
fn a_signal_goes_to_the_command_and_it_lives_on() {
    let (server, home) = (Server::websocket(&[]), Home::new());
    let ready = home.fifo("ready");
    let script =
        format!("trap 'echo caught; exit 5' HUP; echo >{}; while :; do sleep 0.05; done", ready.display());
    let id = home.detach(server.url(), &[], &script);
    std::fs::read(&ready).expect("it is ready");
    home.says(&["kill", &id, "--signal", "SIGHUP"]);
    let (code, out, _) = home.outcome(&["attach", &id]);
    assert_eq!((code, out.as_str()), (Some(5), "caught\n"));
}

#[test]
fn logs_follow_to_the_end_or_begin_where_they_are_told() {
    let (server, home) = (Server::websocket(&[]), Home::new());
    let go = home.fifo("go");
    let script = format!("echo one; read line <{}; echo two >&2; exit 9", go.display());
    let id = home.detach(server.url(), &[], &script);
    let following = home.command(&["logs", &id, "--follow"]).spawn().expect("it starts");
    release(go);
    let output = following.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!((&output.stdout[..], &output.stderr[..]), (&b"one\n"[..], &b"two\n"[..]));

    assert_eq!(home.outcome(&["logs", &id, "--since", "1"]).1, "");
    let last = home.listed(&id).expect("it is remembered")["lastSeq"].to_string();
    let (code, out, err) = home.outcome(&["logs", &id, "--since", &last]);
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "", ""));
    let refused = home.fails(&["logs", &id, "--since", "99"]);
    assert!(refused.ends_with(&format!("--since 99: the last event so far is {last}\n")), "{refused}");
}

#[test]
fn a_command_that_nobody_reads_runs_to_its_end_and_what_was_dropped_is_told() {
    let home = Home::new();
    let settings = home.path().join("settings.toml");
    std::fs::write(&settings, "[server.limits]\nretained_output_bytes = 4194304\n").expect("it is written");
    let server = Server::websocket(&["--config", &settings.display().to_string()]);
    let done = home.fifo("done");
    let script = format!("seq 1 2000000; echo >{}", done.display());
    let id = home.detach(server.url(), &[], &script);
    // More than a server keeps of one command: one that waited for a reader would not get here.
    std::fs::read(&done).expect("it runs on");
    let (code, out, err) = home.outcome(&["logs", &id, "--follow"]);
    assert_eq!(code, Some(0));
    let missing: usize = err
        .strip_prefix("codex-exec-server: ")
        .and_then(|rest| rest.strip_suffix(" bytes of output are missing here\n"))
        .and_then(|bytes| bytes.parse().ok())
        .unwrap_or_else(|| panic!("{err}"));
    let all: usize = (1..=2_000_000_u32).map(|n| n.to_string().len() + 1).sum();
    assert_eq!(missing + out.len(), all);
    assert!(out.ends_with("\n1999999\n2000000\n"));
}

#[test]
fn what_a_restarted_server_does_not_know_is_forgotten() {
    let (mut server, home) = (Server::unix(), Home::new());
    let url = server.url().to_owned();
    let ids = [(); 2].map(|()| home.detach(&url, &[], "sleep 1000"));
    server.kill();
    let listed = home.listed(&ids[0]).expect("a server that is away proves nothing");
    assert_eq!(listed["state"], "unreachable");
    assert!(listed["reason"].as_str().expect("why").contains("is the server running?"), "{listed}");
    let _other = Server::start(program(), &url, &[], /*dir*/ None);

    let gone = home.fails(&["attach", &ids[0]]);
    assert!(gone.contains(&format!("{} is gone and was forgotten", ids[0])), "{gone}");
    let (code, out, err) = home.outcome(&["ps"]);
    assert_eq!((code, out.as_str()), (Some(0), ""));
    assert!(err.contains("nothing that was left running is remembered") && err.contains(&ids[1]), "{err}");
    assert!(!err.contains(&ids[0]), "{err}");
}

#[test]
fn without_a_record_a_command_is_found_by_server_and_session() {
    let (server, home, other) = (Server::websocket(&[]), Home::new(), Home::new());
    let id = home.detach(server.url(), &[], "echo here; sleep 1000");
    let listed = home.listed_with(&id, "here\n".len() as u64);
    let session = listed["sessionId"].as_str().expect("text").to_owned();
    let unknown = other.fails(&["logs", &id]);
    assert!(unknown.contains("`codex-exec-server ps` lists"), "{unknown}");
    let find = ["--connect", server.url(), "--session", &session];
    let with = |command: &'static str, more: &[&'static str]| {
        let mut args = vec![command];
        args.extend(find);
        args.extend(more);
        args.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let refs = |args: &[String]| {
        args.iter().map(|arg| Box::leak(arg.clone().into_boxed_str()) as &str).collect::<Vec<_>>()
    };
    let none = other.fails(&refs(&with("logs", &["nothing"])));
    assert!(none.contains("has no process nothing: run"), "{none}");
    assert_eq!(other.says(&refs(&with("kill", &["run", "--grace", "0"]))), "ended, with every descendant\n");
    // There is only one, so it need not be named.
    assert!(other.says(&refs(&with("logs", &[]))).starts_with("here\n"));
}

#[test]
fn a_server_that_wants_a_token_gets_it_from_the_file_again() {
    let home = Home::new();
    let token = home.path().join("token");
    std::fs::write(&token, "secret\n").expect("it can be written");
    let token = token.to_str().expect("text");
    let server = Server::websocket(&["--ws-auth", "capability-token", "--ws-token-file", token]);
    let id = home.detach(server.url(), &["--token-file", token], "sleep 1000");
    let record = home.path().join(format!(".local/state/codex-exec-server/sessions/{id}.json"));
    let record = std::fs::read_to_string(record).expect("it is remembered here");
    assert!(record.contains(token) && !record.contains("secret"), "{record}");
    assert_eq!(home.listed(&id).expect("it is remembered")["state"], "running");
    assert_eq!(home.says(&["kill", &id]), "ended, with every descendant\n");
}
