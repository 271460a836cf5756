//! Servers that do something wrong, as small scripts.

use std::sync::Arc;

use codex_exec_server_core::service::{ExecBackend, ExecError};
use codex_exec_server_mcp::{ConnectError, Reason, ServerConfig, ServerLimits, ServerPatience, connect};
use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_testkit::{PATIENCE, patiently};
use rmcp::model::CallToolRequestParams;
use rmcp::service::{QuitReason, ServiceError};

use crate::machine::Machine;

/// The frame of a server: `tools/call` runs what the test puts in its place, with the request's number in `$id`.
fn server(before: &str, on_call: &str) -> ServerConfig {
    let script = format!(
        r#"
        answer() {{ printf '{{"jsonrpc":"2.0","id":%s,"result":%s}}\n' "$1" "$2"; }}
        say() {{ answer "$id" "{{\"content\":[{{\"type\":\"text\",\"text\":\"$1\"}}]}}"; }}
        {before}
        while IFS= read -r line; do
          id=$(printf %s "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
          case $line in
            *'"method":"initialize"'*) answer "$id" '{{"protocolVersion":"2025-06-18","capabilities":{{"tools":{{}}}},"serverInfo":{{"name":"script","version":"1"}}}}';;
            *'"method":"tools/call"'*) {on_call};;
          esac
        done
        "#
    );
    let mut config = ServerConfig::new(vec!["sh".into(), "-c".into(), script]);
    config.patience = ServerPatience { initialize: PATIENCE, ..config.patience };
    config
}

fn call() -> CallToolRequestParams {
    CallToolRequestParams::new("anything")
}

/// Runs a case on every machine.
async fn everywhere<C: Future<Output = ()>>(case: impl Fn(Arc<dyn ExecBackend>) -> C) {
    for machine in Machine::each().await {
        case(machine.backend()).await;
        machine.stop().await;
    }
}

/// What one call of a tool says.
async fn said(backend: &dyn ExecBackend, config: &ServerConfig) -> String {
    let (mut client, _) = connect((), backend, config).await.expect("it shakes hands");
    let result = patiently("an answer", client.call_tool(call())).await.expect("it answers");
    patiently("the server to end", client.close()).await.expect("it ends");
    let text = result.content.first().and_then(|content| content.as_text()).expect("text");
    text.text.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_is_not_there_is_an_error_at_once() {
    everywhere(async |backend| {
        let config = ServerConfig::new(vec!["no-such-mcp-server".into()]);
        let Err(ConnectError::Server(error)) = connect((), &*backend, &config).await else {
            panic!("it is not there")
        };
        assert!(matches!(error.reason, Reason::NotStarted(ExecError::Refused(_))), "{error:?}");
        assert!(error.to_string().starts_with("MCP server no-such-mcp-server was not started"), "{error}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dies_at_its_start_says_why() {
    everywhere(async |backend| {
        let script = "echo 'Error: cannot find module mcp' >&2; exit 7";
        let config = ServerConfig::new(vec!["sh".into(), "-c".into(), script.into()]);
        let Err(ConnectError::Server(error)) = connect((), &*backend, &config).await else {
            panic!("it died")
        };
        let expected = "MCP server sh ended with exit code 7; the last it said on stderr:\n  \
                        Error: cannot find module mcp";
        assert_eq!(error.to_string(), expected);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_crashes_fails_what_is_under_way_and_says_why() {
    everywhere(async |backend| {
        let config = server("", "echo 'it went wrong' >&2; kill -SEGV $$");
        let (client, mut watch) = connect((), &*backend, &config).await.expect("it shakes hands");
        let called = patiently("the call to fail", client.call_tool(call())).await;
        assert!(matches!(called, Err(ServiceError::TransportClosed)), "{called:?}");
        let end = patiently("the end to be known", watch.ended()).await;
        assert!(end.to_string().contains("ended with signal 11"), "{end}");
        assert_eq!(end.stderr.lines(), ["it went wrong"]);
        let over = patiently("the session to end", client.waiting()).await;
        assert!(matches!(over, Ok(QuitReason::Closed)), "{over:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_on_stdout_are_no_messages_and_do_no_harm() {
    everywhere(async |backend| {
        let noise = "echo; echo 'Server running on stdio'; echo '[1,2]'; printf 'half'; echo ' a line'";
        assert_eq!(said(&*backend, &server(noise, &format!("{noise}; say fine"))).await, "fine");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_comes_byte_by_byte_is_one_message() {
    everywhere(async |backend| {
        // Each of the three bytes of the sign comes alone.
        let slowly = r#"printf '{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"' "$id"
            for byte in 342 202 254; do printf "\\$byte"; sleep 0.01; done; echo '"}]}}'"#;
        assert_eq!(said(&*backend, &server("", slowly)).await, "€");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_line_ends_the_server_and_not_the_memory() {
    everywhere(async |backend| {
        let mut config = server("", "yes | tr -d '\\n'");
        config.limits = ServerLimits { line_bytes: 1 << 20, ..config.limits };
        let (client, mut watch) = connect((), &*backend, &config).await.expect("it shakes hands");
        let called = patiently("the call to fail", client.call_tool(call())).await;
        assert!(matches!(called, Err(ServiceError::TransportClosed)), "{called:?}");
        let end = patiently("the end to be known", watch.ended()).await;
        assert!(end.to_string().contains("a line is longer than 1048576 bytes"), "{end}");
        patiently("the session to end", client.waiting()).await.expect("it ends");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_makes_no_sense_fails_its_call_alone() {
    everywhere(async |backend| {
        let config = server("", "answer \"$id\" '{},\"error\":{}'; echo");
        let (client, _) = connect((), &*backend, &config).await.expect("it shakes hands");
        for _ in 0..2 {
            let error = patiently("the call to fail", client.call_tool(call())).await.expect_err("no sense");
            assert!(error.to_string().contains("not understood"), "{error}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_runs_where_and_with_what_its_configuration_says() {
    everywhere(async |backend| {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let folder = folder.path().canonicalize().expect("it is there");
        let mut config = server("", r#"say "$(pwd) $GIVEN ${HOME:+home} ${CARGO_MANIFEST_DIR:-nothing}""#);
        config.cwd = Some(PathUri::try_from(folder.as_path()).expect("a path"));
        config.env.insert("GIVEN".into(), "value".into());
        // The build's own variables are in the environment of this test, and are nothing to the server.
        let expected = format!("{} value home nothing", folder.display());
        assert_eq!(said(&*backend, &config).await, expected);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_ignores_its_end_and_leaves_children_is_ended_with_them() {
    everywhere(async |backend| {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let held = folder.path().join("held");
        let status = std::process::Command::new("mkfifo").arg(&held).status().expect("mkfifo is there");
        assert!(status.success());
        let before = format!("trap '' TERM HUP; sleep 1000 > '{}' & ", held.display());
        let mut config = server(&before, "say fine");
        config.argv[2].push_str("; while :; do sleep 1000; done");
        config.patience.exit = std::time::Duration::from_millis(10);
        config.patience.grace = std::time::Duration::from_millis(10);
        let (mut client, _) = connect((), &*backend, &config).await.expect("it shakes hands");
        // Opening waits until the child has opened it as well; it can be read to its end once nobody has it open for writing
        // any more.
        let opening = tokio::task::spawn_blocking(move || std::fs::File::open(&held));
        let held =
            patiently("the child to be there", opening).await.expect("no panic").expect("it can be opened");
        patiently("the session to end", client.close()).await.expect("it ends");
        let reading = tokio::task::spawn_blocking(move || std::io::read_to_string(held));
        let read = patiently("the child to be ended", reading).await.expect("no panic");
        assert_eq!(read.expect("it can be read"), "");
    })
    .await;
}
