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

fn proxy() -> Value {
    json!({
        "enabled": true, "enableSocks5": true, "enableSocks5Udp": false, "allowUpstreamProxy": false,
        "dangerouslyAllowAllUnixSockets": false, "mode": "full",
        "domains": {"*.example.org": "allow", "bad.example.org": "deny", "example.com": "none"},
        "allowLocalBinding": false,
    })
}

#[test]
fn a_proxy_travels_as_peers_write_it() {
    let launch: NetworkProxyLaunch = same(json!({
        "proxy": proxy(), "auditMetadata": {"turn": 7}, "environmentId": "e", "executionId": "x",
        "policyDecisionTimeoutMs": 30_000,
    }));
    assert_eq!(
        launch,
        NetworkProxyLaunch {
            proxy: NetworkProxyConfig {
                enabled: true,
                enable_socks5: true,
                enable_socks5_udp: false,
                allow_upstream_proxy: false,
                dangerously_allow_all_unix_sockets: false,
                mode: NetworkProxyMode::Full,
                domains: Some(BTreeMap::from([
                    ("*.example.org".into(), NetworkDomainAccess::Allow),
                    ("bad.example.org".into(), NetworkDomainAccess::Deny),
                    ("example.com".into(), NetworkDomainAccess::None),
                ])),
                unix_sockets: None,
                allow_local_binding: false,
                review_domains: vec![],
                credential_providers: Map::new(),
            },
            audit_metadata: Map::from_iter([("turn".into(), json!(7))]),
            environment_id: Some("e".into()),
            execution_id: Some("x".into()),
            policy_decision_timeout_ms: Some(30_000),
        }
    );
}

#[test]
fn of_a_proxy_only_the_rules_may_be_absent() {
    for key in ["domains", "unixSockets"] {
        from_value::<NetworkProxyConfig>(with(&proxy(), key, Value::Null))
            .unwrap_or_else(|error| panic!("{key}: {error}"));
    }
    let required = [
        "enabled",
        "enableSocks5",
        "enableSocks5Udp",
        "allowUpstreamProxy",
        "dangerouslyAllowAllUnixSockets",
        "mode",
        "allowLocalBinding",
    ];
    for key in required {
        let mut wire = proxy();
        wire.as_object_mut().unwrap().remove(key);
        assert_eq!(fault::<NetworkProxyConfig>(&wire), format!("missing field `{key}`"));
    }
    for key in required.into_iter().chain(["reviewDomains", "credentialProviders"]) {
        let fault = fault::<NetworkProxyConfig>(&with(&proxy(), key, Value::Null));
        assert!(fault.starts_with("invalid type: null"), "{key}: {fault}");
    }
    let launch = json!({"proxy": proxy()});
    for key in ["environmentId", "executionId", "policyDecisionTimeoutMs"] {
        from_value::<NetworkProxyLaunch>(with(&launch, key, Value::Null))
            .unwrap_or_else(|error| panic!("{key}: {error}"));
    }
    assert!(
        fault::<NetworkProxyLaunch>(&with(&launch, "auditMetadata", Value::Null))
            .starts_with("invalid type: null")
    );
}

#[test]
fn words_that_are_not_known_are_refused() {
    for (key, value, expected) in [
        ("mode", json!("zz"), "unknown variant `zz`, expected `limited` or `full`"),
        ("domains", json!({"a": "zz"}), "unknown variant `zz`, expected one of `none`, `allow`, `deny`"),
        ("unixSockets", json!({"/a": "none"}), "unknown variant `none`, expected `allow` or `deny`"),
    ] {
        assert_eq!(fault::<NetworkProxyConfig>(&with(&proxy(), key, value)), expected);
    }
}

#[test]
fn credentials_that_were_asked_for_are_seen() {
    let wire = with(&proxy(), "credentialProviders", json!({"a": {"env": "X"}}));
    assert!(!same::<NetworkProxyConfig>(wire).credential_providers.is_empty());
}

#[test]
fn a_managed_network_has_a_default_for_everything_and_takes_no_null() {
    assert_eq!(from_value::<ManagedNetwork>(json!({})).unwrap(), ManagedNetwork::default());
    let full = json!({
        "loopbackPorts": [1, 65535], "allowLocalBinding": true,
        "allowUnixSockets": ["/run/x"], "dangerouslyAllowAllUnixSockets": true,
    });
    assert_eq!(
        same::<ManagedNetwork>(full.clone()),
        ManagedNetwork {
            loopback_ports: vec![1, 65535],
            allow_local_binding: true,
            allow_unix_sockets: vec!["/run/x".into()],
            dangerously_allow_all_unix_sockets: true,
        }
    );
    for key in ["loopbackPorts", "allowLocalBinding", "allowUnixSockets", "dangerouslyAllowAllUnixSockets"] {
        let fault = fault::<ManagedNetwork>(&with(&full, key, Value::Null));
        assert!(fault.starts_with("invalid type: null"), "{key}: {fault}");
    }
    fault::<ManagedNetwork>(&with(&full, "loopbackPorts", json!([70_000])));
}

#[test]
fn a_question_about_a_host_and_its_answers_travel_as_peers_write_them() {
    assert_eq!(
        same::<NetworkPolicyRequestParams>(json!({
            "processId": "p", "request": {"protocol": "http", "host": "example.com", "port": 80},
        })),
        NetworkPolicyRequestParams {
            process_id: "p".into(),
            request: NetworkTarget { protocol: "http".into(), host: "example.com".into(), port: 80 },
        }
    );
    for (wire, decision) in [
        (json!({"type": "allow"}), NetworkDecision::Allow),
        (json!({"type": "deny", "reason": "no"}), NetworkDecision::Deny { reason: "no".into() }),
        (json!({"type": "ask", "reason": "hm"}), NetworkDecision::Ask { reason: "hm".into() }),
    ] {
        assert_eq!(
            same::<NetworkPolicyResponse>(json!({"decision": wire})),
            NetworkPolicyResponse { decision }
        );
    }
    assert_eq!(fault::<NetworkDecision>(&json!({"type": "deny"})), "missing field `reason`");
}

#[test]
fn a_decision_travels_as_peers_write_it() {
    let wire = json!({
        "processId": "p", "timestamp": "2026-11-21T10:05:31.589Z", "scope": "domain", "decision": "deny",
        "source": "baseline_policy", "reason": "not_allowed", "protocol": "https_connect",
        "host": "no.such.example", "port": 443, "method": "CONNECT", "client": "127.0.0.1:44100",
        "policyOverride": false,
    });
    let decision: NetworkPolicyDecisionNotification = same(wire.clone());
    assert_eq!(
        decision,
        NetworkPolicyDecisionNotification {
            process_id: "p".into(),
            timestamp: "2026-11-21T10:05:31.589Z".into(),
            scope: "domain".into(),
            decision: "deny".into(),
            source: "baseline_policy".into(),
            reason: "not_allowed".into(),
            protocol: "https_connect".into(),
            host: "no.such.example".into(),
            port: 443,
            method: Some("CONNECT".into()),
            client: Some("127.0.0.1:44100".into()),
            policy_override: false,
        }
    );
    same::<NetworkPolicyDecisionNotification>(with(&wire, "method", Value::Null));
}

#[test]
fn a_forwarded_stream_says_where_its_bytes_belong() {
    let stream_id = NetStreamId("s".into());
    assert_eq!(
        same::<NetConnectParams>(json!({"streamId": "s", "port": 8080})),
        NetConnectParams { stream_id: stream_id.clone(), port: 8080, window_bytes: None }
    );
    same::<NetConnectResponse>(json!({"streamId": "s"}));
    assert_eq!(
        same::<NetDataParams>(json!({"streamId": "s", "dataBase64": "", "eof": true, "consumedBytes": 9})),
        NetDataParams {
            stream_id: stream_id.clone(),
            data_base64: Base64Bytes::default(),
            eof: true,
            consumed_bytes: Some(9)
        }
    );
    assert_eq!(
        same::<NetDataNotification>(json!({"streamId": "s", "offset": 4, "dataBase64": "aGk="})),
        NetDataNotification {
            stream_id: stream_id.clone(),
            offset: 4,
            data_base64: b"hi".to_vec().into(),
            eof: false,
            error: None
        }
    );
    assert_eq!(same::<NetCloseParams>(json!({"streamId": "s"})), NetCloseParams { stream_id });
}
