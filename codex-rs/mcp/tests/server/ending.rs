//! How a server ends, and what is told of it.

use std::time::Duration;

use codex_exec_server_core::service::ExecError;
use codex_exec_server_mcp::{
    ConnectError, Reason, ServerConfig, ServerLimits, ServerPatience, StdioServer, connect,
};
use rmcp::model::{ClientJsonRpcMessage, ErrorData};
use rmcp::transport::Transport;

use crate::fake::{Done, Stage};

fn config() -> ServerConfig {
    ServerConfig::new(vec!["server".into()])
}

/// Receives nothing more, and says why.
async fn end(server: &mut StdioServer) -> String {
    assert!(server.receive().await.is_none(), "nothing is received");
    server.watch().now().expect("it is known why").to_string()
}

#[tokio::test(start_paused = true)]
async fn a_server_that_dies_says_why() {
    let stage = Stage::new();
    let mut server = stage.start(&config()).await;
    stage.stderr("Traceback\nModuleNotFoundError: No mod");
    stage.stderr("ule named 'mcp'\n");
    stage.exit(/*code*/ 1);
    stage.close();
    let expected = "MCP server server ended with exit code 1; the last it said on stderr:\n  Traceback\n  \
                    ModuleNotFoundError: No module named 'mcp'";
    assert_eq!(end(&mut server).await, expected);
    // Whoever sends something hears it as well.
    let message = ClientJsonRpcMessage::error(ErrorData::internal_error("x", None), None);
    server.send(message.clone()).await.unwrap();
    server.close().await.unwrap();
    assert_eq!(server.send(message).await.unwrap_err().to_string(), expected);
}

#[tokio::test(start_paused = true)]
async fn lost_output_is_the_end_and_the_server_is_ended() {
    let mut stage = Stage::new();
    let mut server = stage.start(&config()).await;
    stage.stdout("{\"jsonrpc\":\"2.0\",");
    stage.lose(/*bytes*/ 12);
    stage.stdout("\"id\":1,\"result\":{}}\n");
    assert!(end(&mut server).await.contains("lost 12 bytes of its output"));
    server.close().await.unwrap();
    assert_eq!(stage.done().await, Done::ClosedStdin);
    assert_eq!(stage.done().await, Done::Terminated(Some(Duration::from_secs(2))));
}

#[tokio::test(start_paused = true)]
async fn a_line_beyond_the_bound_is_the_end() {
    let stage = Stage::new();
    let limits = ServerLimits { line_bytes: 30, ..ServerLimits::default() };
    let mut server = stage.start(&ServerConfig { limits, ..config() }).await;
    stage.stdout("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n");
    assert!(end(&mut server).await.contains("a line is longer than 30 bytes"));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_does_not_come_back_is_the_end() {
    let stage = Stage::new();
    let mut server = stage.start(&config()).await;
    stage.break_down(ExecError::Disconnected("no answer for 45 s".into()));
    assert!(end(&mut server).await.contains("can't be followed any further: no answer for 45 s"));
}

#[tokio::test(start_paused = true)]
async fn a_descendant_that_holds_the_streams_open_does_not_hold_up_the_end() {
    let mut stage = Stage::new();
    let mut server = stage.start(&config()).await;
    stage.exit(/*code*/ 0);
    assert!(end(&mut server).await.contains("ended with exit code 0"));
    server.close().await.unwrap();
    assert_eq!(stage.done().await, Done::ClosedStdin);
    assert!(matches!(stage.done().await, Done::Terminated(_)), "descendants are ended");
}

#[tokio::test(start_paused = true)]
async fn closing_closes_stdin_and_a_server_that_exits_then_is_not_signalled() {
    let mut stage = Stage::new();
    let mut server = stage.start(&config()).await;
    let message = ClientJsonRpcMessage::error(ErrorData::internal_error("last words", None), None);
    drop(server.send(message));
    let mut watch = server.watch();
    let closing = tokio::spawn(async move { server.close().await });
    let line = stage.written().await;
    assert!(line.contains("last words"), "{line}");
    assert_eq!(stage.done().await, Done::ClosedStdin);
    stage.stdout("good-bye\n");
    stage.exit(/*code*/ 0);
    stage.close();
    closing.await.unwrap().unwrap();
    assert!(matches!(watch.ended().await.reason, Reason::Exited(_)));
    drop(stage.backend);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_exit_is_told_to_end_after_the_patience() {
    let mut stage = Stage::new();
    let patience = ServerPatience {
        exit: Duration::from_secs(7),
        grace: Duration::from_secs(3),
        ..ServerPatience::default()
    };
    let mut server = stage.start(&ServerConfig { patience, ..config() }).await;
    // It does not even read.
    stage.set_reads(false);
    drop(server.send(ClientJsonRpcMessage::error(ErrorData::internal_error("x", None), None)));
    let begun = tokio::time::Instant::now();
    let closing = tokio::spawn(async move { server.close().await });
    assert_eq!(stage.done().await, Done::Terminated(Some(patience.grace)));
    assert_eq!(begun.elapsed(), patience.exit);
    stage.exit(/*code*/ 143);
    stage.close();
    closing.await.unwrap().unwrap();
    assert_eq!(begun.elapsed(), patience.exit);
}

#[tokio::test(start_paused = true)]
async fn a_server_whose_user_is_gone_is_ended() {
    let mut stage = Stage::new();
    drop(stage.start(&config()).await);
    assert_eq!(stage.done().await, Done::ClosedStdin);
    assert!(matches!(stage.done().await, Done::Terminated(_)));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_dies_before_the_handshake_says_why() {
    let stage = Stage::new();
    stage.stderr("cannot find module\n");
    stage.exit(/*code*/ 1);
    stage.close();
    let Err(ConnectError::Server(error)) = connect((), &stage.backend, &config()).await else {
        panic!("the server is what failed")
    };
    assert!(matches!(error.reason, Reason::Exited(ref exit) if exit.code == 1), "{error}");
    assert_eq!(error.stderr.lines(), ["cannot find module"]);
}

#[tokio::test(start_paused = true)]
async fn a_program_that_is_no_mcp_server_is_given_up_and_ended() {
    let mut stage = Stage::new();
    stage.stdout("Welcome!\n> ");
    let Err(error) = connect((), &stage.backend, &config()).await else { panic!("nobody answered") };
    assert!(matches!(error, ConnectError::TimedOut { seconds: 60, .. }), "{error}");
    assert!(matches!(stage.done().await, Done::Wrote(_)));
    assert_eq!(stage.done().await, Done::ClosedStdin);
    assert!(matches!(stage.done().await, Done::Terminated(_)));
}
