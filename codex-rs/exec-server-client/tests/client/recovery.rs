//! Connections that are lost: what is resumed, what is sent again, and when it is given up.

use std::time::Duration;

use codex_exec_server_client::{
    ClientConfig, ClientError, ExecProcessEvent, Lag, ProcessError, Proof, RequestError, StartError, Status,
};
use codex_exec_server_protocol::ids::Seq;
use codex_exec_server_protocol::process::ProcessSignal;
use codex_exec_server_protocol::session::TAKEN_OVER;
use codex_exec_server_transport::close_code;
use serde_json::json;
use tokio::time::Instant;

use crate::fake::{
    EVERYTHING, Network, chunk, initialized, no_process, page, params, start, starting_as, text,
};

#[tokio::test(start_paused = true)]
async fn what_was_missed_is_read_and_comes_before_what_was_pushed_meanwhile() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let (_process, mut events) = start(&client, &mut server, Lag::HoldConnection).await;
    server.output(/*seq*/ 1, "a").await;
    assert_eq!(text(&mut events).await, "a");
    drop(server);

    let mut server = network.accept_resumption(EVERYTHING).await;
    let read = server.request("process/read").await;
    assert_eq!(read.params["afterSeq"], 1);
    server.output(/*seq*/ 4, "d").await;
    server.output(/*seq*/ 4, "d").await;
    server
        .answer(
            &read,
            page(&[chunk(/*seq*/ 2, "b"), chunk(/*seq*/ 3, "c"), chunk(/*seq*/ 4, "d")], /*next_seq*/ 5),
        )
        .await;
    for expected in ["b", "c", "d"] {
        assert_eq!(text(&mut events).await, expected);
    }
    server.output(/*seq*/ 5, "e").await;
    server.exited(/*seq*/ 6).await;
    server.closed(/*seq*/ 7, "abcde").await;
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
    server.answer(&read, page(&[chunk(/*seq*/ 1, "a")], /*next_seq*/ 2)).await;
    // A page with output says nothing of what comes behind it.
    let read = server.request("process/read").await;
    assert_eq!(read.params["afterSeq"], 1);
    let mut end = page(&[], /*next_seq*/ 4);
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
    let mut rest = page(&[chunk(/*seq*/ 9, "z")], /*next_seq*/ 10);
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
        server.refuse(&request, /*code*/ -32010).await;
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
async fn a_session_that_was_taken_over_is_not_taken_back() {
    let mut network = Network::new();
    let (client, server) = network.connect(EVERYTHING).await;
    let mut status = client.status();
    status.now();
    server.close(close_code::POLICY, TAKEN_OVER).await;
    let Status::Failed(failure) = status.changed().await else { panic!("it goes on") };
    assert!(matches!(&failure, ClientError::TakenOver(words) if &**words == TAKEN_OVER), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn the_code_of_a_takeover_with_other_words_or_its_words_with_another_code_are_a_lost_connection() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let mut status = client.status();
    status.now();
    for (code, words) in [
        (close_code::POLICY, "too many connections from this address"),
        (close_code::POLICY, ""),
        (close_code::GOING_AWAY, TAKEN_OVER),
    ] {
        server.close(code, words).await;
        assert!(matches!(status.changed().await, Status::Recovering { .. }), "{code} {words:?}");
        server = network.accept_resumption(EVERYTHING).await;
        assert!(matches!(status.changed().await, Status::Connected), "{code} {words:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_session_fails_everything_with_one_error() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let (process, mut events) = start(&client, &mut server, Lag::HoldConnection).await;
    server.output(/*seq*/ 1, "a").await;
    drop(server);
    let mut server = network.accept().await;
    let request = server.request("initialize").await;
    server.refuse(&request, /*code*/ -32600).await;
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
async fn output_that_differs_from_the_servers_account_is_a_fault() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let (_process, mut events) = start(&client, &mut server, Lag::HoldConnection).await;
    server.output(/*seq*/ 1, "abc").await;
    server.exited(/*seq*/ 2).await;
    server.closed(/*seq*/ 3, "abd").await;
    assert_eq!(text(&mut events).await, "abc");
    assert!(matches!(events.next().await, Some(Ok(ExecProcessEvent::Exited { .. }))));
    let failure = events.next().await.expect("an event").expect_err("it does not add up");
    assert!(matches!(failure, ProcessError::Incomplete { what: "crc32c", .. }), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_not_used_before_every_process_is_caught_up() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let (process, mut events) = start(&client, &mut server, Lag::HoldConnection).await;
    server.output(/*seq*/ 1, "a").await;
    drop(server);
    let signalling = tokio::spawn(async move { process.signal(ProcessSignal::Interrupt).await });
    let mut server = network.accept().await;
    // Everything comes at once: whoever waits for an answer before the next question costs a round trip.
    let initialize = server.request("initialize").await;
    server.notification("initialized").await;
    let read = server.request("process/read").await;
    server.answer(&initialize, initialized(EVERYTHING)).await;
    server.answer(&read, page(&[chunk(/*seq*/ 2, "b")], /*next_seq*/ 3)).await;
    let read = server.request("process/read").await;
    assert_eq!((&read.params["afterSeq"], server.requested("process/signal")), (&json!(2), 0));
    server.answer(&read, page(&[], /*next_seq*/ 3)).await;
    let signal = server.request("process/signal").await;
    server.answer(&signal, json!({})).await;
    signalling.await.expect("no panic").expect("it was answered");
    assert_eq!(text(&mut events).await, "a");
    assert_eq!(text(&mut events).await, "b");
    // Nothing was missed since, so nothing is read again.
    server.output(/*seq*/ 3, "c").await;
    server.exited(/*seq*/ 4).await;
    server.closed(/*seq*/ 5, "abc").await;
    assert_eq!(text(&mut events).await, "c");
    while events.next().await.is_some() {}
    assert_eq!(server.requested("process/read"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_while_it_catches_up_is_replaced_and_nothing_is_read_twice() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let (_process, mut events) = start(&client, &mut server, Lag::HoldConnection).await;
    drop(server);
    for seq in 1..=3 {
        let mut server = network.accept_resumption(EVERYTHING).await;
        let read = server.request("process/read").await;
        assert_eq!(read.params["afterSeq"], seq - 1);
        server.answer(&read, page(&[chunk(seq, "x")], seq + 1)).await;
        server.request("process/read").await;
    }
    let mut server = network.accept_resumption(EVERYTHING).await;
    server.nothing_missed(/*seq*/ 3).await;
    for _ in 1..=3 {
        assert_eq!(text(&mut events).await, "x");
    }
    server.output(/*seq*/ 4, "y").await;
    assert_eq!(text(&mut events).await, "y");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_the_server_has_forgotten_fails_alone() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let (_process, mut events) = start(&client, &mut server, Lag::ReadLater).await;
    let other = starting_as(&client, "q");
    let request = server.request("process/start").await;
    server.answer(&request, json!({"processId": "q"})).await;
    let (_other, mut others) = other.await.expect("no panic").expect("it was answered");
    drop(server);
    let mut server = network.accept_resumption(EVERYTHING).await;
    for _ in 0..2 {
        let read = server.request("process/read").await;
        if read.params["processId"] == "p" {
            server.refuse(&read, /*code*/ -32600).await;
        } else {
            server.answer(&read, page(&[chunk(/*seq*/ 1, "q")], /*next_seq*/ 2)).await;
        }
    }
    server.request("process/read").await;
    let failure = events.next().await.expect("an event").expect_err("it is gone");
    assert!(matches!(failure, ProcessError::Forgotten { .. }), "{failure}");
    assert_eq!(text(&mut others).await, "q");
}

#[tokio::test(start_paused = true)]
async fn a_busy_process_can_not_hold_up_the_answer_to_initialize() {
    let mut network = Network::new();
    let mut config = ClientConfig::default();
    config.process.ready_bytes = 8;
    let (client, mut server) = network.connect_with(EVERYTHING, config).await;
    let (_process, mut events) = start(&client, &mut server, Lag::HoldConnection).await;
    server.output(/*seq*/ 1, "0001").await;
    drop(server);
    let mut server = network.accept().await;
    let initialize = server.request("initialize").await;
    // Nobody takes any of it.
    for seq in 2..=200 {
        server.output(seq, &format!("{seq:04}")).await;
    }
    server.answer(&initialize, initialized(EVERYTHING)).await;
    let read = server.request("process/read").await;
    for seq in 201..=400 {
        server.output(seq, &format!("{seq:04}")).await;
    }
    server.answer(&read, page(&[], /*next_seq*/ 201)).await;
    let mut status = client.status();
    while !matches!(status.now(), Status::Connected) {
        status.changed().await;
    }
    for seq in 1..=400 {
        assert_eq!(text(&mut events).await, format!("{seq:04}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_the_connection_over_questions_in_advance_is_asked_in_turn() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let (_process, _events) = start(&client, &mut server, Lag::ReadLater).await;
    drop(server);
    let mut server = network.accept().await;
    server.notification("initialized").await;
    drop(server);
    let mut server = network.accept().await;
    let initialize = server.request("initialize").await;
    assert!(server.is_silent().await, "it was asked one thing");
    server.refuse(&initialize, /*code*/ -32600).await;
    let mut status = client.status();
    let failure = loop {
        match status.now() {
            Status::Failed(error) => break error,
            _ => drop(status.changed().await),
        }
    };
    assert!(matches!(failure, ClientError::SessionLost { .. }), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn the_time_left_is_told_and_begins_anew_when_there_is_progress() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let (_process, mut events) = start(&client, &mut server, Lag::ReadLater).await;
    let mut status = client.status();
    status.now();
    let lost_at = Instant::now();
    drop(server);
    let Status::Recovering { until } = status.changed().await else { panic!("it was lost") };
    assert_eq!(until - lost_at, Duration::from_secs(45));
    // The server answers late, but it answers.
    let mut server = network.accept_resumption(EVERYTHING).await;
    let read = server.request("process/read").await;
    tokio::time::sleep(Duration::from_secs(40)).await;
    server.answer(&read, page(&[chunk(/*seq*/ 1, "a")], /*next_seq*/ 2)).await;
    assert_eq!(text(&mut events).await, "a");
    let read = server.request("process/read").await;
    tokio::time::sleep(Duration::from_secs(40)).await;
    server.answer(&read, page(&[], /*next_seq*/ 2)).await;
    while !matches!(status.changed().await, Status::Connected) {}
    assert_eq!(lost_at.elapsed(), Duration::from_secs(80));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_dies_in_any_state_of_a_recovery_is_dialled_again() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let (_process, mut events) = start(&client, &mut server, Lag::ReadLater).await;
    server.output(/*seq*/ 1, "a").await;
    assert_eq!(text(&mut events).await, "a");
    drop(server);
    // Before a word, after a question, after an answer, after a read, half-open until it is not waited for any longer.
    drop(network.accept().await);
    let mut server = network.accept().await;
    server.request("initialize").await;
    drop(server);
    drop(network.accept_resumption(EVERYTHING).await);
    let mut server = network.accept_resumption(EVERYTHING).await;
    server.request("process/read").await;
    drop(server);
    let half_open = network.accept().await;
    let mut server = network.accept_resumption(EVERYTHING).await;
    drop(half_open);
    server.nothing_missed(/*seq*/ 1).await;
    server.output(/*seq*/ 2, "b").await;
    assert_eq!(text(&mut events).await, "b");
}
