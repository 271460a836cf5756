//! Processes on a pseudoterminal.

use std::sync::Arc;

use codex_exec_server_protocol::process::ExitReason;
use codex_exec_server_testkit::{Harness, shell, shell_with};
use serde_json::json;

async fn a_terminal_is_one_stream_that_echoes(server: Arc<Harness>) {
    let mut client = server.ready().await;
    client.start(shell_with("p", "echo out; echo err >&2; cat", json!({"tty": true}))).await;
    client.sees("p", "err\r\n").await;
    client.write("p", "1", b"word\n").await;
    let transcript = client.sees("p", "word\r\nword\r\n").await;
    assert_eq!(transcript.pty, b"out\r\nerr\r\nword\r\nword\r\n");
    // Control-C goes through the line discipline.
    client.write("p", "2", b"\x03").await;
    let transcript = client.closed("p").await;
    assert_eq!(transcript.exit_code(), 130);
    assert!(transcript.stdout.is_empty() && transcript.stderr.is_empty());
}

async fn a_terminal_has_the_size_that_was_asked_for(server: Arc<Harness>) {
    let mut client = server.ready().await;
    let usual = client.run(shell_with("usual", "stty size", json!({"tty": true}))).await;
    assert_eq!(usual.text(), "24 80\r\n");
    let size = json!({"tty": true, "size": {"rows": 50, "cols": 132}});
    assert_eq!(client.run(shell_with("own", "stty size", size)).await.text(), "50 132\r\n");
    let none = json!({"tty": true, "size": {"rows": 0, "cols": 80}});
    assert_eq!(client.refused("process/start", shell_with("none", "stty size", none)).await.code, -32602);
}

async fn a_resize_is_told_to_the_process(server: Arc<Harness>) {
    let mut client = server.ready().await;
    let script = "trap 'stty size' WINCH; echo ready; while :; do sleep 1000 & wait $!; done";
    client.start(shell_with("p", script, json!({"tty": true}))).await;
    client.sees("p", "ready").await;
    let answer = client.done("process/resize", json!({"processId": "p", "rows": 33, "cols": 101})).await;
    assert_eq!(answer, json!({}));
    client.sees("p", "33 101\r\n").await;
    for (params, code) in [
        (json!({"processId": "p", "rows": 0, "cols": 1}), -32602),
        (json!({"processId": "p", "rows": 1, "cols": 65_536}), -32602),
        (json!({"processId": "nobody", "rows": 1, "cols": 1}), -32600),
    ] {
        assert_eq!(client.refused("process/resize", params).await.code, code);
    }
    client.done("process/terminate", json!({"processId": "p"})).await;
    client.closed("p").await;
    client.done("process/resize", json!({"processId": "p", "rows": 1, "cols": 1})).await;
}

async fn a_process_without_a_terminal_cannot_be_resized(server: Arc<Harness>) {
    let mut client = server.ready().await;
    client.start(shell_with("p", "cat", json!({"pipeStdin": true}))).await;
    let error = client.refused("process/resize", json!({"processId": "p", "rows": 1, "cols": 1})).await;
    assert_eq!(error.code, -32600);
    client.close_stdin("p", "w").await;
    client.closed("p").await;
}

async fn death_by_a_signal_is_told_as_on_pipes(server: Arc<Harness>) {
    let mut client = server.ready().await;
    let exit =
        client.run(shell_with("p", "kill -9 $$", json!({"tty": true}))).await.exited.expect("it exited");
    assert_eq!((exit.exit_code, exit.signal, exit.reason), (137, Some(9), Some(ExitReason::Signalled)));
}

async fn the_last_words_on_a_terminal_are_not_lost(server: Arc<Harness>) {
    let mut client = server.ready().await;
    for round in 0..10 {
        let process = format!("p{round}");
        let script = "seq 1 3000; echo the end";
        let transcript = client.run(shell_with(&process, script, json!({"tty": true}))).await;
        assert!(transcript.text().ends_with("3000\r\nthe end\r\n"), "{process}");
    }
}

async fn a_terminal_that_a_grandchild_holds_is_closed_by_terminate(server: Arc<Harness>) {
    let mut client = server.ready().await;
    let script = "(setsid sleep 1000 &); echo ready; exec sleep 1000";
    client.start(shell_with("p", script, json!({"tty": true}))).await;
    client.sees("p", "ready").await;
    let answer = client.done("process/terminate", json!({"processId": "p"})).await;
    assert_eq!(answer, json!({"running": true, "survivors": 0}));
    assert_eq!(client.closed("p").await.exit_code(), 137);
}

async fn without_a_terminal_there_is_none(server: Arc<Harness>) {
    let mut client = server.ready().await;
    let script = "test -t 0 || test -t 1 || test -t 2 || echo none; read line || echo empty";
    assert_eq!(client.run(shell("p", script)).await.text(), "none\nempty\n");
}

tests_over_every_transport! {
    a_terminal_is_one_stream_that_echoes
    a_terminal_has_the_size_that_was_asked_for
    a_resize_is_told_to_the_process
    a_process_without_a_terminal_cannot_be_resized
    death_by_a_signal_is_told_as_on_pipes
    the_last_words_on_a_terminal_are_not_lost
    a_terminal_that_a_grandchild_holds_is_closed_by_terminate
    without_a_terminal_there_is_none
}
