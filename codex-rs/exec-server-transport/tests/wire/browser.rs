//! What browsers need of a listener: a credential without a header, and a site with its own pages let in.

use codex_exec_server_transport::{AcceptPolicy, Authenticator, Coding, Site, SiteFile, WireLimits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Server, soon, upgrade_request};

/// `codex-exec-server.bearer.` with `secret` behind it.
const SECRET: &str = "codex-exec-server.bearer.c2VjcmV0";
const WRONG: &str = "codex-exec-server.bearer.d3Jvbmc";

const FILES: &[SiteFile] = &[
    SiteFile {
        name: "",
        content_type: "text/html; charset=utf-8",
        content: b"<!doctype html>",
        coding: Coding::Plain,
    },
    SiteFile {
        name: "app.js",
        content_type: "text/javascript; charset=utf-8",
        content: b"run();",
        coding: Coding::Plain,
    },
    SiteFile {
        name: "packed.js",
        content_type: "text/javascript; charset=utf-8",
        content: b"bytes in gzip",
        coding: Coding::Gzip,
    },
];

async fn server(token: Option<&str>, site: bool) -> Server {
    let policy = AcceptPolicy {
        auth: token.map(|token| Authenticator::capability_token(token).unwrap()),
        allowed_origins: Vec::new(),
        site: site.then(|| Site::new("/console/", FILES)),
    };
    Server::start(policy, WireLimits::default()).await
}

fn offering(names: &str) -> String {
    upgrade_request(&format!("Sec-WebSocket-Protocol: {names}\r\n"))
}

/// The head of what is answered to an upgrade that may be granted, in lower case.
async fn head(server: &Server, request: &str) -> String {
    let mut stream = server.tcp().await;
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon(stream.read_u8()).await.unwrap());
    }
    String::from_utf8(head).unwrap().to_lowercase()
}

fn get(path: &str, extra: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:1\r\n{extra}\r\n")
}

fn status(response: &str) -> u16 {
    response.split(' ').nth(1).unwrap_or_else(|| panic!("{response:?}")).parse().unwrap()
}

#[tokio::test]
async fn a_token_among_the_subprotocols_lets_a_client_in_and_is_never_answered() {
    let server = server(Some("secret"), /*site*/ false).await;
    for names in [format!("codex-exec-server, {SECRET}"), format!("{SECRET},codex-exec-server,chat")] {
        let head = head(&server, &offering(&names)).await;
        assert!(head.starts_with("http/1.1 101 "), "{head}");
        assert!(head.contains("\r\nsec-websocket-protocol: codex-exec-server\r\n"), "{head}");
        assert!(!head.contains("bearer"), "{head}");
    }
    let silent = head(&server, &offering(SECRET)).await;
    assert!(silent.starts_with("http/1.1 101 ") && !silent.contains("protocol:"), "{silent}");
}

#[tokio::test]
async fn a_token_among_the_subprotocols_is_checked_like_one_in_the_header() {
    let server = server(Some("secret"), /*site*/ false).await;
    let missing = "missing websocket bearer token";
    let invalid =
        "invalid bearer subprotocol: it must be there once, with the token in base64url without padding";
    for (names, body) in [
        ("codex-exec-server".to_owned(), missing),
        (format!("codex-exec-server, {WRONG}"), "invalid websocket bearer token"),
        (format!("{SECRET}, {SECRET}"), invalid),
        ("codex-exec-server.bearer.secret==".to_owned(), invalid),
    ] {
        let response = server.http(&offering(&names)).await;
        assert_eq!((status(&response), response.split_once("\r\n\r\n").unwrap().1), (401, body), "{names}");
    }
}

#[tokio::test]
async fn who_offers_our_subprotocol_is_answered_by_it_without_a_credential_too() {
    let server = server(/*token*/ None, /*site*/ false).await;
    let head = head(&server, &offering("codex-exec-server")).await;
    assert!(head.contains("\r\nsec-websocket-protocol: codex-exec-server\r\n"), "{head}");
}

#[tokio::test]
async fn a_site_is_shown_with_headers_that_keep_its_pages_to_themselves() {
    let server = server(Some("secret"), /*site*/ true).await;
    for (path, kind, content) in [
        ("/console/", "text/html; charset=utf-8", "<!doctype html>"),
        ("/console/?reload", "text/html; charset=utf-8", "<!doctype html>"),
        ("/console/app.js", "text/javascript; charset=utf-8", "run();"),
    ] {
        let response = server.http(&get(path, "")).await;
        assert_eq!((status(&response), response.split_once("\r\n\r\n").unwrap().1), (200, content), "{path}");
        for header in [
            format!("content-type: {kind}"),
            "x-content-type-options: nosniff".to_owned(),
            "x-frame-options: DENY".to_owned(),
            "referrer-policy: no-referrer".to_owned(),
            "cross-origin-opener-policy: same-origin".to_owned(),
            "cross-origin-resource-policy: same-origin".to_owned(),
            "cache-control: no-cache".to_owned(),
        ] {
            assert!(response.contains(&format!("\r\n{header}\r\n")), "{header}: {response}");
        }
        let policy =
            response.lines().find_map(|line| line.strip_prefix("content-security-policy: ")).unwrap();
        let scripts = policy.split(';').find(|rule| rule.trim().starts_with("script-src")).unwrap();
        assert_eq!(scripts.trim(), "script-src 'self'");
        assert!(policy.starts_with("default-src 'none'; ") && policy.contains("frame-ancestors 'none'"));
    }
}

#[tokio::test]
async fn a_file_that_is_kept_in_gzip_is_sent_so_and_refused_with_words_to_whoever_does_not_take_that() {
    let server = server(/*token*/ None, /*site*/ true).await;
    for accepted in ["", "Accept-Encoding: gzip, deflate, br\r\n"] {
        let response = server.http(&get("/console/packed.js", accepted)).await;
        assert_eq!((status(&response), response.split_once("\r\n\r\n").unwrap().1), (200, "bytes in gzip"));
        assert!(response.contains("\r\ncontent-encoding: gzip\r\n"), "{response}");
        assert!(response.contains("\r\nvary: accept-encoding\r\n"), "{response}");
    }
    let refused = server.http(&get("/console/packed.js", "Accept-Encoding: identity\r\n")).await;
    let words = "this file is here in gzip only: ask for it with Accept-Encoding: gzip";
    assert_eq!((status(&refused), refused.split_once("\r\n\r\n").unwrap().1), (406, words));
    let plain = server.http(&get("/console/app.js", "Accept-Encoding: identity\r\n")).await;
    assert_eq!(status(&plain), 200);
    assert!(!plain.contains("content-encoding"), "{plain}");
}

#[tokio::test]
async fn a_browser_that_has_a_file_is_told_that_it_is_the_same() {
    let server = server(/*token*/ None, /*site*/ true).await;
    let first = server.http(&get("/console/app.js", "")).await;
    let tag = first.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
    let again = server.http(&get("/console/app.js", &format!("If-None-Match: {tag}\r\n"))).await;
    assert_eq!((status(&again), again.ends_with("\r\n\r\n")), (304, true), "{again}");
    let other = server.http(&get("/console/app.js", "If-None-Match: \"other\"\r\n")).await;
    assert_eq!(status(&other), 200);
}

#[tokio::test]
async fn a_site_shows_the_way_and_leaves_the_other_paths_alone() {
    let server = server(/*token*/ None, /*site*/ true).await;
    for path in ["/", "/console"] {
        let response = server.http(&get(path, "")).await;
        assert_eq!(status(&response), 307, "{path}");
        assert!(response.contains("\r\nlocation: /console/\r\n"), "{response}");
    }
    for (request, expected) in [
        (get("/console/nothing", ""), 404),
        (get("/console/../console/app.js", ""), 404),
        (get("/console/app.js", "").replace("GET", "POST"), 405),
        (get("/console/app.js", "").replace("GET", "HEAD"), 200),
        (get("/readyz", ""), 200),
        (upgrade_request("").replace("Upgrade: websocket", "Upgrade: h2c"), 400),
    ] {
        assert_eq!(status(&server.http(&request).await), expected, "{request}");
    }
    let head = head(&server, &upgrade_request("")).await;
    assert!(head.starts_with("http/1.1 101 "), "{head}");
}

#[tokio::test]
async fn a_page_learns_whether_its_credential_is_good() {
    let with_token = server(Some("secret"), /*site*/ true).await;
    for (header, code, body) in [
        ("", 401, "missing websocket bearer token"),
        ("Authorization: Bearer wrong\r\n", 401, "invalid websocket bearer token"),
        ("Authorization: Bearer secret\r\n", 204, ""),
    ] {
        let response = with_token.http(&get("/console/access", header)).await;
        assert_eq!((status(&response), response.split_once("\r\n\r\n").unwrap().1), (code, body), "{header}");
    }
    let open = server(/*token*/ None, /*site*/ true).await;
    assert_eq!(status(&open.http(&get("/console/access", "")).await), 204);
}

#[tokio::test]
async fn the_pages_of_a_site_are_let_in_and_those_of_others_stay_out() {
    let upgrade = |host: &str, origin: &str| {
        let extra = format!("Origin: {origin}\r\n{}", "Authorization: Bearer secret\r\n");
        upgrade_request(&extra).replace("Host: localhost", &format!("Host: {host}"))
    };
    for (token, site, host, origin, granted) in [
        (None, true, "127.0.0.1:8765", "http://127.0.0.1:8765", true),
        (None, true, "localhost:8765", "http://localhost:8765", true),
        (None, true, "127.0.0.1:8765", "http://127.0.0.1:8766", false),
        (None, true, "127.0.0.1:8765", "http://evil.example", false),
        (None, true, "127.0.0.1:8765", "null", false),
        // A name that somebody made to mean this machine.
        (None, true, "evil.example:8765", "http://evil.example:8765", false),
        (Some("secret"), true, "buildbox:8765", "http://buildbox:8765", true),
        (Some("secret"), true, "buildbox:8765", "http://evil.example", false),
        // Without a site nobody is at home.
        (None, false, "127.0.0.1:8765", "http://127.0.0.1:8765", false),
        (Some("secret"), false, "127.0.0.1:8765", "http://127.0.0.1:8765", false),
    ] {
        let server = server(token, site).await;
        let head = head(&server, &upgrade(host, origin)).await;
        let expected = if granted { "http/1.1 101 " } else { "http/1.1 403 " };
        assert!(head.starts_with(expected), "{host} {origin}: {head}");
    }
}
