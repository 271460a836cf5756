//! `fetch`: an HTTP request from the machine that is named.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use serde_json::json;

use crate::home::Home;
use crate::support::Server;

/// A site that answers each request with its head and body, in a body of `status`; its URL. Ends with the program.
fn site(status: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be listened on");
    let url = format!("http://{}/a", listener.local_addr().expect("it is bound"));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut asked = Vec::new();
            let mut byte = [0];
            while !asked.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                asked.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&asked).into_owned();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            let _ = stream.read_exact(&mut body);
            asked.extend(body);
            let head = format!("HTTP/1.1 {status}\r\nX-A: b\r\nContent-Length: {}\r\n\r\n", asked.len());
            let _ = stream.write_all(&[head.as_bytes(), &asked].concat());
        }
    });
    url
}

#[test]
fn an_answer_is_printed_and_headers_and_body_are_sent_from_every_machine() {
    let url = site("200 OK");
    for server in Server::each() {
        let home = Home::new();
        let mut args = vec!["fetch", "-H", "X-One: 1", "--header", "x-two: 2: 3", "--data", "hello"];
        args.extend(server.flags());
        args.push(&url);
        let said = home.says(&args);
        assert!(said.starts_with("POST /a HTTP/1.1\r\nx-one: 1\r\nx-two: 2: 3\r\n"), "{said}");
        assert!(said.ends_with("\r\n\r\nhello"), "{said}");
    }
}

#[test]
fn a_body_goes_to_a_file_and_the_rest_into_a_document() {
    let (url, home) = (site("404 Not Found"), Home::new());
    let path = home.path().join("out");
    let path = path.to_str().expect("text");
    let told = home.json(&["fetch", "--json", "-o", path, "-X", "PUT", &url]);
    let written = std::fs::read(path).expect("it was written");
    assert!(written.starts_with(b"PUT /a HTTP/1.1\r\n"));
    let headers = json!([{"name": "x-a", "value": "b"}, {"name": "content-length", "value": written.len().to_string()}]);
    assert_eq!(
        told,
        json!({"server": {"kind": "local"}, "status": 404, "headers": headers, "bodyBytes": written.len(), "output": path})
    );
    let (code, said, _) = home.outcome(&["fetch", "--fail", "-i", &url]);
    assert!(code == Some(1) && said.starts_with("HTTP 404\nx-a: b\n"), "{code:?} {said}");
}

#[test]
fn what_fails_is_told_and_leaves_no_file() {
    let home = Home::new();
    let path = home.path().join("out");
    let said = home.is_undone(&["fetch", "-o", path.to_str().expect("text"), "http://127.0.0.1:1/"]);
    assert!(said.contains("http/request failed: ") && said.contains("Connection refused"), "{said}");
    assert!(said.contains("as seen from the machine that asks"), "{said}");
    let said = home.is_undone(&["fetch", "http://no-such-host.invalid/"]);
    assert!(said.contains("does not know that name"), "{said}");
    assert!(!path.exists());
    let said = home.is_undone(&["fetch", "ftp://127.0.0.1/"]);
    assert!(said.contains("http/request only supports http and https URLs, got ftp"), "{said}");
    let (code, _, said) = home.outcome(&["fetch", "-H", "nonsense", "http://127.0.0.1:1/"]);
    assert!(code == Some(2) && said.contains("write NAME: VALUE"), "{said}");
}
