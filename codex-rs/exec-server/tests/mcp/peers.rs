//! A server that nobody here wrote: `@modelcontextprotocol/server-everything` from npm, which `tools/test-peers.sh`
//! installs.

use std::path::{Path, PathBuf};

use codex_exec_server_core::service::ExecBackend;
use codex_exec_server_mcp::{ServerConfig, ServerPatience, ServerWatch, connect};
use codex_exec_server_testkit::{PATIENCE, patiently};
use rmcp::model::{CallToolRequestParams, CallToolResult};
use rmcp::service::RunningService;
use rmcp::{Peer, RoleClient};
use serde_json::{Value, json};

use crate::machine::Machine;

/// Where it is; `None` where it is not installed and need not be.
pub(crate) fn everything() -> Option<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from);
    let path = target.join("test-peers/node_modules/@modelcontextprotocol/server-everything/dist/index.js");
    if path.exists() {
        return Some(path);
    }
    let required = std::env::var_os("CODEX_TEST_PEERS").is_some_and(|peers| peers == "required");
    assert!(!required, "{} is missing; tools/test-peers.sh installs it", path.display());
    println!("skipped: tools/test-peers.sh was not run");
    None
}

fn config(server: &Path) -> ServerConfig {
    let mut config = ServerConfig::new(vec!["node".into(), server.display().to_string(), "stdio".into()]);
    config.name = "everything".into();
    config.patience = ServerPatience { initialize: PATIENCE, ..config.patience };
    config
}

type Session = RunningService<RoleClient, ()>;

async fn session(backend: &dyn ExecBackend, server: &Path) -> (Session, ServerWatch) {
    connect((), backend, &config(server)).await.unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) async fn call(peer: &Peer<RoleClient>, tool: &'static str, arguments: Value) -> CallToolResult {
    let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
    let params = CallToolRequestParams::new(tool).with_arguments(arguments);
    let answer = patiently("an answer", peer.call_tool(params)).await;
    answer.unwrap_or_else(|error| panic!("{tool}: {error}"))
}

pub(crate) fn text(result: &CallToolResult) -> &str {
    let content = result.content.first().and_then(|content| content.as_text());
    &content.unwrap_or_else(|| panic!("{result:?} has no text")).text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_from_npm_runs_on_every_machine() {
    let Some(server) = everything() else { return };
    for machine in Machine::each().await {
        let (mut client, watch) = session(&*machine.backend(), &server).await;
        let info = client.peer_info().expect("it introduced itself");
        assert!(info.capabilities.tools.is_some(), "{info:?}");
        let tools = patiently("its tools", client.list_all_tools()).await.expect("it has tools");
        assert!(tools.iter().any(|tool| tool.name == "echo"), "{tools:?}");
        let echo = call(&client, "echo", json!({"message": "grüße €"})).await;
        assert_eq!(text(&echo), "Echo: grüße €");
        let resources = patiently("its resources", client.list_all_resources()).await.expect("it has some");
        assert!(!resources.is_empty());
        patiently("the session to end", client.close()).await.expect("it ends");
        let end = watch.now().expect("it is known how it ended");
        assert!(end.to_string().contains("ended with"), "{end}");
        machine.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_from_npm_does_not_notice_that_connections_break() {
    let Some(server) = everything() else { return };
    let machine = Machine::remote().await;
    let (mut client, _) = session(&*machine.backend(), &server).await;
    for round in 0..20 {
        let mut calls = tokio::task::JoinSet::new();
        for number in 0..10 {
            let peer = client.peer().clone();
            calls.spawn(async move {
                let message = format!("{round}-{number} {}", "x".repeat(number * 3_000));
                let echo = call(&peer, "echo", json!({"message": message})).await;
                assert_eq!(text(&echo), format!("Echo: {message}"));
            });
            if number == 5 {
                machine.cut();
            }
        }
        while let Some(called) = calls.join_next().await {
            called.expect("every call is answered");
        }
    }
    assert!(machine.connections() > 10, "{} connections", machine.connections());
    patiently("the session to end", client.close()).await.expect("it ends");
    machine.stop().await;
}
