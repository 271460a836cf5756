//! Which start a termination means, when an id has had more than one.

use std::sync::Arc;
use std::time::Duration;

use codex_exec_server_local::process::ProcessTable;
use codex_exec_server_protocol::process::{
    ProcessStartParams, ProcessTerminateParams, ProcessTerminateResponse,
};

use crate::support::{bytes, pass, read_until, shell, table, usual, write};

const RUNNING: ProcessTerminateResponse = ProcessTerminateResponse { running: true, survivors: Some(0) };
const NOBODY: ProcessTerminateResponse = ProcessTerminateResponse { running: false, survivors: None };

fn keyed(key: &str, script: &str) -> ProcessStartParams {
    ProcessStartParams { request_key: Some(key.into()), ..shell("p", script) }
}

fn meant(key: Option<&str>) -> ProcessTerminateParams {
    ProcessTerminateParams { process_id: "p".into(), grace_ms: None, request_key: key.map(Into::into) }
}

async fn terminate(table: &ProcessTable, key: Option<&str>) -> ProcessTerminateResponse {
    table.terminate(meant(key)).await.expect("no failure")
}

/// Checks that `p`, which is [`ECHO`], is still there and well.
async fn lives(table: &Arc<ProcessTable>) {
    write(table, "p", "w", "hello\n").await;
    let page = read_until(table, "p", |page| page.closed).await;
    assert_eq!((page.exit_code, bytes(&page)), (Some(0), b"hello\n".to_vec()));
}

const ECHO: &str = "read line; echo $line";

#[tokio::test]
async fn the_key_of_a_start_whose_process_was_forgotten_harms_nobody_who_has_its_id_now() {
    let table = table(usual());
    table.start(keyed("a", "exit 0")).await.expect("it starts");
    read_until(&table, "p", |page| page.closed).await;
    assert_eq!(terminate(&table, Some("a")).await, NOBODY);
    pass(Duration::from_secs(81)).await;
    table.start(keyed("b", ECHO)).await.expect("the id is free");
    assert_eq!(terminate(&table, Some("a")).await, NOBODY);
    lives(&table).await;
}

#[tokio::test]
async fn its_own_key_or_none_ends_a_process_and_it_tells_how() {
    for key in [Some("a"), None] {
        let table = table(usual());
        table.start(keyed("a", "exec sleep 1000")).await.expect("it starts");
        assert_eq!(terminate(&table, key).await, RUNNING);
        let page = read_until(&table, "p", |page| page.closed).await;
        assert_eq!(page.exit_code, Some(137));
    }
}

#[tokio::test]
async fn a_process_that_was_started_without_a_key_is_meant_by_no_key() {
    let table = table(usual());
    table.start(shell("p", ECHO)).await.expect("it starts");
    assert_eq!(terminate(&table, Some("a")).await, NOBODY);
    assert_eq!(terminate(&table, Some("")).await, NOBODY);
    lives(&table).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_under_way_is_known_by_its_key_too() {
    for round in 0..20 {
        let table = table(usual());
        // In the order in which they are first polled: each termination finds the start before it is over.
        let (started, other, own) = tokio::join!(
            biased;
            table.start(keyed("a", "exec sleep 1000")),
            table.terminate(meant(Some("b"))),
            table.terminate(meant(Some("a"))),
        );
        started.expect("it starts");
        assert_eq!((other.expect("no failure"), own.expect("no failure")), (NOBODY, RUNNING), "{round}");
        table.shut_down().await;
    }
}
