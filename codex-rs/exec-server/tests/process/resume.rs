//! Our own client and a connection that is cut again and again: what it has is not sent to it another time.

use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use codex_exec_server::{Server, ServerConfig};
use codex_exec_server_client::{Client, ClientConfig, Dialer, ExecProcessEvent, Lag, Proof};
use codex_exec_server_protocol::binary::BinaryMessage;
use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_protocol::process::ProcessStartParams;
use codex_exec_server_testkit::patiently;
use codex_exec_server_transport::{Connection, Message, MessageKind, memory};
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::patient;

/// A connection is cut behind so many pieces of output.
const PIECES: usize = 7;
/// 4.9 MB.
const LINES: u64 = 700_000;

fn flood() -> Vec<u8> {
    (1..=LINES).flat_map(|n| format!("{n}\n").into_bytes()).collect()
}

/// What the server has said over all connections.
#[derive(Debug, Default)]
struct Said {
    /// Positions of the pieces of output that were pushed, in order.
    pushed: Vec<u64>,
    pushed_bytes: u64,
    /// Answers that brought output.
    pages: usize,
    connections: usize,
}

/// Carries messages both ways, until the cut. What got through until then is taken: the client hears of the cut behind it.
async fn carry(client: Connection, server: Connection, said: Arc<Mutex<Said>>) {
    let (mut from_client, mut to_client) = (client.reader, client.writer);
    let (mut from_server, mut to_server) = (server.reader, server.writer);
    let mut pieces = 0;
    let up = async {
        while let Some(Ok(message)) = from_client.next_message().await {
            if to_server.send(Message::text(text(&message.bytes))).await.is_err() {
                break;
            }
        }
    };
    let down = async move {
        while let Some(Ok(message)) = from_server.next_message().await {
            let message = match message.kind {
                MessageKind::Binary => {
                    let Ok(BinaryMessage::Output(output)) = BinaryMessage::decode(&message.bytes) else {
                        panic!("only output comes in this form here");
                    };
                    let mut said = said.lock().expect("no panic");
                    said.pushed.push(output.seq.0);
                    said.pushed_bytes += output.chunk.into_bytes().len() as u64;
                    pieces += 1;
                    Message::binary(message.bytes)
                }
                MessageKind::Text => {
                    let text = text(&message.bytes);
                    said.lock().expect("no panic").pages += usize::from(text.contains(r#""chunks":[{"#));
                    Message::text(text)
                }
            };
            if to_client.send(message).await.is_err() || pieces == PIECES {
                break;
            }
        }
        // Dropped here: the server, and the way to the client. The way from there stays open until the client has gone, or
        // it would notice before it has read what came.
    };
    tokio::join!(up, down);
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8(bytes.to_vec()).expect("it is JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_connection_that_is_cut_again_and_again_not_a_byte_comes_twice() {
    let server = Server::new(patient(ServerConfig::from_process()));
    let said: Arc<Mutex<Said>> = Arc::default();
    let carriers = Arc::new(Mutex::new(JoinSet::new()));
    let (hosting, noting, carrying) = (Arc::clone(&server), Arc::clone(&said), Arc::clone(&carriers));
    let dialer = Dialer::new(move || {
        let (client, near) = memory::pair();
        let (far, theirs) = memory::pair();
        let server = Arc::clone(&hosting);
        noting.lock().expect("no panic").connections += 1;
        let mut carriers = carrying.lock().expect("no panic");
        carriers.spawn(async move { server.serve(theirs).await });
        carriers.spawn(carry(near, far, Arc::clone(&noting)));
        async { Ok(client) }
    });
    let client = Client::connect(dialer, ClientConfig::default()).await.expect("it connects");
    let cwd = PathUri::try_from(Path::new("/")).expect("an absolute path");
    let params: ProcessStartParams = serde_json::from_value(json!({
        "processId": "p", "argv": ["seq", LINES.to_string()], "cwd": cwd,
        "env": {"PATH": "/usr/bin:/bin"}, "tty": false,
    }))
    .expect("these are parameters");
    let (_process, mut events) = client.start(params, Lag::ReadLater).await.expect("it starts");
    let (mut output, mut proof) = (Vec::new(), None);
    while let Some(event) = patiently("an event", events.next()).await {
        match event.expect("nothing is gone") {
            ExecProcessEvent::Output { bytes, .. } => output.extend_from_slice(&bytes),
            ExecProcessEvent::Closed { proof: how, .. } => proof = Some(how),
            ExecProcessEvent::Exited { .. } => {}
            ExecProcessEvent::Gap { .. } => panic!("a gap"),
        }
    }
    client.close().await;
    server.shut_down().await;
    assert!(output == flood() && proof == Some(Proof::Checksum));
    let said = said.lock().expect("no panic");
    assert!(said.connections > 5, "{} connections", said.connections);
    assert_eq!((said.pages, said.pushed_bytes), (0, output.len() as u64), "{:?}", said.pushed);
    assert!(said.pushed.is_sorted_by(|a, b| a < b), "{:?}", said.pushed);
}
