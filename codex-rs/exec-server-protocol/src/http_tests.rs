use serde::de::DeserializeOwned;
use serde_json::{Value, from_value, json, to_value};

use super::*;

/// Decodes, and encodes to exactly what came in.
fn same<T: Serialize + DeserializeOwned>(wire: Value) -> T {
    let decoded: T = from_value(wire.clone()).unwrap_or_else(|error| panic!("{wire}: {error}"));
    assert_eq!(to_value(&decoded).unwrap(), wire);
    decoded
}

/// Why it does not decode.
fn fault<T: DeserializeOwned>(wire: &Value) -> String {
    match from_value::<T>(wire.clone()) {
        Ok(_) => panic!("{wire} was accepted"),
        Err(error) => error.to_string(),
    }
}

/// `object` with one member changed.
fn with(object: &Value, key: &str, value: Value) -> Value {
    let mut object = object.clone();
    object[key] = value;
    object
}

fn request() -> Value {
    json!({
        "method": "POST", "url": "http://127.0.0.1:9/x", "requestId": "r1",
        "headers": [{"name": "Authorization", "value": "Bearer ", "valueEnvVar": "MY_TOKEN"}],
        "bodyBase64": "aGk=", "timeoutMs": 1000, "redirectPolicy": "stop", "streamResponse": true,
    })
}

#[test]
fn a_request_travels_as_peers_write_it() {
    assert_eq!(
        same::<HttpRequestParams>(request()),
        HttpRequestParams {
            method: "POST".into(),
            url: "http://127.0.0.1:9/x".into(),
            headers: vec![HttpRequestHeader {
                name: "Authorization".into(),
                value: "Bearer ".into(),
                value_env_var: Some("MY_TOKEN".into()),
            }],
            body_base64: Some(b"hi".to_vec().into()),
            timeout_ms: Some(1000),
            redirect_policy: HttpRedirectPolicy::Stop,
            request_id: HttpRequestId("r1".into()),
            stream_response: true,
            request_key: None,
            credit_bytes: None,
        }
    );
}

#[test]
fn a_bare_request_follows_redirects_and_waits_for_the_whole_body() {
    let bare: HttpRequestParams =
        from_value(json!({"method": "GET", "url": "http://x", "requestId": ""})).unwrap();
    assert_eq!(
        bare,
        HttpRequestParams {
            method: "GET".into(),
            url: "http://x".into(),
            headers: vec![],
            body_base64: None,
            timeout_ms: None,
            redirect_policy: HttpRedirectPolicy::Follow,
            request_id: HttpRequestId(String::new()),
            stream_response: false,
            request_key: None,
            credit_bytes: None,
        }
    );
}

#[test]
fn null_is_taken_for_optional_fields_only() {
    for key in ["bodyBase64", "timeoutMs", "requestKey"] {
        from_value::<HttpRequestParams>(with(&request(), key, Value::Null))
            .unwrap_or_else(|error| panic!("{key}: {error}"));
    }
    for key in ["method", "url", "requestId", "headers", "redirectPolicy", "streamResponse"] {
        let fault = fault::<HttpRequestParams>(&with(&request(), key, Value::Null));
        assert!(fault.starts_with("invalid type: null"), "{key}: {fault}");
    }
    for (header, expected) in [
        (json!({}), "missing field `name`"),
        (json!({"name": "a"}), "missing field `value`"),
        (json!({"name": "a", "value": null}), "invalid type: null, expected a string"),
    ] {
        assert_eq!(fault::<HttpRequestHeader>(&header), expected);
    }
    let header: HttpRequestHeader =
        from_value(json!({"name": "a", "value": "b", "valueEnvVar": null})).unwrap();
    assert_eq!(header.value_env_var, None);
}

#[test]
fn words_and_bytes_that_are_not_known_are_refused() {
    for (key, value, expected) in [
        ("redirectPolicy", "zz", "unknown variant `zz`, expected `follow` or `stop`"),
        ("bodyBase64", "A", "Invalid input length: 1"),
    ] {
        assert_eq!(fault::<HttpRequestParams>(&with(&request(), key, json!(value))), expected);
    }
}

#[test]
fn a_response_travels_as_peers_write_it() {
    assert_eq!(
        same::<HttpRequestResponse>(json!({
            "status": 200, "headers": [{"name": "x-a", "value": "b"}], "bodyBase64": "aGk=",
        })),
        HttpRequestResponse {
            status: 200,
            headers: vec![HttpHeader { name: "x-a".into(), value: "b".into() }],
            body_base64: b"hi".to_vec().into(),
        }
    );
}

#[test]
fn a_piece_of_a_body_always_says_whether_it_is_the_last_and_whether_it_failed() {
    let piece: HttpBodyDeltaNotification =
        same(json!({"requestId": "r1", "seq": 1, "deltaBase64": "aGk=", "done": false, "error": null}));
    assert_eq!(
        piece,
        HttpBodyDeltaNotification {
            request_id: HttpRequestId("r1".into()),
            seq: 1,
            delta_base64: b"hi".to_vec().into(),
            done: false,
            error: None,
            cause: None,
        }
    );
    let last: HttpBodyDeltaNotification =
        same(json!({"requestId": "r1", "seq": 2, "deltaBase64": "", "done": true, "error": "reset"}));
    assert_eq!(last.error.as_deref(), Some("reset"));
    from_value::<HttpBodyDeltaNotification>(json!({"requestId": "r1", "seq": 1, "deltaBase64": ""})).unwrap();
}
