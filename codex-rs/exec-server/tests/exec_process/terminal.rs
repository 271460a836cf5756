//! Terminals: one stream, echo, size, end of file.

use codex_exec_server_core::service::ExecError;
use codex_exec_server_protocol::ids::Seq;
use codex_exec_server_protocol::process::{ProcessStartParams, PtySize};

use crate::place::Backend;
use crate::steps::{Seen, on_terminal, shell, start, text};

cases! {
    everywhere {
        a_terminal_is_one_stream_with_echo
        ctrl_c_on_a_terminal_interrupts
    }
    not_on_reference {
        a_terminal_has_the_size_it_was_given_and_is_told_of_a_new_one: "its terminals have one size"
        the_end_of_a_terminals_input_is_a_character: "it can't end stdin"
        what_has_no_terminal_or_no_size_can_not_be_resized: "its terminals have one size"
    }
}

async fn a_terminal_is_one_stream_with_echo(backend: Backend) {
    let script = "test -t 0 && test -t 1 && test -t 2 && echo out; echo err >&2; read line; echo [$line]";
    let process = start(&backend, on_terminal("p", script)).await;
    let mut seen = Seen::default();
    let mut events = process.subscribe(Seq::START);
    seen.until(&mut events, "err\r\n").await;
    process.write("hi\n".into()).await.expect("it reads");
    seen.until_closed(&mut events).await;
    assert_eq!(text(&seen.pty), "out\r\nerr\r\nhi\r\n[hi]\r\n");
    assert!(seen.stdout.is_empty() && seen.stderr.is_empty());
    assert_eq!(seen.code(), 0);
}

async fn ctrl_c_on_a_terminal_interrupts(backend: Backend) {
    let script = "trap 'echo handled; exit 5' INT; echo ready; while :; do sleep 0.01; done";
    let process = start(&backend, on_terminal("p", script)).await;
    let mut seen = Seen::default();
    let mut events = process.subscribe(Seq::START);
    seen.until(&mut events, "ready").await;
    process.write("\u{3}".into()).await.expect("it reads");
    seen.until_closed(&mut events).await;
    assert!(text(&seen.pty).contains("handled") && seen.code() == 5, "{seen:?}");
}

async fn a_terminal_has_the_size_it_was_given_and_is_told_of_a_new_one(backend: Backend) {
    let script = "trap 'stty size; exit' WINCH; stty size; while :; do sleep 0.01; done";
    let params = ProcessStartParams { size: Some(PtySize { rows: 7, cols: 50 }), ..on_terminal("p", script) };
    let process = start(&backend, params).await;
    let mut seen = Seen::default();
    let mut events = process.subscribe(Seq::START);
    seen.until(&mut events, "7 50\r\n").await;
    process.resize(PtySize { rows: 9, cols: 120 }).await.expect("it has a terminal");
    seen.until_closed(&mut events).await;
    assert_eq!(text(&seen.pty), "7 50\r\n9 120\r\n");
}

async fn the_end_of_a_terminals_input_is_a_character(backend: Backend) {
    let process =
        start(&backend, on_terminal("p", "stty -echo; echo ready; cat; read line; echo $line")).await;
    let mut seen = Seen::default();
    let mut events = process.subscribe(Seq::START);
    seen.until(&mut events, "ready").await;
    process.close_stdin().await.expect("it has a terminal");
    // It goes on, for whoever reads next.
    process.write("more\n".into()).await.expect("it is open");
    seen.until_closed(&mut events).await;
    assert_eq!(text(&seen.pty), "ready\r\nmore\r\n");
}

async fn what_has_no_terminal_or_no_size_can_not_be_resized(backend: Backend) {
    let process = start(&backend, shell("p", "exec sleep 1000")).await;
    for (rows, cols, code) in [(24, 80, -32600), (0, 80, -32602), (24, 0, -32602)] {
        let refused = process.resize(PtySize { rows, cols }).await.expect_err("it can't be");
        let ExecError::Refused(error) = refused else { panic!("{refused:?}") };
        assert_eq!(error.code, code, "{error}");
    }
    process.terminate(/*grace*/ None).await.expect("it runs");
    let params =
        ProcessStartParams { size: Some(PtySize { rows: 0, cols: 1 }), ..on_terminal("q", "exit 0") };
    let refused = backend.start(params).await.expect_err("no such terminal");
    assert!(matches!(&refused, ExecError::Refused(error) if error.code == -32602), "{refused:?}");
}
