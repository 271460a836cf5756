//! Signals, time-outs, and what is told about a process: exit reasons, usage, the list.

use std::sync::Arc;

use codex_exec_server_protocol::process::{ExitReason, ProcessListResponse, ProcessState};
use codex_exec_server_testkit::{Client, Harness, patiently, shell, shell_with};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// Says "ready", and does `on_signal` when a signal of that name comes. It waits by `wait`, which no signal can slip past, as
/// one can that comes right before a `read`. What it waits for holds neither of its streams, and ends with its stdin.
fn traps(process: &str, name: &str, on_signal: &str) -> Value {
    let script = format!(
        "exec 3<&0; cat <&3 >/dev/null 2>&1 & trap '{on_signal}' {name}; echo ready; while :; do wait; done"
    );
    shell_with(process, &script, json!({"pipeStdin": true}))
}

async fn signal(client: &mut Client, process: &str, name: &str) {
    let answer = client.done("process/signal", json!({"processId": process, "signal": name})).await;
    assert_eq!(answer, json!({}));
}

pub(crate) async fn an_interrupt_reaches_the_trap_of_a_process(server: Arc<Harness>) {
    let mut client = server.ready().await;
    client.start(traps("p", "INT", "echo interrupted; exit 42")).await;
    client.sees("p", "ready").await;
    signal(&mut client, "p", "interrupt").await;
    let transcript = client.closed("p").await;
    assert_eq!((transcript.text().as_str(), transcript.exit_code()), ("ready\ninterrupted\n", 42));
    let exit = transcript.exited.expect("it exited");
    assert_eq!((exit.reason, exit.signal), (Some(ExitReason::Exited), None));
}

async fn each_signal_goes_by_its_name(server: Arc<Harness>) {
    let mut client = server.ready().await;
    for (name, short) in [
        ("interrupt", "INT"),
        ("terminate", "TERM"),
        ("hangup", "HUP"),
        ("quit", "QUIT"),
        ("usr1", "USR1"),
        ("usr2", "USR2"),
        ("continue", "CONT"),
    ] {
        client.start(traps(name, short, &format!("echo got {short}; exit 5"))).await;
        client.sees(name, "ready").await;
        signal(&mut client, name, name).await;
        let transcript = client.closed(name).await;
        assert_eq!(transcript.exit_code(), 5, "{name}");
        assert!(transcript.shows(&format!("got {short}\n")), "{name}");
    }
    let error = client.refused("process/signal", json!({"processId": "usr1", "signal": "winch"})).await;
    assert_eq!(error.code, -32602);
}

async fn a_deadly_signal_is_told_as_128_plus_its_number(server: Arc<Harness>) {
    let mut client = server.ready().await;
    for (name, number) in [("kill", 9), ("terminate", 15), ("interrupt", 2)] {
        client.start(shell(name, &format!("echo ready; exec sleep 1000 # {name}"))).await;
        client.sees(name, "ready").await;
        signal(&mut client, name, name).await;
        let exit = client.closed(name).await.exited.expect("it exited");
        let told = (exit.exit_code, exit.signal, exit.reason, exit.sandbox_denied);
        assert_eq!(told, (128 + number, Some(number), Some(ExitReason::Signalled), Some(false)));
    }
}

async fn a_signal_to_nobody_is_no_failure(server: Arc<Harness>) {
    let mut client = server.ready().await;
    client.run(shell("dead", "exit 0")).await;
    signal(&mut client, "dead", "kill").await;
    signal(&mut client, "nobody", "interrupt").await;
}

async fn a_process_out_of_time_is_ended_with_its_descendants(server: Arc<Harness>) {
    let mut client = server.ready().await;
    let script = "setsid sleep 1000 & sleep 1000";
    let exit = client.run(shell_with("p", script, json!({"timeoutMs": 30}))).await.exited.expect("it exited");
    assert_eq!((exit.exit_code, exit.signal, exit.reason), (137, Some(9), Some(ExitReason::TimedOut)));
    // A flood must not keep the clock from being looked at.
    let flood = client.run(shell_with("flood", "yes", json!({"timeoutMs": 30}))).await;
    assert_eq!(flood.exited.expect("it exited").reason, Some(ExitReason::TimedOut));
    let quick = client.run(shell_with("quick", "exit 1", json!({"timeoutMs": 60_000}))).await;
    assert_eq!(quick.exited.expect("it exited").reason, Some(ExitReason::Exited));
}

async fn the_exit_tells_what_the_process_used(server: Arc<Harness>) {
    let mut client = server.ready().await;
    let script = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
    let usage = client.run(shell("p", script)).await.exited.expect("it exited").usage.expect("usage is told");
    let busy = usage.user_ms + usage.system_ms;
    assert!(busy > 0 && usage.wall_ms + 20 >= busy, "{usage:?}");
}

async fn the_list_tells_how_far_each_process_is(server: Arc<Harness>) {
    let mut client = server.ready().await;
    assert_eq!(client.done("process/list", json!({})).await, json!({"processes": []}));
    client.run(shell("closed", "echo x; exit 3")).await;
    client
        .start(shell_with("exited", "exec 3<&0; (read line <&3) & exit 4", json!({"pipeStdin": true})))
        .await;
    client.exited("exited").await;
    client.start(shell_with("running", "echo ready; read line", json!({"tty": true}))).await;
    // A terminal may give a line in two pieces.
    let running = client.sees("running", "ready\r\n").await.last_seq;
    let list = client.done("process/list", json!({})).await;
    let list: ProcessListResponse = serde_json::from_value(list).expect("a list decodes");
    let mut rows: Vec<_> = list
        .processes
        .iter()
        .map(|row| {
            (row.process_id.as_str(), row.state, row.exit_code, row.last_seq.0, row.output_bytes, row.tty)
        })
        .collect();
    rows.sort_by_key(|row| row.0);
    assert_eq!(
        rows,
        [
            ("closed", ProcessState::Closed, Some(3), 3, 2, false),
            ("exited", ProcessState::Exited, Some(4), 1, 0, false),
            ("running", ProcessState::Running, None, running, 7, true),
        ]
    );
    assert!(list.processes.iter().all(|row| row.os_pid.is_some() && row.argv[..2] == ["/bin/sh", "-c"]));
    assert!(list.processes.is_sorted_by_key(|row| row.started_at_ms));
    client.close_stdin("exited", "w").await;
    client.closed("exited").await;
}

tests_over_every_transport! {
    each_signal_goes_by_its_name
    a_deadly_signal_is_told_as_128_plus_its_number
    a_signal_to_nobody_is_no_failure
    a_process_out_of_time_is_ended_with_its_descendants
    the_exit_tells_what_the_process_used
    the_list_tells_how_far_each_process_is
}

mod interrupt {
    use super::an_interrupt_reaches_the_trap_of_a_process;

    tests_over! {
        UnixSocket as unix_socket, Stdio as stdio, Memory as memory;
        { an_interrupt_reaches_the_trap_of_a_process }
    }
}

mod stopping {
    use super::*;

    /// The test itself is the parent of what the server starts, so the kernel tells it of stops.
    async fn a_stopped_process_stays_so_until_it_is_continued(server: Arc<Harness>) {
        let mut client = server.ready().await;
        client.start(shell("p", "echo ready; exec sleep 1000")).await;
        client.sees("p", "ready").await;
        let list = client.done("process/list", json!({})).await;
        let os_pid = list["processes"][0]["osPid"].as_i64().expect("it runs");
        let pid = Pid::from_raw(i32::try_from(os_pid).expect("a process number"));
        for (name, flag) in [("stop", WaitPidFlag::WSTOPPED), ("continue", WaitPidFlag::WCONTINUED)] {
            signal(&mut client, "p", name).await;
            let news = tokio::task::spawn_blocking(move || waitid(Id::Pid(pid), flag | WaitPidFlag::WNOWAIT));
            let news =
                patiently("the kernel's word", news).await.expect("no panic").expect("it is our child");
            assert!(matches!(news, WaitStatus::Stopped(..) | WaitStatus::Continued(_)), "{name}: {news:?}");
        }
        client.done("process/terminate", json!({"processId": "p"})).await;
        client.closed("p").await;
    }

    tests_over_shared_transports! { a_stopped_process_stays_so_until_it_is_continued }
}
