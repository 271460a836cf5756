//! Connections that are lost: what is resumed, what is sent again, and when it is given up.

use std::time::Duration;

use bytes::Bytes;
use codex_exec_server_client::{
    ClientError, ExecProcessEvent, Lag, ProcessError, Proof, RequestError, StartError, Status,
};
use codex_exec_server_protocol::ids::Seq;
use codex_exec_server_protocol::process::ProcessSignal;
use serde_json::json;
use tokio::time::Instant;

use crate::fake::{EVERYTHING, Network, chunk, initialized, no_process, page, params, start, text};

#[tokio::test(start_paused = true)]
async fn what_was_missed_is_read_and_comes_before_what_was_pushed_meanwhile() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let (_process, mut events) = start(&client, &mut server, Lag::HoldConnection).await;
    server.output(1, "a").await;
    assert_eq!(text(&mut events).await, "a");
    drop(server);

    let mut server = network.accept_resumption(EVERYTHING).await;
    let read = server.request("process/read").await;
    assert_eq!(read.params["afterSeq"], 1);
    server.output(4, "d").await;
    server.output(4, "d").await;
    server.answer(&read, page(&[chunk(2, "b"), chunk(3, "c"), chunk(4, "d")], 5)).await;
    for expected in ["b", "c", "d"] {
        assert_eq!(text(&mut events).await, expected);
    }
    server.output(5, "e").await;
    server.exited(6).await;
    server.closed(7, "abcde").await;
    assert_eq!(text(&mut events).await, "e");
    assert!(matches!(events.next().await, Some(Ok(ExecProcessEvent::Exited { .. }))));
    assert!(matches!(events.next().await, Some(Ok(ExecProcessEvent::Closed { proof: Proof::Checksum, .. }))));
    assert!(events.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_end_that_nobody_was_told_of_is_found_by_reading() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let (_process, mut events) = start(&client, &mut server, Lag::HoldConnection).await;
    drop(server);
    let mut server = network.accept_resumption(EVERYTHING).await;
    let read = server.request("process/read").await;
    server.answer(&read, page(&[chunk(1, "a")], 2)).await;
    // A page with output says nothing of what comes behind it.
    let read = server.request("process/read").await;
    assert_eq!(read.params["afterSeq"], 1);
    let mut end = page(&[], 4);
    (end["exited"], end["exitCode"], end["closed"], end["outputBytes"]) =
        (json!(true), json!(7), json!(true), json!(1));
    server.answer(&read, end).await;
    assert_eq!(text(&mut events).await, "a");
    assert!(matches!(events.next().await, Some(Ok(ExecProcessEvent::Exited { exit, .. })) if exit.code == 7));
    assert!(matches!(events.next().await, Some(Ok(ExecProcessEvent::Closed { proof: Proof::Length, .. }))));
}

#[tokio::test(start_paused = true)]
async fn what_the_server_no_longer_holds_is_an_explicit_gap() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let (_process, mut events) = start(&client, &mut server, Lag::HoldConnection).await;
    drop(server);
    let mut server = network.accept_resumption(EVERYTHING).await;
    let read = server.request("process/read").await;
    let mut rest = page(&[chunk(9, "z")], 10);
    rest["dropped"] = json!({"throughSeq": 8, "bytes": 800});
    server.answer(&read, rest).await;
    let gap = events.next().await.expect("an event").expect("no failure");
    assert_eq!(gap, ExecProcessEvent::Gap { through: Seq(8), bytes: Some(800) });
    assert_eq!(text(&mut events).await, "z");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_still_attached_is_asked_for_again_every_100_ms() {
    let mut network = Network::new();
    let (client, server) = network.connect(EVERYTHING).await;
    let mut status = client.status();
    assert!(matches!(status.now(), Status::Connected));
    let lost_at = Instant::now();
    drop(server);
    for attempt in 0..3 {
        let mut server = network.accept().await;
        let request = server.request("initialize").await;
        assert_eq!(request.params["takeover"], true);
        assert_eq!(lost_at.elapsed().as_millis() / 100, attempt);
        server.refuse(&request, -32010).await;
    }
    assert!(matches!(status.changed().await, Status::Recovering { .. }));
    let _server = network.accept_resumption(EVERYTHING).await;
    assert!(matches!(status.changed().await, Status::Connected));
}

#[tokio::test(start_paused = true)]
async fn takeover_is_asked_only_of_a_server_that_knows_it() {
    let mut network = Network::new();
    let (_client, server) = network.connect(&[]).await;
    drop(server);
    let mut server = network.accept().await;
    let request = server.request("initialize").await;
    assert_eq!(request.params.get("takeover"), None);
    server.answer(&request, initialized(&[])).await;
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_session_fails_everything_with_one_error() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let (process, mut events) = start(&client, &mut server, Lag::HoldConnection).await;
    server.output(1, "a").await;
    drop(server);
    let mut server = network.accept().await;
    let request = server.request("initialize").await;
    server.refuse(&request, -32600).await;
    // What had arrived is delivered first.
    assert_eq!(text(&mut events).await, "a");
    let failure = events.next().await.expect("an event").expect_err("it failed");
    assert!(matches!(failure, ProcessError::Client(ClientError::SessionLost { .. })), "{failure}");
    assert!(events.next().await.is_none());
    let failure = process.signal(ProcessSignal::Interrupt).await.expect_err("it failed");
    assert!(matches!(failure, RequestError::Client(ClientError::SessionLost { .. })), "{failure}");
    let failure = no_process(client.start(params(), Lag::ReadLater).await);
    assert!(matches!(failure, StartError::Client(ClientError::SessionLost { .. })), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_does_not_come_back_is_given_up_after_45_s() {
    let mut network = Network::new();
    let (client, server) = network.connect(EVERYTHING).await;
    network.go_down();
    let lost_at = Instant::now();
    let mut status = client.status();
    status.now();
    drop(server);
    assert!(matches!(status.changed().await, Status::Recovering { .. }));
    let failure = client
        .call_once::<codex_exec_server_protocol::methods::ProcessList>(&Default::default())
        .await
        .expect_err("it failed");
    assert!(matches!(failure, RequestError::Client(ClientError::GaveUp { .. })), "{failure}");
    let waited = lost_at.elapsed();
    assert!((Duration::from_millis(44_800)..=Duration::from_secs(45)).contains(&waited), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_start_whose_answer_was_lost_is_sent_again_with_the_same_key() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let starting = tokio::spawn({
        let client = client.clone();
        async move { client.start(params(), Lag::HoldConnection).await }
    });
    let first = server.request("process/start").await;
    assert!(first.params["requestKey"].is_string());
    drop(server);
    let mut server = network.accept_resumption(EVERYTHING).await;
    let second = server.request("process/start").await;
    assert_eq!(first.params, second.params);
    server.answer(&second, json!({"processId": "p"})).await;
    let (_process, mut events) = starting.await.expect("no panic").expect("it was answered");
    // It may have run, and said something, while nobody was connected.
    let read = server.request("process/read").await;
    server.answer(&read, page(&[chunk(1, "a")], 2)).await;
    assert_eq!(text(&mut events).await, "a");
}

#[tokio::test(start_paused = true)]
async fn a_start_that_can_not_be_repeated_is_ended_and_reported() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(&[]).await;
    let starting = tokio::spawn({
        let client = client.clone();
        async move { client.start(params(), Lag::HoldConnection).await }
    });
    let request = server.request("process/start").await;
    assert_eq!(request.params.get("requestKey"), None);
    drop(server);
    let mut server = network.accept_resumption(&[]).await;
    let request = server.request("process/terminate").await;
    assert_eq!(request.params["processId"], "p");
    server.answer(&request, json!({"running": true})).await;
    let failure = no_process(starting.await.expect("no panic"));
    assert!(matches!(failure, StartError::Ambiguous { was_running: true, .. }), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_start_that_nobody_waits_for_any_more_is_ended() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let starting = tokio::spawn({
        let client = client.clone();
        async move { client.start(params(), Lag::HoldConnection).await }
    });
    server.request("process/start").await;
    starting.abort();
    let request = server.request("process/terminate").await;
    assert_eq!(request.params["processId"], "p");
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_was_lost_is_sent_again_under_the_same_id_and_the_next_one_waits() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let (process, _events) = start(&client, &mut server, Lag::HoldConnection).await;
    let writing = |text: &'static str| {
        let process = process.clone();
        tokio::spawn(async move { process.write(Bytes::from_static(text.as_bytes())).await })
    };
    let first = writing("one");
    let request = server.request("process/write").await;
    let second = writing("two");
    drop(server);
    let mut server = network.accept_resumption(EVERYTHING).await;
    let repeat = server.request("process/write").await;
    assert_eq!(request.params, repeat.params);
    server.answer(&repeat, json!({"status": "accepted"})).await;
    first.await.expect("no panic").expect("it was accepted");
    let next = server.request("process/write").await;
    assert_ne!(next.params["writeId"], repeat.params["writeId"]);
    server.answer(&next, json!({"status": "accepted"})).await;
    second.await.expect("no panic").expect("it was accepted");
}

#[tokio::test(start_paused = true)]
async fn a_signal_whose_answer_was_lost_is_not_sent_again() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let (process, _events) = start(&client, &mut server, Lag::HoldConnection).await;
    let signalling = tokio::spawn(async move { process.signal(ProcessSignal::Interrupt).await });
    server.request("process/signal").await;
    drop(server);
    let outcome = signalling.await.expect("no panic");
    assert!(matches!(outcome, Err(RequestError::Unknown)), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn output_that_differs_from_the_servers_account_is_a_fault() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let (_process, mut events) = start(&client, &mut server, Lag::HoldConnection).await;
    server.output(1, "abc").await;
    server.exited(2).await;
    server.closed(3, "abd").await;
    assert_eq!(text(&mut events).await, "abc");
    assert!(matches!(events.next().await, Some(Ok(ExecProcessEvent::Exited { .. }))));
    let failure = events.next().await.expect("an event").expect_err("it does not add up");
    assert!(matches!(failure, ProcessError::Incomplete { what: "crc32c", .. }), "{failure}");
}
