//! Calls and what becomes of them on one connection.

use std::time::Duration;

use bytes::Bytes;
use codex_exec_server_client::{
    Client, ClientConfig, ClientError, Lag, RequestError, StartError, Unsupported, WriteError,
};
use codex_exec_server_protocol::methods::{EnvironmentStatus, NoParams};
use codex_exec_server_protocol::process::{ProcessSignal, PtySize};
use serde_json::json;
use tokio::time::Instant;

use crate::fake::{EVERYTHING, Network, no_client, no_process, params, start, text};

#[tokio::test(start_paused = true)]
async fn answers_find_their_calls_in_any_order_and_ids_count_from_one() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let call = || {
        let client = client.clone();
        tokio::spawn(async move { client.call_once::<EnvironmentStatus>(&NoParams {}).await })
    };
    let (one, two) = (call(), call());
    let first = server.request("environment/status").await;
    let second = server.request("environment/status").await;
    // The first id was that of `initialize`.
    assert_eq!((&first.id, &second.id), (&json!(2), &json!(3)));
    server.refuse(&second, /*code*/ -32603).await;
    server.answer(&first, json!({"status": "ready"})).await;
    one.await.expect("no panic").expect("it was answered");
    let refused = two.await.expect("no panic").expect_err("it was refused");
    assert!(matches!(refused, RequestError::Refused(error) if error.code == -32603));
}

#[tokio::test(start_paused = true)]
async fn calls_beyond_the_bound_wait_for_their_turn() {
    let mut network = Network::new();
    let mut config = ClientConfig::default();
    config.link.calls_in_flight = 1;
    let (client, mut server) = network.connect_with(EVERYTHING, config).await;
    let call = || {
        let client = client.clone();
        tokio::spawn(async move { client.call_once::<EnvironmentStatus>(&NoParams {}).await })
    };
    let calls = [call(), call()];
    let first = server.request("environment/status").await;
    tokio::select! {
        biased;
        _ = server.request("environment/status") => panic!("the other did not wait"),
        // With paused time this fires when nothing moves any more.
        () = tokio::time::sleep(Duration::from_secs(1)) => {}
    }
    server.answer(&first, json!({"status": "ready"})).await;
    let second = server.request("environment/status").await;
    server.answer(&second, json!({"status": "ready"})).await;
    for call in calls {
        call.await.expect("no panic").expect("it was answered");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_server_asks_is_refused_and_what_it_tells_is_ignored_when_unknown() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let (_process, mut events) = start(&client, &mut server, Lag::HoldConnection).await;
    server.send(json!({"method": "weather/changed", "params": {"sky": "grey"}})).await;
    server.send(json!({"id": 77, "method": "weather/ask", "params": {}})).await;
    assert_eq!(server.response(/*id*/ 77).await["error"]["code"], -32601);
    server.output(/*seq*/ 1, "still here").await;
    assert_eq!(text(&mut events).await, "still here");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_breaks_the_protocol_is_not_dialled_again() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    server.send(json!({"method": "process/output", "params": {"seq": "one"}})).await;
    let failure = client.call::<EnvironmentStatus>(&NoParams {}).await.expect_err("it failed");
    assert!(matches!(failure, RequestError::Client(ClientError::Protocol(_))), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_initialize_is_given_up_after_10_s() {
    let mut network = Network::new();
    let began = Instant::now();
    let connecting = tokio::spawn(Client::connect(network.dialer(), ClientConfig::default()));
    let _server = network.accept().await;
    let failure = no_client(connecting.await.expect("no panic"));
    assert!(matches!(failure, ClientError::InitializeTimedOut { .. }), "{failure}");
    assert_eq!(began.elapsed(), Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_first_connection_is_tried_once() {
    let mut network = Network::new();
    network.go_down();
    let began = Instant::now();
    let failure = no_client(Client::connect(network.dialer(), ClientConfig::default()).await);
    assert!(matches!(failure, ClientError::Dial(_)), "{failure}");
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn what_a_server_does_not_know_is_not_sent_to_it() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(&[]).await;
    let (process, _events) = start(&client, &mut server, Lag::HoldConnection).await;
    let unsupported = |outcome: Result<(), RequestError>, flag| {
        assert!(
            matches!(outcome, Err(RequestError::Unsupported(Unsupported(name))) if name == flag),
            "{outcome:?}"
        );
    };
    unsupported(process.resize(PtySize { rows: 1, cols: 1 }).await, "processResize");
    unsupported(process.signal(ProcessSignal::Hangup).await, "processSignals");
    let graceful = process.terminate(Some(Duration::from_secs(1))).await.map(drop);
    unsupported(graceful, "processTerminateGrace");
    match process.close_stdin().await {
        Err(WriteError::Request(error)) => unsupported(Err(error), "processStdinClose"),
        other => panic!("{other:?}"),
    }
    let mut timed = params();
    (timed.process_id, timed.timeout_ms) = ("q".into(), Some(1));
    let failure = no_process(client.start(timed, Lag::ReadLater).await);
    assert!(matches!(failure, StartError::Unsupported(Unsupported("processTimeout"))), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_process_id_is_taken_while_somebody_holds_or_follows_the_process() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let (process, events) = start(&client, &mut server, Lag::HoldConnection).await;
    let failure = no_process(client.start(params(), Lag::ReadLater).await);
    assert!(matches!(failure, StartError::Exists(_)), "{failure}");
    drop(events);
    let failure = no_process(client.start(params(), Lag::ReadLater).await);
    assert!(matches!(failure, StartError::Exists(_)), "{failure}");
    drop(process);
    start(&client, &mut server, Lag::HoldConnection).await;
}

#[tokio::test(start_paused = true)]
async fn a_write_to_a_closed_stdin_says_so() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let (process, _events) = start(&client, &mut server, Lag::HoldConnection).await;
    let answering = async {
        let request = server.request("process/write").await;
        server.answer(&request, json!({"status": "stdinClosed"})).await;
    };
    let (written, ()) = tokio::join!(process.write(Bytes::from_static(b"x")), answering);
    assert!(matches!(written, Err(WriteError::StdinClosed(_))), "{written:?}");
}

#[tokio::test(start_paused = true)]
async fn closing_says_good_bye_and_fails_what_waits() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.call::<EnvironmentStatus>(&NoParams {}).await }
    });
    server.request("environment/status").await;
    client.close().await;
    let outcome = waiting.await.expect("no panic");
    assert!(matches!(outcome, Err(RequestError::Client(ClientError::Closed))), "{outcome:?}");
}
