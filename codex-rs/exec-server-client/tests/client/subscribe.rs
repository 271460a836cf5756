//! Many who follow one process, each at a pace of its own.

use std::time::Duration;

use codex_exec_server_client::{Client, ClientConfig, ClientError, ExecProcessEvent, Exit, Lag, Proof};
use codex_exec_server_core::service::{ExecBackend, ExecError, ExecProcess};
use codex_exec_server_protocol::ids::Seq;
use serde_json::json;

use crate::fake::{EVERYTHING, Network, Server, chunk, page, params, start, text};

/// Room for two chunks of a byte in the history, and for four that wait.
fn little_room() -> ClientConfig {
    let mut config = ClientConfig::default();
    config.process.history_events = 2;
    config.process.ready_bytes = 4;
    config
}

/// A process that has said `abcdef` in six events and has one follower who took them all.
async fn alphabet(network: &mut Network) -> (Client, Server, codex_exec_server_client::RemoteProcess) {
    let (client, mut server) = network.connect_with(EVERYTHING, little_room()).await;
    let (process, mut events) = start(&client, &mut server, Lag::ReadLater).await;
    for (seq, letter) in (1..).zip(["a", "b", "c", "d", "e", "f"]) {
        server.output(seq, letter).await;
        assert_eq!(text(&mut events).await, letter);
    }
    (client, server, process)
}

#[tokio::test(start_paused = true)]
async fn a_late_subscriber_gets_the_tail_from_here_and_the_rest_from_the_server_without_a_twin() {
    let mut network = Network::new();
    let (_client, mut server, process) = alphabet(&mut network).await;
    let mut tail = process.subscribe(Seq(4), Lag::ReadLater);
    assert_eq!(text(&mut tail).await, "e");
    assert_eq!(server.requested("process/read"), 0);

    let mut all = process.subscribe(Seq::START, Lag::ReadLater);
    let serving = async {
        let read = server.request("process/read").await;
        assert_eq!(read.params["afterSeq"], 0);
        // More than was evicted, and less than there is.
        let chunks = ["a", "b", "c", "d", "e"].iter().zip(1..).map(|(text, seq)| chunk(seq, text));
        server.answer(&read, page(&chunks.collect::<Vec<_>>(), /*next_seq*/ 6)).await;
        server.output(/*seq*/ 7, "g").await;
        server.exited(/*seq*/ 8).await;
        server.closed(/*seq*/ 9, "abcdefg").await;
        server
    };
    let reading = async {
        for letter in ["a", "b", "c", "d", "e", "f", "g"] {
            assert_eq!(text(&mut all).await, letter);
        }
        assert!(matches!(all.next().await, Some(Ok(ExecProcessEvent::Exited { seq: Seq(8), .. }))));
        let end = all.next().await;
        assert!(matches!(end, Some(Ok(ExecProcessEvent::Closed { proof: Proof::Checksum, .. }))), "{end:?}");
        assert!(all.next().await.is_none());
    };
    let (server, ()) = tokio::join!(serving, reading);
    assert_eq!(text(&mut tail).await, "f");
    assert_eq!(text(&mut tail).await, "g");
    assert!(matches!(tail.next().await, Some(Ok(ExecProcessEvent::Exited { .. }))));
    let end = tail.next().await;
    assert!(matches!(end, Some(Ok(ExecProcessEvent::Closed { proof: Proof::Numbering, .. }))), "{end:?}");
    assert_eq!(server.requested("process/read"), 1);
}

#[tokio::test(start_paused = true)]
async fn an_exit_that_was_evicted_is_told_once_and_in_its_place() {
    let mut network = Network::new();
    let (client, mut server) = network.connect_with(EVERYTHING, little_room()).await;
    let (process, mut events) = start(&client, &mut server, Lag::ReadLater).await;
    server.output(/*seq*/ 1, "a").await;
    server.exited(/*seq*/ 2).await;
    for (seq, letter) in (3..).zip(["b", "c", "d"]) {
        server.output(seq, letter).await;
    }
    server.closed(/*seq*/ 6, "abcd").await;
    while events.next().await.is_some() {}
    let mut all = process.subscribe(Seq::START, Lag::ReadLater);
    let serving = async {
        let read = server.request("process/read").await;
        // One page of several, in which nothing says where the exit was.
        let mut answer =
            page(&[chunk(/*seq*/ 1, "a"), chunk(/*seq*/ 3, "b"), chunk(/*seq*/ 4, "c")], /*next_seq*/ 5);
        (answer["exited"], answer["exitCode"]) = (json!(true), json!(0));
        server.answer(&read, answer).await;
    };
    let reading = async {
        let mut seen = Vec::new();
        while let Some(event) = all.next().await {
            seen.push(event.expect("all is well"));
        }
        let seqs: Vec<u64> = seen.iter().map(|event| event.seq().0).collect();
        assert_eq!(seqs, [1, 2, 3, 4, 5, 6]);
        assert!(matches!(seen[1], ExecProcessEvent::Exited { exit: Exit { code: 0, .. }, .. }));
        assert!(matches!(seen[5], ExecProcessEvent::Closed { proof: Proof::Checksum, .. }));
    };
    tokio::join!(serving, reading);
}

#[tokio::test(start_paused = true)]
async fn what_neither_client_nor_server_holds_any_more_is_a_gap_of_known_size() {
    let mut network = Network::new();
    let (_client, mut server, process) = alphabet(&mut network).await;
    let mut all = process.subscribe(Seq::START, Lag::ReadLater);
    let serving = async {
        let read = server.request("process/read").await;
        // It has forgotten the process.
        server.refuse(&read, /*code*/ -32600).await;
    };
    let reading = async {
        let gap = ExecProcessEvent::Gap { through: Seq(4), bytes: Some(4) };
        assert_eq!(all.next().await.expect("an event").expect("a gap"), gap);
        assert_eq!(text(&mut all).await, "e");
        assert_eq!(text(&mut all).await, "f");
    };
    tokio::join!(serving, reading);
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_never_takes_anything_holds_up_nobody() {
    let mut network = Network::new();
    let (client, mut server) = network.connect_with(EVERYTHING, little_room()).await;
    let (process, mut quick) = start(&client, &mut server, Lag::ReadLater).await;
    let _lazy = process.subscribe(Seq::START, Lag::ReadLater);
    for seq in 1..=100 {
        server.output(seq, "x").await;
        assert_eq!(text(&mut quick).await, "x");
    }
    assert_eq!(server.requested("process/read"), 0);
}

#[tokio::test(start_paused = true)]
async fn behind_the_traits_a_client_is_a_machine_like_any_other() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let backend: &dyn ExecBackend = &client;
    assert_eq!(backend.environment().shell.name, "sh");
    let answering = async {
        let request = server.request("process/start").await;
        server.answer(&request, json!({"processId": "p"})).await;
        server.output(/*seq*/ 1, "a").await;
    };
    let (process, ()) = tokio::join!(backend.start(params()), answering);
    let process = process.expect("it was answered");
    let taken = backend.start(params()).await;
    assert!(matches!(taken, Err(ExecError::ProcessExists(_))), "{taken:?}");
    let mut events = process.subscribe(Seq::START);
    let first = events.next().await;
    assert!(matches!(first, Some(Ok(ExecProcessEvent::Output { seq: Seq(1), .. }))), "{first:?}");
    let answering = async {
        let read = server.request("process/read").await;
        assert_eq!((&read.params["afterSeq"], &read.params["waitMs"]), (&json!(1), &json!(2000)));
        server.answer(&read, page(&[chunk(/*seq*/ 2, "b")], /*next_seq*/ 3)).await;
    };
    let (read, ()) = tokio::join!(process.read(Seq(1), None, Duration::from_secs(2)), answering);
    assert_eq!(read.expect("it was answered").chunks.len(), 1);
    client.close().await;
    let failure = events.next().await;
    assert!(matches!(failure, Some(Err(ExecError::Disconnected(_)))), "{failure:?}");
    assert!(events.next().await.is_none());
    let failure = process.read(Seq(1), None, Duration::from_secs(2)).await;
    assert!(matches!(failure, Err(ExecError::Disconnected(_))), "{failure:?}");
    let failure = client.status().now();
    assert!(matches!(failure, codex_exec_server_client::Status::Failed(ClientError::Closed)));
}

#[tokio::test(start_paused = true)]
async fn an_old_handle_does_not_touch_a_new_process_of_the_same_id() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let (old, mut events) = start(&client, &mut server, Lag::ReadLater).await;
    server.exited(/*seq*/ 1).await;
    server.closed(/*seq*/ 2, "").await;
    while events.next().await.is_some() {}
    let (_new, _events) = start(&client, &mut server, Lag::ReadLater).await;
    let ended = old.terminate(/*grace*/ None).await.expect("it is known here");
    assert!(!ended.running);
    let written = ExecProcess::write(&old, bytes::Bytes::from_static(b"x")).await;
    assert!(matches!(written, Err(ExecError::UnknownProcess(_))), "{written:?}");
    assert_eq!(server.requested("process/terminate") + server.requested("process/write"), 0);
}
