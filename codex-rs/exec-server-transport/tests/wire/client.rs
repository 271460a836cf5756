//! Connecting, and every way in which that fails.

use std::time::Duration;

use codex_exec_server_transport::client::{ConnectError, ConnectOptions, connect};
use codex_exec_server_transport::{AcceptPolicy, Authenticator, Connection, Message, WireLimits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::support::{Server, soon};

fn with_token(token: &str) -> ConnectOptions {
    ConnectOptions { bearer_token: Some(token.to_owned()), ..ConnectOptions::default() }
}

/// Connects to a server that answers any request with these bytes; `{accept}` stands for the right key.
async fn connect_to(answer: &str) -> Result<Connection, ConnectError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.unwrap());
        }
        let request = String::from_utf8(request).unwrap();
        let key = request.split_once("Sec-WebSocket-Key: ").unwrap().1.split_once("\r\n").unwrap().0;
        let answer = answer.replace("{accept}", &derive_accept_key(key.as_bytes()));
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream
    };
    let options = ConnectOptions::default();
    let (stream, result) = soon(async { tokio::join!(serve, connect(&url, &options)) }).await;
    drop(stream);
    result
}

#[tokio::test]
async fn a_credential_opens_the_door_and_its_refusal_says_why() {
    let policy = AcceptPolicy {
        auth: Some(Authenticator::capability_token("secret").unwrap()),
        ..AcceptPolicy::default()
    };
    let mut server = Server::start(policy, WireLimits::default()).await;
    for (options, expected) in [
        (ConnectOptions::default(), "missing websocket bearer token"),
        (with_token("wrong"), "invalid websocket bearer token"),
    ] {
        match soon(connect(&server.url, &options)).await {
            Err(ConnectError::Unauthorized { reason }) => assert_eq!(reason, expected),
            other => panic!("{other:?}"),
        }
    }
    let mut client = soon(connect(&server.url, &with_token("secret\n"))).await.unwrap();
    client.writer.send(Message::text("hello")).await.unwrap();
    assert_eq!(soon(server.next().await.reader.next()).await.unwrap().unwrap(), "hello");
}

#[tokio::test]
async fn each_other_refusal_has_its_own_error() {
    let server = Server::open().await;
    let not_found = soon(connect(&format!("{}/else", server.url), &ConnectOptions::default())).await;
    assert!(matches!(not_found, Err(ConnectError::NotFound)), "{not_found:?}");

    let forbidden = connect_to("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await;
    assert!(matches!(forbidden, Err(ConnectError::Forbidden)), "{forbidden:?}");

    let busy = connect_to("HTTP/1.1 503 Busy\r\nContent-Length: 5\r\n\r\nlater and more").await;
    assert!(matches!(&busy, Err(ConnectError::Refused { status: 503, body }) if body == "later"), "{busy:?}");
}

#[tokio::test]
async fn what_is_no_websocket_is_recognised() {
    let upgrade = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
    for answer in [
        "SSH-2.0-OpenSSH_9.6\r\n\r\n".to_owned(),
        format!("{upgrade}Sec-WebSocket-Accept: d3Jvbmc=\r\n\r\n"),
        format!("{upgrade}\r\n"),
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n".to_owned(),
        format!("{upgrade}Sec-WebSocket-Accept: {{accept}}\r\nSec-WebSocket-Protocol: chat\r\n\r\n"),
    ] {
        let result = connect_to(&answer).await;
        assert!(matches!(result, Err(ConnectError::NotAWebSocket(_))), "{answer}: {result:?}");
    }
}

#[tokio::test]
async fn frames_right_behind_the_servers_answer_are_not_lost() {
    let answer = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: WebSocket\r\n\
                  sec-websocket-accept: {accept}\r\n\r\n\u{1}";
    // A final text frame begins with 0x81, which no UTF-8 string does; a fragment begins with 0x01.
    let answer = format!("{answer}\u{2}hi\0\u{0}");
    let mut connection = connect_to(&answer).await.unwrap();
    let read = soon(connection.reader.next()).await;
    assert!(
        matches!(read, Some(Err(codex_exec_server_transport::ReadError::Disconnected))),
        "both fragments were read, then the stream ended: {read:?}"
    );
}

#[tokio::test]
async fn nobody_there_and_nobody_answering_are_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let options = ConnectOptions { connect_timeout: Duration::from_millis(100), ..ConnectOptions::default() };
    let silent = soon(connect(&url, &options)).await;
    assert!(matches!(silent, Err(ConnectError::TimedOut { .. })), "{silent:?}");
    // Bound, so that nobody else can listen there, and not listening.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let url = format!("ws://{}", socket.local_addr().unwrap());
    let refused = soon(connect(&url, &ConnectOptions::default())).await;
    assert!(matches!(refused, Err(ConnectError::Io { .. })), "{refused:?}");
    let missing = soon(connect("unix:///nonexistent/s.sock", &ConnectOptions::default())).await;
    assert!(matches!(missing, Err(ConnectError::Io { .. })), "{missing:?}");
}
