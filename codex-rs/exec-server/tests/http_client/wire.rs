//! What is said about requests and bodies on the wire.

use codex_exec_server::ServerConfig;
use codex_exec_server_protocol::bytes::Base64Bytes;
use codex_exec_server_testkit::{Client, patiently};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::site::{Site, answer};
use crate::support::with;

fn streamed(url: &str, request_id: &str, more: Value) -> Value {
    let mut params = json!({"method": "GET", "url": url, "requestId": request_id, "streamResponse": true});
    for (name, value) in more.as_object().expect("changes are an object") {
        params[name] = value.clone();
    }
    params
}

/// The pieces of one body to its end, which must be numbered without gaps: the bytes, and the last piece.
async fn pieces(client: &mut Client, request_id: &str) -> (Vec<u8>, Value) {
    let mut all = Vec::new();
    for seq in 1.. {
        let (method, params) = client.next_notification().await;
        assert_eq!(method, "http/request/bodyDelta");
        assert_eq!((&params["requestId"], &params["seq"]), (&json!(request_id), &json!(seq)), "{params}");
        let text = params["deltaBase64"].as_str().expect("there is always one");
        all.extend_from_slice(&Base64Bytes::decode(text).expect("it is base64"));
        if params["done"] == true {
            assert_eq!(text, "", "the last piece is empty");
            return (all, params);
        }
        assert_eq!(params["error"], Value::Null);
    }
    unreachable!("the loop has no end")
}

/// A site that begins to answer, and goes on when it is told to.
async fn halting() -> (Site, tokio::sync::mpsc::Sender<()>) {
    let (go, gone) = tokio::sync::mpsc::channel(8);
    let gone = std::sync::Arc::new(tokio::sync::Mutex::new(gone));
    let site = Site::talking(move |_, mut stream| {
        let gone = std::sync::Arc::clone(&gone);
        async move {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc").await;
            let mut gone = gone.lock().await;
            tokio::select! {
                _ = gone.recv() => { let _ = stream.write_all(b"def").await; }
                _ = stream.read_u8() => {}
            }
        }
    })
    .await;
    (site, go)
}

#[tokio::test]
async fn pieces_are_numbered_behind_the_answer_and_the_last_is_empty() {
    with(ServerConfig::from_process(), async |harness| {
        let mut client = harness.ready().await;
        let body: Vec<u8> = (0..1_000_000).map(|at| (at % 251) as u8).collect();
        let expected = body.clone();
        let site = Site::raw(move |_| answer("200 OK", "", &body)).await;
        let begun = client.done("http/request", streamed(&site.url("/"), "a", json!({}))).await;
        assert_eq!((&begun["status"], &begun["bodyBase64"]), (&json!(200), &json!("")));
        let (all, last) = pieces(&mut client, "a").await;
        assert!(all == expected);
        assert_eq!((&last["error"], last.get("cause")), (&Value::Null, None));
        // The name is free again.
        client.done("http/request", streamed(&site.url("/"), "a", json!({}))).await;
        assert!(pieces(&mut client, "a").await.0 == expected);
    })
    .await;
}

#[tokio::test]
async fn a_name_in_use_is_refused_for_another_stream_only() {
    with(ServerConfig::from_process(), async |harness| {
        let mut client = harness.ready().await;
        let (site, go) = halting().await;
        client.done("http/request", streamed(&site.url("/"), "a", json!({}))).await;
        let error = client.refused("http/request", streamed(&site.url("/"), "a", json!({}))).await;
        assert_eq!(error.code, -32602);
        assert_eq!(error.message, "http/request streamResponse requestId `a` is already active");
        let other = Site::raw(|_| answer("200 OK", "", b"whole")).await;
        let buffered = json!({"method": "GET", "url": other.url("/"), "requestId": "a"});
        assert_eq!(client.done("http/request", buffered).await["bodyBase64"], "d2hvbGU=");
        go.send(()).await.expect("the site is there");
        assert_eq!(pieces(&mut client, "a").await.0, b"abcdef");
    })
    .await;
}

#[tokio::test]
async fn streams_of_one_connection_are_bounded() {
    let mut config = ServerConfig::from_process();
    config.limits.http.streams_per_connection = 1;
    with(config, async |harness| {
        let mut client = harness.ready().await;
        let (site, _go) = halting().await;
        let first = client.request("http/request", streamed(&site.url("/"), "a", json!({}))).await;
        client.answer(first).await.expect("there is room for one");
        let error = client.refused("http/request", streamed(&site.url("/"), "b", json!({}))).await;
        assert_eq!(error.code, -32600);
        assert!(
            error.message.starts_with("1 streamed HTTP bodies of this connection are open, its limit"),
            "{error}"
        );
        // A body that is over makes room.
        client.notify("$/cancel", json!({"id": first})).await;
        pieces(&mut client, "a").await;
        client.done("http/request", streamed(&site.url("/"), "b", json!({}))).await;
    })
    .await;
}

#[tokio::test]
async fn a_buffered_answer_is_bounded() {
    let mut config = ServerConfig::from_process();
    config.limits.http.buffered_body_bytes = 10;
    with(config, async |harness| {
        let mut client = harness.ready().await;
        for headers in ["HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"] {
            for (bytes, fits) in [(11, false), (10, headers.len() < 25)] {
                let site = Site::raw(move |_| [headers.as_bytes(), &vec![b'x'; bytes]].concat()).await;
                let params = json!({"method": "GET", "url": site.url("/"), "requestId": ""});
                match client.call("http/request", params).await {
                    Ok(_) => assert!(fits),
                    Err(error) => {
                        assert!(!fits, "{error}");
                        assert_eq!(error.data, Some(json!({"cause": "tooLarge"})), "{error}");
                    }
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_request_can_be_cancelled_before_its_answer_and_its_body_behind_it() {
    with(ServerConfig::from_process(), async |harness| {
        let mut client = harness.ready().await;
        let (tell, mut told) = tokio::sync::mpsc::channel(8);
        let silent = Site::talking(move |_, mut stream| {
            let tell = tell.clone();
            async move {
                let _ = tell.send("asked").await;
                let _ = stream.read_u8().await;
                let _ = tell.send("left").await;
            }
        })
        .await;
        for stream in [false, true] {
            let params = streamed(&silent.url("/"), "s", json!({"streamResponse": stream}));
            let id = client.request("http/request", params).await;
            assert_eq!(patiently("the site to be asked", told.recv()).await, Some("asked"));
            client.notify("$/cancel", json!({"id": id})).await;
            assert_eq!(client.answer(id).await.expect_err("it was cancelled").code, -32800);
            assert_eq!(patiently("the site to be left", told.recv()).await, Some("left"));
        }
        let (site, _go) = halting().await;
        let id = client.request("http/request", streamed(&site.url("/"), "b", json!({}))).await;
        client.answer(id).await.expect("it is answered");
        client.notify("$/cancel", json!({"id": id})).await;
        let (_, last) = pieces(&mut client, "b").await;
        assert_eq!((&last["error"], &last["cause"]), (&json!("body was cancelled"), &json!("cancelled")));
    })
    .await;
}

#[tokio::test]
async fn no_more_is_sent_than_was_granted_and_more_when_more_is() {
    with(ServerConfig::from_process(), async |harness| {
        let mut client = harness.ready().await;
        let site = Site::raw(|_| answer("200 OK", "", b"abcdefgh")).await;
        let (unread, ask) = (
            streamed(&site.url("/"), "u", json!({"creditBytes": 0})),
            streamed(&site.url("/"), "a", json!({"creditBytes": 3})),
        );
        client.done("http/request", unread).await;
        client.done("http/request", ask).await;
        let (_, piece) = client.next_notification().await;
        assert_eq!((&piece["requestId"], &piece["deltaBase64"]), (&json!("a"), &json!("YWJj")), "{piece}");
        // Grants for what is not there mean nothing.
        client.notify("http/request/bodyCredit", json!({"requestId": "none", "bytes": 5})).await;
        client.notify("http/request/bodyCredit", json!({"requestId": "a", "bytes": 5})).await;
        let (_, piece) = client.next_notification().await;
        assert_eq!(
            (&piece["seq"], &piece["deltaBase64"], &piece["done"]),
            (&json!(2), &json!("ZGVmZ2g="), &json!(false))
        );
        let (_, piece) = client.next_notification().await;
        assert_eq!(
            (&piece["requestId"], &piece["seq"], &piece["done"]),
            (&json!("a"), &json!(3), &json!(true))
        );
        client.notify("http/request/bodyCredit", json!({"requestId": "u", "bytes": u64::MAX >> 11})).await;
        assert_eq!(pieces(&mut client, "u").await.0, b"abcdefgh");
    })
    .await;
}
