//! Peers that do not read, and readers and writers that must not wait for each other.

use bytes::Bytes;
use codex_exec_server_transport::client::{ConnectOptions, connect};
use codex_exec_server_transport::{Connection, Leeway, Message, Peer, Role, WireLimits, memory};
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite;

use crate::support::{Server, soon};

/// Requests that one side sends before it reads a single answer.
const PIPELINED: usize = 4_000;
/// Bytes of each answer: together far more than any socket holds.
const ANSWER_BYTES: usize = 16 * 1024;

/// Reads all requests although no answer can leave, then sends all answers.
async fn answer_everything(mut server: Connection, all_read: oneshot::Sender<()>) -> Connection {
    let writing = async {
        for _ in 0..PIPELINED {
            server.writer.feed(Message::text("a".repeat(ANSWER_BYTES))).await.unwrap();
        }
        server.writer.flush().await.unwrap();
    };
    let reading = async {
        for at in 0..PIPELINED {
            let request = server.reader.next().await.unwrap().unwrap();
            assert_eq!(request, at.to_string());
        }
        all_read.send(()).unwrap();
    };
    tokio::join!(writing, reading);
    server
}

async fn pipeline(mut client: Connection, server: Connection) {
    let (all_read, wait_until_all_read) = oneshot::channel();
    let server = tokio::spawn(answer_everything(server, all_read));
    for at in 0..PIPELINED {
        client.writer.feed(Message::text(at.to_string())).await.unwrap();
    }
    client.writer.flush().await.unwrap();
    soon(wait_until_all_read).await.unwrap();
    for _ in 0..PIPELINED {
        assert_eq!(soon(client.reader.next()).await.unwrap().unwrap().len(), ANSWER_BYTES);
    }
    soon(server).await.unwrap();
}

#[tokio::test]
async fn thousands_of_requests_are_read_while_no_answer_can_leave_a_websocket() {
    let mut server = Server::open().await;
    let client = soon(connect(&server.url, &ConnectOptions::default())).await.unwrap();
    pipeline(client, server.next().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_requests_are_read_while_no_answer_can_leave_a_websocket_with_two_threads() {
    let mut server = Server::open().await;
    let client = soon(connect(&server.url, &ConnectOptions::default())).await.unwrap();
    pipeline(client, server.next().await).await;
}

#[tokio::test]
async fn thousands_of_requests_are_read_while_no_answer_can_leave_memory() {
    let (client, server) = memory::pair();
    pipeline(client, server).await;
}

#[tokio::test]
async fn thousands_of_requests_are_read_while_no_answer_can_leave_a_pipe() {
    let (to_server, server_input) = tokio::io::duplex(64 * 1024);
    let (server_output, from_server) = tokio::io::duplex(64 * 1024);
    let limits = WireLimits::default();
    let client = codex_exec_server_transport::client::from_stdio(to_server, from_server, &limits);
    pipeline(client, Connection::from_lines(server_input, server_output, &limits)).await;
}

#[tokio::test]
async fn pings_are_answered_while_the_writer_has_nothing_to_do() {
    let mut server = Server::open().await;
    let mut client = server.tungstenite().await;
    let mut connection = server.next().await;
    client.send(tungstenite::Message::Ping("are you there?".into())).await.unwrap();
    let answer = async {
        let pong = client.next().await.unwrap().unwrap();
        client.send(tungstenite::Message::text("yes")).await.unwrap();
        pong
    };
    let (pong, read) = soon(async { tokio::join!(answer, connection.reader.next()) }).await;
    assert_eq!(pong, tungstenite::Message::Pong("are you there?".into()));
    assert_eq!(read.unwrap().unwrap(), "yes");
}

#[tokio::test]
async fn a_flood_of_pings_from_a_peer_that_does_not_read_is_absorbed() {
    let mut server = Server::open().await;
    let mut client = server.tungstenite().await;
    let mut connection = server.next().await;
    let flood = async {
        for _ in 0..100_000 {
            client.feed(tungstenite::Message::Ping(vec![b'p'; 125].into())).await.unwrap();
        }
        client.feed(tungstenite::Message::text("done")).await.unwrap();
        client.flush().await.unwrap();
    };
    let ((), read) = soon(async { tokio::join!(flood, connection.reader.next()) }).await;
    assert_eq!(read.unwrap().unwrap(), "done");
}

#[tokio::test]
async fn a_flood_may_be_twice_as_far_ahead_of_its_socket_and_nothing_else_may() {
    const PIECE: usize = 1_000;
    let limits = WireLimits { write_buffer_bytes: 10 * PIECE, ..WireLimits::default() };
    for (leeway, binary, text) in [(Leeway::Usual, 10, 10), (Leeway::Flood, 20, 10)] {
        let held_back = |is_binary: bool| {
            // Takes a byte, and no more.
            let (ours, _theirs) = tokio::io::duplex(1);
            let mut writer = Connection::websocket_over(ours, Role::Server, Peer::Memory, &limits).writer;
            writer.set_leeway(leeway);
            let mut feed = || {
                let fed = if is_binary {
                    writer.feed_binary(b"", Bytes::from_static(&[0; PIECE])).now_or_never()
                } else {
                    writer.feed(Message::text("a".repeat(PIECE))).now_or_never()
                };
                fed.is_some()
            };
            (0..100).take_while(|_| feed()).count()
        };
        assert_eq!(
            (held_back(/*is_binary*/ true), held_back(/*is_binary*/ false)),
            (binary, text),
            "{leeway:?}"
        );
    }
}
