//! How connections end, and how each side learns why.

use std::time::Duration;

use codex_exec_server_transport::client::{ConnectOptions, connect};
use codex_exec_server_transport::{
    AcceptPolicy, Connection, Message, Peer, ReadError, Role, WireLimits, WriteError, memory,
};
use futures_util::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;

use crate::support::{PATIENCE, Server, soon};

#[tokio::test]
async fn a_close_from_us_arrives_behind_everything_that_was_fed() {
    let mut server = Server::open().await;
    let mut client = server.tungstenite().await;
    let mut connection = server.next().await;
    for at in 0..100 {
        connection.writer.feed(Message::text(at.to_string())).await.unwrap();
    }
    drop(connection.reader);
    let read = async move {
        let mut texts = 0;
        loop {
            match client.next().await.unwrap().unwrap() {
                tungstenite::Message::Text(text) => {
                    assert_eq!(text, texts.to_string());
                    texts += 1;
                }
                tungstenite::Message::Close(frame) => return (texts, frame.unwrap()),
                other => panic!("{other:?}"),
            }
        }
    };
    let ((), (texts, frame)) = soon(async { tokio::join!(connection.writer.close(1001, "bye"), read) }).await;
    assert_eq!(texts, 100);
    assert_eq!(frame, CloseFrame { code: CloseCode::Away, reason: "bye".into() });
    assert!(matches!(connection.writer.send(Message::text("late")).await, Err(WriteError::Closed)));
}

#[tokio::test]
async fn our_close_is_not_lost_on_a_peer_that_is_still_sending() {
    // On a busy machine, sending takes its time.
    let limits = WireLimits { close_timeout: PATIENCE, liveness: None, ..WireLimits::default() };
    let mut server = Server::start(AcceptPolicy::default(), limits).await;
    let mut client = server.tungstenite().await;
    let mut connection = server.next().await;
    // More than the sockets hold, so that it cannot all be on its way before the close.
    let peer = async move {
        for _ in 0..64 {
            if client.send(tungstenite::Message::binary(vec![0; 1024 * 1024])).await.is_err() {
                break;
            }
        }
        client.next().await
    };
    drop(connection.reader);
    let ((), last) = soon(async { tokio::join!(connection.writer.close(1001, "stopping"), peer) }).await;
    match last {
        Some(Ok(tungstenite::Message::Close(Some(frame)))) => assert_eq!(frame.reason, "stopping"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_close_from_the_peer_ends_the_reader_and_is_answered() {
    let mut server = Server::open().await;
    let mut client = server.tungstenite().await;
    let mut connection = server.next().await;
    client.send(tungstenite::Message::text("last words")).await.unwrap();
    let frame = CloseFrame { code: CloseCode::Library(4001), reason: "had enough".into() };
    client.send(tungstenite::Message::Close(Some(frame.clone()))).await.unwrap();
    assert_eq!(soon(connection.reader.next()).await.unwrap().unwrap(), "last words");
    assert!(soon(connection.reader.next()).await.is_none());
    let reason = connection.reader.close_reason().unwrap();
    assert_eq!((reason.code, reason.reason.as_str()), (4001, "had enough"));
    assert!(matches!(connection.writer.send(Message::text("late")).await, Err(WriteError::Closed)));
    assert_eq!(soon(client.next()).await.unwrap().unwrap(), tungstenite::Message::Close(Some(frame)));
    assert!(soon(client.next()).await.is_none());
}

#[tokio::test]
async fn both_sides_may_close_at_once() {
    let mut server = Server::open().await;
    let mut client = soon(connect(&server.url, &ConnectOptions::default())).await.unwrap();
    let mut connection = server.next().await;
    let ((), (), at_server, at_client) = soon(async {
        tokio::join!(
            connection.writer.close(1001, "server"),
            client.writer.close(1000, "client"),
            connection.reader.next(),
            client.reader.next()
        )
    })
    .await;
    assert!(at_server.is_none() && at_client.is_none());
    assert_eq!(client.reader.close_reason().unwrap().reason, "server");
    assert_eq!(connection.reader.close_reason().unwrap().reason, "client");
}

#[tokio::test]
async fn a_connection_that_just_ends_is_an_error_and_not_a_goodbye() {
    let mut server = Server::open().await;
    let mut stream = server.upgraded_tcp().await;
    // In the middle of a frame.
    stream.write_all(b"\x81\x85\0\0\0\0he").await.unwrap();
    let mut connection = server.next().await;
    drop(stream);
    assert!(matches!(soon(connection.reader.next()).await, Some(Err(ReadError::Disconnected))));
    assert!(connection.reader.next().await.is_none());
    assert!(connection.reader.close_reason().is_none());
    assert!(matches!(connection.writer.send(Message::text("late")).await, Err(WriteError::Closed)));

    let (mut left, right) = memory::pair();
    drop(right);
    assert!(matches!(left.reader.next().await, Some(Err(ReadError::Disconnected))));
    assert!(left.reader.next().await.is_none());
    assert!(matches!(left.writer.send(Message::text("late")).await, Err(WriteError::Closed)));
}

#[tokio::test]
async fn a_writer_that_waits_learns_that_the_connection_is_over() {
    let mut server = Server::open().await;
    let client = server.upgraded_tcp().await;
    let mut connection = server.next().await;
    let stuck = async {
        loop {
            if let Err(error) = connection.writer.send(Message::text("x".repeat(1 << 20))).await {
                return error;
            }
        }
    };
    let hang_up = async {
        drop(client);
        connection.reader.next().await
    };
    let (error, _) = soon(async { tokio::join!(stuck, hang_up) }).await;
    assert!(matches!(error, WriteError::Closed | WriteError::Io(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn closing_a_peer_that_neither_reads_nor_answers_takes_no_longer_than_its_limit() {
    let (ours, _theirs) = tokio::io::duplex(16);
    let limits = WireLimits { close_timeout: Duration::from_secs(2), ..WireLimits::default() };
    let mut connection = Connection::websocket_over(ours, Role::Server, Peer::Memory, &limits);
    connection.writer.feed(Message::text("x".repeat(1000))).await.unwrap();
    let begun = tokio::time::Instant::now();
    let ((), end) = tokio::join!(connection.writer.close(/*code*/ 1000, ""), connection.reader.next());
    assert!(end.is_none());
    assert_eq!(begun.elapsed().as_secs(), 2);
}

#[tokio::test]
async fn reading_can_be_cancelled_at_any_byte_without_losing_a_message() {
    let (ours, mut theirs) = tokio::io::duplex(1024);
    let mut connection = Connection::websocket_over(ours, Role::Server, Peer::Memory, &WireLimits::default());
    let bytes =
        b"\x81\x83\0\0\0\0one\x89\x80\0\0\0\0\x01\x82\0\0\0\0tw\x80\x81\0\0\0\0o\x88\x82\0\0\0\0\x03\xe8";
    let mut messages = Vec::new();
    let mut ended = false;
    for byte in bytes {
        theirs.write_all(&[*byte]).await.unwrap();
        tokio::select! {
            biased;
            read = connection.reader.next() => match read {
                Some(message) => messages.push(message.unwrap()),
                None => ended = true,
            },
            () = tokio::task::yield_now() => {}
        }
    }
    assert_eq!(messages, ["one", "two"]);
    assert!(ended);
}
