//! A session and its first process in one flight: what leaves, what may come back in which order, and what is said when
//! something goes wrong in between.

use std::time::Duration;

use codex_exec_server_client::{
    Client, ClientConfig, ClientError, Dialer, ExecProcessEvent, FirstStart, Lag, Proof, StartError,
};
use codex_exec_server_protocol::process::ProcessStartParams;
use codex_exec_server_transport::client::ConnectOptions;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::fake::{EVERYTHING, Network, Request, Server, initialized, no_process, params, text};

type Outcome = Result<(Client, FirstStart), ClientError>;

/// A client that is on its way with `params`, and what the server got of it before it has said anything.
async fn depart_with(
    network: &mut Network,
    params: ProcessStartParams,
) -> (JoinHandle<Outcome>, Server, Request, Request) {
    let dialer = network.dialer();
    let cold = Client::connect_and_start(dialer, ClientConfig::default(), params, Lag::HoldConnection);
    let client = tokio::spawn(cold);
    let mut server = network.accept().await;
    let initialize = server.request("initialize").await;
    server.notification("initialized").await;
    let start = server.request("process/start").await;
    (client, server, initialize, start)
}

async fn depart(network: &mut Network) -> (JoinHandle<Outcome>, Server, Request, Request) {
    depart_with(network, params()).await
}

fn failed(outcome: Outcome) -> ClientError {
    match outcome {
        Ok(_) => panic!("there is a client"),
        Err(error) => error,
    }
}

/// The whole of a process that says "ab", as it is pushed.
async fn say_all(server: &mut Server) {
    server.output(/*seq*/ 1, "a").await;
    server.output(/*seq*/ 2, "b").await;
    server.exited(/*seq*/ 3).await;
    server.closed(/*seq*/ 4, "ab").await;
}

#[tokio::test(start_paused = true)]
async fn everything_leaves_before_anything_is_answered_and_no_key_goes_to_an_unknown_server() {
    let mut network = Network::new();
    let (_client, mut server, initialize, start) = depart(&mut network).await;
    assert_eq!((&initialize.id, &start.id), (&json!(1), &json!(2)));
    assert_eq!(initialize.params["resumeSessionId"], Value::Null);
    assert_eq!(start.params["processId"], "p");
    assert_eq!(start.params.get("requestKey"), None);
    assert!(server.is_silent().await);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_whatever_order_answers_and_events_come_in() {
    // Where the events stand: before, between and behind the answers, in both orders of those.
    for (start_first, events_at) in
        [false, true].into_iter().flat_map(|first| [0, 1, 2].map(|at| (first, at)))
    {
        let mut network = Network::new();
        let (client, mut server, initialize, start) = depart(&mut network).await;
        let mut answers = [(initialize, initialized(EVERYTHING)), (start, json!({"processId": "p"}))];
        if start_first {
            answers.reverse();
        }
        for (at, (request, answer)) in answers.into_iter().enumerate() {
            if at == events_at {
                say_all(&mut server).await;
            }
            server.answer(&request, answer).await;
        }
        if events_at == 2 {
            say_all(&mut server).await;
        }
        let (_client, started) = client.await.expect("no panic").expect("there is a session");
        let (_process, mut events) = started.expect("it was started");
        assert_eq!(text(&mut events).await, "a");
        assert_eq!(text(&mut events).await, "b");
        assert!(matches!(events.next().await, Some(Ok(ExecProcessEvent::Exited { .. }))));
        let closed = events.next().await;
        let is_proven = matches!(closed, Some(Ok(ExecProcessEvent::Closed { proof: Proof::Checksum, .. })));
        assert!(is_proven, "start first: {start_first}, events at {events_at}: {closed:?}");
        assert_eq!(server.requested("process/read"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn answers_behind_more_output_than_a_holder_takes_arrive() {
    let mut network = Network::new();
    let (client, mut server, initialize, start) = depart(&mut network).await;
    let chunk = "x".repeat(64 << 10);
    for seq in 1..=40 {
        server.output(seq, &chunk).await;
    }
    server.answer(&start, json!({"processId": "p"})).await;
    server.answer(&initialize, initialized(EVERYTHING)).await;
    let (_client, started) = client.await.expect("no panic").expect("there is a session");
    let (_process, mut events) = started.expect("it was started");
    for _ in 1..=40 {
        assert_eq!(text(&mut events).await, chunk);
    }
    assert_eq!(server.requested("process/read"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_refused_start_leaves_a_session_in_which_another_can_be_made() {
    let mut network = Network::new();
    let (client, mut server, initialize, start) = depart(&mut network).await;
    server.answer(&initialize, initialized(EVERYTHING)).await;
    server.refuse(&start, /*code*/ -32603).await;
    let (client, started) = client.await.expect("no panic").expect("there is a session");
    let refusal = no_process(started);
    assert!(matches!(&refusal, StartError::Refused(error) if error.code == -32603), "{refusal}");
    let (_process, mut events) = crate::fake::start(&client, &mut server, Lag::ReadLater).await;
    server.output(/*seq*/ 1, "second").await;
    assert_eq!(text(&mut events).await, "second");
}

#[tokio::test(start_paused = true)]
async fn a_refused_session_is_said_when_the_start_was_refused_too_or_the_connection_ended_over_it() {
    for is_answered in [true, false] {
        let mut network = Network::new();
        let (client, mut server, initialize, start) = depart(&mut network).await;
        server.refuse(&initialize, /*code*/ -32010).await;
        if is_answered {
            server.refuse(&start, /*code*/ -32600).await;
        } else {
            drop(server);
        }
        let failure = failed(client.await.expect("no panic"));
        assert!(matches!(&failure, ClientError::Refused(error) if error.code == -32010), "{failure}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_was_started_without_a_session_is_ended_and_told() {
    let mut network = Network::new();
    let (client, mut server, initialize, start) = depart(&mut network).await;
    server.refuse(&initialize, /*code*/ -32010).await;
    server.answer(&start, json!({"processId": "p"})).await;
    let end = server.request("process/terminate").await;
    assert_eq!(end.params["processId"], "p");
    server.answer(&end, json!({"running": true})).await;
    let failure = failed(client.await.expect("no panic"));
    assert!(matches!(failure, ClientError::Protocol(_)), "{failure}");
    assert!(failure.to_string().contains("process p was started; it was ended"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_before_there_is_a_session_may_run_and_is_not_tried_again() {
    for start_is_answered in [false, true] {
        let mut network = Network::new();
        let (client, mut server, _initialize, start) = depart(&mut network).await;
        if start_is_answered {
            server.answer(&start, json!({"processId": "p"})).await;
        }
        drop(server);
        let failure = failed(client.await.expect("no panic"));
        let ClientError::StartLost { process_id, source } = &failure else { panic!("{failure}") };
        assert_eq!(process_id.as_str(), "p");
        assert!(matches!(**source, ClientError::Lost(_)), "{source}");
        assert!(network.is_quiet().await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_nothing_is_given_up_and_the_start_is_in_doubt() {
    let mut network = Network::new();
    let (client, _server, ..) = depart(&mut network).await;
    let failure = failed(client.await.expect("no panic"));
    let ClientError::StartLost { source, .. } = &failure else { panic!("{failure}") };
    assert!(matches!(**source, ClientError::InitializeTimedOut { .. }), "{source}");
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_in_a_known_session_is_ended_there_and_not_started_again() {
    let mut network = Network::new();
    let (client, mut server, initialize, _start) = depart(&mut network).await;
    server.answer(&initialize, initialized(EVERYTHING)).await;
    drop(server);
    let mut server = network.accept_resumption(EVERYTHING).await;
    let end = server.request("process/terminate").await;
    server.answer(&end, json!({"running": true})).await;
    let (_client, started) = client.await.expect("no panic").expect("there is a session");
    let failure = no_process(started);
    assert!(matches!(failure, StartError::Ambiguous { was_running: true, .. }), "{failure}");
    assert_eq!(server.requested("process/start"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_was_started_before_the_loss_is_caught_up() {
    let mut network = Network::new();
    let (client, mut server, initialize, start) = depart(&mut network).await;
    server.answer(&initialize, initialized(EVERYTHING)).await;
    server.answer(&start, json!({"processId": "p"})).await;
    server.output(/*seq*/ 1, "a").await;
    drop(server);
    let mut server = network.accept_resumption(EVERYTHING).await;
    server.nothing_missed(/*seq*/ 1).await;
    server.output(/*seq*/ 2, "b").await;
    let (_client, started) = client.await.expect("no panic").expect("there is a session");
    let (_process, mut events) = started.expect("it was started");
    assert_eq!(text(&mut events).await, "a");
    assert_eq!(text(&mut events).await, "b");
}

#[tokio::test(start_paused = true)]
async fn a_start_that_never_left_is_not_in_doubt() {
    let mut network = Network::new();
    network.go_down();
    let cold = Client::connect_and_start(network.dialer(), ClientConfig::default(), params(), Lag::ReadLater);
    let failure = failed(cold.await);
    assert!(matches!(failure, ClientError::Dial(_)), "{failure}");
}

#[tokio::test]
async fn a_start_that_went_with_a_refused_upgrade_is_not_in_doubt() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("ws://{}", listener.local_addr().expect("it has an address"));
    let dialer = Dialer::url(url, ConnectOptions::default());
    let cold = Client::connect_and_start(dialer, ClientConfig::default(), params(), Lag::ReadLater);
    let refusing = async {
        let (mut stream, _) = listener.accept().await.expect("the client dials");
        let answer = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno";
        stream.write_all(answer).await.expect("it waits for an answer");
        // What it sent is read, so that the answer is not lost over it.
        stream.shutdown().await.expect("it is there");
        let _ = stream.read_to_end(&mut Vec::new()).await;
    };
    let (outcome, ()) = tokio::join!(cold, refusing);
    let failure = failed(outcome);
    assert!(matches!(failure, ClientError::Dial(_)), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_never_comes_leaves_nothing_in_doubt() {
    let dialer = Dialer::new(std::future::pending);
    let cold = Client::connect_and_start(dialer, ClientConfig::default(), params(), Lag::ReadLater);
    let failure = failed(cold.await);
    assert!(matches!(failure, ClientError::ConnectTimedOut { .. }), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn who_loses_interest_lets_go_of_the_connection_in_every_state() {
    for answered in 0..=2 {
        let mut network = Network::new();
        let (client, mut server, initialize, start) = depart(&mut network).await;
        // Both answered means that the client is there to be dropped.
        let answers = [(initialize, initialized(EVERYTHING)), (start, json!({"processId": "p"}))];
        for (request, answer) in answers.into_iter().take(answered) {
            server.answer(&request, answer).await;
        }
        if answered == 2 {
            drop(client.await.expect("no panic"));
        } else {
            assert!(server.is_silent().await);
            client.abort();
        }
        server.gone().await;
        assert!(network.is_quiet().await);
    }
}

#[tokio::test(start_paused = true)]
async fn what_needs_a_flag_is_asked_for_when_the_server_has_shown_it() {
    for (flags, is_known) in [(EVERYTHING, true), (&[][..], false)] {
        let mut network = Network::new();
        let wanted = ProcessStartParams { timeout_ms: Some(1000), ..params() };
        let cold =
            Client::connect_and_start(network.dialer(), ClientConfig::default(), wanted, Lag::ReadLater);
        let client = tokio::spawn(cold);
        let mut server = network.accept().await;
        let initialize = server.request("initialize").await;
        server.notification("initialized").await;
        assert!(server.is_silent().await, "it waits");
        server.answer(&initialize, initialized(flags)).await;
        if is_known {
            let start = server.request("process/start").await;
            assert_eq!(start.params["timeoutMs"], 1000);
            server.answer(&start, json!({"processId": "p"})).await;
        }
        let (_client, started) = client.await.expect("no panic").expect("there is a session");
        match started {
            Ok(_) => assert!(is_known),
            Err(error) => assert!(!is_known && matches!(error, StartError::Unsupported(_)), "{error}"),
        }
    }
}

#[tokio::test]
async fn a_connection_that_is_lost_before_the_upgrade_is_answered_leaves_the_start_in_doubt_only_if_it_left()
{
    for early in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("ws://{}", listener.local_addr().expect("it has an address"));
        let options = ConnectOptions { early, ..ConnectOptions::default() };
        let dialer = Dialer::url(url, options);
        let cold = Client::connect_and_start(dialer, ClientConfig::default(), params(), Lag::ReadLater);
        let cutting = async {
            let (mut stream, _) = listener.accept().await.expect("the client dials");
            stream.read_u8().await.expect("it asks for an upgrade");
        };
        let (outcome, ()) = tokio::join!(cold, cutting);
        match failed(outcome) {
            ClientError::StartLost { source, .. } => {
                assert!(early && matches!(*source, ClientError::Dial(_)), "{source}");
            }
            error => assert!(!early && matches!(error, ClientError::Dial(_)), "{error}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_call_at_a_time_means_one_thing_after_the_other() {
    let mut network = Network::new();
    let mut config = ClientConfig::default();
    config.link.calls_in_flight = 1;
    let client = tokio::spawn(Client::connect_and_start(network.dialer(), config, params(), Lag::ReadLater));
    let mut server = network.accept().await;
    let initialize = server.request("initialize").await;
    assert!(server.is_silent().await || server.requested("process/start") == 0);
    server.answer(&initialize, initialized(EVERYTHING)).await;
    let start = server.request("process/start").await;
    server.answer(&start, json!({"processId": "p"})).await;
    tokio::time::timeout(Duration::from_secs(1), client)
        .await
        .expect("it was answered")
        .expect("no panic")
        .expect("there is a session")
        .1
        .expect("it was started");
}
