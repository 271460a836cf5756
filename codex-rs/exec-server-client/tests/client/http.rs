//! HTTP requests through a server.

use codex_exec_server_client::{Client, HttpBodyError, RequestError, Unsupported};
use codex_exec_server_protocol::bytes::Base64Bytes;
use codex_exec_server_protocol::http::HttpRequestParams;
use serde_json::{Value, json};

use crate::fake::{EVERYTHING, Network, Request, Server};

fn get() -> HttpRequestParams {
    let params = json!({"method": "GET", "url": "http://example.test/", "requestId": ""});
    serde_json::from_value(params).expect("these are parameters")
}

fn answer(body: &str) -> Value {
    json!({"status": 200, "headers": [{"name": "a", "value": "b"}], "bodyBase64": base64(body)})
}

fn base64(text: &str) -> Value {
    serde_json::to_value(Base64Bytes::from(text.as_bytes().to_vec())).expect("bytes serialize")
}

async fn piece(server: &mut Server, request: &Request, seq: u64, text: &str, done: bool) {
    let id = &request.params["requestId"];
    let params =
        json!({"requestId": id, "seq": seq, "deltaBase64": base64(text), "done": done, "error": null});
    server.send(json!({"method": "http/request/bodyDelta", "params": params})).await;
}

/// The request of a streamed answer, and its task.
async fn streaming(
    client: &Client,
    server: &mut Server,
) -> (Request, tokio::task::JoinHandle<Result<codex_exec_server_client::HttpAnswer, RequestError>>) {
    let client = client.clone();
    let asking = tokio::spawn(async move { client.http_stream(get()).await });
    (server.request("http/request").await, asking)
}

#[tokio::test(start_paused = true)]
async fn a_buffered_answer_comes_whole_and_requests_have_names_of_their_own() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    for name in ["http-1", "http-2"] {
        let serving = async {
            let request = server.request("http/request").await;
            assert_eq!(request.params["requestId"], name);
            assert_eq!(request.params["streamResponse"], false);
            server.answer(&request, answer("all of it")).await;
        };
        let (answered, ()) = tokio::join!(client.http(get()), serving);
        assert_eq!(&answered.expect("it was answered").body_base64.into_bytes()[..], b"all of it");
    }
}

#[tokio::test(start_paused = true)]
async fn streamed_bodies_run_side_by_side_even_ahead_of_their_answers() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let (one, asking_one) = streaming(&client, &mut server).await;
    let (two, asking_two) = streaming(&client, &mut server).await;
    piece(&mut server, &one, /*seq*/ 1, "1a", /*done*/ false).await;
    piece(&mut server, &two, /*seq*/ 1, "2a", /*done*/ false).await;
    server.answer(&two, answer("")).await;
    server.answer(&one, answer("")).await;
    piece(&mut server, &one, /*seq*/ 2, "1b", /*done*/ false).await;
    piece(&mut server, &two, /*seq*/ 2, "", /*done*/ true).await;
    piece(&mut server, &one, /*seq*/ 3, "", /*done*/ true).await;
    for (asking, expected) in [(asking_one, "1a1b"), (asking_two, "2a")] {
        let mut answer = asking.await.expect("no panic").expect("it was answered");
        assert_eq!((answer.status, answer.headers.len()), (200, 1));
        let mut text = Vec::new();
        while let Some(bytes) = answer.body.next().await {
            text.extend(bytes.expect("all is well"));
        }
        assert_eq!(text, expected.as_bytes());
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_ends_every_open_body_at_once_and_a_request_without_an_answer_is_not_repeated() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let (request, asking) = streaming(&client, &mut server).await;
    server.answer(&request, answer("")).await;
    piece(&mut server, &request, /*seq*/ 1, "half", /*done*/ false).await;
    let mut answer = asking.await.expect("no panic").expect("it was answered");
    let (_unanswered, pending) = streaming(&client, &mut server).await;
    // Nobody is reached any more, and still nothing waits for that to change.
    network.go_down();
    drop(server);
    assert_eq!(&answer.body.next().await.expect("bytes").expect("they arrived")[..], b"half");
    let failure = answer.body.next().await.expect("an end").expect_err("it was lost");
    assert!(matches!(failure, HttpBodyError::Disconnected(_)), "{failure}");
    assert!(answer.body.next().await.is_none());
    let outcome = pending.await.expect("no panic").map(|_| ());
    assert!(matches!(outcome, Err(RequestError::Unknown)), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn a_variable_of_the_servers_is_asked_for_only_where_it_is_understood() {
    let mut network = Network::new();
    let (client, server) = network.connect(EVERYTHING).await;
    let mut params = get();
    let header = json!({"name": "a", "value": "b", "valueEnvVar": "C"});
    params.headers.push(serde_json::from_value(header).expect("a header"));
    let outcome = client.http(params).await;
    assert!(
        matches!(outcome, Err(RequestError::Unsupported(Unsupported("httpHeaderEnvVars")))),
        "{outcome:?}"
    );
    assert_eq!(server.requested("http/request"), 0);
}
