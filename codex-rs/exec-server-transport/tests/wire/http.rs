//! What the listener answers to HTTP requests, before and instead of a WebSocket.

use std::time::Duration;

use codex_exec_server_transport::{
    AcceptPolicy, Authenticator, BindError, ListenUrl, Listener, Message, SignedTokenRules, WireLimits,
};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite;

use crate::support::{Server, soon, upgrade_request};

const AUTHORIZED: &str = "Authorization: Bearer secret\r\n";

fn with_token() -> AcceptPolicy {
    AcceptPolicy { auth: Some(Authenticator::capability_token("secret").unwrap()), ..AcceptPolicy::default() }
}

/// Status and body of a response.
fn parts(response: &str) -> (u16, &str) {
    let status = response.split(' ').nth(1).unwrap_or_else(|| panic!("{response:?}")).parse().unwrap();
    (status, response.split_once("\r\n\r\n").unwrap().1)
}

#[tokio::test]
async fn every_request_that_is_no_upgrade_has_its_answer() {
    let server = Server::start(with_token(), WireLimits::default()).await;
    let get = |path: &str, extra: &str| format!("GET {path} HTTP/1.1\r\nHost: h\r\n{extra}\r\n");
    let bad_upgrade = |from: &str, to: &str| upgrade_request(AUTHORIZED).replace(from, to);
    for (request, status, body) in [
        (get("/", ""), 400, "Connection header did not include 'upgrade'"),
        (get("/?x=y", AUTHORIZED), 400, "Connection header did not include 'upgrade'"),
        (
            bad_upgrade("Upgrade: websocket", "Upgrade: h2c"),
            400,
            "Upgrade header did not include 'websocket'",
        ),
        (bad_upgrade("Version: 13", "Version: 8"), 400, "Sec-WebSocket-Version header did not say '13'"),
        (bad_upgrade("Sec-WebSocket-Key", "X-Key"), 400, "Sec-WebSocket-Key header is missing"),
        (bad_upgrade("HTTP/1.1", "HTTP/1.0"), 400, "WebSocket upgrade needs HTTP/1.1"),
        (get("/readyz", ""), 200, ""),
        (get("/readyz?verbose", ""), 200, ""),
        (get("/healthz", ""), 200, ""),
        (get("/healthz", "").replace("GET", "HEAD"), 200, ""),
        (get("/readyz", "").replace("GET", "POST"), 405, ""),
        (get("/", "").replace("GET", "POST"), 405, ""),
        (upgrade_request(AUTHORIZED).replace("GET", "PUT"), 405, ""),
        (get("/ws", ""), 404, ""),
        (get("/readyz/", ""), 404, ""),
        (upgrade_request(AUTHORIZED).replace("GET / ", "GET /ws "), 404, ""),
    ] {
        let response = server.http(&request).await;
        assert_eq!(parts(&response), (status, body), "{request}");
        assert_eq!(response.contains("content-type: text/plain; charset=utf-8\r\n"), !body.is_empty());
    }
}

#[tokio::test]
async fn an_origin_is_refused_on_every_path_and_before_the_credential() {
    let mut policy = with_token();
    policy.allowed_origins.push("https://good.example".to_owned());
    let server = Server::start(policy, WireLimits::default()).await;
    for origin in ["null", "https://evil.example", "http://good.example", "https://good.example:8443", ""] {
        let line = format!("Origin: {origin}\r\n");
        for request in [
            upgrade_request(&line),
            upgrade_request(&format!("{line}{AUTHORIZED}")),
            format!("GET /readyz HTTP/1.1\r\nHost: h\r\n{line}\r\n"),
            format!("GET /nowhere HTTP/1.1\r\nHost: h\r\n{line}\r\n"),
            format!("POST / HTTP/1.1\r\nHost: h\r\n{line}\r\n"),
        ] {
            assert_eq!(parts(&server.http(&request).await), (403, ""), "{request}");
        }
    }
    let good = "Origin: https://good.example\r\n";
    let (status, body) = (401, "missing websocket bearer token");
    assert_eq!(parts(&server.http(&upgrade_request(good)).await), (status, body));
    let both = upgrade_request(&format!("{good}Origin: https://evil.example\r\n"));
    assert_eq!(parts(&server.http(&both).await), (403, ""));
    let request = format!("GET /readyz HTTP/1.1\r\nHost: h\r\n{good}\r\n");
    assert_eq!(parts(&server.http(&request).await), (200, ""));
}

#[tokio::test]
async fn a_credential_is_asked_for_with_the_words_that_clients_know() {
    let server = Server::start(with_token(), WireLimits::default()).await;
    for (header, body) in [
        ("", "missing websocket bearer token"),
        ("Authorization: Basic c2VjcmV0\r\n", "invalid authorization header"),
        ("Authorization: Bearer \r\n", "invalid authorization header"),
        ("Authorization: Bearer wrong\r\n", "invalid websocket bearer token"),
    ] {
        assert_eq!(parts(&server.http(&upgrade_request(header)).await), (401, body));
    }
    let in_query = upgrade_request("").replace("GET / ", "GET /?token=secret ");
    assert_eq!(parts(&server.http(&in_query).await), (401, "missing websocket bearer token"));

    let auth = Authenticator::signed_bearer_token(&"s".repeat(32), SignedTokenRules::default()).unwrap();
    let policy = AcceptPolicy { auth: Some(auth), ..AcceptPolicy::default() };
    let server = Server::start(policy, WireLimits::default()).await;
    assert_eq!(parts(&server.http(&upgrade_request(AUTHORIZED)).await), (401, "invalid websocket jwt"));
}

#[tokio::test]
async fn an_upgrade_is_confirmed_and_offers_are_ignored() {
    let server = Server::start(with_token(), WireLimits::default()).await;
    let mut stream = server.tcp().await;
    let offers =
        "Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Extensions: permessage-deflate\r\n";
    let request = upgrade_request(&format!("{offers}authorization: bEARER   secret  \r\n"))
        .replace("GET / ", "GET /?any=query ");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon(stream.read_u8()).await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    // The key and its answer are the example of RFC 6455 §1.3.
    assert!(head.contains("\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"), "{head}");
    assert!(
        head.contains("\r\nconnection: upgrade\r\n") && head.contains("\r\nupgrade: websocket\r\n"),
        "{head}"
    );
    assert!(!head.contains("protocol:") && !head.contains("extensions"), "{head}");
}

#[tokio::test]
async fn frames_right_behind_the_upgrade_request_are_not_lost() {
    let mut server = Server::open().await;
    let mut packet = upgrade_request("").into_bytes();
    // Two masked text frames with a mask of zeros, and the first half of a third.
    packet.extend_from_slice(b"\x81\x83\0\0\0\0one\x81\x83\0\0\0\0two\x81\x85\0\0\0\0th");
    let mut stream = server.tcp().await;
    stream.write_all(&packet).await.unwrap();
    let mut connection = server.next().await;
    assert_eq!(soon(connection.reader.next()).await.unwrap().unwrap(), "one");
    assert_eq!(soon(connection.reader.next()).await.unwrap().unwrap(), "two");
    stream.write_all(b"ree").await.unwrap();
    assert_eq!(soon(connection.reader.next()).await.unwrap().unwrap(), "three");
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_is_still_sending_its_body() {
    let server = Server::open().await;
    let body = "x".repeat(1_000_000);
    let request = format!("POST /readyz HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    assert_eq!(parts(&server.http(&request).await), (405, ""));
}

#[tokio::test]
async fn garbage_and_oversized_heads_are_refused_and_hurt_nobody() {
    let mut server = Server::open().await;
    assert!(server.http("\x16\x03\x01 this is not http\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
    let huge = format!("X-Huge: {}\r\n", "x".repeat(100_000));
    assert!(server.http(&upgrade_request(&huge)).await.starts_with("HTTP/1.1 431 "));
    drop(server.tcp().await);
    let _client = server.tungstenite().await;
    server.next().await;
}

#[tokio::test]
async fn silent_handshakes_delay_nobody_and_end_at_their_deadline() {
    // Long enough for the one that does speak, on a busy machine too.
    let limits = WireLimits { handshake_timeout: Duration::from_secs(3), ..WireLimits::default() };
    let mut server = Server::start(AcceptPolicy::default(), limits).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(server.tcp().await);
    }
    let mut half_a_request = server.tcp().await;
    half_a_request.write_all(b"GET / HTTP/1.1\r\nHos").await.unwrap();
    let _client = server.tungstenite().await;
    server.next().await;
    for mut stream in silent {
        assert_eq!(soon(stream.read(&mut [0; 8])).await.unwrap(), 0);
    }
    assert_eq!(soon(half_a_request.read(&mut [0; 8])).await.unwrap(), 0);
}

#[tokio::test]
async fn more_handshakes_than_the_limit_wait_their_turn() {
    let limits = WireLimits {
        handshake_timeout: Duration::from_millis(200),
        pending_handshakes: 2,
        ..WireLimits::default()
    };
    let mut server = Server::start(AcceptPolicy::default(), limits).await;
    let _silent = [server.tcp().await, server.tcp().await];
    let mut client = server.tungstenite().await;
    let mut connection = server.next().await;
    client.send(tungstenite::Message::text("here at last")).await.unwrap();
    assert_eq!(soon(connection.reader.next()).await.unwrap().unwrap(), "here at last");
    connection.writer.send(Message::text("welcome")).await.unwrap();
    assert_eq!(soon(client.next()).await.unwrap().unwrap(), tungstenite::Message::text("welcome"));
}

#[tokio::test]
async fn off_loopback_a_credential_is_mandatory() {
    let bind = async |url: &str, policy| {
        Listener::bind(&url.parse::<ListenUrl>().unwrap(), policy, WireLimits::default()).await
    };
    let error = bind("ws://0.0.0.0:0", AcceptPolicy::default()).await.unwrap_err();
    assert!(matches!(error, BindError::AuthRequired(_)), "{error}");
    assert_eq!(
        error.to_string(),
        "refusing to listen on 0.0.0.0:0 without authentication: it is reachable from other machines, configure a token"
    );
    let listener = bind("ws://0.0.0.0:0", with_token()).await.unwrap();
    assert!(listener.local_url().starts_with("ws://0.0.0.0:") && !listener.local_url().ends_with(":0"));
    assert!(matches!(bind("stdio", with_token()).await, Err(BindError::AuthOnStdio)));
    let taken = listener.local_url().to_owned();
    assert!(matches!(bind(&taken, with_token()).await, Err(BindError::Tcp { .. })));
}
