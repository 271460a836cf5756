//! What URLs mean, and what a request looks like.

use super::*;

fn tcp(host: &str, port: u16, authority: &str, path_and_query: &str) -> Target {
    Target::Tcp {
        host: host.to_owned(),
        port,
        authority: authority.to_owned(),
        path_and_query: path_and_query.to_owned(),
    }
}

#[test]
fn urls_name_hosts_ports_and_paths() {
    for (url, expected) in [
        ("ws://127.0.0.1:9000", tcp("127.0.0.1", /*port*/ 9000, "127.0.0.1:9000", "/")),
        ("ws://[::1]:9000/", tcp("::1", /*port*/ 9000, "[::1]:9000", "/")),
        ("ws://example.org", tcp("example.org", /*port*/ 80, "example.org", "/")),
        ("ws://example.org/a?b=c", tcp("example.org", /*port*/ 80, "example.org", "/a?b=c")),
        ("ws://example.org?b", tcp("example.org", /*port*/ 80, "example.org", "/?b")),
        ("unix:///run/x.sock", Target::Unix(PathBuf::from("/run/x.sock"))),
    ] {
        assert_eq!(Target::parse(url).unwrap(), expected, "{url}");
    }
}

#[test]
fn urls_that_cannot_be_connected_to_are_refused_at_once() {
    for url in [
        "",
        "127.0.0.1:80",
        "http://a",
        "ws://",
        "ws://:80",
        "ws://a:b",
        "ws://a:99999",
        "ws://u:p@a",
        "unix://x",
        "ws://a b",
    ] {
        assert!(matches!(Target::parse(url), Err(ConnectError::InvalidUrl(_))), "{url}");
    }
    let error = Target::parse("wss://example.org").unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot connect to wss://example.org: TLS is not built in yet, use ws:// or a tunnel"
    );
}

#[test]
fn a_token_cannot_smuggle_headers() {
    let target = Target::parse("ws://a").unwrap();
    let text = String::from_utf8(target.request(Some(" secret\n")).unwrap().bytes).unwrap();
    assert!(text.contains("\r\nAuthorization: Bearer secret\r\n"), "{text}");
    assert!(text.ends_with("\r\n\r\n"));
    assert!(matches!(target.request(Some("a\r\nX: y")), Err(ConnectError::InvalidToken)));
}

#[test]
fn a_token_is_not_shown_to_whoever_looks_into_the_options() {
    let options = ConnectOptions { bearer_token: Some("secret".into()), ..ConnectOptions::default() };
    let shown = format!("{options:?}");
    assert!(shown.contains("hidden") && !shown.contains("secret"), "{shown}");
}
