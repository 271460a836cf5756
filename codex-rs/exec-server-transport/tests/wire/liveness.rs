//! Who counts as gone and who as merely slow.

use std::time::Duration;

use codex_exec_server_transport::{
    AcceptPolicy, Connection, Liveness, Message, Peer, ReadError, Role, WireLimits,
};
use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, sleep, timeout};

use crate::support::{Server, soon};

/// A server's connection over memory, and the raw other end.
fn over_memory(buffer_bytes: usize) -> (Connection, DuplexStream) {
    let (ours, theirs) = duplex(buffer_bytes);
    (Connection::websocket_over(ours, Role::Server, Peer::Memory, &WireLimits::default()), theirs)
}

fn impatient() -> WireLimits {
    let liveness =
        Liveness { ping_interval: Duration::from_millis(50), silence_limit: Duration::from_millis(150) };
    WireLimits { liveness: Some(liveness), ..WireLimits::default() }
}

fn is_gone(read: &Option<Result<bytes::Bytes, ReadError>>) -> bool {
    matches!(read, Some(Err(ReadError::PeerGone { .. })))
}

#[tokio::test(start_paused = true)]
async fn a_half_open_connection_is_found_after_three_pings() {
    let (mut connection, mut peer) = over_memory(/*buffer_bytes*/ 1024);
    let begun = Instant::now();
    let read = connection.reader.next().await;
    assert!(
        matches!(read, Some(Err(ReadError::PeerGone { silent_for })) if silent_for == Duration::from_secs(15))
    );
    assert_eq!(begun.elapsed().as_secs(), 15);
    assert!(connection.reader.next().await.is_none());
    drop(connection);
    let mut seen = Vec::new();
    peer.read_to_end(&mut seen).await.unwrap();
    assert_eq!(seen, b"\x89\x00\x89\x00", "two pings without payload, and nothing else");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_falls_silent_in_mid_life_is_found_within_twenty_seconds() {
    let (mut connection, mut peer) = over_memory(/*buffer_bytes*/ 1024);
    let falls_silent = async {
        sleep(Duration::from_millis(7_300)).await;
        peer.write_all(b"\x81\x82\0\0\0\0hi").await.unwrap();
        Instant::now()
    };
    let (silent_since, first) = tokio::join!(falls_silent, connection.reader.next());
    assert_eq!(first.unwrap().unwrap(), "hi");
    assert!(is_gone(&connection.reader.next().await));
    assert!(silent_since.elapsed() <= Duration::from_secs(20), "{:?}", silent_since.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_sends_a_byte_of_a_frame_now_and_then_is_alive() {
    let (mut connection, mut peer) = over_memory(/*buffer_bytes*/ 1024);
    let trickle = async {
        for byte in b"\x81\x8a\0\0\0\x000123456789" {
            sleep(Duration::from_secs(14)).await;
            peer.write_all(&[*byte]).await.unwrap();
        }
    };
    let ((), read) = tokio::join!(trickle, connection.reader.next());
    assert_eq!(read.unwrap().unwrap(), "0123456789");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_answers_pings_is_alive_for_as_long_as_it_likes() {
    let (ours, theirs) = duplex(1024);
    let mut connection = Connection::websocket_over(ours, Role::Server, Peer::Memory, &WireLimits::default());
    let quiet = WireLimits { liveness: None, ..WireLimits::default() };
    let mut client = Connection::websocket_over(theirs, Role::Client, Peer::Memory, &quiet);
    let idle = timeout(Duration::from_secs(3600), async {
        tokio::select! {
            read = connection.reader.next() => panic!("{read:?}"),
            read = client.reader.next() => panic!("{read:?}"),
        }
    });
    assert!(idle.await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_slow_and_not_gone() {
    let (mut connection, mut peer) = over_memory(/*buffer_bytes*/ 64);
    let long = Message::text("x".repeat(10_000));
    let stalls_then_reads = async {
        sleep(Duration::from_secs(600)).await;
        let mut seen = vec![0; 4 + 10_000];
        peer.read_exact(&mut seen).await.unwrap();
        peer.write_all(b"\x81\x84\0\0\0\0back").await.unwrap();
    };
    let (sent, (), read) =
        tokio::join!(connection.writer.send(long), stalls_then_reads, connection.reader.next());
    sent.unwrap();
    assert_eq!(read.unwrap().unwrap(), "back");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_nobody_polled_blames_nobody() {
    let (mut connection, mut peer) = over_memory(/*buffer_bytes*/ 1024);
    sleep(Duration::from_secs(600)).await;
    let answer = async {
        let mut ping = [0; 2];
        peer.read_exact(&mut ping).await.unwrap();
        assert_eq!(&ping, b"\x89\x00");
        peer.write_all(b"\x8a\x80\0\0\0\0\x81\x82\0\0\0\0hi").await.unwrap();
    };
    let ((), read) = tokio::join!(answer, connection.reader.next());
    assert_eq!(read.unwrap().unwrap(), "hi");
}

#[tokio::test]
async fn a_silent_peer_on_a_real_socket_is_gone_although_its_kernel_acknowledges() {
    let mut server = Server::start(AcceptPolicy::default(), impatient()).await;
    let mut peer = server.upgraded_tcp().await;
    let mut connection = server.next().await;
    assert!(is_gone(&soon(connection.reader.next()).await));
    drop(connection);
    let mut seen = Vec::new();
    // It ends at once, with or without a reset: nobody is waited for.
    let _ = soon(peer.read_to_end(&mut seen)).await;
    // How many there is time for depends on how late this thread comes to it, but it is not given up without being asked.
    assert!(seen.starts_with(b"\x89\x00"), "{seen:?}");
}

#[tokio::test]
async fn a_peer_that_reads_late_on_a_real_socket_loses_nothing() {
    const MESSAGES: usize = 32;
    let mut server = Server::start(AcceptPolicy::default(), impatient()).await;
    let mut client = server.tungstenite().await;
    let mut connection = server.next().await;
    let writing = async {
        for _ in 0..MESSAGES {
            connection.writer.send(Message::text("x".repeat(1 << 20))).await.unwrap();
        }
    };
    let mut both = Box::pin(async { tokio::join!(writing, connection.reader.next()) });
    // The absence of an event takes time to see: ten times what a peer that is gone would get.
    assert!(timeout(Duration::from_millis(1_500), &mut both).await.is_err());
    let reading = async {
        let mut bytes = 0;
        while bytes < MESSAGES << 20 {
            bytes += match client.next().await.unwrap().unwrap() {
                tokio_tungstenite::tungstenite::Message::Text(text) => text.len(),
                _ => 0,
            };
        }
        drop(client);
    };
    let (((), end), ()) = soon(async { tokio::join!(both, reading) }).await;
    assert!(!is_gone(&end), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_whose_words_are_left_unread_on_purpose_is_pinged_and_not_blamed_for_silence() {
    let (mut connection, mut peer) = over_memory(/*buffer_bytes*/ 1024);
    peer.write_all(b"\x81\x82\0\0\0\0hi").await.unwrap();
    assert!(timeout(Duration::from_secs(60), connection.reader.watch()).await.is_err());
    let mut pings = [0; 22];
    peer.read_exact(&mut pings).await.unwrap();
    assert_eq!(pings, *b"\x89\x00".repeat(11), "one every five seconds");
    assert_eq!(connection.reader.next().await.unwrap().unwrap(), "hi");
}

#[tokio::test]
async fn a_silent_peer_on_a_real_socket_is_watched_by_what_its_kernel_acknowledges() {
    let mut server = Server::start(AcceptPolicy::default(), impatient()).await;
    let _peer = server.upgraded_tcp().await;
    let mut connection = server.next().await;
    // The absence of an event takes time to see: five times what a peer that is gone would get.
    assert!(timeout(Duration::from_millis(750), connection.reader.watch()).await.is_err());
    assert!(is_gone(&soon(connection.reader.next()).await), "asked for words, it has none");
}
