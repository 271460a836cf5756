//! A bridge between pipes and a server.

use codex_exec_server_core::service::ExecError;
use codex_exec_server_mcp::{BridgeError, Pipes, ServerConfig, ServerPatience, bridge, launch};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::fake::{Done, Stage};

/// The client's ends of a bridge that carries.
struct Client {
    stdin: Option<DuplexStream>,
    stdout: Option<DuplexStream>,
    stderr: DuplexStream,
    stop: oneshot::Sender<()>,
    /// The exit code.
    over: JoinHandle<Result<i32, BridgeError>>,
}

async fn client_of(stage: &Stage) -> Client {
    let config = ServerConfig::new(vec!["server".into()]);
    let launched = launch(&stage.backend, &config).await.expect("it starts");
    let (stdin, their_stdin) = duplex(1 << 10);
    let (stdout, their_stdout) = duplex(1 << 10);
    let (stderr, their_stderr) = duplex(1 << 10);
    let (stop, stopped) = oneshot::channel();
    let over = tokio::spawn(async move {
        let pipes = Pipes { stdin: their_stdin, stdout: their_stdout, stderr: their_stderr };
        let stopped = async {
            if stopped.await.is_err() {
                std::future::pending().await
            }
        };
        bridge(launched, pipes, &ServerPatience::default(), stopped).await.map(|exit| exit.code)
    });
    Client { stdin: Some(stdin), stdout: Some(stdout), stderr, stop, over }
}

impl Client {
    async fn read_to_end(&mut self) -> (String, String) {
        let (mut out, mut err) = (String::new(), String::new());
        let stdout = self.stdout.as_mut().expect("it reads");
        let read = tokio::join!(stdout.read_to_string(&mut out), self.stderr.read_to_string(&mut err));
        read.0.and(read.1).expect("text");
        (out, err)
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_go_through_as_they_are_and_so_does_the_exit_code() {
    let mut stage = Stage::new();
    let mut client = client_of(&stage).await;
    client.stdin.as_mut().unwrap().write_all(b"{\r\n no json \xff").await.unwrap();
    let mut written = Vec::new();
    while written != b"{\r\n no json \xff" {
        let Done::Wrote(bytes) = stage.done().await else { panic!("input") };
        written.extend(bytes);
    }
    client.stdin = None;
    assert_eq!(stage.done().await, Done::ClosedStdin);
    stage.stdout("one\r\n\ntw");
    stage.stderr("wor");
    stage.stdout("o\nrest");
    stage.stderr("ds");
    stage.exit(/*code*/ 3);
    stage.close();
    assert_eq!(client.read_to_end().await, ("one\r\n\ntwo\nrest".into(), "words".into()));
    assert_eq!(client.over.await.unwrap().unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn half_a_message_is_never_passed_on_when_the_rest_is_lost() {
    let mut stage = Stage::new();
    let mut client = client_of(&stage).await;
    stage.stdout("whole\nhal");
    stage.break_down(ExecError::Disconnected("no answer for 45 s".into()));
    assert_eq!(client.read_to_end().await.0, "whole\n");
    let error = client.over.await.unwrap().unwrap_err().to_string();
    assert!(error.contains("no answer for 45 s"), "{error}");
    assert!(matches!(stage.done().await, Done::Terminated(_)), "it is ended if it can be reached");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_slowly_gets_everything() {
    let stage = Stage::new();
    let mut client = client_of(&stage).await;
    let lines: String = (0..100).map(|number| format!("{number} {}\n", "x".repeat(1000))).collect();
    stage.stdout(&lines);
    stage.exit(/*code*/ 0);
    stage.close();
    assert_eq!(client.read_to_end().await.0, lines);
    assert_eq!(client.over.await.unwrap().unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_any_more_ends_the_server() {
    let mut stage = Stage::new();
    let mut client = client_of(&stage).await;
    client.stdout = None;
    stage.stdout("anybody?\n");
    assert!(matches!(stage.done().await, Done::Terminated(_)));
    assert!(matches!(client.over.await.unwrap(), Err(BridgeError::Client(_))));
}

#[tokio::test(start_paused = true)]
async fn stopping_ends_the_server_and_passes_on_its_last_words() {
    let mut stage = Stage::new();
    let mut client = client_of(&stage).await;
    client.stop.send(()).unwrap();
    assert!(matches!(stage.done().await, Done::Terminated(Some(_))));
    stage.stdout("bye\n");
    stage.exit(/*code*/ 143);
    stage.close();
    let (mut out, mut stdout) = (String::new(), client.stdout.take().unwrap());
    stdout.read_to_string(&mut out).await.unwrap();
    assert_eq!(out, "bye\n");
    assert!(matches!(client.over.await.unwrap(), Err(BridgeError::Stopped)));
}
