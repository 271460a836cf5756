//! What outlives a connection: processes, output, long polls that must not.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use codex_exec_server::ServerConfig;
use codex_exec_server_testkit::{Ended, Harness, Proxy, patiently, shell, shell_with, write_params};
use codex_exec_server_transport::{CloseReason, close_code};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::json;

use crate::support::{Transport, over, with};

/// What a client that lost its session to another hears at the end.
fn taken_over() -> Ended {
    let reason = "session was taken over by another connection".to_owned();
    Ended::Closed(Some(CloseReason { code: close_code::POLICY, reason }))
}

/// A fifo of this name; a process that opens it waits until the test does, too.
fn fifo(folder: &Path, name: &str) -> String {
    let path = folder.join(name);
    mkfifo(&path, Mode::S_IRWXU).expect("a fifo can be made");
    path.to_str().expect("the path is text").to_owned()
}

/// Writes a line to a fifo once somebody reads it.
async fn write_line(path: String) {
    let opened = tokio::task::spawn_blocking(move || std::fs::write(path, "go\n"));
    patiently("the process to read its fifo", opened).await.expect("no panic").expect("it can be written");
}

/// All that is written to a fifo by whoever opens it next.
async fn read_all(path: String) -> String {
    let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(path));
    patiently("the process to write its fifo", read).await.expect("no panic").expect("it can be read")
}

pub(crate) async fn output_and_exit_are_retained_after_the_connection_is_gone(server: Arc<Harness>) {
    let folder = tempfile::tempdir().expect("a folder");
    let (go, gone) = (fifo(folder.path(), "go"), fifo(folder.path(), "gone"));
    let mut client = server.connect().await;
    let session = client.initialize().await;
    let script = format!("read line <'{go}'; echo $line; echo err >&2; echo written >'{gone}'; exit 5");
    client.start(shell("p", &script)).await;
    client.vanish();
    server.idle().await;

    write_line(go).await;
    assert_eq!(read_all(gone).await, "written\n");
    let mut client = server.connect().await;
    client.resume(&session).await;
    let (transcript, last) = client.read_to_close("p").await;
    assert_eq!((&transcript.stdout[..], &transcript.stderr[..]), (&b"go\n"[..], &b"err\n"[..]));
    assert_eq!((last.exited, last.exit_code, last.closed, last.dropped), (true, Some(5), true, None));
    assert!(transcript.holes.is_empty());
}

pub(crate) async fn a_long_poll_fails_when_the_session_is_taken_over(server: Arc<Harness>) {
    let mut first = server.connect().await;
    let session = first.initialize().await;
    first.start(shell_with("p", "read line; echo done", json!({"pipeStdin": true}))).await;
    let poll = first.request("process/read", json!({"processId": "p", "waitMs": 60_000})).await;
    // The server has taken the poll when it answers what came behind it.
    first.done("environment/status", json!({})).await;

    let mut second = server.connect().await;
    second.take_over(&session).await;
    let error = first.answer(poll).await.expect_err("the session is another's");
    assert_eq!(
        (error.code, error.message.as_str()),
        (-32600, "session has been resumed by another connection")
    );
    assert_eq!(first.ended().await, taken_over());

    second.write("p", "w", b"\n").await;
    assert_eq!(second.closed("p").await.text(), "done\n");
}

async fn every_request_that_waits_is_answered_when_the_session_is_taken_over(server: Arc<Harness>) {
    let mut first = server.connect().await;
    let session = first.initialize().await;
    first.start(shell_with("p", "exec sleep 1000", json!({"pipeStdin": true}))).await;
    let poll = json!({"processId": "p", "waitMs": 60_000});
    let mut waiting = Vec::new();
    for _ in 0..50 {
        waiting.push(first.feed_request("process/read", poll.clone()).await);
    }
    let big = vec![0; 2 << 20];
    first.write("p", "1", &big).await;
    for n in 2..20 {
        waiting.push(first.feed_request("process/write", write_params("p", &n.to_string(), b"x")).await);
    }
    first.done("environment/status", json!({})).await;
    let mut second = server.connect().await;
    second.take_over(&session).await;
    for id in waiting {
        let error = first.answer(id).await.expect_err("the session is another's");
        assert_eq!(error.message, "session has been resumed by another connection");
    }
    assert_eq!(first.ended().await, taken_over());
    second.done("process/terminate", json!({"processId": "p"})).await;
}

async fn a_resumed_session_has_its_processes_write_ids_and_live_events(server: Arc<Harness>) {
    let mut first = server.connect().await;
    let session = first.initialize().await;
    let script = "while read line; do echo got $line; done";
    first.start(shell_with("p", script, json!({"pipeStdin": true}))).await;
    first.write("p", "w1", b"one\n").await;
    let before = first.sees("p", "got one\n").await;
    first.close().await;
    server.idle().await;

    let mut second = server.connect().await;
    second.resume(&session).await;
    // A resend of what was applied before.
    assert_eq!(second.write("p", "w1", b"one\n").await, "accepted");
    assert_eq!(second.write("p", "w2", b"two\n").await, "accepted");
    assert_eq!(second.close_stdin("p", "w3").await, "accepted");
    let after = second.until("p", "the close", |seen| seen.closed.is_some()).await;
    assert_eq!((before.text() + &after.text()).as_str(), "got one\ngot two\n");
    assert_eq!(after.order, ["stdout", "exited", "closed"]);
    let (read, _) = second.read_to_close("p").await;
    assert_eq!(read.text(), "got one\ngot two\n");
}

async fn a_repeated_start_on_a_new_connection_is_not_a_second_process(server: Arc<Harness>) {
    let mut first = server.connect().await;
    let session = first.initialize().await;
    let params = shell_with("p", "echo ran; read line", json!({"pipeStdin": true, "requestKey": "k"}));
    first.request("process/start", params.clone()).await;
    first.sees("p", "ran").await;
    first.vanish();
    server.idle().await;
    let mut second = server.connect().await;
    second.resume(&session).await;
    second.start(params).await;
    second.close_stdin("p", "w").await;
    let (read, _) = second.read_to_close("p").await;
    assert_eq!(read.text(), "ran\n");
}

tests_over_shared_transports! {
    every_request_that_waits_is_answered_when_the_session_is_taken_over
    a_resumed_session_has_its_processes_write_ids_and_live_events
    a_repeated_start_on_a_new_connection_is_not_a_second_process
}

mod known_by_other_names {
    use super::*;

    tests_over! {
        UnixSocket as unix_socket, Memory as memory;
        {
            output_and_exit_are_retained_after_the_connection_is_gone
            a_long_poll_fails_when_the_session_is_taken_over
        }
    }
}

/// Bytes that [`FLOOD`] writes.
const FLOOD_BYTES: usize = 20_777_784;
const FLOOD: &str = "seq 1 2736111";

fn assert_is_flood(output: &[u8]) {
    assert_eq!(output.len(), FLOOD_BYTES);
    let lines = output.strip_suffix(b"\n").expect("whole lines").split(|byte| *byte == b'\n');
    assert!(
        lines.zip(1_u32..).all(|(line, n)| line == n.to_string().as_bytes()),
        "each line is the next number"
    );
}

async fn break_in_a_flood(server: Arc<Harness>) {
    let proxy = Proxy::before(server.url()).await;
    let mut first = proxy.connect().await;
    let session = first.initialize().await;
    first.start(shell("p", FLOOD)).await;
    first.until("p", "a few megabytes", |seen| seen.output.len() > 3 << 20).await;
    proxy.cut();
    // What was on its way is lost with the connection.
    assert_eq!(first.ended().await, Ended::Lost);
    let before = first.transcript("p");
    server.idle().await;

    let mut second = server.connect().await;
    second.resume(&session).await;
    assert_is_flood(&second.recover("p", before.output, before.last_seq).await);
}

async fn take_over_in_a_flood(server: Arc<Harness>) {
    let proxy = Proxy::before(server.url()).await;
    let mut first = proxy.connect().await;
    let session = first.initialize().await;
    first.start(shell("p", FLOOD)).await;
    let before = first.until("p", "a few megabytes", |seen| seen.output.len() > 3 << 20).await;
    proxy.fall_silent();

    let mut second = server.connect().await;
    let params = json!({"clientName": "test", "resumeSessionId": session});
    assert_eq!(second.refused("initialize", params).await.code, -32010);
    second.take_over(&session).await;
    assert_is_flood(&second.recover("p", before.output, before.last_seq).await);
    proxy.cut();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_breaks_in_a_flood_costs_no_byte() {
    over(Transport::WebSocket, break_in_a_flood).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_open_connection_is_taken_over_at_once_and_costs_no_byte() {
    over(Transport::WebSocket, take_over_in_a_flood).await;
}

/// A server that has no file to put anything in: it has no directory, or one in which nobody can make a file.
fn with_memory_alone(directory: Option<&str>) -> ServerConfig {
    ServerConfig { state_directory: directory.map(Into::into), ..ServerConfig::from_process() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_connection_costs_a_byte_where_memory_is_all_there_is() {
    for directory in [None, Some("/proc/sys/nobody may make one here")] {
        with(with_memory_alone(directory), break_in_a_flood).await;
        with(with_memory_alone(directory), take_over_in_a_flood).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_owes_and_vanishes_lets_go_of_its_session() {
    over(Transport::WebSocket, async |server: Arc<Harness>| {
        let mut first = server.connect().await;
        let session = first.initialize().await;
        first.run(shell("p", "head -c 6000000 /dev/zero")).await;
        // More answers than the server will owe: at some point it stops taking requests from this client.
        for _ in 0..12 {
            first.request("process/read", json!({"processId": "p"})).await;
        }
        let mut second = server.connect().await;
        second.initialize().await;
        for _ in 0..20 {
            second.done("environment/status", json!({})).await;
        }
        second.close().await;
        first.vanish();
        server.idle().await;
        let mut third = server.connect().await;
        third.resume(&session).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_owes_and_never_reads_can_be_taken_over() {
    let mut config = ServerConfig::from_process();
    config.limits.farewell = Duration::from_millis(10);
    with(config, async |server: Arc<Harness>| {
        let mut first = server.connect().await;
        let session = first.initialize().await;
        first.run(shell("p", "head -c 6000000 /dev/zero")).await;
        for _ in 0..12 {
            first.request("process/read", json!({"processId": "p"})).await;
        }
        let mut second = server.connect().await;
        second.take_over(&session).await;
        let closed = second.read(json!({"processId": "p", "maxBytes": 1})).await.closed;
        assert!(closed);
        second.close().await;
        // The server gives up on the first by itself.
        server.idle().await;
        drop(first);
    })
    .await;
}
