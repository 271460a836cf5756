use codex_exec_server_core::error::ServiceError;
use serde_json::{Value, json};

use super::*;

fn environment() -> Environment {
    [("TOKEN", "t0k"), ("EMPTY", ""), ("OPENAI_API_KEY", "secret"), ("CODEX_EXEC_SERVER_TOKEN", "secret")]
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

fn check(changes: Value) -> Result<Outgoing, String> {
    let mut params = json!({"method": "GET", "url": "http://127.0.0.1:1/", "requestId": "r"});
    for (name, value) in changes.as_object().expect("changes are an object") {
        params[name] = value.clone();
    }
    let params = serde_json::from_value(params).expect("these are parameters");
    Outgoing::check(params, &environment()).map_err(|error| match error {
        ServiceError::InvalidArgument(text) => text,
        other => panic!("{other:?}"),
    })
}

fn header(name: &str, value: &str) -> Value {
    json!({"headers": [{"name": name, "value": value}]})
}

fn from_variable(variable: &str) -> Value {
    json!({"headers": [{"name": "x-h", "value": "Bearer ", "valueEnvVar": variable}]})
}

#[test]
fn what_can_not_be_sent_is_refused_by_name() {
    for (changes, text) in [
        (json!({"method": "G T"}), "http/request method is invalid: invalid HTTP method"),
        (json!({"method": ""}), "http/request method is invalid: invalid HTTP method"),
        (json!({"url": "x"}), "http/request url is invalid: relative URL without a base"),
        (json!({"url": "http://"}), "http/request url is invalid: empty host"),
        (json!({"url": "ftp://a/"}), "http/request only supports http and https URLs, got ftp"),
        (header("a b", ""), "http/request header name is invalid: invalid HTTP header name"),
        (header("", ""), "http/request header name is invalid: invalid HTTP header name"),
        (header("a", "b\nc"), "http/request header value is invalid for a: failed to parse header value"),
        (header("a", "b\u{0}c"), "http/request header value is invalid for a: failed to parse header value"),
        (
            header("Content-Length", "7"),
            "http/request header content-length does not say 0, the length of the body",
        ),
    ] {
        assert_eq!(check(changes.clone()).unwrap_err(), text, "{changes}");
    }
    let many = vec![json!({"name": "a", "value": ""}); MAX_HEADERS + 1];
    assert_eq!(check(json!({"headers": many})).unwrap_err(), "http/request has 4097 headers, more than 4096");
}

#[test]
fn headers_keep_their_repeats_in_order_and_values_need_not_be_ascii() {
    let headers = json!({"headers": [
        {"name": "B", "value": "1"}, {"name": "a", "value": "é"}, {"name": "b", "value": "2"},
    ]});
    let outgoing = check(headers).unwrap();
    let told: Vec<(&str, &[u8])> =
        outgoing.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    assert_eq!(told, [("b", &b"1"[..]), ("b", b"2"), ("a", "é".as_bytes())]);
}

#[test]
fn a_variable_of_the_server_is_put_behind_the_value() {
    let outgoing = check(from_variable("TOKEN")).unwrap();
    assert_eq!(outgoing.headers["x-h"], "Bearer t0k");
    assert!(outgoing.headers["x-h"].is_sensitive());
}

#[test]
fn variables_that_are_missing_empty_or_private_are_refused_and_never_repeated() {
    for (variable, text) in [
        ("NONE", "http/request header x-h requires executor environment variable NONE"),
        ("EMPTY", "http/request header x-h requires a non-empty executor environment variable EMPTY"),
        ("OPENAI_API_KEY", "http/request header x-h cannot use executor environment variable OPENAI_API_KEY"),
        ("openai_api_key", "http/request header x-h cannot use executor environment variable openai_api_key"),
        (
            "CODEX_EXEC_SERVER_TOKEN",
            "http/request header x-h cannot use executor environment variable CODEX_EXEC_SERVER_TOKEN",
        ),
    ] {
        assert_eq!(check(from_variable(variable)).unwrap_err(), text);
    }
}
