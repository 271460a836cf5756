//! `codex-exec-server mcp` as an MCP client meets it: the real program, on this machine and on another.

use std::path::PathBuf;
use std::process::Stdio;

use codex_exec_server_testkit::patiently;
use rmcp::handler::client::ClientHandler;
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CallToolResult, ClientRequest, ProgressNotificationParam,
};
use rmcp::service::{NotificationContext, PeerRequestOptions, RunningService};
use rmcp::{RoleClient, ServiceExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::programs::{Proxy, Server, program};

/// A client that passes on what it is told of progress.
#[derive(Debug, Clone)]
struct Listener(mpsc::UnboundedSender<ProgressNotificationParam>);

impl ClientHandler for Listener {
    async fn on_progress(&self, progress: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        // The test may be over.
        let _ = self.0.send(progress);
    }
}

/// The program and a client of it.
pub(crate) struct Agent {
    session: RunningService<RoleClient, Listener>,
    child: Child,
    progress: mpsc::UnboundedReceiver<ProgressNotificationParam>,
}

impl Agent {
    pub(crate) async fn with(flags: &[&str]) -> Self {
        let mut command = program();
        // Whatever environments the machine of this test has are none of its business.
        command
            .env("CODEX_EXEC_SERVER_URL", "")
            .env("CODEX_EXEC_SERVER_CONFIG", "none")
            .env("HOME", "/nowhere");
        command.arg("mcp").args(flags).current_dir("/usr");
        let mut command = Command::from(command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().expect("the program starts");
        let pipes = (child.stdout.take().expect("a pipe"), child.stdin.take().expect("a pipe"));
        let (told, progress) = mpsc::unbounded_channel();
        let session = patiently("the handshake", Listener(told).serve(pipes)).await;
        Self { session: session.expect("it shakes hands"), child, progress }
    }

    async fn call(&self, tool: &'static str, arguments: Value) -> CallToolResult {
        let answer = patiently("an answer", self.session.call_tool(params(tool, arguments))).await;
        answer.unwrap_or_else(|error| panic!("{tool}: {error}"))
    }

    /// Calls a tool that does it: its output, and the facts.
    pub(crate) async fn done(&self, tool: &'static str, arguments: Value) -> (String, Value) {
        let result = self.call(tool, arguments).await;
        assert_eq!(result.is_error, Some(false), "{result:?}");
        let output = texts(&result).get(1).copied().unwrap_or_default().to_owned();
        (output, result.structured_content.expect("facts"))
    }

    /// Calls a tool that does not do it: why.
    pub(crate) async fn refused(&self, tool: &'static str, arguments: Value) -> String {
        let result = self.call(tool, arguments).await;
        assert_eq!(result.is_error, Some(true), "{result:?}");
        texts(&result)[0].to_owned()
    }

    /// Goes away in good order.
    pub(crate) async fn leave(mut self) {
        patiently("the session to end", self.session.close()).await.expect("it ends");
        let status = patiently("the program to end", self.child.wait()).await.expect("it is our child");
        assert_eq!(status.code(), Some(0));
    }
}

fn params(tool: &'static str, arguments: Value) -> CallToolRequestParams {
    let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
    CallToolRequestParams::new(tool).with_arguments(arguments)
}

fn texts(result: &CallToolResult) -> Vec<&str> {
    let texts = result.content.iter().map(|content| content.as_text().expect("only text"));
    texts.map(|content| content.text.as_str()).collect()
}

/// A pipe that a command can hold open; whoever reads it learns when nobody does any more.
struct Held {
    path: PathBuf,
    _folder: TempDir,
}

impl Held {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let path = folder.path().join("held");
        let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo is there");
        assert!(made.success());
        Self { path, _folder: folder }
    }

    /// Runs for ever, in a session of its own, and holds it.
    fn command(&self) -> String {
        format!("setsid sh -c 'echo held; exec sleep 1000' > '{}'", self.path.display())
    }

    /// Waits until it is held; what is returned ends when it is not any more.
    async fn held(&self) -> JoinHandle<()> {
        let path = self.path.clone();
        let (opened, open) = tokio::sync::oneshot::channel();
        let released = tokio::task::spawn_blocking(move || {
            let mut file = std::io::BufReader::new(std::fs::File::open(&path).expect("it is there"));
            let mut line = String::new();
            std::io::BufRead::read_line(&mut file, &mut line).expect("text");
            opened.send(line).expect("the test waits");
            std::io::copy(&mut file, &mut std::io::sink()).expect("it can be read");
        });
        let line = patiently("the command to run", open).await;
        assert_eq!(line.as_deref(), Ok("held\n"));
        released
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_says_what_it_can_do() {
    let agent = Agent::with(&[]).await;
    let info = agent.session.peer_info().expect("it introduced itself");
    let instructions = info.instructions.clone().expect("it says what for");
    assert!(instructions.contains("working directory /usr"), "{instructions}");
    let tools = patiently("its tools", agent.session.list_all_tools()).await.expect("it has tools");
    let names: Vec<&str> = tools.iter().map(|tool| &*tool.name).collect();
    assert_eq!(
        names,
        [
            "exec_command",
            "write_stdin",
            "read",
            "list",
            "terminate",
            "read_file",
            "write_file",
            "list_directory",
            "find_files",
            "search_files"
        ]
    );
    for tool in &tools {
        assert!(tool.description.as_ref().is_some_and(|words| words.len() > 50), "{tool:?}");
        let schema = &tool.input_schema;
        assert_eq!((&schema["type"], &schema["additionalProperties"]), (&json!("object"), &json!(false)));
        for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            assert!(field["description"].is_string(), "{}.{name} says nothing", tool.name);
        }
    }
    agent.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_run_here_and_there() {
    for server in [Server::Embedded, Server::websocket(&[])] {
        let agent = Agent::with(&server.flags()).await;
        let arguments = json!({"cmd": "pwd; echo $GIVEN >&2; exit 3", "workdir": "/usr/lib/..", "env": {"GIVEN": "value"}});
        let (output, facts) = agent.done("exec_command", arguments).await;
        assert_eq!(output, "/usr\nvalue\n");
        assert_eq!((&facts["state"], &facts["exitCode"]), (&json!("exited"), &json!(3)));
        agent.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_goes_on_can_be_given_input_listed_interrupted_and_ended() {
    let agent = Agent::with(&[]).await;
    let arguments = json!({"cmd": "while read line; do echo got $line; done; echo end", "stdin": true, "yield_time_ms": 0});
    let (_, facts) = agent.done("exec_command", arguments).await;
    assert_eq!((&facts["process"], &facts["state"]), (&json!(1), &json!("running")));
    let input = json!({"process": 1, "chars": "one\n", "close": true, "yield_time_ms": 60_000});
    let (output, facts) = agent.done("write_stdin", input).await;
    assert_eq!((output.as_str(), &facts["exitCode"]), ("got one\nend\n", &json!(0)));

    let script = "trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.01; done";
    let (mut said, _) = agent.done("exec_command", json!({"cmd": script, "yield_time_ms": 0})).await;
    while !said.contains("ready\n") {
        let poll = json!({"process": 2, "yield_time_ms": 5});
        said.push_str(&agent.done("write_stdin", poll).await.0);
    }
    let (output, facts) =
        agent.done("write_stdin", json!({"process": 2, "chars": "\u{3}", "yield_time_ms": 60_000})).await;
    assert_eq!((output.as_str(), &facts["exitCode"]), ("caught\n", &json!(5)));

    agent.done("exec_command", json!({"cmd": "sleep 1000", "yield_time_ms": 0})).await;
    let (table, facts) = agent.done("list", json!({})).await;
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(
        table.lines().any(|line| line.starts_with("3\truns\t") && line.ends_with("\tsleep 1000")),
        "{table}"
    );
    assert_eq!(facts["processes"][2]["state"], "running");
    let (_, facts) = agent.done("terminate", json!({"process": 3})).await;
    assert_eq!((&facts["state"], &facts["exitCode"]), (&json!("exited"), &json!(137)));
    agent.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_answer_left_out_can_be_read_also_when_connections_break() {
    let server = Server::websocket(&[]);
    let proxy = Proxy::before(&server, (0..8).map(|cut| 100_000 + cut * 54_321).collect());
    let agent = Agent::with(&["--connect", &proxy.url]).await;
    let expected: String = (1..=200_000).map(|number| format!("{number}\n")).collect();
    let arguments = json!({"cmd": "seq 1 200000", "max_output_tokens": 200, "yield_time_ms": 60_000});
    let (excerpt, facts) = agent.done("exec_command", arguments).await;
    assert!(
        excerpt.len() <= 800 && excerpt.starts_with("1\n2\n") && excerpt.ends_with("200000\n"),
        "{excerpt}"
    );
    let left_out = facts["omitted"]["offset"].as_u64().expect("something was left out");
    assert!(excerpt.contains(&format!("read process 1 from offset {left_out}")), "{excerpt}");
    let (mut whole, mut offset) = (String::new(), json!(0));
    loop {
        let arguments = json!({"process": 1, "offset": offset, "max_output_tokens": 50_000});
        let (text, facts) = agent.done("read", arguments).await;
        whole.push_str(&text);
        offset = facts["nextOffset"].clone();
        if facts["isEnd"] == true {
            break;
        }
    }
    assert!(whole == expected, "{} bytes of {}", whole.len(), expected.len());
    assert!(proxy.cuts.try_iter().count() >= 5);
    agent.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_are_told_with_what_to_do_next() {
    let agent = Agent::with(&[]).await;
    let cases = [
        ("write_stdin", json!({"process": 7}), "unknown process 7; list shows"),
        (
            "exec_command",
            json!({"cmd": "true", "cwd": "/"}),
            "unknown field `cwd`, expected one of `cmd`, `workdir`",
        ),
        ("exec_command", json!({}), "missing field `cmd`"),
        ("exec_command", json!({"cmd": "true", "workdir": "/no/such/folder"}), "/no/such/folder"),
        ("exec_command", json!({"cmd": "true", "yield_time_ms": 600_001}), "at most 600000"),
        ("terminate", json!({"process": 1, "grace_ms": 60_001}), "grace_ms must be at most 60000, got 60001"),
    ];
    for (tool, arguments, words) in cases {
        let said = agent.refused(tool, arguments).await;
        assert!(said.contains(words), "{tool}: {said}");
    }
    let (_, facts) = agent.done("exec_command", json!({"cmd": "true"})).await;
    let said = agent.refused("write_stdin", json!({"process": facts["process"], "chars": "x"})).await;
    assert!(said.contains("so nothing was written"), "{said}");
    let unknown = patiently("an answer", agent.session.call_tool(params("shell", json!({})))).await;
    let error = unknown.expect_err("there is no such tool").to_string();
    assert!(error.contains("there is no tool shell; there are exec_command, write_stdin"), "{error}");
    agent.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_takes_its_time_shows_signs_of_life() {
    let mut agent = Agent::with(&[]).await;
    let held = Held::new();
    let arguments = json!({"cmd": held.command(), "yield_time_ms": 600_000});
    let request = ClientRequest::CallToolRequest(CallToolRequest::new(params("exec_command", arguments)));
    let handle = agent.session.send_cancellable_request(request, PeerRequestOptions::no_options()).await;
    let handle = handle.expect("it is sent");
    let progress = patiently("a sign of life", agent.progress.recv()).await.expect("it lives");
    assert!(progress.message.is_some_and(|words| words.starts_with("still running after")));
    handle.cancel(/*id*/ None).await.expect("it is sent");
    agent.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_cancelled_ends_its_command_and_no_other() {
    for server in [Server::Embedded, Server::websocket(&[])] {
        let agent = Agent::with(&server.flags()).await;
        agent.done("exec_command", json!({"cmd": "sleep 1000", "yield_time_ms": 0})).await;
        let held = Held::new();
        let arguments = json!({"cmd": held.command(), "yield_time_ms": 600_000});
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(params("exec_command", arguments)));
        let handle = agent.session.send_cancellable_request(request, PeerRequestOptions::no_options()).await;
        let released = held.held().await;
        handle.expect("it is sent").cancel(Some("enough".into())).await.expect("it is sent");
        patiently("the command to be ended", released).await.expect("no panic");
        let (table, _) = agent.done("list", json!({})).await;
        assert!(table.starts_with("1\truns"), "{table}");
        agent.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_still_runs_when_the_client_goes_away_is_ended() {
    for server in [Server::Embedded, Server::websocket(&[])] {
        let agent = Agent::with(&server.flags()).await;
        let held = Held::new();
        agent.done("exec_command", json!({"cmd": held.command(), "yield_time_ms": 0})).await;
        let released = held.held().await;
        agent.leave().await;
        patiently("the command to be ended", released).await.expect("no panic");
    }
}

#[test]
fn a_client_that_never_speaks_is_no_failure() {
    let mut command = program();
    command.env("CODEX_EXEC_SERVER_URL", "").env("CODEX_EXEC_SERVER_CONFIG", "none").env("HOME", "/nowhere");
    let output = command.arg("mcp").stdin(Stdio::null()).output().expect("the program starts");
    assert_eq!((output.status.code(), &*output.stdout, &*output.stderr), (Some(0), &b""[..], &b""[..]));
}
