//! What only the wire can say: what does not decode, names that clients choose, and requests that are sent together.

use std::sync::Arc;

use codex_exec_server_testkit::Harness;
use serde_json::{Value, json};

use crate::place::uri;

tests_over! { WebSocket as websocket, Stdio as stdio; {
    what_is_no_path_is_refused
    what_is_no_base64_is_refused
    files_need_a_handshake
    names_of_handles_are_checked
    handles_belong_to_their_connection
    blocks_sent_behind_their_open_are_served_in_order
    thousands_of_questions_at_once_are_answered
    a_cancelled_read_is_answered
    blocks_come_as_they_are_to_a_client_that_takes_them_so
    a_range_comes_as_it_is_only_to_a_request_that_says_so
} }

async fn client(harness: &Harness) -> codex_exec_server_testkit::Client {
    let mut client = harness.connect().await;
    client.initialize().await;
    client
}

async fn refused(
    client: &mut codex_exec_server_testkit::Client,
    method: &str,
    params: Value,
) -> (i64, String) {
    let text = params.to_string();
    let answer = client.call(method, params).await;
    let error = answer.expect_err(&text);
    (error.code, error.message)
}

async fn what_is_no_path_is_refused(harness: Arc<Harness>) {
    let mut client = client(&harness).await;
    for (path, expected) in [
        ("relative/path", "invalid URI: relative URL without a base"),
        ("/bare/path", "invalid URI: relative URL without a base"),
        ("", "invalid URI: relative URL without a base"),
        ("http://host/x", "unsupported path URI scheme `http`"),
        ("file:///tmp/a%00b", "'file:///tmp/a%00b' is invalid on 'linux'"),
        ("file:///tmp/a?b", "query parameters are not allowed in path URIs"),
        ("file:///tmp/a#b", "fragments are not allowed in path URIs"),
    ] {
        for method in ["fs/readFile", "fs/getMetadata", "fs/remove", "fs/readDirectory", "fs/canonicalize"] {
            let told = refused(&mut client, method, json!({ "path": path })).await;
            assert_eq!(told, (-32602, expected.to_owned()), "{method} {path}");
        }
    }
}

async fn what_is_no_base64_is_refused(harness: Arc<Harness>) {
    let mut client = client(&harness).await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = uri(folder.path().join("f"));
    let (code, text) =
        refused(&mut client, "fs/writeFile", json!({"path": path, "dataBase64": "a!=="})).await;
    assert_eq!(code, -32600);
    assert!(text.starts_with("fs/writeFile requires valid base64 dataBase64: Invalid symbol 33"), "{text}");
    assert!(!folder.path().join("f").exists());
    let block = json!({"handleId": "none", "offset": 0, "chunk": "a"});
    assert_eq!(refused(&mut client, "fs/writeBlock", block).await.0, -32602);
    let append = json!({"path": path, "dataBase64": "AA", "create": true});
    assert_eq!(refused(&mut client, "fs/append", append).await.0, -32602);
}

async fn files_need_a_handshake(harness: Arc<Harness>) {
    let mut client = harness.connect().await;
    let params = || json!({"path": "file:///"});
    let (code, text) = refused(&mut client, "fs/getMetadata", params()).await;
    assert_eq!(
        (code, text.as_str()),
        (-32600, "client must call initialize before using filesystem methods")
    );
    client.call("initialize", json!({"clientName": "test"})).await.expect("a session");
    let (code, text) = refused(&mut client, "fs/getMetadata", params()).await;
    assert_eq!(
        (code, text.as_str()),
        (-32600, "client must send initialized before using filesystem methods")
    );
}

async fn names_of_handles_are_checked(harness: Arc<Harness>) {
    let mut client = client(&harness).await;
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("f"), "text").expect("it can be written");
    let path = uri(folder.path().join("f"));
    let open = |id: &str| json!({"handleId": id, "path": path});
    let told = refused(&mut client, "fs/open", open(&"x".repeat(33))).await;
    assert_eq!(told, (-32600, "file handle ID must not exceed 32 bytes".into()));
    for id in ["", &"x".repeat(32), "h"] {
        assert_eq!(client.call("fs/open", open(id)).await, Ok(json!({"handleId": id})));
    }
    let told = refused(&mut client, "fs/open", open("h")).await;
    assert_eq!(told, (-32600, "file handle `h` already exists".into()));
    let told = refused(&mut client, "fs/readBlock", json!({"handleId": "g", "offset": 0, "len": 1})).await;
    assert_eq!(told, (-32004, "unknown file handle `g`".into()));
    assert_eq!(client.call("fs/close", json!({"handleId": "g"})).await, Ok(json!({})));
    assert_eq!(client.call("fs/close", json!({"handleId": "h"})).await, Ok(json!({})));
    assert_eq!(client.call("fs/open", open("h")).await, Ok(json!({"handleId": "h"})));
    let null = json!({"handleId": "i", "path": path, "mode": null});
    assert_eq!(refused(&mut client, "fs/open", null).await.0, -32602);
}

async fn handles_belong_to_their_connection(harness: Arc<Harness>) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("f"), "text").expect("it can be written");
    let open = json!({"handleId": "h", "path": uri(folder.path().join("f"))});
    let (mut one, mut other) = (client(&harness).await, client(&harness).await);
    one.call("fs/open", open.clone()).await.expect("it can be opened");
    let read = json!({"handleId": "h", "offset": 0, "len": 9});
    assert_eq!(refused(&mut other, "fs/readBlock", read.clone()).await.0, -32004);
    other.call("fs/open", open).await.expect("the name is free here");
    assert_eq!(one.call("fs/readBlock", read).await, Ok(json!({"chunk": "dGV4dA==", "eof": true})));
}

async fn blocks_sent_behind_their_open_are_served_in_order(harness: Arc<Harness>) {
    let mut client = client(&harness).await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = uri(folder.path().join("f"));
    let open = json!({"handleId": "h", "path": path, "mode": "replace"});
    let mut ids = vec![client.feed_request("fs/open", open).await];
    for number in 0..100 {
        let chunk = codex_exec_server_protocol::bytes::Base64Bytes::from(format!("{number:03}").into_bytes());
        let block = json!({"handleId": "h", "offset": number % 7, "chunk": chunk});
        ids.push(client.feed_request("fs/writeBlock", block).await);
    }
    ids.push(client.feed_request("fs/close", json!({"handleId": "h"})).await);
    let again = json!({"handleId": "h", "path": path});
    ids.push(client.feed_request("fs/open", again).await);
    ids.push(client.feed_request("fs/readBlock", json!({"handleId": "h", "offset": 0, "len": 100})).await);
    client.flush().await;
    let mut expected = vec![0_u8; 9];
    for number in 0..100_usize {
        expected[number % 7..number % 7 + 3].copy_from_slice(format!("{number:03}").as_bytes());
    }
    let mut last = Value::Null;
    for id in ids {
        last = client.answer(id).await.expect("each is served");
    }
    assert_eq!(last["eof"], true);
    let found: codex_exec_server_protocol::bytes::Base64Bytes =
        serde_json::from_value(last["chunk"].take()).expect("bytes");
    assert_eq!(found[..], expected);
}

async fn thousands_of_questions_at_once_are_answered(harness: Arc<Harness>) {
    let mut client = client(&harness).await;
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("f"), "text").expect("it can be written");
    let mut ids = Vec::new();
    for number in 0..4096 {
        let name = if number % 2 == 0 { "f" } else { "none" };
        let params = json!({"path": uri(folder.path().join(name))});
        ids.push(client.feed_request("fs/getMetadata", params).await);
    }
    client.flush().await;
    for (number, id) in ids.into_iter().enumerate() {
        assert_eq!(client.answer(id).await.is_ok(), number % 2 == 0, "{number}");
    }
}

async fn a_cancelled_read_is_answered(harness: Arc<Harness>) {
    let mut client = client(&harness).await;
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("f"), "text").expect("it can be written");
    let path = uri(folder.path().join("f"));
    for _ in 0..50 {
        let id = client.request("fs/readDirectory", json!({"path": uri(folder.path())})).await;
        client.notify("$/cancel", json!({ "id": id })).await;
        match client.answer(id).await {
            Ok(_) => {}
            Err(error) => assert_eq!(error.code, -32800),
        }
        // What changes something is seen through.
        let id = client.request("fs/writeFile", json!({"path": path, "dataBase64": "AA=="})).await;
        client.notify("$/cancel", json!({ "id": id })).await;
        assert!(client.answer(id).await.is_ok());
    }
}

async fn blocks_come_as_they_are_to_a_client_that_takes_them_so(harness: Arc<Harness>) {
    let folder = tempfile::tempdir().expect("a folder");
    let content = crate::reading::noise(/*len*/ 300_000);
    std::fs::write(folder.path().join("f"), &content).expect("it can be written");
    for takes in [true, false] {
        let mut client = harness.connect().await;
        client.initialize_with(json!({"clientName": "test", "capabilities": {"binaryOutput": takes}})).await;
        let open = json!({"handleId": "h", "path": uri(folder.path().join("f"))});
        client.call("fs/open", open).await.expect("it can be opened");
        for (offset, len, eof) in [(0, 200_000, false), (200_000, 200_000, true), (400_000, 1, true)] {
            let params = json!({"handleId": "h", "offset": offset, "len": len});
            let mut block = client.call("fs/readBlock", params).await.expect("it can be read");
            let chunk = block["chunk"].take();
            let chunk: codex_exec_server_protocol::bytes::Base64Bytes =
                serde_json::from_value(chunk).expect("bytes");
            let expected = &content[offset.min(300_000)..(offset + len).min(300_000)];
            assert!(chunk[..] == *expected && block["eof"] == eof, "{offset}");
        }
        let told = client.call("fs/readBlock", json!({"handleId": "none", "offset": 0, "len": 1})).await;
        assert_eq!(told.expect_err("no such handle").code, -32004);
        let expected = if takes && harness.carries_binary() { 3 } else { 0 };
        assert_eq!(client.binary_messages(), expected);
    }
}

async fn a_range_comes_as_it_is_only_to_a_request_that_says_so(harness: Arc<Harness>) {
    let folder = tempfile::tempdir().expect("a folder");
    let content = crate::reading::noise(/*len*/ 300_000);
    std::fs::write(folder.path().join("f"), &content).expect("it can be written");
    for takes in [true, false] {
        let mut client = harness.connect().await;
        client.initialize_with(json!({"clientName": "test", "capabilities": {"binaryOutput": takes}})).await;
        let path = uri(folder.path().join("f"));
        for (offset, len, eof) in [(0, 200_000, false), (200_000, 200_000, true), (400_000, 1, true)] {
            let mut params = json!({"path": path, "offset": offset, "len": len});
            let plain = client.call("fs/readRange", params.clone()).await.expect("it can be read");
            params["binary"] = json!(true);
            let range = client.call("fs/readRange", params).await.expect("it can be read");
            assert!(range == plain, "{offset}");
            let bytes = range["dataBase64"].clone();
            let bytes: codex_exec_server_protocol::bytes::Base64Bytes =
                serde_json::from_value(bytes).expect("bytes");
            let expected = &content[offset.min(300_000)..(offset + len).min(300_000)];
            assert!(bytes[..] == *expected && range["eof"] == eof && range["size"] == 300_000, "{offset}");
        }
        let none = json!({"path": uri(folder.path().join("none")), "offset": 0, "len": 1, "binary": true});
        assert_eq!(client.call("fs/readRange", none).await.expect_err("no such file").code, -32004);
        let expected = if takes && harness.carries_binary() { 3 } else { 0 };
        assert_eq!(client.binary_messages(), expected);
    }
}
