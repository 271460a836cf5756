//! A command with a directory of its own: connecting and starting it are one.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Output;
use std::thread;

use codex_exec_server_client::{Client, ClientConfig, Dialer, ExecProcessEvent, Lag, Proof};
use codex_exec_server_protocol::process::ProcessStartParams;
use codex_exec_server_testkit::Program;
use codex_exec_server_transport::client::ConnectOptions;
use tokio::net::TcpSocket;

use crate::support::{Server, file, noise, output, run, run_script, stderr};

/// The methods of the first `count` messages behind the request for an upgrade, which is never answered.
fn methods(stream: TcpStream, count: usize) -> Vec<String> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        stream.read_line(&mut line).expect("the request arrives");
    }
    let mut byte = || {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("messages arrive before the upgrade is answered");
        byte[0]
    };
    let mut message = || {
        assert_eq!(byte(), 0x81, "a whole text");
        let length = match byte() & 0x7f {
            126 => usize::from(byte()) << 8 | usize::from(byte()),
            length => usize::from(length),
        };
        let mask = [byte(), byte(), byte(), byte()];
        let text: Vec<u8> = (0..length).map(|at| byte() ^ mask[at % 4]).collect();
        let message: serde_json::Value = serde_json::from_slice(&text).expect("it is JSON");
        message["method"].as_str().expect("it has a method").to_owned()
    };
    (0..count).map(|_| message()).collect()
}

#[test]
fn it_leaves_with_the_request_for_the_connection_and_when_that_is_lost_nobody_knows() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("ws://{}", listener.local_addr().expect("it has an address"));
    let serving = thread::spawn(move || methods(listener.accept().expect("it dials").0, /*count*/ 3));
    let ran = output(run(&["--connect", &url, "--cwd", "/"], &["true"]));
    assert_eq!(serving.join().expect("no panic"), ["initialize", "initialized", "process/start"]);
    assert_eq!(ran.status.code(), Some(125));
    assert!(stderr(&ran).contains("process run may have been started"), "{}", stderr(&ran));
}

#[test]
fn nothing_is_in_doubt_when_nobody_was_reached() {
    // Bound, so that nobody else can listen there, and not listening.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    let url = format!("ws://{}", socket.local_addr().expect("it has an address"));
    let ran = output(run(&["--connect", &url, "--cwd", "/"], &["true"]));
    assert_eq!(ran.status.code(), Some(125));
    let said = stderr(&ran);
    assert!(said.contains("is the server running?") && !said.contains("may have been started"), "{said}");
}

/// What a person sees is the same as without a directory.
pub(crate) fn runs_as_ever(server: &Server) {
    let mut flags = server.flags();
    flags.extend(["--cwd", "/"]);
    let said =
        |ran: &Output| (ran.status.code(), String::from_utf8_lossy(&ran.stdout).into_owned(), stderr(ran));
    let ran = output(run_script(&flags, "pwd; echo err >&2; exit 3"));
    assert_eq!(said(&ran), (Some(3), "/\n".into(), "err\n".into()));

    let flood = output(run(&flags, &["seq", "1", "400000"]));
    assert!(flood.stdout == crate::streams::count_to(/*last*/ 400_000), "{}", stderr(&flood));

    // Standard input without an end to be told, as not every server can end one.
    let sent = noise(/*len*/ 300_000);
    let (_dir, path) = file(&sent);
    let mut copy = run(&flags, &["head", "-c", "300000"]);
    copy.stdin(File::open(&path).expect("the file is there"));
    let copy = output(copy);
    assert!(copy.stdout == sent, "{}", stderr(&copy));

    let missing = output(run(&flags, &["no-such-program"]));
    assert!(matches!(missing.status.code(), Some(126 | 127)), "{}", stderr(&missing));
}

#[test]
fn it_runs_as_ever_on_every_kind_of_server() {
    for server in Server::each() {
        runs_as_ever(&server);
    }
}

#[test]
fn flags_that_only_some_servers_understand_are_still_understood() {
    let server = Server::websocket(&[]);
    let mut flags = server.flags();
    flags.extend(["--cwd", "/", "--timeout", "0.2"]);
    let ended = output(run(&flags, &["sleep", "1000"]));
    assert_eq!(ended.status.code(), Some(124), "{}", stderr(&ended));
}

#[tokio::test]
async fn a_program_of_ones_own_gets_all_events_and_a_client_for_more() {
    let server = Program::start(Path::new(env!("CARGO_BIN_EXE_codex-exec-server"))).await;
    let params = |id: &str| -> ProcessStartParams {
        let argv = ["/bin/sh", "-c", "echo out; exit 7"];
        let params = serde_json::json!({
            "processId": id, "argv": argv, "cwd": "file:///", "env": {}, "tty": false, "pipeStdin": false,
        });
        serde_json::from_value(params).expect("these are parameters")
    };
    // With the upgrade, and behind it where that is not wanted.
    for early in [true, false] {
        let options = ConnectOptions { early, ..ConnectOptions::default() };
        let dialer = Dialer::url(server.url().to_owned(), options);
        let cold = Client::connect_and_start(dialer, ClientConfig::default(), params("cold"), Lag::ReadLater);
        let (client, started) = cold.await.expect("there is a session");
        let warm = client.start(params("warm"), Lag::ReadLater).await;
        for (_process, mut events) in [started, warm].map(|started| started.expect("it was started")) {
            let Some(Ok(ExecProcessEvent::Output { bytes, .. })) = events.next().await else {
                panic!("no output")
            };
            assert_eq!(&bytes[..], b"out\n");
            let Some(Ok(ExecProcessEvent::Exited { exit, .. })) = events.next().await else {
                panic!("no exit")
            };
            assert_eq!(exit.code, 7);
            let closed = events.next().await;
            let is_proven =
                matches!(closed, Some(Ok(ExecProcessEvent::Closed { proof: Proof::Checksum, .. })));
            assert!(is_proven, "{closed:?}");
        }
        client.close().await;
    }
    server.stop().await;
}
