use super::*;

fn env(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn bridge(port: u16, target: &[&str]) -> Bridge {
    Bridge { port, target: target.iter().map(|address| address.parse().expect("an address")).collect() }
}

fn refusal(pairs: &[(&str, &str)]) -> String {
    bridge_proxies(&mut env(pairs), /*network*/ None).expect_err("it is refused").to_string()
}

#[test]
fn each_proxy_is_bridged_once_and_found_at_its_own_port_where_that_is_free() {
    let mut named = env(&[
        ("ALL_PROXY", "socks5h://u:p@LOCALHOST:1080"),
        ("HTTPS_PROXY", "http://127.0.0.1:3128/"),
        ("HTTP_PROXY", "127.0.0.1:3128"),
        ("NODE_USE_ENV_PROXY", "1"),
        ("NO_PROXY", "127.0.0.1:3128"),
        ("PATH", "/bin"),
        ("https_proxy", "http://[::1]:3128?x"),
        ("npm_config_https_proxy", "http://127.0.0.2"),
        ("ws_proxy", ""),
    ]);
    let bridges = bridge_proxies(&mut named, /*network*/ None).expect("all can be bridged");
    assert_eq!(
        bridges,
        [
            bridge(/*port*/ 1080, &["127.0.0.1:1080", "[::1]:1080"]),
            bridge(/*port*/ 3128, &["127.0.0.1:3128"]),
            bridge(/*port*/ 3129, &["[::1]:3128"]),
            bridge(/*port*/ 80, &["127.0.0.2:80"]),
        ]
    );
    assert_eq!(
        named,
        env(&[
            ("ALL_PROXY", "socks5h://u:p@127.0.0.1:1080"),
            ("HTTPS_PROXY", "http://127.0.0.1:3128/"),
            ("HTTP_PROXY", "127.0.0.1:3128"),
            ("NODE_USE_ENV_PROXY", "1"),
            ("NO_PROXY", "127.0.0.1:3128"),
            ("PATH", "/bin"),
            ("https_proxy", "http://127.0.0.1:3129?x"),
            ("npm_config_https_proxy", "http://127.0.0.1:80"),
            ("ws_proxy", ""),
        ])
    );
}

#[test]
fn ports_of_the_loopback_that_were_asked_for_keep_their_numbers() {
    let network = ManagedNetwork { loopback_ports: vec![3128, 8080], ..ManagedNetwork::default() };
    let mut named = env(&[("HTTP_PROXY", "http://127.0.0.5:8080"), ("ALL_PROXY", "http://localhost:3128")]);
    let bridges = bridge_proxies(&mut named, Some(&network)).expect("all can be bridged");
    assert_eq!(
        bridges,
        [
            bridge(/*port*/ 3128, &["127.0.0.1:3128", "[::1]:3128"]),
            bridge(/*port*/ 8080, &["127.0.0.1:8080", "[::1]:8080"]),
            bridge(/*port*/ 8081, &["127.0.0.5:8080"]),
        ]
    );
    assert_eq!(
        named,
        env(&[("HTTP_PROXY", "http://127.0.0.1:8081"), ("ALL_PROXY", "http://127.0.0.1:3128")])
    );
}

#[test]
fn without_a_proxy_that_can_be_bridged_nothing_runs() {
    for pairs in [&[][..], &[("HTTP_PROXY", "")], &[("NO_PROXY", "*")], &[("WS_PROXY", "http://192.0.2.1:1")]]
    {
        assert!(refusal(pairs).starts_with("enforceManagedNetwork needs a proxy: set HTTP_PROXY"));
    }
    for odd in [
        "http://192.0.2.1:3128",
        "http://proxy.example:3128",
        "http://127.0.0.1@192.0.2.1:1",
        "http://127.0.0.1:0",
        "http://127.0.0.1:99999",
        "http://[::1",
        "http://[::1]x",
        "http://0.0.0.0:1",
        "gopher://127.0.0.1",
        "http://2130706433:1",
        "http://127.1:1",
        "http://127.0.0.1:1:2",
        "ü",
    ] {
        let text = refusal(&[("HTTP_PROXY", "http://127.0.0.1:1"), ("https_proxy", odd)]);
        assert!(
            text.contains("loopback alone") && text.ends_with("HTTPS_PROXY names another"),
            "{odd}: {text}"
        );
    }
    let many: Vec<(String, String)> =
        (1..=9).map(|port| (format!("X{port}_PROXY"), format!("http://127.0.0.1:{port}"))).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert!(refusal(&many).ends_with("bridges at most 8 addresses, and 9 were named"));
}
