//! What is sent, and what comes back.

use codex_exec_server_core::service::http::HttpError;
use codex_exec_server_testkit::patiently;
use serde_json::{Value, json};

use crate::place::Machine;
use crate::site::{Site, answer, assert_failure, failure, get, pairs, request, rest, stream, whole};

/// Several pieces of any server's.
const BODY_BYTES: usize = 3_000_000;

fn body() -> Vec<u8> {
    (0..BODY_BYTES).map(|at| (at % 251) as u8).collect()
}

cases! {
    everywhere {
        a_body_comes_whole_or_in_pieces
        any_method_and_any_bytes_arrive
        headers_keep_their_order_and_their_repeats_both_ways
        a_chunked_body_comes_without_its_chunks
        an_answer_without_a_body_is_empty
        a_failure_of_the_site_is_an_answer
        a_variable_of_the_server_goes_into_a_header
        variables_that_are_missing_empty_or_private_are_refused
        what_can_not_be_sent_is_refused_before_anything_is
        a_user_in_the_url_becomes_a_header
    }
    not_on_reference {
        values_of_headers_may_be_any_text: "it leaves out all that are not ASCII"
        a_length_that_is_not_the_bodys_is_refused: "it sends any"
    }
}

async fn a_body_comes_whole_or_in_pieces(machine: Machine) {
    let site = Site::raw(|_| answer("200 OK", "X-Test: yes\r\n", &body())).await;
    assert!(whole(&machine, get(&site.url("/"))).await == (200, body()));
    let answer = stream(&machine, get(&site.url("/"))).await;
    assert_eq!((answer.status, pairs(&answer.headers).contains(&("x-test", "yes"))), (200, true));
    let (streamed, error) = rest(answer).await;
    assert!(streamed == body() && error.is_none(), "{} bytes, {error:?}", streamed.len());
}

async fn any_method_and_any_bytes_arrive(machine: Machine) {
    let site = Site::raw(|_| answer("200 OK", "", b"")).await;
    let bytes = codex_exec_server_protocol::bytes::Base64Bytes::from(body());
    for method in ["GET", "POST", "PURGE", "x-own"] {
        whole(&machine, request(method, &site.url("/a?b=c#d"), json!({"bodyBase64": bytes}))).await;
        let asked = site.asked().pop().expect("it was asked");
        assert_eq!(asked.line, format!("{method} /a?b=c HTTP/1.1"));
        assert!(asked.body == body(), "{method}");
        assert_eq!(asked.header("accept"), Some("*/*"));
        assert_eq!(asked.header("user-agent"), None);
    }
}

async fn headers_keep_their_order_and_their_repeats_both_ways(machine: Machine) {
    let site = Site::raw(|_| answer("200 OK", "B: 1\r\na: 2\r\nb: 3\r\nA: 4\r\n", b"")).await;
    let headers: Vec<Value> = [("B", "1"), ("a", "2"), ("b", "3"), ("A", "4"), ("x", "a\tb")]
        .map(|(name, value)| json!({"name": name, "value": value}))
        .to_vec();
    let answered = machine.request(request("GET", &site.url("/"), json!({"headers": headers}))).await;
    let answered = answered.expect("it is answered");
    // What carries headers on the way keeps repeats of a name together, where it came first.
    let asked = site.asked().pop().expect("it was asked");
    let sent: Vec<(&str, &str)> =
        asked.headers[..5].iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(sent, [("b", "1"), ("b", "3"), ("a", "2"), ("a", "4"), ("x", "a\tb")]);
    let expected =
        [("b", "1"), ("b", "3"), ("a", "2"), ("a", "4"), ("content-length", "0"), ("connection", "close")];
    assert_eq!(pairs(&answered.headers), expected);
}

async fn values_of_headers_may_be_any_text(machine: Machine) {
    let site = Site::raw(|_| {
        let head = b"HTTP/1.1 200 OK\r\nx-text: caf\xc3\xa9\r\nx-bytes: \xe9\r\nContent-Length: 0\r\n\r\n";
        head.to_vec()
    })
    .await;
    let headers = json!([{"name": "x", "value": "café"}]);
    let answered = machine.request(request("GET", &site.url("/"), json!({"headers": headers}))).await;
    let answered = answered.expect("it is answered");
    assert_eq!(pairs(&answered.headers), [("x-text", "café"), ("content-length", "0")]);
    assert_eq!(site.asked()[0].header("x"), Some("café"));
}

async fn a_chunked_body_comes_without_its_chunks(machine: Machine) {
    let site = Site::raw(|_| {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
        [head, "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"].concat().into()
    })
    .await;
    assert_eq!(whole(&machine, get(&site.url("/"))).await, (200, b"abcde".to_vec()));
    assert_eq!(rest(stream(&machine, get(&site.url("/"))).await).await, (b"abcde".to_vec(), None));
}

async fn an_answer_without_a_body_is_empty(machine: Machine) {
    let site = Site::raw(|asked| match asked.line.starts_with("HEAD") {
        true => b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n".to_vec(),
        false => b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n".to_vec(),
    })
    .await;
    assert_eq!(whole(&machine, request("HEAD", &site.url("/"), json!({}))).await, (200, Vec::new()));
    assert_eq!(whole(&machine, get(&site.url("/"))).await, (204, Vec::new()));
    assert_eq!(rest(stream(&machine, get(&site.url("/"))).await).await, (Vec::new(), None));
}

async fn a_failure_of_the_site_is_an_answer(machine: Machine) {
    let site = Site::raw(|_| answer("503 Service Unavailable", "", b"later")).await;
    assert_eq!(whole(&machine, get(&site.url("/"))).await, (503, b"later".to_vec()));
}

fn from_variable(url: &str, variable: &str) -> codex_exec_server_protocol::http::HttpRequestParams {
    let headers = json!([{"name": "x-h", "value": "Bearer ", "valueEnvVar": variable}]);
    request("GET", url, json!({"headers": headers}))
}

async fn a_variable_of_the_server_goes_into_a_header(machine: Machine) {
    let site = Site::raw(|_| answer("200 OK", "", b"")).await;
    whole(&machine, from_variable(&site.url("/"), "TEST_TOKEN")).await;
    assert_eq!(site.asked()[0].header("x-h"), Some("Bearer t0k"));
}

async fn variables_that_are_missing_empty_or_private_are_refused(machine: Machine) {
    let site = Site::raw(|_| answer("200 OK", "", b"")).await;
    for (variable, words) in [
        ("TEST_MISSING", "http/request header x-h requires executor environment variable TEST_MISSING"),
        (
            "TEST_EMPTY",
            "http/request header x-h requires a non-empty executor environment variable TEST_EMPTY",
        ),
        ("OPENAI_API_KEY", "http/request header x-h cannot use executor environment variable OPENAI_API_KEY"),
        ("openai_api_key", "http/request header x-h cannot use executor environment variable openai_api_key"),
    ] {
        let error = failure(&machine, from_variable(&site.url("/"), variable)).await;
        assert_failure(&error, /*code*/ -32602, words, /*cause*/ None);
    }
    assert_eq!(site.asked(), []);
}

async fn what_can_not_be_sent_is_refused_before_anything_is(machine: Machine) {
    let site = Site::raw(|_| answer("200 OK", "", b"")).await;
    let header = |name: &str, value: &str| json!({"headers": [{"name": name, "value": value}]});
    for (method, url, more, words) in [
        ("G T", site.url("/"), json!({}), "http/request method is invalid: "),
        ("GET", "x".into(), json!({}), "http/request url is invalid: "),
        ("GET", "ftp://a/".into(), json!({}), "http/request only supports http and https URLs, got ftp"),
        ("GET", site.url("/"), header("a b", ""), "http/request header name is invalid: "),
        ("GET", site.url("/"), header("a", "b\nc"), "http/request header value is invalid for a: "),
        ("GET", site.url("/"), header("a", "b\r\nHost: c"), "http/request header value is invalid for a: "),
    ] {
        for error in [
            failure(&machine, request(method, &url, more.clone())).await,
            patiently("a refusal", machine.stream(request(method, &url, more)))
                .await
                .expect_err("it is refused"),
        ] {
            assert_failure(&error, /*code*/ -32602, words, /*cause*/ None);
        }
    }
    assert_eq!(site.asked(), []);
}

async fn a_length_that_is_not_the_bodys_is_refused(machine: Machine) {
    let site = Site::raw(|_| answer("200 OK", "", b"")).await;
    let headers = |length: &str| json!({"bodyBase64": "YWJj", "headers": [{"name": "Content-Length", "value": length}]});
    for length in ["0", "2", "4", "x", "-3"] {
        let error = failure(&machine, request("POST", &site.url("/"), headers(length))).await;
        let words = "http/request header content-length does not say 3, the length of the body";
        assert!(
            matches!(&error, HttpError::Refused(error) if error.code == -32602 && error.message == words),
            "{error:?}"
        );
    }
    whole(&machine, request("POST", &site.url("/"), headers("3"))).await;
    assert_eq!(site.asked().len(), 1);
}

async fn a_user_in_the_url_becomes_a_header(machine: Machine) {
    let site = Site::raw(|_| answer("200 OK", "", b"")).await;
    whole(&machine, get(&site.url("/").replace("http://", "http://u:p@"))).await;
    assert_eq!(site.asked()[0].header("authorization"), Some("Basic dTpw"));
}
