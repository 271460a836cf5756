//! HTTP through a server that can: the reference's, where it is at hand. Set `CODEX_REFERENCE_BIN` to its path.

use std::path::Path;
use std::process::Stdio;

use bytes::Bytes;
use codex_exec_server_client::{Client, ClientConfig, Dialer, RequestError};
use codex_exec_server_protocol::http::HttpRequestParams;
use codex_exec_server_testkit::{Program, patiently};
use codex_exec_server_transport::client::ConnectOptions;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

/// The real program.
const PROGRAM: &str = env!("CARGO_BIN_EXE_codex-exec-server");
/// Size of the body that is asked for: several pieces of any server's.
const BODY_BYTES: usize = 3_000_000;

/// The reference's server and where it listens; killed when dropped.
async fn reference() -> Option<(Child, String)> {
    let Some(path) = std::env::var_os("CODEX_REFERENCE_BIN") else {
        println!("skipped: CODEX_REFERENCE_BIN is not set");
        return None;
    };
    let mut child = Command::new(path)
        .args(["exec-server", "--listen", "ws://127.0.0.1:0"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the program starts");
    let mut lines = BufReader::new(child.stdout.take().expect("it has a pipe")).lines();
    let url = patiently("the reference to say where it listens", lines.next_line()).await;
    Some((child, url.expect("it can be read").expect("it says it")))
}

async fn connect(url: &str) -> Client {
    let dialer = Dialer::url(url.to_owned(), ConnectOptions::default());
    Client::connect(dialer, ClientConfig::default()).await.expect("it accepts connections")
}

/// An HTTP server that answers every request with the same body, on a connection of its own.
async fn http_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback can be listened on");
    let url = format!("http://{}/body", listener.local_addr().expect("it is bound"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => break,
                }
            }
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {BODY_BYTES}\r\nX-Test: yes\r\nConnection: close\r\n\r\n"
            );
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.write_all(&body()).await;
        }
    });
    url
}

fn body() -> Bytes {
    (0..BODY_BYTES).map(|at| (at % 251) as u8).collect()
}

fn get(url: &str) -> HttpRequestParams {
    serde_json::from_value(json!({"method": "GET", "url": url, "requestId": ""}))
        .expect("these are parameters")
}

#[tokio::test]
async fn bodies_come_whole_or_in_pieces_through_the_reference_server() {
    let Some((_server, url)) = reference().await else { return };
    let client = connect(&url).await;
    let target = http_server().await;
    let whole = client.http(get(&target)).await.expect("it is answered");
    assert_eq!((whole.status, whole.body_base64.into_bytes() == body()), (200, true));

    let mut answer = client.http_stream(get(&target)).await.expect("it is answered");
    let header = answer.headers.iter().find(|header| header.name == "x-test");
    assert_eq!((answer.status, header.map(|header| header.value.as_str())), (200, Some("yes")));
    let mut streamed = Vec::new();
    while let Some(piece) = patiently("a piece", answer.body.next()).await {
        streamed.extend(piece.expect("nothing breaks"));
    }
    assert!(streamed == body(), "{} bytes of {BODY_BYTES}", streamed.len());
    client.close().await;
}

#[tokio::test]
async fn a_server_without_http_says_so() {
    let server = Program::start(Path::new(PROGRAM)).await;
    let client = connect(server.url()).await;
    let refused = client.http(get("http://127.0.0.1:1/")).await;
    assert!(matches!(&refused, Err(RequestError::Refused(error)) if error.code == -32601), "{refused:?}");
    client.close().await;
    server.stop().await;
}
