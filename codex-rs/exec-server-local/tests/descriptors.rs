//! A closed process that is only kept to be read holds no descriptor: thousands of them may be kept, and every open one
//! is another that each new child has to close.
//!
//! A program of its own with one test, because descriptors are counted for the whole process.

use std::collections::BTreeMap;
use std::time::Duration;

use codex_exec_server_core::limits::Limits;
use codex_exec_server_local::process::{ProcessHost, ProcessTable};
use codex_exec_server_protocol::ids::Seq;
use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_protocol::process::{ProcessReadParams, ProcessStartParams};

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("proc is mounted").count()
}

/// Runs a process to its close.
async fn run(table: &std::sync::Arc<ProcessTable>, name: &str, tty: bool, pipe_stdin: bool) {
    let argv = ["/bin/sh", "-c", "echo x"].map(str::to_owned).to_vec();
    let cwd = PathUri::from_path_bytes(b"/").expect("a path");
    let params = ProcessStartParams::new(name.into(), argv, cwd);
    table.start(ProcessStartParams { tty, pipe_stdin, ..params }).await.expect("it starts");
    let mut after = Seq::START;
    loop {
        let page = ProcessReadParams {
            process_id: name.into(),
            after_seq: Some(after),
            max_bytes: None,
            wait_ms: Some(60_000),
        };
        let page = table.read(page).await.expect("it is readable");
        if page.closed {
            return;
        }
        after = Seq(page.next_seq.0 - 1);
    }
}

#[tokio::test]
async fn closed_processes_hold_no_descriptors_however_many_are_kept() {
    let table = ProcessTable::new(ProcessHost::new(
        BTreeMap::new(),
        Limits::default(),
        /*state_directory*/ None,
    ));
    // What the runtime opens for its own use.
    run(&table, "first", /*tty*/ true, /*pipe_stdin*/ false).await;
    let before = open_descriptors();
    for number in 0..60 {
        run(&table, &number.to_string(), number % 3 == 0, number % 3 == 1).await;
    }
    // The last one lets go right behind its close.
    let let_go = async {
        while open_descriptors() > before {
            tokio::task::yield_now().await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(60), let_go).await;
    assert!(in_time.is_ok(), "{before} descriptors before, {} now", open_descriptors());
    assert_eq!(table.list().processes.len(), 61);
}
