//! `codex-exec-server mcp-stdio` as an MCP client meets it: the real program in place of the server.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use codex_exec_server_testkit::patiently;
use nix::sys::signal::Signal;
use rmcp::ServiceExt;
use serde_json::json;

use crate::peers::{call, everything, text};
use crate::programs::{Proxy, Running, Server, program, stderr, wait};

/// `mcp-stdio`, with the flags given, on `argv`.
fn bridge(flags: &[&str], argv: &[&str]) -> Command {
    let mut command = program();
    // Whatever environments the machine of this test has are none of its business.
    command.env("CODEX_EXEC_SERVER_URL", "").env("CODEX_EXEC_SERVER_CONFIG", "none").env("HOME", "/nowhere");
    command.arg("mcp-stdio").args(flags).arg("--").args(argv);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Gives it `input` and its end, and waits for its own.
fn output(mut command: Command, input: &[u8]) -> Output {
    let mut child = command.spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("it has a pipe");
    let input = input.to_vec();
    let writing = std::thread::spawn(move || {
        // A server that is gone does not read.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("it ends");
    writing.join().expect("no panic");
    output
}

#[test]
fn bytes_pass_as_they_are_with_the_end_of_both_streams() {
    let noise: Vec<u8> =
        (0..200_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for server in [Server::Embedded, Server::websocket(&[]), Server::unix()] {
        let passed = output(bridge(&server.flags(), &["cat"]), &noise);
        assert_eq!(passed.status.code(), Some(0), "{}", stderr(&passed));
        assert!(passed.stdout == noise, "{} bytes of {}", passed.stdout.len(), noise.len());
    }
}

#[test]
fn the_exit_code_and_stderr_are_the_servers() {
    for server in [Server::Embedded, Server::websocket(&[])] {
        for (script, code) in [("echo words >&2; exit 3", 3), ("echo words >&2; kill -KILL $$", 137)] {
            let ended = output(bridge(&server.flags(), &["sh", "-c", script]), b"");
            assert_eq!((ended.status.code(), &*stderr(&ended)), (Some(code), "words\n"));
        }
    }
}

#[test]
fn the_server_runs_where_and_with_what_it_is_told() {
    let server = Server::websocket(&[]);
    let script = "echo $(pwd) $GIVEN ${SECRET:-no secret}";
    let mut flags = server.flags();
    flags.extend(["--cwd", "/usr", "--set-env", "GIVEN=a=b"]);
    let mut there = bridge(&flags, &["sh", "-c", script]);
    there.env("SECRET", "known here");
    assert_eq!(output(there, b"").stdout, b"/usr a=b no secret\n");
    // Here it gets what this command has, as if it were started without it.
    let mut here = bridge(&["--cwd", "/usr"], &["sh", "-c", script]);
    here.env("SECRET", "known here");
    assert_eq!(output(here, b"").stdout, b"/usr known here\n");
}

#[test]
fn machines_are_known_by_name() {
    let server = Server::websocket(&[]);
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let file = folder.path().join("environments.toml");
    let text = format!("[[environments]]\nid = \"there\"\nurl = \"{}\"\n", server.url());
    std::fs::write(&file, text).expect("it can be written");
    let file = file.to_str().expect("a path");
    for (name, said) in [("there", "no secret\n"), ("local", "known here\n")] {
        let flags = ["--environments", file, "--env", name];
        let mut command = bridge(&flags, &["sh", "-c", "echo ${SECRET:-no secret}"]);
        command.env("SECRET", "known here");
        let ran = output(command, b"");
        assert_eq!(String::from_utf8_lossy(&ran.stdout), said, "{}", stderr(&ran));
    }
    let unknown = output(bridge(&["--environments", file, "--env", "thre"], &["true"]), b"");
    assert_eq!(unknown.status.code(), Some(125));
    assert!(stderr(&unknown).contains("there"), "{}", stderr(&unknown));
}

#[test]
fn what_can_not_run_says_so() {
    let missing = output(bridge(&[], &["no-such-mcp-server"]), b"");
    assert_eq!(missing.status.code(), Some(125));
    assert!(stderr(&missing).contains("no-such-mcp-server"), "{}", stderr(&missing));
    let nowhere = output(bridge(&["--connect", "ws://127.0.0.1:1"], &["cat"]), b"");
    assert_eq!(nowhere.status.code(), Some(125));
    assert!(stderr(&nowhere).contains("is the server running?"), "{}", stderr(&nowhere));
}

#[test]
fn a_signal_ends_the_server_and_what_it_started() {
    for server in [Server::Embedded, Server::websocket(&[])] {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let held = folder.path().join("held");
        let made = Command::new("mkfifo").arg(&held).status().expect("mkfifo is there");
        assert!(made.success());
        let script = format!("setsid sleep 1000 > '{}' & echo ready; wait", held.display());
        let mut running = Running::start(bridge(&server.flags(), &["sh", "-c", &script]));
        // Opening waits until the child has opened it as well.
        let mut reading = std::fs::File::open(&held).expect("it is there");
        running.await_line("ready");
        running.signal(Signal::SIGTERM);
        assert_eq!(running.wait().code(), Some(143));
        let mut rest = Vec::new();
        reading.read_to_end(&mut rest).expect("the child is gone");
    }
}

#[test]
fn a_client_that_is_gone_ends_the_server() {
    let server = Server::websocket(&[]);
    let mut child = bridge(&server.flags(), &["yes"]).spawn().expect("the program starts");
    drop(child.stdout.take());
    let ended = wait(&mut child);
    assert_eq!(ended.code(), Some(125));
}

/// Calls the server through `flags`, many times, and expects every answer.
async fn echo_many(server: &Path, flags: &[&str]) {
    let argv = ["node", server.to_str().expect("a path"), "stdio"];
    let mut command = tokio::process::Command::from(bridge(flags, &argv));
    command.stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().expect("the program starts");
    let pipes = (child.stdout.take().expect("a pipe"), child.stdin.take().expect("a pipe"));
    let mut client = patiently("the handshake", ().serve(pipes)).await.expect("it shakes hands");
    for round in 0..30 {
        let mut calls = tokio::task::JoinSet::new();
        for number in 0..8 {
            let peer = client.peer().clone();
            calls.spawn(async move {
                let message = format!("{round}-{number} {}", "ü".repeat(number * 1_000));
                let echo = call(&peer, "echo", json!({"message": message})).await;
                assert_eq!(text(&echo), format!("Echo: {message}"));
            });
        }
        while let Some(called) = calls.join_next().await {
            called.expect("every call is answered");
        }
    }
    patiently("the session to end", client.close()).await.expect("it ends");
    let status = patiently("the program to end", child.wait()).await.expect("it is our child");
    assert_eq!(status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_from_npm_is_carried_over_a_connection_that_is_cut() {
    let Some(everything) = everything() else { return };
    let server = Server::websocket(&[]);
    let proxy = Proxy::before(&server, (0..20).map(|cut| 30_000 + cut * 4_321).collect());
    echo_many(&everything, &["--connect", &proxy.url]).await;
    let cuts = proxy.cuts.try_iter().count();
    assert!(cuts >= 10, "{cuts} cuts");
}
