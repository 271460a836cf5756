//! Requests whose answer was lost with the connection: what is sent again, and what is ended or left alone.

use bytes::Bytes;
use codex_exec_server_client::{Lag, RequestError, StartError};
use codex_exec_server_protocol::methods::{EnvironmentStatus, NoParams};
use codex_exec_server_protocol::process::ProcessSignal;
use serde_json::json;

use crate::fake::{EVERYTHING, Network, chunk, no_process, page, params, start, starting, text};

#[tokio::test(start_paused = true)]
async fn a_start_whose_answer_was_lost_is_sent_again_with_the_same_key() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let starting = starting(&client);
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
    server.answer(&read, page(&[chunk(/*seq*/ 1, "a")], /*next_seq*/ 2)).await;
    assert_eq!(text(&mut events).await, "a");
}

#[tokio::test(start_paused = true)]
async fn a_start_that_can_not_be_repeated_is_ended_and_reported() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(&[]).await;
    let starting = starting(&client);
    let request = server.request("process/start").await;
    assert_eq!(request.params.get("requestKey"), None);
    drop(server);
    let mut server = network.accept_resumption(&[]).await;
    let request = server.request("process/terminate").await;
    assert_eq!(request.params, json!({"processId": "p"}));
    server.answer(&request, json!({"running": true})).await;
    let failure = no_process(starting.await.expect("no panic"));
    assert!(matches!(failure, StartError::Ambiguous { was_running: true, .. }), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_start_that_nobody_waits_for_any_more_is_ended_before_its_id_is_used_again() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let abandoned = starting(&client);
    let request = server.request("process/start").await;
    abandoned.abort();
    assert!(abandoned.await.expect_err("it was aborted").is_cancelled());
    server.answer(&request, json!({"processId": "p"})).await;
    let key = &request.params["requestKey"];
    assert!(key.is_string());
    let request = server.request("process/terminate").await;
    assert_eq!(request.params, json!({"processId": "p", "requestKey": key}));
    let failure = no_process(client.start(params(), Lag::ReadLater).await);
    assert!(matches!(failure, StartError::Exists(_)), "{failure}");
    server.answer(&request, json!({"running": true})).await;
    // A call and its answer, by which time the other one was taken.
    let status = tokio::spawn({
        let client = client.clone();
        async move { client.call::<EnvironmentStatus>(&NoParams {}).await }
    });
    let request = server.request("environment/status").await;
    server.answer(&request, json!({"status": "ready"})).await;
    status.await.expect("no panic").expect("it was answered");
    start(&client, &mut server, Lag::ReadLater).await;
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_start_whose_answer_was_lost_is_ended_and_not_begun_again() {
    for flags in [EVERYTHING, &[]] {
        let mut network = Network::new();
        let (client, mut server) = network.connect(flags).await;
        let abandoned = starting(&client);
        let start = server.request("process/start").await;
        abandoned.abort();
        drop(server);
        let mut server = network.accept_resumption(flags).await;
        let request = server.request("process/terminate").await;
        // Only what that start began is meant, as far as the server can tell it.
        let mut meant = json!({"processId": "p"});
        if flags.contains(&"idempotentRequests") {
            meant["requestKey"] = start.params["requestKey"].clone();
            assert!(meant["requestKey"].is_string());
        }
        assert_eq!(request.params, meant);
        // Even this answer may be lost, and then it is asked for again.
        drop(server);
        let mut server = network.accept_resumption(flags).await;
        let request = server.request("process/terminate").await;
        assert_eq!(request.params, meant);
        let failure = no_process(client.start(params(), Lag::ReadLater).await);
        assert!(matches!(failure, StartError::Exists(_)), "{failure}");
        server.answer(&request, json!({"running": false})).await;
        assert_eq!(server.requested("process/start"), 0);
    }
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
    server.nothing_missed(/*seq*/ 0).await;
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
