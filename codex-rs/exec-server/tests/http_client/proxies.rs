//! Proxies, which are taken from the server's environment.

use codex_exec_server_core::limits::HttpLimits;
use codex_exec_server_local::http::LocalHttp;
use codex_exec_server_protocol::http::HttpFailureCause;

use crate::place::{Machine, as_environment, environment, on_remote_with};
use crate::site::{Site, answer, assert_failure, failure, get, whole};

fn with(variables: &[(&'static str, &str)]) -> codex_exec_server_local::env::Environment {
    let more = variables.iter().map(|(name, value)| (*name, (*value).to_owned()));
    as_environment(environment().into_iter().chain(more).collect())
}

fn local(variables: &[(&'static str, &str)]) -> Machine {
    LocalHttp::new(with(variables), HttpLimits::default())
}

#[tokio::test]
async fn requests_go_through_the_proxy_of_the_servers_environment() {
    let proxy = Site::raw(|asked| answer("200 OK", "", asked.line.as_bytes())).await;
    for variable in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        let machine = local(&[(variable, &proxy.url(""))]);
        let (_, told) = whole(&machine, get("http://example.test/a")).await;
        assert_eq!(String::from_utf8_lossy(&told), "GET http://example.test/a HTTP/1.1", "{variable}");
    }
    let through = with(&[("HTTP_PROXY", &proxy.url(""))]);
    on_remote_with(through, async |machine: Machine| {
        let (_, told) = whole(&machine, get("http://example.test/b")).await;
        assert_eq!(String::from_utf8_lossy(&told), "GET http://example.test/b HTTP/1.1");
    })
    .await;
}

#[tokio::test]
async fn hosts_that_are_excepted_are_asked_directly() {
    let proxy = Site::raw(|_| answer("200 OK", "", b"proxy")).await;
    let site = Site::raw(|_| answer("200 OK", "", b"site")).await;
    let machine = local(&[("http_proxy", &proxy.url("")), ("no_proxy", "127.0.0.1,example.org")]);
    assert_eq!(whole(&machine, get(&site.url("/"))).await.1, b"site");
    assert_eq!(whole(&machine, get("http://example.test/")).await.1, b"proxy");
}

#[tokio::test]
async fn what_a_client_of_a_cgi_program_says_is_no_proxy() {
    let proxy = Site::raw(|_| answer("200 OK", "", b"proxy")).await;
    let site = Site::raw(|_| answer("200 OK", "", b"site")).await;
    let machine = local(&[("HTTP_PROXY", &proxy.url("")), ("REQUEST_METHOD", "GET")]);
    assert_eq!(whole(&machine, get(&site.url("/"))).await.1, b"site");
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_a_failure_to_connect() {
    let machine = local(&[("http_proxy", "http://127.0.0.1:1")]);
    let error = failure(&machine, get("http://example.test/")).await;
    assert_failure(&error, /*code*/ -32603, "http/request failed: ", Some(HttpFailureCause::Connect));
}

#[tokio::test]
async fn a_variable_that_names_no_proxy_is_told_without_its_content() {
    let machine = local(&[("https_proxy", "http://user:secret@ /")]);
    let error = failure(&machine, get("http://127.0.0.1:1/")).await;
    let words =
        "http/request failed: environment variable https_proxy of the server does not hold a proxy's URL";
    assert_failure(&error, /*code*/ -32603, words, Some(HttpFailureCause::Connect));
    assert!(!error.to_string().contains("secret"), "{error}");
}
