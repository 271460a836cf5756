//! What goes in and what comes out.

use codex_exec_server_mcp::{Reason, ServerConfig, ServerLimits, StdioServer};
use codex_exec_server_protocol::process::EnvInherit;
use rmcp::model::{ClientJsonRpcMessage, ErrorData, JsonRpcMessage};
use rmcp::transport::Transport;

use crate::fake::Stage;

fn config() -> ServerConfig {
    ServerConfig::new(vec!["/opt/bin/server".into(), "--stdio".into()])
}

/// A message that is easy to tell from others.
fn numbered(number: i64, payload: &str) -> ClientJsonRpcMessage {
    let error = ErrorData::internal_error(payload.to_owned(), None);
    ClientJsonRpcMessage::error(error, Some(rmcp::model::RequestId::Number(number)))
}

/// The id of the next message that is received, which is an answer.
async fn answer(server: &mut StdioServer) -> Option<i64> {
    match server.receive().await? {
        JsonRpcMessage::Response(response) => serde_json::to_value(response.id).ok()?.as_i64(),
        other => panic!("{other:?} is no answer"),
    }
}

#[tokio::test]
async fn a_server_is_started_as_its_configuration_says() {
    let stage = Stage::new();
    let mut config = config();
    config.env.insert("A".into(), "b".into());
    let _server = stage.start(&config).await;
    let started = stage.backend.started.lock().unwrap();
    let [params] = &started[..] else { panic!("one start") };
    assert_eq!(params.argv, config.argv);
    assert_eq!(params.env, config.env);
    assert_eq!(params.cwd.as_str(), "file:///srv", "the machine's own, as none was given");
    let policy = params.env_policy.as_ref().expect("a policy");
    assert_eq!((policy.inherit, policy.ignore_default_excludes), (EnvInherit::Core, false));
    assert!(params.pipe_stdin && !params.tty);
    assert!(params.process_id.as_str().starts_with("mcp-server-"), "{}", params.process_id);
}

#[tokio::test]
async fn messages_arrive_whole_and_in_order_however_the_stream_is_cut() {
    let stage = Stage::new();
    let mut server = stage.start(&config()).await;
    stage.stdout("{\"jsonrpc\":\"2.0\",\"id\":1,\"resu");
    stage.stderr("in between\n");
    stage.stdout("lt\":{}}\nlistening…\n[{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{}},");
    stage.stdout(
        "{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{}}]\n{\"jsonrpc\":\"2.0\",\"id\":4,\"result\":{}}",
    );
    stage.exit(/*code*/ 0);
    stage.close();
    for id in 1..=4 {
        assert_eq!(answer(&mut server).await, Some(id));
    }
    assert_eq!(answer(&mut server).await, None);
}

#[tokio::test]
async fn messages_are_written_in_the_order_in_which_they_are_sent_whichever_future_is_polled_first() {
    let mut stage = Stage::new();
    let mut server = stage.start(&config()).await;
    let first = server.send(numbered(/*number*/ 1, "one"));
    let second = server.send(numbered(/*number*/ 2, "two"));
    second.await.unwrap();
    first.await.unwrap();
    for text in ["one", "two"] {
        let line = stage.written().await;
        assert!(line.contains(text) && line.ends_with('\n'), "{line}");
    }
}

#[tokio::test]
async fn a_message_that_nobody_waits_for_is_written_all_the_same_and_once() {
    let mut stage = Stage::new();
    let mut server = stage.start(&config()).await;
    stage.set_reads(false);
    drop(server.send(numbered(/*number*/ 1, "one")));
    let second = server.send(numbered(/*number*/ 2, "two"));
    stage.set_reads(true);
    second.await.unwrap();
    for text in ["one", "two"] {
        let line = stage.written().await;
        assert!(line.contains(text), "{line}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_read_is_not_sent_more_than_the_bound() {
    let stage = Stage::new();
    let limits = ServerLimits { queued_bytes: 200, ..ServerLimits::default() };
    let mut server = stage.start(&ServerConfig { limits, ..config() }).await;
    stage.set_reads(false);
    // One of any size is accepted while nothing waits.
    let first = server.send(numbered(/*number*/ 1, &"x".repeat(300)));
    let error = server.send(numbered(/*number*/ 2, "y")).await.unwrap_err();
    assert!(matches!(error.reason, Reason::Backlog { limit_bytes: 200 }), "{error}");
    stage.set_reads(true);
    first.await.unwrap();
    server.send(numbered(/*number*/ 3, "z")).await.unwrap();
}

#[tokio::test]
async fn a_large_message_goes_in_pieces() {
    let mut stage = Stage::new();
    let mut server = stage.start(&config()).await;
    let payload = "x".repeat(1 << 20);
    server.send(numbered(/*number*/ 1, &payload)).await.unwrap();
    let mut line = String::new();
    let mut pieces = 0;
    while !line.ends_with('\n') {
        let piece = stage.written().await;
        line.push_str(&piece);
        pieces += 1;
    }
    assert!(line.contains(&payload) && pieces > 1, "{pieces} pieces");
}

#[tokio::test]
async fn a_request_that_is_not_understood_is_refused_to_the_server() {
    let mut stage = Stage::new();
    let mut server = stage.start(&config()).await;
    stage.stdout("{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"ping\",\"result\":1}\n");
    let waiting = server.receive();
    let line = tokio::select! {
        line = stage.written() => line,
        _ = waiting => panic!("nothing is received"),
    };
    assert!(line.contains("\"id\":9") && line.contains("-32600"), "{line}");
}
