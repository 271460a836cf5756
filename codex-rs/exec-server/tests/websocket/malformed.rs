//! Messages that are none. Most are answered, some end the connection; nobody else notices.

use std::sync::Arc;

use codex_exec_server::ServerConfig;
use codex_exec_server_protocol::binary::Head;
use codex_exec_server_protocol::ids::Seq;
use codex_exec_server_protocol::process::OutputStream;
use codex_exec_server_protocol::rpc::RequestId;
use codex_exec_server_testkit::{Client, Ended, Harness, shell, shell_with};
use codex_exec_server_transport::{CloseReason, Message, WireLimits, close_code};
use serde_json::json;

use crate::raw::RawSocket;
use crate::support::{Transport, over, with};

/// A client that has a process running while another misbehaves, and can tell that it still does.
struct Bystander {
    client: Client,
    checks: u32,
}

impl Bystander {
    async fn on(server: &Harness) -> Self {
        let mut client = server.ready().await;
        client.start(shell_with("p", "cat", json!({"pipeStdin": true}))).await;
        Self { client, checks: 0 }
    }

    async fn is_unaffected(&mut self) {
        self.checks += 1;
        let text = format!("check {}\n", self.checks);
        assert_eq!(self.client.write("p", &text, text.as_bytes()).await, "accepted");
        self.client.sees("p", &text).await;
    }
}

/// What malformed text is answered with, after the part that every transport begins differently.
async fn complaint(client: &mut Client) -> String {
    let error = client.answer_to(&RequestId::MALFORMED).await.expect_err("there is no such request");
    assert_eq!(error.code, -32600);
    assert!(error.message.starts_with("failed to parse "), "{error}");
    error.message
}

async fn malformed_messages_are_answered_and_the_connection_goes_on(server: Arc<Harness>) {
    let mut bystander = Bystander::on(&server).await;
    let mut client = server.ready().await;
    let deep = "[".repeat(100_000);
    let deep_closed =
        format!(r#"{{"id":1,"method":"environment/status","params":{deep}{}}}"#, "]".repeat(100_000));
    let many = format!(r#"{{"id":1,"method":"environment/status","params":[{}0]}}"#, "0,".repeat(262_144));
    for text in [
        "",
        " ",
        "hello",
        "{",
        r#"{"id":1,"method":"environment/status"}}"#,
        r#"{"id":1,"method":"environment/status"} {"id":2,"method":"environment/status"}"#,
        "{}",
        "null",
        "7",
        r#""text""#,
        "[]",
        r#"[{"id":1,"method":"environment/status"}]"#,
        r#"{"id":1}"#,
        r#"{"id":1,"method":7}"#,
        r#"{"id":1,"method":null}"#,
        r#"{"method":["initialized"]}"#,
        r#"{"id":null,"method":"environment/status"}"#,
        r#"{"id":true,"method":"environment/status"}"#,
        r#"{"id":1.5,"method":"environment/status"}"#,
        r#"{"id":1.0,"method":"environment/status"}"#,
        r#"{"id":9223372036854775808,"method":"environment/status"}"#,
        r#"{"id":-9223372036854775809,"method":"environment/status"}"#,
        r#"{"id":1e400,"method":"environment/status"}"#,
        r#"{"id":{},"method":"environment/status"}"#,
        r#"{"id":1,"method":"environment/status","trace":"x"}"#,
        r#"{"id":1,"id":2,"method":"environment/status"}"#,
        r#"{"id":1,"method":"environment/status","params":{"a":1,"a":2}}"#,
        r#"{"id":1,"method":"environment/status","params":{"b":[{"a":1,"a":2}]}}"#,
        r#"{"id":1,"method":"environment/status","params":"\ud800"}"#,
        r#"{"id":null,"result":1}"#,
        &deep,
        &deep_closed,
        &many,
    ] {
        client.send_text(text).await;
        let complaint = complaint(&mut client).await;
        let shown = &text[..text.floor_char_boundary(80)];
        assert!(complaint.contains("exec-server websocket 127.0.0.1:"), "{shown}: {complaint}");
        client.done("environment/status", json!({})).await;
        bystander.is_unaffected().await;
    }
}

async fn the_bounds_of_a_message_are_inclusive(server: Arc<Harness>) {
    let mut client = server.ready().await;
    // The request, its three members, and the list of zeros around them.
    let zeros = vec!["0"; 262_144 - 4].join(",");
    client.send_text(format!(r#"{{"id":101,"method":"no/such","params":[{zeros}]}}"#)).await;
    assert_eq!(client.answer(/*id*/ 101).await.expect_err("no such method").code, -32601);
    client.send_text(format!(r#"{{"id":102,"method":"no/such","params":[0,{zeros}]}}"#)).await;
    assert!(complaint(&mut client).await.contains("limit of 262144 JSON values"));
    let nest = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    client.send_text(format!(r#"{{"id":103,"method":"no/such","params":{}}}"#, nest(/*levels*/ 126))).await;
    assert_eq!(client.answer(/*id*/ 103).await.expect_err("no such method").code, -32601);
    client.send_text(format!(r#"{{"id":104,"method":"no/such","params":{}}}"#, nest(/*levels*/ 127))).await;
    assert!(complaint(&mut client).await.contains("recursion limit exceeded"));
}

async fn ids_may_be_any_text_or_any_64_bit_integer_and_need_not_differ(server: Arc<Harness>) {
    let mut client = server.ready().await;
    for id in ["\"\"", "\"é\\u0000\"", "0", "-1", "9223372036854775807", "-9223372036854775808"] {
        client
            .send_text(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"environment/status","more":1}}"#))
            .await;
        let id: RequestId = serde_json::from_str(id).expect("it is one");
        assert_eq!(client.answer_to(&id).await, Ok(json!({"status": "ready"})));
    }
    for _ in 0..2 {
        client.send_text(r#"{"id":7,"method":"environment/status"}"#).await;
    }
    for _ in 0..2 {
        assert_eq!(client.answer(/*id*/ 7).await, Ok(json!({"status": "ready"})));
    }
}

async fn bytes_that_are_no_text_are_answered_like_other_nonsense(server: Arc<Harness>) {
    let mut bystander = Bystander::on(&server).await;
    let mut client = server.ready().await;
    for bytes in [
        &b"\xff"[..],
        b"{\"id\":1,\"method\":\"\xc3\x28\"}",
        b"{\"id\":1,\"method\":\"x\",\"params\":\"\xff\"}",
        b"\0",
    ] {
        client.send_binary(bytes).await;
        complaint(&mut client).await;
    }
    // What a server sends in this form, a client does not.
    let (process_id, stream) = ("p".into(), OutputStream::Stdout);
    let head = Head::Output { process_id: &process_id, seq: Seq(1), stream, offset: 0 };
    client.send_binary(head.encode(/*payload_bytes*/ 0).expect("it fits")).await;
    let complained = complaint(&mut client).await;
    assert!(complained.contains("binary messages go from server to client only"), "{complained}");
    // A binary frame that holds text is as good as a text frame.
    client.send_binary(&br#"{"id":9,"method":"environment/status"}"#[..]).await;
    assert_eq!(client.answer(/*id*/ 9).await, Ok(json!({"status": "ready"})));
    bystander.is_unaffected().await;
}

/// How the connection ends when this text is sent by a client that is ready.
async fn end_by(server: &Harness, text: &str) -> (u16, String) {
    let mut client = server.ready().await;
    client.send_text(text).await;
    match client.ended().await {
        Ended::Closed(Some(CloseReason { code, reason })) => (code, reason),
        other => panic!("{text}: {other:?}"),
    }
}

async fn faults_that_cannot_be_answered_end_the_connection_and_say_why(server: Arc<Harness>) {
    let mut bystander = Bystander::on(&server).await;
    for (text, reason) in [
        (r#"{"method":"no/such"}"#, "unknown notification no/such"),
        (r#"{"method":"process/start","params":{}}"#, "unknown notification process/start"),
        (r#"{"method":""}"#, "unknown notification "),
        (r#"{"id":1,"result":{}}"#, "response to unknown request 1"),
        (r#"{"id":"x","error":{"code":1,"message":"m"}}"#, "response to unknown request \"x\""),
    ] {
        let expected = (close_code::PROTOCOL_ERROR, reason.to_owned());
        assert_eq!(end_by(&server, text).await, expected, "{text}");
        bystander.is_unaffected().await;
    }
}

async fn a_fault_ends_the_connection_behind_the_answers_that_are_ready(server: Arc<Harness>) {
    let mut client = server.ready().await;
    let id = client.feed_request("environment/status", json!({})).await;
    client.feed_text(r#"{"method":"no/such"}"#).await;
    client.flush().await;
    assert!(matches!(client.ended().await, Ended::Closed(Some(_))));
    assert!(client.has_answer(id));
}

async fn the_session_of_a_connection_that_ended_by_a_fault_can_be_resumed(server: Arc<Harness>) {
    let mut client = server.connect().await;
    let session = client.initialize().await;
    client.start(shell("p", "echo x; exit 1")).await;
    client.send_text(r#"{"method":"no/such"}"#).await;
    client.ended().await;
    drop(client);
    server.idle().await;
    let mut client = server.connect().await;
    client.resume(&session).await;
    assert_eq!(client.read_to_close("p").await.0.text(), "x\n");
}

/// With the reference's bound, which takes less time to reach than the one of this server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_that_is_too_big_ends_the_connection_and_says_why() {
    let config = ServerConfig { wire: WireLimits::default(), ..ServerConfig::from_process() };
    with(config, too_big).await;
}

async fn too_big(server: Arc<Harness>) {
    let mut bystander = Bystander::on(&server).await;
    let limit = 16 << 20;
    // Exactly the limit is fine.
    let mut client = server.ready().await;
    let envelope = r#"{"id":5,"method":"no/such","params":""}"#;
    let text = envelope.replace("\"\"", &format!("\"{}\"", "x".repeat(limit - envelope.len())));
    assert_eq!(text.len(), limit);
    client.send_text(text).await;
    assert_eq!(client.answer(/*id*/ 5).await.expect_err("no such method").code, -32601);

    let (mut reader, mut writer) = server.ready().await.into_connection();
    // The server need not take all of it, and says so while this is being sent.
    let sending = tokio::spawn(async move {
        let _ = writer.send(Message::text("x".repeat(17 << 20))).await;
        writer
    });
    let next = codex_exec_server_testkit::patiently("the end of the connection", async {
        while let Some(Ok(_)) = reader.next().await {}
        reader.close_reason().cloned()
    });
    let reason = next.await.expect("it says why");
    assert_eq!(reason.code, close_code::TOO_BIG);
    assert!(reason.reason.contains("17825792") && reason.reason.contains("16777216"), "{}", reason.reason);
    sending.await.expect("no panic");
    bystander.is_unaffected().await;
}

macro_rules! over_a_websocket {
    ($($case:ident)+) => {
        tests_over! { WebSocket as tcp, UnixSocket as unix_socket; { $($case)+ } }
    };
}

over_a_websocket! {
    the_bounds_of_a_message_are_inclusive
    ids_may_be_any_text_or_any_64_bit_integer_and_need_not_differ
    bytes_that_are_no_text_are_answered_like_other_nonsense
    faults_that_cannot_be_answered_end_the_connection_and_say_why
    a_fault_ends_the_connection_behind_the_answers_that_are_ready
    the_session_of_a_connection_that_ended_by_a_fault_can_be_resumed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_messages_are_answered_with_the_address_of_their_sender() {
    over(Transport::WebSocket, malformed_messages_are_answered_and_the_connection_goes_on).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_frame_that_is_no_text_is_answered_as_well() {
    over(Transport::WebSocket, async |server: Arc<Harness>| {
        let mut bystander = Bystander::on(&server).await;
        let mut stream = RawSocket::upgraded(server.url()).await;
        // A whole text frame from a client, masked with zeros.
        stream.send(b"\x81\x83\0\0\0\0\"\xff\"").await;
        assert!(stream.receive_until(b"\"id\":-1").await, "it is answered");
        // The connection goes on.
        stream.send(b"\x81\x82\0\0\0\0{}").await;
        assert!(stream.receive_until(b"\"id\":-1").await, "it is answered");
        bystander.is_unaffected().await;
    })
    .await;
}
