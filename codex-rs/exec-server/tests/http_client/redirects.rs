//! Answers that send the client elsewhere.

use codex_exec_server_protocol::http::HttpFailureCause;
use serde_json::json;

use crate::place::Machine;
use crate::site::{Site, answer, assert_failure, failure, get, request, whole};

/// A site on which `/n` leads to `/n-1`, with the status that the query names, and `/0` is an end.
async fn chain() -> Site {
    Site::raw(|asked| {
        let path = asked.line.split(' ').nth(1).unwrap_or_default();
        let (steps, status) = path.trim_start_matches('/').split_once('?').unwrap_or(("0", ""));
        match steps.parse::<u32>() {
            Ok(steps @ 1..) => answer(
                &format!("{status} Moved"),
                &format!("Location: /{}?{status}\r\n", steps - 1),
                b"moved",
            ),
            _ => answer("200 OK", "", &[asked.line.as_bytes(), b"|", &asked.body].concat()),
        }
    })
    .await
}

cases! {
    everywhere {
        ten_redirects_are_followed_and_the_eleventh_is_one_too_many
        a_redirect_can_be_had_instead_of_followed
        what_is_sent_again_depends_on_the_kind_of_redirect
        a_redirect_that_leads_out_of_http_is_not_followed
    }
    not_on_reference {
        a_header_from_the_environment_does_not_go_to_another_site: "it takes it there"
    }
}

async fn ten_redirects_are_followed_and_the_eleventh_is_one_too_many(machine: Machine) {
    let site = chain().await;
    let (status, body) = whole(&machine, get(&site.url("/10?302"))).await;
    assert_eq!((status, String::from_utf8_lossy(&body).as_ref()), (200, "GET /0?302 HTTP/1.1|"));
    assert_eq!(site.asked().len(), 11);
    let error = failure(&machine, get(&site.url("/11?302"))).await;
    let words = "http/request failed: ";
    assert_failure(&error, /*code*/ -32603, words, Some(HttpFailureCause::Redirect));
    assert!(error.to_string().contains("too many redirects"), "{error}");
}

async fn a_redirect_can_be_had_instead_of_followed(machine: Machine) {
    let site = chain().await;
    let stopping = request("GET", &site.url("/3?301"), json!({"redirectPolicy": "stop"}));
    let answered = machine.request(stopping).await.expect("it is answered");
    let location = answered.headers.iter().find(|header| header.name == "location");
    assert_eq!((answered.status, location.map(|header| header.value.as_str())), (301, Some("/2?301")));
    assert_eq!(&answered.body_base64[..], b"moved");
    assert_eq!(site.asked().len(), 1);
}

async fn what_is_sent_again_depends_on_the_kind_of_redirect(machine: Machine) {
    let site = chain().await;
    for (status, told) in [
        ("307", "POST /0?307 HTTP/1.1|hello"),
        ("308", "POST /0?308 HTTP/1.1|hello"),
        ("303", "GET /0?303 HTTP/1.1|"),
        ("302", "GET /0?302 HTTP/1.1|"),
    ] {
        let url = site.url(&format!("/1?{status}"));
        let (_, body) = whole(&machine, request("POST", &url, json!({"bodyBase64": "aGVsbG8="}))).await;
        assert_eq!(String::from_utf8_lossy(&body), told);
    }
    let asked = site.asked();
    assert_eq!(asked[1].header("referer"), Some(site.url("/1?307").as_str()));
}

async fn a_redirect_that_leads_out_of_http_is_not_followed(machine: Machine) {
    let site = Site::raw(|_| answer("302 Found", "Location: ftp://127.0.0.1:1/\r\n", b"")).await;
    let error = failure(&machine, get(&site.url("/"))).await;
    assert_failure(&error, /*code*/ -32603, "http/request failed: ", Some(HttpFailureCause::Redirect));
}

async fn a_header_from_the_environment_does_not_go_to_another_site(machine: Machine) {
    let there = chain().await;
    let here = chain().await;
    let away = there.url("/0");
    let away = Site::raw(move |_| answer("302 Found", &format!("Location: {away}\r\n"), b"")).await;
    let header = |secret: bool| match secret {
        true => json!({"headers": [{"name": "x-key", "value": "", "valueEnvVar": "TEST_TOKEN"}]}),
        false => json!({"headers": [{"name": "x-key", "value": "public"}]}),
    };
    let error = failure(&machine, request("GET", &away.url("/"), header(/*secret*/ true))).await;
    let words = "http/request failed: ";
    assert_failure(&error, /*code*/ -32603, words, Some(HttpFailureCause::Redirect));
    assert!(error.to_string().contains("leads to another site, 127.0.0.1"), "{error}");
    assert_eq!((away.asked().len(), there.asked().len()), (1, 0));
    // Within the site it goes along, and what the caller says itself goes wherever it is sent.
    whole(&machine, request("GET", &here.url("/1?302"), header(/*secret*/ true))).await;
    assert_eq!(here.asked()[1].header("x-key"), Some("t0k"));
    whole(&machine, request("GET", &away.url("/"), header(/*secret*/ false))).await;
    assert_eq!(there.asked()[0].header("x-key"), Some("public"));
}
