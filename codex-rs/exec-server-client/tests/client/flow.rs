//! A caller that is slower than the server: what waits, what goes on, and what is never lost.

use codex_exec_server_client::{ClientConfig, ExecProcessEvent, Lag, Proof, RemoteProcess};
use codex_exec_server_protocol::process::ProcessSignal;
use serde_json::json;

use crate::fake::{EVERYTHING, Network, Server, chunk, page, start, text};

/// Room for two chunks of four bytes.
fn little_room() -> ClientConfig {
    let mut config = ClientConfig::default();
    (config.process.ready_bytes, config.process.history_bytes) = (8, 8);
    config
}

#[tokio::test(start_paused = true)]
async fn what_a_slow_caller_has_no_room_for_is_read_later_and_nobody_else_waits() {
    let mut network = Network::new();
    let (client, mut server) = network.connect_with(EVERYTHING, little_room()).await;
    let (process, mut events) = start(&client, &mut server, Lag::ReadLater).await;
    for seq in 1..=20 {
        server.output(seq, &format!("{seq:04}")).await;
    }
    exchange(&process, &mut server).await;
    // The last two are here, and whoever gives up waiting for the others does not ask twice.
    for _ in 0..3 {
        tokio::select! {
            biased;
            event = events.next() => panic!("{event:?} came before it was read"),
            () = tokio::time::sleep(std::time::Duration::from_secs(1)) => {}
        }
    }
    let read = server.request("process/read").await;
    assert_eq!(read.params["afterSeq"], 0);
    // Pushed while the read is under way.
    server.output(/*seq*/ 21, "0021").await;
    let chunks: Vec<_> = (1..=19).map(|seq| chunk(seq, &format!("{seq:04}"))).collect();
    server.answer(&read, page(&chunks, /*next_seq*/ 20)).await;
    for seq in 1..=21 {
        assert_eq!(text(&mut events).await, format!("{seq:04}"));
    }
    server.output(/*seq*/ 22, "0022").await;
    assert_eq!(text(&mut events).await, "0022");
    server.exited(/*seq*/ 23).await;
    server.closed(/*seq*/ 24, &(1..=22).map(|seq| format!("{seq:04}")).collect::<String>()).await;
    assert!(matches!(events.next().await, Some(Ok(ExecProcessEvent::Exited { .. }))));
    let end = events.next().await;
    assert!(matches!(end, Some(Ok(ExecProcessEvent::Closed { proof: Proof::Checksum, .. }))), "{end:?}");
    assert_eq!(server.requested("process/read"), 1);
}

/// A call and its answer, by which time everything that was sent before was taken from the connection.
async fn exchange(process: &RemoteProcess, server: &mut Server) {
    let answering = async {
        let request = server.request("process/signal").await;
        server.answer(&request, json!({})).await;
    };
    let (signalled, ()) = tokio::join!(process.signal(ProcessSignal::Interrupt), answering);
    signalled.expect("it was answered");
}

#[tokio::test(start_paused = true)]
async fn a_held_connection_is_not_read_until_its_caller_has_room() {
    let mut network = Network::new();
    let (client, mut server) = network.connect_with(EVERYTHING, little_room()).await;
    let (_process, mut events) = start(&client, &mut server, Lag::HoldConnection).await;
    let mut sent = 0;
    // With paused time this fires when nothing moves any more.
    let is_stuck = || tokio::time::sleep(std::time::Duration::from_secs(1));
    loop {
        let text = format!("{:04}", sent + 1);
        tokio::select! {
            biased;
            () = server.output(sent + 1, &text) => sent += 1,
            () = is_stuck() => break,
        }
        assert!(sent < 20, "everything is taken");
    }
    // Two in the buffer, one in the reader's hand at most, two in the connection.
    assert!((4..=5).contains(&sent), "{sent}");
    for seq in 1..=sent {
        assert_eq!(text(&mut events).await, format!("{seq:04}"));
    }
    server.output(sent + 1, "more").await;
    assert_eq!(text(&mut events).await, "more");
}

#[tokio::test(start_paused = true)]
async fn a_held_connection_lets_the_answer_to_a_read_through() {
    let mut network = Network::new();
    let (client, mut server) = network.connect_with(EVERYTHING, little_room()).await;
    let (_process, mut events) = start(&client, &mut server, Lag::HoldConnection).await;
    // The first is missing: everything else has to wait for a read whose answer stands behind it all.
    for seq in 2..=12 {
        server.output(seq, &format!("{seq:04}")).await;
    }
    let read = server.request("process/read").await;
    assert_eq!(read.params["afterSeq"], 0);
    server.answer(&read, page(&[chunk(/*seq*/ 1, "0001")], /*next_seq*/ 2)).await;
    for seq in 1..=12 {
        assert_eq!(text(&mut events).await, format!("{seq:04}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_releases_the_connection() {
    let mut network = Network::new();
    let (client, mut server) = network.connect_with(EVERYTHING, little_room()).await;
    let (process, events) = start(&client, &mut server, Lag::HoldConnection).await;
    for seq in 1..=4 {
        server.output(seq, "0000").await;
    }
    drop(events);
    for seq in 5..=20 {
        server.output(seq, "0000").await;
    }
    let answering = async {
        let request = server.request("process/terminate").await;
        server.answer(&request, json!({"running": true, "survivors": 0})).await;
    };
    let (ended, ()) = tokio::join!(process.terminate(/*grace*/ None), answering);
    assert!(ended.expect("it was answered").running);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_an_event_in_vain_loses_none() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let (_process, mut events) = start(&client, &mut server, Lag::HoldConnection).await;
    for seq in 1..=5 {
        tokio::select! {
            biased;
            event = events.next() => panic!("{event:?} came before it was sent"),
            () = std::future::ready(()) => {}
        }
        server.output(seq, "x").await;
        assert!(matches!(events.next().await, Some(Ok(ExecProcessEvent::Output { .. }))));
    }
}
