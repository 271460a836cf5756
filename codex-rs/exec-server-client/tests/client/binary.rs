//! What a client makes of binary messages, in good order and otherwise.

use std::time::Duration;

use codex_exec_server_client::{
    Client, ClientConfig, ClientError, Events, ExecProcessEvent, Lag, ProcessError, Proof,
};
use codex_exec_server_core::service::FileSystem as _;
use codex_exec_server_protocol::binary::{Head, Pack};
use codex_exec_server_protocol::fs::{
    FileHandleId, FsReadBlockParams, FsReadBlockResponse, FsReadRangeParams, FsReadRangeResponse,
};
use codex_exec_server_protocol::ids::{ProcessId, Seq};
use codex_exec_server_protocol::methods::{EnvironmentStatus, FsReadBlock, FsReadRange, Method, NoParams};
use codex_exec_server_protocol::process::OutputStream;
use codex_exec_server_protocol::rpc::RequestId;
use codex_exec_server_transport::Message;
use serde_json::{Value, json};

use crate::fake::{EVERYTHING, Network, Request, Server, start, text};

/// Output of `process_id` as a binary message.
fn output(process_id: &str, seq: u64, offset: u64, text: &str) -> Vec<u8> {
    let process_id = ProcessId::from(process_id);
    let head = Head::Output { process_id: &process_id, seq: Seq(seq), stream: OutputStream::Stdout, offset };
    let mut message = head.encode(text.len()).expect("it fits");
    message.extend_from_slice(text.as_bytes());
    message
}

async fn send(server: &mut Server, message: Vec<u8>) {
    server.send_raw(Message::binary(message)).await;
}

/// The failure that comes next.
async fn failure(events: &mut Events) -> ProcessError {
    match events.next().await {
        Some(Err(error)) => error,
        other => panic!("no failure but {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_says_that_it_takes_them_unless_it_is_told_not_to() {
    for (binary_output, expected) in [(true, json!(true)), (false, Value::Null)] {
        let mut network = Network::new();
        let config = ClientConfig { binary_output, ..ClientConfig::default() };
        let connecting = Client::connect(network.dialer(), config);
        let serving = async {
            let mut server = network.accept().await;
            let request = server.request("initialize").await;
            assert_eq!(request.params["capabilities"]["binaryOutput"], expected);
            server.answer(&request, json!({"sessionId": "s"})).await;
            server
        };
        let (client, _server) = tokio::join!(connecting, serving);
        client.expect("it was answered");
    }
}

#[tokio::test(start_paused = true)]
async fn output_may_come_in_either_form_and_is_one_story() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let (_process, mut events) = start(&client, &mut server, Lag::ReadLater).await;
    send(&mut server, output("p", /*seq*/ 1, /*offset*/ 0, "a")).await;
    server.output(/*seq*/ 2, "b").await;
    send(&mut server, output("p", /*seq*/ 3, /*offset*/ 2, "c")).await;
    server.exited(/*seq*/ 4).await;
    server.closed(/*seq*/ 5, "abc").await;
    for expected in ["a", "b", "c"] {
        assert_eq!(text(&mut events).await, expected);
    }
    assert!(matches!(events.next().await, Some(Ok(ExecProcessEvent::Exited { .. }))));
    let closed = events.next().await;
    let is_proven = matches!(closed, Some(Ok(ExecProcessEvent::Closed { proof: Proof::Checksum, .. })));
    assert!(is_proven, "{closed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_asks_for_packs_where_it_is_told_to_and_takes_binary_messages() {
    let interval = Duration::from_millis(16);
    for (binary_output, output_packing, expected) in
        [(true, None, Value::Null), (true, Some(interval), json!(16)), (false, Some(interval), Value::Null)]
    {
        let mut network = Network::new();
        let config = ClientConfig { binary_output, output_packing, ..ClientConfig::default() };
        let connecting = Client::connect(network.dialer(), config);
        let serving = async {
            let mut server = network.accept().await;
            let request = server.request("initialize").await;
            assert_eq!(request.params["capabilities"]["outputPackingMs"], expected);
            server.answer(&request, json!({"sessionId": "s"})).await;
            server
        };
        let (client, _server) = tokio::join!(connecting, serving);
        client.expect("it was answered");
    }
}

#[tokio::test(start_paused = true)]
async fn pieces_that_come_in_a_pack_are_events_like_any_other() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let (_process, mut events) = start(&client, &mut server, Lag::ReadLater).await;
    let mut pack = Pack::default();
    for message in [
        output("p", /*seq*/ 1, /*offset*/ 0, "a"),
        output("another", /*seq*/ 1, /*offset*/ 0, "x"),
        output("p", /*seq*/ 2, /*offset*/ 1, "b"),
    ] {
        pack.push(&message, /*payload*/ &[]);
    }
    send(&mut server, pack.take().expect("there is something in it").to_vec()).await;
    server.exited(/*seq*/ 3).await;
    server.closed(/*seq*/ 4, "ab").await;
    for expected in ["a", "b"] {
        assert_eq!(text(&mut events).await, expected);
    }
    assert!(matches!(events.next().await, Some(Ok(ExecProcessEvent::Exited { .. }))));
    let closed = events.next().await;
    let is_proven = matches!(closed, Some(Ok(ExecProcessEvent::Closed { proof: Proof::Checksum, .. })));
    assert!(is_proven, "{closed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_json_message_may_be_marked_as_binary() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let (_process, mut events) = start(&client, &mut server, Lag::ReadLater).await;
    let params = json!({"processId": "p", "seq": 1, "stream": "stdout", "chunk": "YQ=="});
    let message = json!({"method": "process/output", "params": params}).to_string();
    send(&mut server, message.into_bytes()).await;
    assert_eq!(text(&mut events).await, "a");
}

#[tokio::test(start_paused = true)]
async fn output_of_an_unknown_process_is_nobodys() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let (_process, mut events) = start(&client, &mut server, Lag::ReadLater).await;
    send(&mut server, output("another", /*seq*/ 1, /*offset*/ 0, "x")).await;
    send(&mut server, output("p", /*seq*/ 1, /*offset*/ 0, "a")).await;
    assert_eq!(text(&mut events).await, "a");
}

#[tokio::test(start_paused = true)]
async fn output_at_an_impossible_offset_fails_its_process_alone() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let (_process, mut events) = start(&client, &mut server, Lag::ReadLater).await;
    send(&mut server, output("p", /*seq*/ 1, /*offset*/ 0, "abc")).await;
    send(&mut server, output("p", /*seq*/ 2, /*offset*/ 2, "d")).await;
    assert_eq!(text(&mut events).await, "abc");
    let error = failure(&mut events).await;
    assert!(matches!(error, ProcessError::Misplaced { seq: Seq(2), expected: 3, offset: 2, .. }), "{error}");
    // The connection goes on.
    let asking = client.call_once::<EnvironmentStatus>(&NoParams {});
    let serving = async {
        let request = server.request("environment/status").await;
        server.answer(&request, json!({"status": "ready"})).await;
    };
    tokio::join!(asking, serving).0.expect("it was answered");
}

/// How the client says that it fails, to one who waits for events.
async fn violation(events: &mut Events) -> String {
    match failure(events).await {
        ProcessError::Client(ClientError::Protocol(text)) => text.to_string(),
        other => panic!("no violation but {other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_message_ends_the_client_and_is_named() {
    let whole = output("p", /*seq*/ 1, /*offset*/ 0, "abc");
    let mut unknown = whole.clone();
    unknown[0] = 200;
    for (message, expected) in [
        (whole[..10].to_vec(), "binary message of 10 bytes is shorter than its header of 24"),
        (
            whole[..whole.len() - 1].to_vec(),
            "binary message has 27 bytes instead of the 28 that its header announces",
        ),
        (unknown, "binary message is of unknown kind 200"),
    ] {
        let mut network = Network::new();
        let (client, mut server) = network.connect(EVERYTHING).await;
        let (_process, mut events) = start(&client, &mut server, Lag::ReadLater).await;
        send(&mut server, message).await;
        let said = violation(&mut events).await;
        assert!(said.contains(expected), "{said}");
    }
}

/// A block of a file in answer to `request`, from `offset` on.
fn block(request: &Request, offset: u64, text: &str) -> Vec<u8> {
    let id: RequestId = serde_json::from_value(request.id.clone()).expect("an id");
    let mut message = Head::Block { id: &id, offset, eof: true }.encode(text.len()).expect("it fits");
    message.extend_from_slice(text.as_bytes());
    message
}

#[tokio::test(start_paused = true)]
async fn a_block_of_a_file_answers_the_request_for_it_and_nothing_else() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let params = FsReadBlockParams { handle_id: FileHandleId("h".into()), offset: 4096, len: 100 };
    let asking = client.call_once::<FsReadBlock>(&params);
    let serving = async {
        let request = server.request("fs/readBlock").await;
        // One that nobody waits for, or not any more, changes nothing.
        let stranger = Request { id: json!(1000), params: Value::Null };
        send(&mut server, block(&stranger, /*offset*/ 0, "x")).await;
        send(&mut server, block(&request, /*offset*/ 4096, "block")).await;
    };
    let (answer, ()) = tokio::join!(asking, serving);
    let expected = FsReadBlockResponse { chunk: b"block"[..].into(), eof: true };
    assert_eq!(answer.expect("it was answered"), expected);
}

/// A question for nine bytes from offset 4096 on.
fn range_params() -> FsReadRangeParams {
    let path = "file:///f".parse().expect("a path");
    FsReadRangeParams { path, offset: 4096, len: 9, follow_symlinks: None, sandbox: None, binary: false }
}

#[tokio::test(start_paused = true)]
async fn a_range_is_asked_for_as_it_is_where_that_is_offered_and_may_come_in_either_form() {
    for (flags, expected) in
        [(&["fsExtended", "binaryRanges"][..], json!(true)), (&["fsExtended"], Value::Null)]
    {
        let mut network = Network::new();
        let (client, mut server) = network.connect(flags).await;
        for in_binary in [true, false] {
            let asking = client.read_range(range_params());
            let serving = async {
                let request = server.request("fs/readRange").await;
                assert_eq!(request.params["binary"], expected);
                if in_binary && expected == json!(true) {
                    let id: RequestId = serde_json::from_value(request.id.clone()).expect("an id");
                    let head = Head::Range { id: &id, offset: 4096, eof: true, size: 4101, etag: "e" };
                    let mut message = head.encode(/*payload_bytes*/ 5).expect("it fits");
                    message.extend_from_slice(b"range");
                    send(&mut server, message).await;
                } else {
                    let result = json!({"dataBase64": "cmFuZ2U=", "eof": true, "size": 4101, "etag": "e"});
                    server.answer(&request, result).await;
                }
            };
            let (answer, ()) = tokio::join!(asking, serving);
            let data_base64 = b"range"[..].into();
            let wanted = FsReadRangeResponse { data_base64, eof: true, size: 4101, etag: "e".into() };
            assert_eq!(answer.expect("it was answered"), wanted);
        }
    }
}

/// A call of `M`, answered with a block of a file from offset 0 on: how the client says that it fails.
async fn answered_with_a_block<M: Method>(params: &M::Params) -> String
where
    M::Response: Send + std::fmt::Debug + 'static,
{
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let (_process, mut events) = start(&client, &mut server, Lag::ReadLater).await;
    let asking = client.call_once::<M>(params);
    let serving = async {
        let request = server.request(M::NAME).await;
        send(&mut server, block(&request, /*offset*/ 0, "block")).await;
    };
    let (answer, ()) = tokio::join!(asking, serving);
    answer.expect_err("it is no answer to that");
    violation(&mut events).await
}

#[tokio::test(start_paused = true)]
async fn a_block_from_another_offset_or_for_another_request_ends_the_client_and_is_named() {
    let params = FsReadBlockParams { handle_id: FileHandleId("h".into()), offset: 4096, len: 100 };
    let said = answered_with_a_block::<FsReadBlock>(&params).await;
    let expected = "block from offset 0 came in answer to the request for offset 4096";
    assert!(said.contains(expected), "{said}");
    let said = answered_with_a_block::<FsReadRange>(&range_params()).await;
    assert!(said.contains("block of a file came in answer to fs/readRange"), "{said}");
    let said = answered_with_a_block::<EnvironmentStatus>(&NoParams {}).await;
    assert!(said.contains("block of a file came in answer to environment/status"), "{said}");
}
