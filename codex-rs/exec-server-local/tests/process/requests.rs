//! The order in which requests on one process take effect.

use codex_exec_server_core::error::ServiceError;
use codex_exec_server_protocol::process::{
    ProcessCloseStdinParams, ProcessStartParams, ProcessTerminateParams, WriteStatus,
};

use crate::support::{bytes, read, read_params, read_until, shell, table, usual, write, write_params};

fn missing(process_id: &str) -> ProcessStartParams {
    ProcessStartParams { argv: vec!["/nowhere/to/be/found".into()], ..shell(process_id, "") }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_behind_a_start_waits_for_it_in_turn() {
    let table = table(usual());
    for round in 0..50 {
        let process = format!("p{round}");
        let end = ProcessCloseStdinParams { process_id: process.as_str().into(), write_id: "end".into() };
        let (started, one, two, ended, page) = tokio::join!(
            biased;
            table.start(shell(&process, "cat")),
            table.write(write_params(&process, "1", "one ")),
            table.write(write_params(&process, "2", "two")),
            table.close_stdin(end),
            table.read(read_params(&process, /*after*/ 0)),
        );
        started.expect("it starts");
        for answer in [one, two, ended] {
            assert_eq!(answer.expect("no failure").status, WriteStatus::Accepted, "{process}");
        }
        page.expect("it waited for the start");
        let page = read_until(&table, &process, |page| page.closed).await;
        assert_eq!(bytes(&page), b"one two", "{process}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_behind_a_start_that_fails_finds_no_process() {
    let table = table(usual());
    for _ in 0..50 {
        let terminate = ProcessTerminateParams { process_id: "p".into(), grace_ms: None, request_key: None };
        let (started, written, page, ended) = tokio::join!(
            biased;
            table.start(missing("p")),
            table.write(write_params("p", "1", "x")),
            table.read(read_params("p", /*after*/ 0)),
            table.terminate(terminate),
        );
        assert!(matches!(started, Err(ServiceError::Start { .. })), "{started:?}");
        assert_eq!(written.expect("no failure").status, WriteStatus::UnknownProcess);
        assert!(matches!(page, Err(ServiceError::UnknownProcess(_))), "{page:?}");
        assert!(!ended.expect("no failure").running);
        assert!(table.list().processes.is_empty());
    }
    // The id is free.
    table.start(shell("p", "echo x")).await.expect("it starts");
    assert_eq!(bytes(&read_until(&table, "p", |page| page.closed).await), b"x\n");
}

#[tokio::test]
async fn a_start_goes_on_when_its_caller_does_not_wait() {
    let table = table(usual());
    {
        let start = table.start(shell("p", "echo x"));
        let mut start = std::pin::pin!(start);
        // Asked for once, and given up.
        std::future::poll_fn(|context| {
            assert!(start.as_mut().poll(context).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
    }
    assert_eq!(write(&table, "p", "1", "x").await, WriteStatus::Accepted);
    let page = read_until(&table, "p", |page| page.closed).await;
    assert_eq!(bytes(&page), b"x\n");
    assert!(read(&table, "p", /*after*/ 99).await.closed);
}
