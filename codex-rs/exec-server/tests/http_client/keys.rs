//! Requests with a key are sent once, whatever becomes of connections.

use codex_exec_server::ServerConfig;
use codex_exec_server_testkit::patiently;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::site::{Site, answer};
use crate::support::with;

fn keyed(url: &str, more: Value) -> Value {
    let mut params =
        json!({"method": "POST", "url": url, "requestId": "r", "requestKey": "k", "bodyBase64": "YWJj"});
    for (name, value) in more.as_object().expect("changes are an object") {
        params[name] = value.clone();
    }
    params
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_and_other_parameters_are_refused() {
    with(ServerConfig::from_process(), async |harness| {
        let mut client = harness.ready().await;
        let site = Site::raw(|_| answer("201 Created", "X-A: b\r\n", b"made")).await;
        let first = client.done("http/request", keyed(&site.url("/"), json!({}))).await;
        // By what name a stream would be known is of no importance.
        let again = client.done("http/request", keyed(&site.url("/"), json!({"requestId": "other"}))).await;
        assert_eq!((&first, &first["status"]), (&again, &json!(201)));
        for other in
            [json!({"method": "PUT"}), json!({"bodyBase64": "YWJk"}), json!({"streamResponse": true})]
        {
            let error = client.refused("http/request", keyed(&site.url("/"), other)).await;
            assert_eq!(
                (error.code, error.message.as_str()),
                (-32600, "request key k was used before with other parameters")
            );
        }
        // A failure is an answer, too.
        for _ in 0..2 {
            let params = keyed(&site.url("/"), json!({"requestKey": "f", "timeoutMs": 0}));
            assert_eq!(client.refused("http/request", params).await.data, Some(json!({"cause": "timeout"})));
        }
        assert_eq!(site.asked().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_request_outlives_its_connection_and_its_answer_waits_for_whoever_comes_back() {
    with(ServerConfig::from_process(), async |harness| {
        let (tell, mut told) = tokio::sync::mpsc::channel(1);
        let (go, gone) = tokio::sync::watch::channel(false);
        let site = Site::talking(move |_, mut stream| {
            let (tell, mut gone) = (tell.clone(), gone.clone());
            async move {
                let _ = tell.send(()).await;
                let _ = gone.wait_for(|gone| *gone).await;
                let _ = stream.write_all(&answer("200 OK", "", b"done")).await;
            }
        })
        .await;
        let mut client = harness.connect().await;
        let session = client.initialize().await;
        client.request("http/request", keyed(&site.url("/"), json!({}))).await;
        patiently("the site to be asked", told.recv()).await.expect("the site is there");
        client.vanish();
        let mut client = harness.connect().await;
        client.take_over(&session).await;
        // It joins the first, which is still under way; and so does one that is given up again.
        let joined = client.request("http/request", keyed(&site.url("/"), json!({}))).await;
        let given_up = client.request("http/request", keyed(&site.url("/"), json!({}))).await;
        client.notify("$/cancel", json!({"id": given_up})).await;
        assert_eq!(client.answer(given_up).await.expect_err("it was cancelled").code, -32800);
        go.send(true).expect("the site is there");
        assert_eq!(client.answer(joined).await.expect("it is answered")["bodyBase64"], "ZG9uZQ==");
        assert_eq!(site.asked().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_streamed_answer_is_not_asked_for_twice() {
    with(ServerConfig::from_process(), async |harness| {
        let mut client = harness.ready().await;
        let site = Site::raw(|_| answer("200 OK", "", b"")).await;
        let params = keyed(&site.url("/"), json!({"streamResponse": true}));
        client.done("http/request", params.clone()).await;
        let error = client.refused("http/request", params).await;
        assert_eq!(error.code, -32600);
        assert_eq!(error.message, "request k was sent before, and a streamed answer can't be given again");
        assert_eq!(site.asked().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn of_an_answer_whose_body_is_forgotten_it_is_told_that_it_came() {
    let mut config = ServerConfig::from_process();
    config.limits.http.remembered_body_bytes = 3;
    with(config, async |harness| {
        let mut client = harness.ready().await;
        let site = Site::raw(|_| answer("200 OK", "", b"abcd")).await;
        let first = client.done("http/request", keyed(&site.url("/"), json!({}))).await;
        assert_eq!(first["bodyBase64"], "YWJjZA==");
        let error = client.refused("http/request", keyed(&site.url("/"), json!({}))).await;
        assert_eq!(
            error.message,
            "request k was sent before and answered with status 200; its body of 4 bytes is not remembered"
        );
        assert_eq!((error.code, site.asked().len()), (-32600, 1));
    })
    .await;
}
