//! Messages as bytes: none is lost, doubled or out of order, whatever connections break.
//!
//! The server is `tee`, which writes down what it gets and says it back: an error answer to a client is one from a server
//! as well.

use std::path::Path;

use codex_exec_server_mcp::{ServerConfig, StdioServer};
use codex_exec_server_testkit::patiently;
use rmcp::model::{ClientJsonRpcMessage, ErrorData, JsonRpcMessage, RequestId};
use rmcp::transport::Transport;

use crate::machine::Machine;

fn message(number: i64, payload: &str) -> ClientJsonRpcMessage {
    let error = ErrorData::internal_error(payload.to_owned(), None);
    ClientJsonRpcMessage::error(error, Some(RequestId::Number(number)))
}

/// About as large as messages are, some small and some not; no two alike, and with letters of two bytes and more, so that
/// cuts fall within them.
fn payload(number: i64) -> String {
    let size = if number % 50 == 0 { 60_000 } else { 40 + usize::try_from(number % 700).unwrap_or_default() };
    format!("{number} {}", "aß€𝄞".repeat(size / 10))
}

async fn received(server: &mut StdioServer) -> (i64, String) {
    let message = patiently("a message to come back", server.receive()).await;
    match message {
        Some(JsonRpcMessage::Error(error)) => {
            let Some(RequestId::Number(number)) = error.id else { panic!("{error:?} has no number") };
            (number, error.error.message.into_owned())
        }
        other => panic!("{other:?}, {:?}", server.watch().now()),
    }
}

async fn tee(machine: &Machine, written: &Path) -> StdioServer {
    let config = ServerConfig::new(vec!["tee".into(), written.display().to_string()]);
    StdioServer::start(&*machine.backend(), &config).await.expect("tee is everywhere")
}

/// Sends `count` messages, with as many under way as queues allow, and calls `meanwhile` for each that comes back.
async fn check(machine: &Machine, count: i64, meanwhile: impl Fn(i64)) {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let written = folder.path().join("written");
    let mut server = tee(machine, &written).await;
    let mut sending = tokio::task::JoinSet::new();
    for number in 0..count {
        sending.spawn(server.send(message(number, &payload(number))));
    }
    for number in 0..count {
        let (seen, text) = received(&mut server).await;
        assert_eq!(seen, number);
        assert!(text == payload(number), "message {number} is not what was sent");
        meanwhile(number);
    }
    while let Some(sent) = sending.join_next().await {
        sent.expect("sending does not panic").expect("it was taken");
    }
    patiently("the server to end", server.close()).await.expect("it closes");
    let written = std::fs::read_to_string(&written).expect("tee wrote");
    let expected =
        (0..count).map(|number| serde_json::to_string(&message(number, &payload(number))).expect("JSON"));
    assert!(written.lines().eq(expected), "what the server got is not what was sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_go_through_both_ways_as_they_are() {
    for machine in Machine::each().await {
        check(&machine, /*count*/ 500, |_| {}).await;
        machine.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cuts_lose_and_double_no_message() {
    let machine = Machine::remote().await;
    check(&machine, /*count*/ 2_000, |number| {
        if number % 97 == 0 {
            machine.cut();
        }
    })
    .await;
    // Several cuts may fall into one connection, but not all of them.
    assert!(machine.connections() > 10, "{} connections", machine.connections());
    machine.stop().await;
}
