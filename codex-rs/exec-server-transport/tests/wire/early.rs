//! Messages that leave with the request for the upgrade.

use codex_exec_server_transport::client::{ConnectError, ConnectOptions, Connected, Departure, connect_with};
use codex_exec_server_transport::{AcceptPolicy, Authenticator, Message, WireLimits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::support::{Server, soon};

#[tokio::test]
async fn they_are_there_before_the_upgrade_is_answered() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.unwrap());
        }
        // A masked text frame of two bytes: header, mask, payload.
        let mut frame = [0; 2 + 4 + 2];
        stream.read_exact(&mut frame).await.unwrap();
        let request = String::from_utf8(request).unwrap();
        let key = request.split_once("Sec-WebSocket-Key: ").unwrap().1.split_once("\r\n").unwrap().0;
        let accept = derive_accept_key(key.as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
        (frame, stream)
    };
    let options = ConnectOptions::default();
    let departure = Departure::default();
    let connecting = connect_with(&url, &options, vec![Message::text("hi")], &departure);
    let ((frame, _stream), connected) = soon(async { tokio::join!(serve, connecting) }).await;
    assert!(connected.unwrap().unsent.is_empty());
    assert!(departure.has_begun());
    assert_eq!(frame[..2], [0x81, 0x82]);
    assert_eq!([frame[6] ^ frame[2], frame[7] ^ frame[3]], *b"hi");
}

#[tokio::test]
async fn our_server_takes_them_in_order_before_what_follows() {
    let mut server = Server::open().await;
    let early = vec![Message::text("one"), Message::binary(vec![2; 300])];
    let connected =
        connect_with(&server.url, &ConnectOptions::default(), early, &Departure::default()).await.unwrap();
    assert!(connected.unsent.is_empty());
    let mut client = connected.connection;
    client.writer.send(Message::text("three")).await.unwrap();
    let mut accepted = server.next().await;
    for expected in [&b"one"[..], &[2; 300], b"three"] {
        assert_eq!(&soon(accepted.reader.next()).await.unwrap().unwrap()[..], expected);
    }
}

#[tokio::test]
async fn a_server_that_refuses_the_upgrade_has_read_none_of_them() {
    let auth = Authenticator::capability_token("right").unwrap();
    let policy = AcceptPolicy { auth: Some(auth), ..AcceptPolicy::default() };
    let mut server = Server::start(policy, WireLimits::default()).await;
    let with = |token: &str| ConnectOptions { bearer_token: Some(token.into()), ..ConnectOptions::default() };
    let refused =
        connect_with(&server.url, &with("wrong"), vec![Message::text("run this")], &Departure::default())
            .await;
    assert!(
        matches!(&refused, Err(error @ ConnectError::Unauthorized { .. }) if error.is_refusal()),
        "{refused:?}"
    );
    // The next connection that it accepts is the next that it lets in.
    let connected =
        connect_with(&server.url, &with("right"), vec![Message::text("run that")], &Departure::default())
            .await;
    let _client = connected.unwrap().connection;
    let mut accepted = server.next().await;
    assert_eq!(&soon(accepted.reader.next()).await.unwrap().unwrap()[..], b"run that");
}

#[tokio::test]
async fn they_are_left_to_the_caller_when_they_are_too_much_or_not_wanted() {
    let server = Server::open().await;
    let much = || vec![Message::binary(vec![0; 16 * 1024 + 1])];
    let little = || vec![Message::text("hi")];
    let off = ConnectOptions { early: false, ..ConnectOptions::default() };
    for (options, messages) in [(ConnectOptions::default(), much()), (off, little())] {
        let departure = Departure::default();
        let Connected { unsent, .. } =
            connect_with(&server.url, &options, messages, &departure).await.unwrap();
        assert_eq!(unsent.len(), 1);
        assert!(!departure.has_begun());
    }
}
