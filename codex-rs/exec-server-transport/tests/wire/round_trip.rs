//! One case, over every transport.

use bytes::Bytes;
use codex_exec_server_transport::client::{ConnectOptions, connect, from_stdio};
use codex_exec_server_transport::{
    AcceptPolicy, Connection, ListenUrl, Listener, Message, MessageKind, Peer, PeerKind, Received,
    WireLimits, WriteError, memory,
};
use tokio::io::duplex;

use crate::support::{Server, soon};

/// Some texts are shorter, and some have many; in one of them a piece ends within a character.
const PIECE_BYTES: usize = 10_001;

/// Messages of every size class go both ways at once and arrive as they were, in order.
async fn check(mut left: Connection, mut right: Connection) {
    let carries_binary = left.peer.kind() != PeerKind::Lines;
    let mut messages: Vec<Message> = [1, 125, 126, 65_535, 65_536, 300_000, 3_000_000]
        .into_iter()
        .map(|size| Message::text("ü".repeat(size / 2) + "x"))
        .collect();
    messages.extend((0..500).map(|at| Message::text(format!("{{\"id\":{at}}}"))));
    if carries_binary {
        messages.push(Message::binary(vec![0, 10, 255]));
        messages.extend([100, 70_000, 3_000_000].map(|size| Message::binary(vec![7; size])));
        messages.push(Message::binary(Vec::new()));
    }
    // Each text goes twice, the second time in pieces.
    let times = |message: &Message| if matches!(message, Message::Text(_)) { 2 } else { 1 };
    let expected: Vec<Received> = messages
        .iter()
        .flat_map(|message| std::iter::repeat_n(message.clone(), times(message)))
        .map(received)
        .collect();

    let sender = messages.clone();
    let write = async |end: &mut codex_exec_server_transport::MessageWriter| {
        assert_eq!(end.carries_binary(), carries_binary);
        for message in &sender {
            match message {
                Message::Text(text) => {
                    end.feed(message.clone()).await.unwrap();
                    let pieces = text.as_bytes().chunks(PIECE_BYTES).map(Bytes::copy_from_slice);
                    end.feed_known_text(pieces.collect()).await.unwrap();
                }
                Message::Binary(bytes) => {
                    let (head, payload) = bytes.split_at(bytes.len().min(2));
                    end.feed_binary(head, bytes.slice_ref(payload)).await.unwrap();
                }
            }
        }
        if !carries_binary {
            let refused = end.feed_binary(b"head", Bytes::from_static(b"payload")).await;
            assert!(matches!(refused, Err(WriteError::BinaryOnLines)));
        }
        end.flush().await.unwrap();
    };
    let read = async |end: &mut codex_exec_server_transport::MessageReader| {
        let mut all = Vec::new();
        while all.len() < expected.len() {
            all.push(end.next_message().await.unwrap().unwrap());
        }
        all
    };
    let ((), (), at_right, at_left) = soon(async {
        tokio::join!(
            write(&mut left.writer),
            write(&mut right.writer),
            read(&mut right.reader),
            read(&mut left.reader)
        )
    })
    .await;
    assert!(at_right == expected && at_left == expected);

    let (goodbye, end) = tokio::join!(left.writer.close(/*code*/ 1000, "done"), soon(right.reader.next()));
    let () = goodbye;
    assert!(end.is_none());
    if left.peer.kind() != PeerKind::Lines {
        let reason = right.reader.close_reason().unwrap();
        assert_eq!((reason.code, reason.reason.as_str()), (1000, "done"));
    }
}

fn received(message: Message) -> Received {
    match message {
        Message::Text(text) => Received { kind: MessageKind::Text, bytes: text.into() },
        Message::Binary(bytes) => Received { kind: MessageKind::Binary, bytes },
    }
}

#[tokio::test]
async fn messages_cross_a_websocket_over_tcp() {
    let mut server = Server::open().await;
    let client = soon(connect(&server.url, &ConnectOptions::default())).await.unwrap();
    let connection = server.next().await;
    assert_eq!(client.peer.to_string(), server.address());
    assert!(matches!(connection.peer, Peer::Tcp(address) if address.ip().is_loopback()));
    check(client, connection).await;
}

#[tokio::test]
async fn messages_cross_a_websocket_over_a_unix_socket() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("unix://{}/s.sock", directory.path().display());
    let mut server = Server::start_at(&url, AcceptPolicy::default(), WireLimits::default()).await;
    assert_eq!(server.url, url);
    let client = soon(connect(&url, &ConnectOptions::default())).await.unwrap();
    let connection = server.next().await;
    assert_eq!((client.peer.to_string(), connection.peer), ("unix".to_owned(), Peer::Unix));
    check(connection, client).await;
}

#[tokio::test]
async fn messages_cross_a_pair_of_pipes() {
    let (to_child, child_stdin) = duplex(8 * 1024);
    let (child_stdout, from_child) = duplex(8 * 1024);
    let limits = WireLimits::default();
    let client = from_stdio(to_child, from_child, &limits);
    let server = Connection::from_lines(child_stdin, child_stdout, &limits);
    assert_eq!(server.peer.to_string(), "stdio");
    check(client, server).await;
}

#[tokio::test]
async fn messages_cross_memory() {
    let (left, right) = memory::pair();
    assert_eq!(left.peer.to_string(), "memory");
    check(left, right).await;
}

#[tokio::test]
async fn stdio_is_one_connection_and_no_more() {
    let mut listener =
        Listener::bind(&ListenUrl::Stdio, AcceptPolicy::default(), WireLimits::default()).await.unwrap();
    assert_eq!(listener.local_url(), "stdio");
    assert_eq!(listener.accept().await.unwrap().peer, Peer::Stdio);
    assert!(listener.accept().await.is_none());
}
