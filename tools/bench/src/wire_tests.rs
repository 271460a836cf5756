//! The client against a small server of the tests' own, over a real loopback socket.

use std::net::TcpListener;
use std::thread::JoinHandle;

use tokio_tungstenite::tungstenite::{Message as Frame, WebSocket, accept};

use super::*;

type Socket = WebSocket<TcpStream>;

/// Accepts one connection, answers `initialize`, and hands over to `script` once `initialized` has come.
fn serve(script: impl FnOnce(&mut Socket) + Send + 'static) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("ws://{}", listener.local_addr().expect("a bound socket"));
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("the client dials");
        let mut socket = accept(stream).expect("the upgrade is well formed");
        let initialize = read(&mut socket);
        assert_eq!(initialize["method"], "initialize");
        answer(&mut socket, &initialize);
        assert_eq!(read(&mut socket), json!({ "method": "initialized", "params": {} }));
        script(&mut socket);
    });
    (url, server)
}

fn read(socket: &mut Socket) -> Value {
    let frame = socket.read().expect("the client sends");
    serde_json::from_slice(&frame.into_data()).expect("the client sends JSON")
}

fn answer(socket: &mut Socket, request: &Value) {
    let reply = json!({ "id": request["id"], "result": { "was": request["method"] } });
    socket.send(Frame::text(reply.to_string())).expect("the client reads");
}

#[test]
fn a_call_skips_notifications_and_returns_the_result() {
    let (url, server) = serve(|socket| {
        let request = read(socket);
        let event = json!({ "method": "process/closed", "params": { "processId": "p", "seq": 1 } });
        socket.send(Frame::text(event.to_string())).expect("the client reads");
        answer(socket, &request);
    });
    let mut connection = Connection::open(&url).expect("the server is there");
    assert_eq!(
        connection.call("environment/status", Value::Null).expect("an answer"),
        r#"{"was":"environment/status"}"#
    );
    server.join().expect("the server saw what it expected");
}

#[test]
fn a_ping_is_answered_while_waiting() {
    let (url, server) = serve(|socket| {
        let request = read(socket);
        socket.send(Frame::Ping("are you there".into())).expect("the client reads");
        assert_eq!(socket.read().expect("the client sends"), Frame::Pong("are you there".into()));
        answer(socket, &request);
    });
    let mut connection = Connection::open(&url).expect("the server is there");
    connection.call("environment/status", Value::Null).expect("an answer");
    server.join().expect("the server saw what it expected");
}

#[test]
fn a_burst_beyond_every_buffer_is_sent_and_answered_by_a_server_that_reads_only_as_it_answers() {
    const COUNT: usize = 2_000;
    let (url, server) = serve(|socket| {
        for _ in 0..COUNT {
            let request = read(socket);
            let reply = json!({ "id": request["id"], "result": request["params"] });
            socket.send(Frame::text(reply.to_string())).expect("the client reads");
        }
    });
    let mut connection = Connection::open(&url).expect("the server is there");
    let filler = "x".repeat(20_000);
    for _ in 0..COUNT {
        connection.queue("echo", &filler).expect("queueing does no IO");
    }
    connection.flush().expect("the socket takes some");
    assert!(!connection.outbox.is_empty(), "the burst is too small to prove anything");
    let first = connection.next_id - COUNT as i64 + 1;
    for expected in first..=connection.next_id {
        match connection.next().expect("an answer") {
            Message::Reply { id, result } => assert_eq!((id, result.len()), (expected, filler.len() + 2)),
            other => panic!("not a reply: {other:?}"),
        }
    }
    server.join().expect("the server saw what it expected");
}

#[test]
fn a_server_that_hangs_up_is_told_apart_from_a_refusal() {
    let (url, server) = serve(|socket| {
        let request = read(socket);
        let refusal =
            json!({ "id": request["id"], "error": { "code": -32601, "message": "no such method" } });
        socket.send(Frame::text(refusal.to_string())).expect("the client reads");
    });
    let mut connection = Connection::open(&url).expect("the server is there");
    let refused = connection.call("nonsense", Value::Null).expect_err("the server refuses");
    assert!(matches!(refused, BenchError::Refused { code: -32601, .. }), "{refused}");
    server.join().expect("the server saw what it expected");
    assert!(matches!(connection.next(), Err(BenchError::Closed)));
}
