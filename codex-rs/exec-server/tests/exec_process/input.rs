//! Stdin: order, its end, and processes that don't read.

use std::time::Duration;

use bytes::Bytes;
use codex_exec_server_core::service::ExecError;
use codex_exec_server_protocol::ids::Seq;
use codex_exec_server_protocol::process::ProcessSignal;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;

use crate::place::Backend;
use crate::steps::{LONG, Seen, fed, next, shell, start, text};

cases! {
    everywhere {
        what_is_written_arrives_whole_and_in_the_order_of_the_calls
        nothing_is_a_write_like_any_other
        a_process_without_stdin_takes_no_input
        writing_to_a_process_that_has_ended_is_no_failure_of_the_caller
    }
    not_on_reference {
        stdin_ends_behind_everything_that_was_written: "it can't end stdin"
        nothing_can_be_written_behind_the_end: "it can't end stdin"
        a_process_that_does_not_read_makes_writers_wait_and_nobody_else: "it takes what is written without a bound"
    }
}

async fn what_is_written_arrives_whole_and_in_the_order_of_the_calls(backend: Backend) {
    let sent: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let script = format!("head -c {} | cksum", sent.len());
    let process = start(&backend, fed("p", &script)).await;
    let expected = start(&backend, fed("q", &script)).await;
    for chunk in sent.chunks(4_096) {
        process.write(Bytes::copy_from_slice(chunk)).await.expect("it reads");
    }
    // As if it had been written at once.
    expected.write(sent.into()).await.expect("it reads");
    let seen = Seen::all(&process).await;
    assert_eq!(text(&seen.stdout), text(&Seen::all(&expected).await.stdout));

    // Side by side, in the order in which they are first polled.
    let process = start(&backend, fed("r", "head -c 100")).await;
    let letters: Vec<u8> = (0..100_u8).map(|n| b'!' + n % 90).collect();
    let mut writing = FuturesOrdered::new();
    for letter in &letters {
        writing.push_back(process.write(vec![*letter].into()));
    }
    while let Some(written) = writing.next().await {
        written.expect("it reads");
    }
    assert_eq!(text(&Seen::all(&process).await.stdout), text(&letters));
}

async fn nothing_is_a_write_like_any_other(backend: Backend) {
    let process = start(&backend, fed("p", "read line; echo \"[$line]\"")).await;
    process.write(Bytes::new()).await.expect("it reads");
    process.write("x\n".into()).await.expect("it reads");
    assert_eq!(text(&Seen::all(&process).await.stdout), "[x]\n");
}

async fn a_process_without_stdin_takes_no_input(backend: Backend) {
    let process = start(&backend, shell("p", "cat; exec sleep 1000")).await;
    let refused = process.write("x".into()).await.expect_err("it has no stdin");
    assert!(matches!(&refused, ExecError::StdinClosed(id) if id.as_str() == "p"), "{refused:?}");
    process.terminate(/*grace*/ None).await.expect("it runs");
}

async fn writing_to_a_process_that_has_ended_is_no_failure_of_the_caller(backend: Backend) {
    let process = start(&backend, fed("p", "exit 0")).await;
    Seen::all(&process).await;
    // As with a pipe that nobody reads any more: a caller can't know in time.
    match process.write("x".into()).await {
        Ok(()) | Err(ExecError::StdinClosed(_)) => {}
        Err(other) => panic!("{other:?}"),
    }
}

async fn stdin_ends_behind_everything_that_was_written(backend: Backend) {
    let process = start(&backend, fed("p", "wc -c; echo end")).await;
    for _ in 0..100 {
        process.write(vec![b'x'; 10_000].into()).await.expect("it reads");
    }
    process.close_stdin().await.expect("it reads");
    let seen = Seen::all(&process).await;
    assert_eq!((text(&seen.stdout), seen.code()), ("1000000\nend\n".into(), 0));
}

async fn nothing_can_be_written_behind_the_end(backend: Backend) {
    let process = start(&backend, fed("p", "cat; exec sleep 1000")).await;
    process.close_stdin().await.expect("it is open");
    for refused in [process.write("x".into()).await, process.close_stdin().await] {
        let refused = refused.expect_err("it is closed");
        assert!(matches!(&refused, ExecError::StdinClosed(id) if id.as_str() == "p"), "{refused:?}");
    }
    process.terminate(/*grace*/ None).await.expect("it runs");
}

async fn a_process_that_does_not_read_makes_writers_wait_and_nobody_else(backend: Backend) {
    let process = start(&backend, fed("p", "echo ready; exec sleep 1000")).await;
    let mut events = process.subscribe(Seq::START);
    next(&mut events).await;
    // More than anything takes in: at some point a write waits.
    let filling = async {
        while process.write(vec![b'x'; 1 << 20].into()).await.is_ok() {}
        // Only the end of the process, which the others see to, ends it.
        std::future::pending::<()>().await;
    };
    let others = async {
        process.signal(ProcessSignal::Stop).await.expect("it runs");
        process.signal(ProcessSignal::Continue).await.expect("it runs");
        let page = process.read(Seq::START, /*max_bytes*/ None, LONG).await.expect("it is readable");
        assert!(!page.exited);
        process.terminate(Some(Duration::ZERO)).await.expect("it runs")
    };
    tokio::select! {
        () = filling => unreachable!("it waits for ever"),
        ended = others => assert!(ended.running),
    }
    Seen::default().until_closed(&mut process.subscribe(Seq::START)).await;
}
