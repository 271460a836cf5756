//! What a server that keeps output for its client's readers is told of them, and when.

use codex_exec_server_client::{Client, ClientConfig, ExecProcessEvent, Lag, ProcessError};
use codex_exec_server_protocol::ids::Seq;
use serde_json::json;

use crate::fake::{EVERYTHING, Network, Server, chunk, initialized, page, start, starting_as, text};

fn flags() -> Vec<&'static str> {
    [EVERYTHING, &["outputWindow"]].concat()
}

/// A window of 3,072 bytes, so that something is said after 768.
fn little_room() -> ClientConfig {
    let mut config = ClientConfig::default();
    (config.process.ready_bytes, config.process.history_bytes) = (4_096, 0);
    config
}

/// Output that costs 384 bytes: two of it are a quarter of the window.
const TEXT: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
                    0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

async fn output(server: &mut Server, seqs: impl IntoIterator<Item = u64>) {
    for seq in seqs {
        server.output(seq, TEXT).await;
    }
}

async fn connect(network: &mut Network) -> (Client, Server) {
    network.connect_with(&flags(), little_room()).await
}

#[tokio::test(start_paused = true)]
async fn a_client_announces_how_much_it_takes_ahead_of_its_readers() {
    let mut network = Network::new();
    let connecting = Client::connect(network.dialer(), little_room());
    let serving = async {
        let mut server = network.accept().await;
        let request = server.request("initialize").await;
        assert_eq!(request.params["capabilities"]["outputWindowBytes"], 3_072);
        server.answer(&request, json!({"sessionId": "s"})).await;
        server
    };
    let (client, _server) = tokio::join!(connecting, serving);
    client.expect("it was answered");
}

#[tokio::test(start_paused = true)]
async fn it_is_said_now_and_then_how_far_a_reader_is() {
    let mut network = Network::new();
    let (client, mut server) = connect(&mut network).await;
    let (_process, mut events) = start(&client, &mut server, Lag::ReadLater).await;
    output(&mut server, 1..=5).await;
    assert!(server.is_silent().await, "nobody has read anything");
    assert_eq!(text(&mut events).await, TEXT);
    assert!(server.is_silent().await);
    assert_eq!(text(&mut events).await, TEXT);
    assert_eq!(server.notification("process/ack").await, json!({"processId": "p", "throughSeq": 2}));
    for _ in 3..=4 {
        text(&mut events).await;
    }
    assert_eq!(server.notification("process/ack").await["throughSeq"], 4);
    text(&mut events).await;
    assert!(server.is_silent().await);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_want_to_know_is_told_nothing() {
    let mut network = Network::new();
    let (client, mut server) = network.connect_with(EVERYTHING, little_room()).await;
    let (process, mut events) = start(&client, &mut server, Lag::ReadLater).await;
    output(&mut server, 1..=5).await;
    for _ in 1..=5 {
        text(&mut events).await;
    }
    drop((process, events));
    server.output(/*seq*/ 6, TEXT).await;
    assert!(server.is_silent().await);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stands_still_keeps_what_it_has_to_read_and_holds_up_no_other() {
    let mut network = Network::new();
    let (client, mut server) = connect(&mut network).await;
    let (process, mut quick) = start(&client, &mut server, Lag::ReadLater).await;
    let mut still = process.subscribe(Seq::START, Lag::ReadLater);
    output(&mut server, 1..=2).await;
    for _ in 1..=2 {
        text(&mut quick).await;
    }
    let said = json!({"processId": "p", "throughSeq": 0, "afterSeq": 2});
    assert_eq!(server.notification("process/ack").await, said);
    for _ in 1..=2 {
        text(&mut still).await;
    }
    assert_eq!(server.notification("process/ack").await, json!({"processId": "p", "throughSeq": 2}));
}

#[tokio::test(start_paused = true)]
async fn without_a_reader_what_comes_is_taken() {
    let mut network = Network::new();
    let (client, mut server) = connect(&mut network).await;
    let (_process, events) = start(&client, &mut server, Lag::ReadLater).await;
    output(&mut server, 1..=2).await;
    assert!(server.is_silent().await);
    drop(events);
    assert_eq!(server.notification("process/ack").await["throughSeq"], 2);
    output(&mut server, 3..=4).await;
    assert_eq!(server.notification("process/ack").await["throughSeq"], 4);
}

#[tokio::test(start_paused = true)]
async fn of_a_process_that_was_given_up_it_is_said_once_that_nobody_reads_it() {
    let mut network = Network::new();
    let (client, mut server) = connect(&mut network).await;
    let (process, events) = start(&client, &mut server, Lag::ReadLater).await;
    server.output(/*seq*/ 1, TEXT).await;
    drop((process, events));
    assert_eq!(server.notification("process/ack").await, json!({"processId": "p"}));
    output(&mut server, 2..=9).await;
    assert!(server.is_silent().await);
    // Whoever takes it up again says so.
    let adopting = client.adopt("p".into(), Seq(9), Lag::ReadLater);
    let serving = async {
        let read = server.request("process/read").await;
        server.answer(&read, page(&[], /*next_seq*/ 10)).await;
        server.notification("process/ack").await
    };
    let (adopted, said) = tokio::join!(adopting, serving);
    assert_eq!(said, json!({"processId": "p", "throughSeq": 9}));
    let (_process, mut events) = adopted.expect("it is there");
    server.output(/*seq*/ 10, TEXT).await;
    assert_eq!(text(&mut events).await, TEXT);
}

#[tokio::test(start_paused = true)]
async fn output_of_a_process_that_nobody_asked_for_is_refused_once() {
    let mut network = Network::new();
    let (_client, mut server) = connect(&mut network).await;
    output(&mut server, 1..=3).await;
    assert_eq!(server.notification("process/ack").await, json!({"processId": "p"}));
    assert!(server.is_silent().await);
}

#[tokio::test(start_paused = true)]
async fn over_a_new_connection_it_is_said_at_once_what_is_here_and_what_was_read() {
    let mut network = Network::new();
    let (client, mut server) = connect(&mut network).await;
    let (_process, mut events) = start(&client, &mut server, Lag::ReadLater).await;
    output(&mut server, 1..=3).await;
    text(&mut events).await;
    assert!(server.is_silent().await);
    drop(server);
    let mut server = network.accept().await;
    // With the question for the session, and before anything is asked about the process, which is not asked for output.
    let initialize = server.request("initialize").await;
    let said = server.notification("process/ack").await;
    assert_eq!(said, json!({"processId": "p", "throughSeq": 1, "afterSeq": 3}));
    assert_eq!(server.requested("process/read"), 0);
    let read = server.request("process/read").await;
    assert_eq!(read.params["afterSeq"], Seq::END.0);
    server.answer(&initialize, initialized(&flags())).await;
    server.output(/*seq*/ 4, TEXT).await;
    server.answer(&read, page(&[], /*next_seq*/ 5)).await;
    for _ in 2..=3 {
        text(&mut events).await;
    }
    assert_eq!(server.notification("process/ack").await["throughSeq"], 3);
    assert_eq!(text(&mut events).await, TEXT);
    assert_eq!(server.requested("process/read"), 1, "nothing is read");
}

#[tokio::test(start_paused = true)]
async fn what_was_dropped_before_what_is_pushed_over_a_new_connection_is_a_gap_of_known_size() {
    let mut network = Network::new();
    let (client, mut server) = connect(&mut network).await;
    let (_process, mut events) = start(&client, &mut server, Lag::ReadLater).await;
    server.output(/*seq*/ 1, TEXT).await;
    text(&mut events).await;
    drop(server);
    let mut server = network.accept_resumption(&flags()).await;
    let read = server.request("process/read").await;
    server.output(/*seq*/ 7, TEXT).await;
    server.answer(&read, page(&[], /*next_seq*/ 8)).await;
    // Only a read tells what happened to the others.
    let read = server.request("process/read").await;
    assert_eq!(read.params["afterSeq"], 1);
    let mut rest = page(&[chunk(/*seq*/ 7, TEXT)], /*next_seq*/ 8);
    rest["dropped"] = json!({"throughSeq": 6, "bytes": 800});
    server.answer(&read, rest).await;
    let gap = events.next().await.expect("an event").expect("no failure");
    assert_eq!(gap, ExecProcessEvent::Gap { through: Seq(6), bytes: Some(800 - TEXT.len() as u64) });
    assert_eq!(text(&mut events).await, TEXT);
}

#[tokio::test(start_paused = true)]
async fn of_processes_that_are_pushed_on_one_that_was_forgotten_fails_alone() {
    let mut network = Network::new();
    let (client, mut server) = connect(&mut network).await;
    let (_process, mut events) = start(&client, &mut server, Lag::ReadLater).await;
    let other = starting_as(&client, "q");
    let request = server.request("process/start").await;
    server.answer(&request, json!({"processId": "q"})).await;
    let (_other, mut others) = other.await.expect("no panic").expect("it was answered");
    drop(server);
    let mut server = network.accept_resumption(&flags()).await;
    for _ in 0..2 {
        let read = server.request("process/read").await;
        if read.params["processId"] == "q" {
            server.refuse(&read, /*code*/ -32600).await;
        } else {
            server.answer(&read, page(&[], /*next_seq*/ 1)).await;
        }
    }
    let failure = others.next().await.expect("an event").expect_err("it is gone");
    assert!(matches!(failure, ProcessError::Forgotten { .. }), "{failure}");
    server.output(/*seq*/ 1, TEXT).await;
    assert_eq!(text(&mut events).await, TEXT);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_ends_before_what_was_had_of_it_is_a_fault() {
    let mut network = Network::new();
    let (client, mut server) = connect(&mut network).await;
    let (_process, mut events) = start(&client, &mut server, Lag::ReadLater).await;
    output(&mut server, 1..=2).await;
    for _ in 1..=2 {
        text(&mut events).await;
    }
    drop(server);
    let mut server = network.accept_resumption(&flags()).await;
    let read = server.request("process/read").await;
    server.answer(&read, page(&[], /*next_seq*/ 2)).await;
    let failure = events.next().await.expect("an event").expect_err("it is not the same log");
    assert!(matches!(failure, ProcessError::Inconsistent { tip: Seq(1), .. }), "{failure}");
}
