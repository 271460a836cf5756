//! How long a process stays readable.

use std::time::Duration;

use codex_exec_server_core::error::ServiceError;
use codex_exec_server_core::limits::Limits;
use codex_exec_server_protocol::process::ProcessState;
use tokio::time::Instant;

use crate::support::{
    Recorder, bytes, close_stdin, is_known, pass, read, read_params, read_until, shell, small,
    start_followed, table, usual, write,
};

const RETENTION: Duration = Duration::from_secs(80);
/// How far from its end retention is looked at, because real time passes beside the one that the tests move: far more than
/// anything real takes on a busy machine.
const MARGIN: Duration = Duration::from_secs(30);

#[tokio::test]
async fn late_output_is_retained_although_the_exit_is_longer_ago_than_the_retention() {
    let table = table(usual());
    let script = "exec 3<&0; echo early; (read line <&3; echo late; read line <&3) & exit 3";
    table.start(shell("p", script)).await.expect("it starts");
    read_until(&table, "p", |page| page.exited).await;
    pass(3 * RETENTION).await;
    assert_eq!(table.list().processes[0].state, ProcessState::Exited);

    write(&table, "p", "1", "\n").await;
    let page = read_until(&table, "p", |page| page.chunks.len() == 2).await;
    assert_eq!(bytes(&page), b"early\nlate\n");
    pass(3 * RETENTION).await;
    assert_eq!(bytes(&read(&table, "p", /*after*/ 0).await), b"early\nlate\n");

    // The clock starts here, at the close.
    close_stdin(&table, "p").await;
    let page = read_until(&table, "p", |page| page.closed).await;
    assert_eq!((page.exit_code, bytes(&page)), (Some(3), b"early\nlate\n".to_vec()));
    pass(RETENTION - MARGIN).await;
    assert_eq!(bytes(&read(&table, "p", /*after*/ 0).await), b"early\nlate\n");
    pass(MARGIN + Duration::from_secs(1)).await;
    let gone = table.read(read_params("p", /*after*/ 0)).await;
    assert!(matches!(gone, Err(ServiceError::UnknownProcess(_))), "{gone:?}");
}

#[tokio::test]
async fn each_closed_process_is_forgotten_at_its_own_time_and_its_id_is_free_again() {
    let table = table(usual());
    for (name, after) in [("one", 30), ("two", 30), ("three", 0)] {
        table.start(shell(name, "echo x")).await.expect("it starts");
        read_until(&table, name, |page| page.closed).await;
        pass(Duration::from_secs(after)).await;
    }
    let known = || ["one", "two", "three"].map(|name| is_known(&table, name));
    assert_eq!(known(), [true, true, true]);
    for left in [[false, true, true], [false, false, true], [false, false, false]] {
        pass(Duration::from_secs(25)).await;
        assert_eq!(known(), left);
        pass(Duration::from_secs(5)).await;
    }
    table.start(shell("one", "echo again")).await.expect("it starts");
    assert_eq!(bytes(&read_until(&table, "one", |page| page.closed).await), b"again\n");
    pass(RETENTION + Duration::from_secs(1)).await;
    assert_eq!(known(), [false, false, false]);
}

#[tokio::test]
async fn closed_processes_stay_for_as_long_as_their_session_waits_for_its_client_if_that_is_longer() {
    let table = table(usual());
    table.keep_closed_for(Duration::from_secs(1));
    for name in ["early", "late"] {
        table.start(shell(name, "exit 0")).await.expect("it starts");
        read_until(&table, name, |page| page.closed).await;
        // Also one that was closed before the session was to wait longer.
        table.keep_closed_for(5 * RETENTION);
    }
    let known = || ["early", "late"].map(|name| is_known(&table, name));
    pass(5 * RETENTION - MARGIN).await;
    assert_eq!(known(), [true, true]);
    pass(MARGIN + Duration::from_secs(1)).await;
    assert_eq!(known(), [false, false]);
}

#[tokio::test]
async fn a_full_table_forgets_what_was_delivered_and_nothing_else() {
    let table = table(Limits { processes_per_session: 2, ..small() });
    let (recorder, follow) = Recorder::follow(&table);
    start_followed(&table, follow, shell("delivered", "exit 0")).await;
    recorder.draw_to_close(follow).await;
    start_followed(&table, follow, shell("running", "read line")).await;
    start_followed(&table, follow, shell("undelivered", "exit 0")).await;
    assert!(!is_known(&table, "delivered"));
    read_until(&table, "undelivered", |page| page.closed).await;
    let refused = table.start(shell("more", "exit 0")).await;
    assert!(matches!(refused, Err(ServiceError::TooManyProcesses(2))), "{refused:?}");
    assert!(is_known(&table, "undelivered") && is_known(&table, "running"));
    table.shut_down().await;
}

#[tokio::test]
async fn the_end_of_a_table_waits_for_processes_and_not_for_their_retention() {
    let table = table(usual());
    table.start(shell("closed", "exit 0")).await.expect("it starts");
    read_until(&table, "closed", |page| page.closed).await;
    tokio::time::pause();
    let before = Instant::now();
    table.shut_down().await;
    assert_eq!(before.elapsed(), Duration::ZERO);
    tokio::time::resume();
    let refused = table.start(shell("late", "exit 0")).await;
    assert!(matches!(refused, Err(ServiceError::WrongState(_))), "{refused:?}");
}

#[tokio::test]
async fn the_end_of_a_table_is_the_end_of_every_descendant() {
    let table = table(usual());
    let script = "(setsid sh -c 'echo $$; exec sleep 1000' &); exec sleep 1000";
    table.start(shell("p", script)).await.expect("it starts");
    let page = read_until(&table, "p", |page| bytes(page).ends_with(b"\n")).await;
    let far = String::from_utf8(bytes(&page)).expect("a number");
    // One that is still being started belongs to it as well.
    let starting = table.start(shell("q", "exec sleep 1000"));
    tokio::join!(async { drop(starting.await) }, table.shut_down());
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", far.trim())).unwrap_or_default();
    assert!(!stat.contains(") S") && !stat.contains(") R"), "{stat}");
    assert!(table.list().processes.is_empty());
}
