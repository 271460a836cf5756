//! The bounds on what comes in, and how a peer learns that it broke one.

use codex_exec_server_transport::{ReadError, WireLimits};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::support::{Server, soon};

const MIB: usize = 1024 * 1024;

/// Sends one message in frames of these sizes, and only then looks at what comes back.
async fn send_frames(client: &mut WebSocketStream<TcpStream>, sizes: &[usize]) {
    for (at, size) in sizes.iter().enumerate() {
        let opcode = OpCode::Data(if at == 0 { Data::Text } else { Data::Continue });
        let payload = Bytes::from(vec![b'x'; *size]);
        let frame = Message::Frame(Frame::message(payload, opcode, at + 1 == sizes.len()));
        // A peer that was cut off may notice while it is still sending.
        if client.send(frame).await.is_err() {
            return;
        }
    }
}

/// What becomes of a message in such frames: its size, or the error and the close frame that the peer sees.
async fn deliver(sizes: &[usize]) -> Result<usize, (ReadError, u16, String)> {
    let mut server = Server::open().await;
    let mut client = server.tungstenite().await;
    let mut connection = server.next().await;
    let sender = async {
        send_frames(&mut client, sizes).await;
        client
    };
    let (received, mut client) = tokio::join!(soon(connection.reader.next()), soon(sender));
    match received.unwrap() {
        Ok(bytes) => Ok(bytes.len()),
        Err(error) => {
            assert!(connection.reader.next().await.is_none(), "an error is the last thing");
            let close = match soon(client.next()).await {
                Some(Ok(Message::Close(Some(close)))) => close,
                other => panic!("the close frame should arrive, not {other:?}"),
            };
            assert!(soon(client.next()).await.is_none(), "the connection ends in good order");
            Err((error, close.code.into(), close.reason.to_string()))
        }
    }
}

#[tokio::test]
async fn a_frame_of_16_mib_arrives() {
    assert_eq!(deliver(&[16 * MIB]).await.unwrap(), 16_777_216);
}

#[tokio::test]
async fn one_byte_more_is_refused_and_the_peer_learns_the_limit() {
    let (error, code, reason) = deliver(&[16 * MIB + 1]).await.unwrap_err();
    assert!(matches!(error, ReadError::FrameTooBig { frame_bytes: 16_777_217, limit_bytes: 16_777_216 }));
    let expected = "websocket frame of 16777217 bytes exceeds the limit of 16777216 bytes";
    assert_eq!((code, reason.as_str()), (1009, expected));
}

#[tokio::test]
async fn fragments_of_64_mib_arrive() {
    assert_eq!(deliver(&[16 * MIB; 4]).await.unwrap(), 67_108_864);
}

#[tokio::test]
async fn fragments_of_65_mib_are_refused_and_the_peer_learns_the_limit() {
    let (error, code, reason) = deliver(&[13 * MIB; 5]).await.unwrap_err();
    assert!(matches!(error, ReadError::MessageTooBig { limit_bytes: 67_108_864 }));
    assert_eq!((code, reason.as_str()), (1009, "websocket message exceeds the limit of 67108864 bytes"));
}

#[tokio::test]
async fn a_broken_rule_is_answered_with_1002_and_its_name() {
    for (bytes, reason) in [
        (&b"\x81\x01a"[..], "websocket protocol violation: client frame is not masked"),
        (b"\xc1\x81\0\0\0\0a", "websocket protocol violation: reserved bits are set"),
        (
            b"\x80\x81\0\0\0\0a",
            "websocket protocol violation: continuation frame without a message to continue",
        ),
    ] {
        let mut server = Server::open().await;
        let mut stream = server.upgraded_tcp().await;
        stream.write_all(bytes).await.unwrap();
        let mut connection = server.next().await;
        let peer = async {
            let mut answer = Vec::new();
            // Reading to the end fails if the connection is reset rather than closed.
            soon(stream.read_to_end(&mut answer)).await.unwrap();
            drop(stream);
            answer
        };
        let (result, answer) = tokio::join!(soon(connection.reader.next()), peer);
        assert!(matches!(result, Some(Err(ReadError::Protocol(_)))));
        let expected = [&[0x88, reason.len() as u8 + 2, 0x03, 0xea], reason.as_bytes()].concat();
        assert_eq!(answer, expected);
    }
}

#[tokio::test]
async fn text_that_is_not_utf_8_is_a_message_and_no_reason_to_hang_up() {
    let mut server = Server::open().await;
    let mut stream = server.upgraded_tcp().await;
    stream.write_all(b"\x81\x82\0\0\0\0\xff\xfe\x81\x82\0\0\0\0ok").await.unwrap();
    let mut connection = server.next().await;
    assert_eq!(soon(connection.reader.next()).await.unwrap().unwrap(), &b"\xff\xfe"[..]);
    assert_eq!(soon(connection.reader.next()).await.unwrap().unwrap(), "ok");
}

#[tokio::test]
async fn a_client_takes_messages_that_a_server_would_refuse() {
    let limits = WireLimits::for_client();
    assert_eq!((limits.frame_bytes, limits.message_bytes), (1 << 30, 1 << 30));
    let mut server = Server::open().await;
    let url = server.url.clone();
    let options = codex_exec_server_transport::client::ConnectOptions::default();
    let mut client = soon(codex_exec_server_transport::client::connect(&url, &options)).await.unwrap();
    let mut connection = server.next().await;
    let big = codex_exec_server_transport::Message::text("y".repeat(100 * MIB));
    let (sent, received) = tokio::join!(connection.writer.send(big), soon(client.reader.next()));
    sent.unwrap();
    assert_eq!(received.unwrap().unwrap().len(), 100 * MIB);
}
