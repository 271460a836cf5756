//! Exchanges that don't get to their end: each says why, and nothing hangs.

use std::sync::atomic::{AtomicUsize, Ordering};

use codex_exec_server_core::service::http::HttpBodyError;
use codex_exec_server_protocol::http::HttpFailureCause;
use codex_exec_server_testkit::patiently;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::place::Machine;
use crate::site::{Site, answer, assert_failure, failure, get, request, rest, stream, whole};

const FAILED: &str = "http/request failed: ";

cases! {
    everywhere {
        a_port_where_nobody_listens_is_told
        a_name_without_an_address_is_told
        a_port_that_never_answers_costs_no_more_than_the_time_that_was_given
        no_time_at_all_is_over_before_anything_is_sent
        a_body_that_ends_early_is_told
        a_body_that_ends_early_is_told_behind_what_came
        the_time_that_was_given_covers_a_streamed_body
        an_answer_that_is_no_http_is_told
    }
    not_on_reference {
        a_request_that_was_left_unanswered_is_repeated_if_it_may_be: "it tells a failure"
        one_that_is_not_waited_for_any_longer_is_given_up: "it can't be told"
        a_body_that_nobody_reads_any_longer_is_given_up: "it can't be told"
    }
}

async fn a_port_where_nobody_listens_is_told(machine: Machine) {
    // The first port belongs to a service that nobody runs.
    let error = failure(&machine, get("http://127.0.0.1:1/")).await;
    assert_failure(&error, /*code*/ -32603, FAILED, Some(HttpFailureCause::Connect));
    let error =
        patiently("a failure", machine.stream(get("http://127.0.0.1:1/"))).await.expect_err("it fails");
    assert_failure(&error, /*code*/ -32603, FAILED, Some(HttpFailureCause::Connect));
}

async fn a_name_without_an_address_is_told(machine: Machine) {
    // Longer than a name can be, so that nobody is asked for it.
    let error = failure(&machine, get(&format!("http://{}.test/", "x".repeat(64)))).await;
    assert_failure(&error, /*code*/ -32603, FAILED, Some(HttpFailureCause::Dns));
}

async fn a_port_that_never_answers_costs_no_more_than_the_time_that_was_given(machine: Machine) {
    let site = Site::talking(|_, mut stream| async move {
        let _ = stream.read_u8().await;
    })
    .await;
    let waiting = request("GET", &site.url("/"), json!({"timeoutMs": 50}));
    let error = failure(&machine, waiting).await;
    assert_failure(&error, /*code*/ -32603, FAILED, Some(HttpFailureCause::Timeout));
}

async fn no_time_at_all_is_over_before_anything_is_sent(machine: Machine) {
    let site = Site::raw(|_| answer("200 OK", "", b"")).await;
    let error = failure(&machine, request("GET", &site.url("/"), json!({"timeoutMs": 0}))).await;
    assert_failure(&error, /*code*/ -32603, FAILED, Some(HttpFailureCause::Timeout));
    // More time than a clock can show is for ever.
    let (status, _) =
        whole(&machine, request("GET", &site.url("/"), json!({"timeoutMs": u64::MAX / 4}))).await;
    assert_eq!((status, site.asked().len()), (200, 1));
}

/// A site that promises ten bytes, and sends three.
async fn short() -> Site {
    Site::raw(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".to_vec()).await
}

async fn a_body_that_ends_early_is_told(machine: Machine) {
    let site = short().await;
    let error = failure(&machine, get(&site.url("/"))).await;
    let words = "failed to read http/request response body: ";
    assert_failure(&error, /*code*/ -32603, words, Some(HttpFailureCause::Protocol));
}

async fn a_body_that_ends_early_is_told_behind_what_came(machine: Machine) {
    let site = short().await;
    let (came, error) = rest(stream(&machine, get(&site.url("/"))).await).await;
    assert_eq!(came, b"abc");
    assert!(
        matches!(&error, Some(HttpBodyError::Failed { cause: None | Some(HttpFailureCause::Protocol), .. })),
        "{error:?}"
    );
}

async fn the_time_that_was_given_covers_a_streamed_body(machine: Machine) {
    let site = Site::talking(|_, mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").await;
        let _ = stream.read_u8().await;
    })
    .await;
    // Enough to get to the headers on any machine, or else the case is the one of a port that never answers.
    let body = match patiently(
        "an answer",
        machine.stream(request("GET", &site.url("/"), json!({"timeoutMs": 2000}))),
    )
    .await
    {
        Ok(body) => body,
        Err(error) => {
            return assert_failure(&error, /*code*/ -32603, FAILED, Some(HttpFailureCause::Timeout));
        }
    };
    let (_, error) = rest(body).await;
    assert!(
        matches!(&error, Some(HttpBodyError::Failed { cause: None | Some(HttpFailureCause::Timeout), .. })),
        "{error:?}"
    );
}

async fn an_answer_that_is_no_http_is_told(machine: Machine) {
    for nonsense in [&b"SSH-2.0-x\r\n"[..], b"", b"HTTP/1.1 200"] {
        let site = Site::raw(move |_| nonsense.to_vec()).await;
        let error = failure(&machine, get(&site.url("/"))).await;
        assert_failure(&error, /*code*/ -32603, FAILED, Some(HttpFailureCause::Protocol));
    }
}

async fn a_request_that_was_left_unanswered_is_repeated_if_it_may_be(machine: Machine) {
    let asked = AtomicUsize::new(0);
    let site = Site::raw(move |_| match asked.fetch_add(1, Ordering::Relaxed) % 2 {
        0 => Vec::new(),
        _ => answer("200 OK", "", b"there"),
    })
    .await;
    for method in ["GET", "PUT"] {
        let (status, body) = whole(&machine, request(method, &site.url("/"), json!({}))).await;
        assert_eq!((status, &body[..]), (200, &b"there"[..]), "{method}");
    }
    assert_eq!(site.asked().len(), 4);
    // Nobody knows what it has done.
    let error = failure(&machine, request("POST", &site.url("/"), json!({}))).await;
    assert_failure(&error, /*code*/ -32603, FAILED, Some(HttpFailureCause::Protocol));
    assert_eq!(site.asked().len(), 5);
}

/// A site that begins to answer with `head`, then tells when the other side is gone.
async fn patient(head: &'static [u8]) -> (Site, tokio::sync::mpsc::Receiver<()>) {
    let (tell, told) = tokio::sync::mpsc::channel(8);
    let site = Site::talking(move |_, mut stream| {
        let tell = tell.clone();
        async move {
            let _ = stream.write_all(head).await;
            let _ = tell.send(()).await;
            // Nothing more is asked on it, so all that can come is its end.
            let _ = stream.read_u8().await;
            let _ = tell.send(()).await;
        }
    })
    .await;
    (site, told)
}

async fn one_that_is_not_waited_for_any_longer_is_given_up(machine: Machine) {
    let (site, mut told) = patient(b"").await;
    let url = site.url("/");
    tokio::select! {
        _ = machine.request(get(&url)) => panic!("nobody answers"),
        asked = told.recv() => asked.expect("the site is there"),
    }
    patiently("the site to be left", told.recv()).await.expect("the site is there");
}

async fn a_body_that_nobody_reads_any_longer_is_given_up(machine: Machine) {
    let (site, mut told) = patient(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").await;
    let mut answer = stream(&machine, get(&site.url("/"))).await;
    let piece = patiently("a piece", answer.body.next()).await.expect("there is one").expect("it came");
    assert_eq!(&piece[..], b"abc");
    told.recv().await.expect("the site is there");
    drop(answer);
    patiently("the site to be left", told.recv()).await.expect("the site is there");
}
