//! `process/terminate`: complete, and never held up by what it can't reach.

use std::sync::Arc;

use codex_exec_server_protocol::process::ExitReason;
use codex_exec_server_testkit::{Harness, Transcript, shell};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

/// The number of a process that wrote `name=NUMBER` on a line of its own.
fn number(transcript: &Transcript, name: &str) -> Pid {
    let text = transcript.text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    Pid::from_raw(line.expect("it told its number").parse().expect("a number"))
}

/// Whether a process runs code; a zombie does not.
fn runs(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

async fn terminate_reaches_a_grandchild_that_left_session_and_parent(server: Arc<Harness>) {
    let mut client = server.ready().await;
    // The subshell is gone when the terminate comes, so neither group, session nor ancestry lead to the last one.
    let script = "(setsid sh -c 'echo far=$$; exec sleep 1000' &); echo near=$$; exec sleep 1000";
    client.start(shell("p", script)).await;
    let told = client.until("p", "two lines", |told| told.text().matches('\n').count() == 2).await;
    let answer = client.done("process/terminate", json!({"processId": "p"})).await;
    assert_eq!(answer, json!({"running": true, "survivors": 0}));
    assert!(!runs(number(&told, "far")) && !runs(number(&told, "near")));
    let exit = client.closed("p").await.exited.expect("it exited");
    assert_eq!((exit.exit_code, exit.signal, exit.reason), (137, Some(9), Some(ExitReason::Terminated)));
}

async fn terminate_ends_what_an_exited_process_left_behind(server: Arc<Harness>) {
    let mut client = server.ready().await;
    client.start(shell("p", "setsid sleep 1000 & exit 3")).await;
    client.exited("p").await;
    let answer = client.done("process/terminate", json!({"processId": "p"})).await;
    assert_eq!(answer, json!({"running": false, "survivors": 0}));
    let exit = client.closed("p").await.exited.expect("it exited");
    assert_eq!((exit.exit_code, exit.reason), (3, Some(ExitReason::Exited)));
}

async fn terminate_of_nobody_says_that_nothing_ran(server: Arc<Harness>) {
    let mut client = server.ready().await;
    client.run(shell("closed", "exit 0")).await;
    for process in ["closed", "nobody", ""] {
        let answer = client.done("process/terminate", json!({"processId": process})).await;
        assert_eq!(answer, json!({"running": false}), "{process:?}");
    }
}

async fn grace_lets_a_process_end_in_its_own_way(server: Arc<Harness>) {
    let mut client = server.ready().await;
    let script = "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 1000 & wait $!; done";
    client.start(shell("p", script)).await;
    client.sees("p", "ready").await;
    let answer = client.done("process/terminate", json!({"processId": "p", "graceMs": 60_000})).await;
    assert_eq!(answer, json!({"running": true, "survivors": 0}));
    let transcript = client.closed("p").await;
    assert!(transcript.shows("bye\n"));
    let exit = transcript.exited.expect("it exited");
    assert_eq!((exit.exit_code, exit.signal, exit.reason), (7, None, Some(ExitReason::Terminated)));
}

async fn a_process_that_makes_nothing_of_its_grace_is_killed(server: Arc<Harness>) {
    let mut client = server.ready().await;
    client.start(shell("p", "trap '' TERM; echo ready; while :; do sleep 1000; done")).await;
    client.sees("p", "ready").await;
    let answer = client.done("process/terminate", json!({"processId": "p", "graceMs": 20})).await;
    assert_eq!(answer, json!({"running": true, "survivors": 0}));
    assert_eq!(client.closed("p").await.exit_code(), 137);
}

async fn a_grandchild_out_of_reach_does_not_hold_back_the_close(server: Arc<Harness>) {
    let mut client = server.ready().await;
    // It drops the brand of its tree, leaves the session, and has lost its parents; and it holds on to stdout.
    let escape = "(prlimit --rttime=1000000 setsid sh -c 'echo far=$$; exec sleep 1000' &)";
    client.start(shell("p", &format!("{escape}; echo alone; exec sleep 1000"))).await;
    // It is out of reach when its parent is gone, which the shell has waited for.
    let told = client.until("p", "two lines", |told| told.text().matches('\n').count() == 2).await;
    let escaped = number(&told, "far");
    client.done("process/terminate", json!({"processId": "p"})).await;
    let transcript = client.closed("p").await;
    let outcome = (transcript.exit_code(), runs(escaped));
    kill(escaped, Signal::SIGKILL).expect("it was started by this test");
    assert_eq!(outcome, (137, true), "it was closed although somebody holds its stdout");
}

async fn terminating_twice_at_once_ends_it_once(server: Arc<Harness>) {
    let mut client = server.ready().await;
    client.start(shell("p", "exec sleep 1000")).await;
    let params = json!({"processId": "p"});
    let first = client.feed_request("process/terminate", params.clone()).await;
    let second = client.request("process/terminate", params).await;
    for id in [first, second] {
        let answer = client.answer(id).await.expect("it is no failure");
        assert_ne!(answer["survivors"], json!(1), "{answer}");
    }
    client.closed("p").await;
}

tests_over_every_transport! {
    terminate_reaches_a_grandchild_that_left_session_and_parent
    terminate_ends_what_an_exited_process_left_behind
    terminate_of_nobody_says_that_nothing_ran
    grace_lets_a_process_end_in_its_own_way
    a_process_that_makes_nothing_of_its_grace_is_killed
    a_grandchild_out_of_reach_does_not_hold_back_the_close
    terminating_twice_at_once_ends_it_once
}
