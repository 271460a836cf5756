//! Everything at once: a client that sends all it has before it reads a single answer.

use std::sync::Arc;

use codex_exec_server_testkit::{Harness, shell, start_params, write_params};
use serde_json::json;

async fn starts_of_256_processes_in_one_burst_are_all_answered(server: Arc<Harness>) {
    let mut client = server.ready().await;
    let mut ids = Vec::new();
    for n in 0..256 {
        let params = shell(&format!("p{n}"), &format!("echo {n}; exit {}", n % 7));
        ids.push(client.feed_request("process/start", params).await);
    }
    client.flush().await;
    for (n, id) in ids.into_iter().enumerate() {
        assert_eq!(client.answer(id).await, Ok(json!({"processId": format!("p{n}"), "sandboxType": "none"})));
    }
    for n in 0..256 {
        let transcript = client.closed(&format!("p{n}")).await;
        assert_eq!((transcript.text(), transcript.exit_code()), (format!("{n}\n"), n % 7));
    }
}

async fn small_requests_by_the_thousand_are_all_answered(server: Arc<Harness>) {
    let mut client = server.ready().await;
    let mut ids = Vec::new();
    for _ in 0..4_000 {
        ids.push(client.feed_request("environment/status", json!({})).await);
    }
    client.flush().await;
    for id in ids {
        assert_eq!(client.answer(id).await, Ok(json!({"status": "ready"})));
    }
}

async fn long_polls_by_the_thousand_are_all_answered(server: Arc<Harness>) {
    let mut client = server.ready().await;
    let mut params = start_params("p", &["cat"]);
    params["pipeStdin"] = json!(true);
    client.start(params).await;
    let mut ids = Vec::new();
    for _ in 0..4_000 {
        let poll = json!({"processId": "p", "waitMs": 60_000, "maxBytes": 1});
        ids.push(client.feed_request("process/read", poll).await);
    }
    let end = client.request("process/closeStdin", json!({"processId": "p", "writeId": "w"})).await;
    client.answer(end).await.expect("accepted");
    for id in ids {
        let answer = client.answer(id).await.expect("a page");
        assert_eq!(answer["exited"], json!(true));
    }
}

async fn writes_by_the_thousand_are_all_answered_and_keep_the_order_of_each_process(server: Arc<Harness>) {
    let mut client = server.ready().await;
    let names = ["a", "b", "c", "d"];
    for name in names {
        let mut params = start_params(name, &["cat"]);
        params["pipeStdin"] = json!(true);
        client.start(params).await;
    }
    let mut ids = Vec::new();
    for n in 0..4_096 {
        let process = names[n % names.len()];
        let params = write_params(process, &n.to_string(), format!("{n}\n").as_bytes());
        ids.push(client.feed_request("process/write", params).await);
    }
    for name in names {
        let end = json!({"processId": name, "writeId": "end"});
        ids.push(client.feed_request("process/closeStdin", end).await);
    }
    client.flush().await;
    for id in ids {
        assert_eq!(client.answer(id).await, Ok(json!({"status": "accepted"})));
    }
    for (first, name) in names.into_iter().enumerate() {
        let expected: String = (first..4_096).step_by(names.len()).map(|n| format!("{n}\n")).collect();
        assert_eq!(client.closed(name).await.text(), expected, "{name}");
    }
}

async fn writes_that_have_to_wait_keep_their_order(server: Arc<Harness>) {
    let mut client = server.ready().await;
    let mut params = shell("p", "read go; exec cat");
    params["pipeStdin"] = json!(true);
    client.start(params).await;
    // Sixteen times what the server takes for a process that does not read.
    let mut ids = vec![client.feed_request("process/write", write_params("p", "go", b"\n")).await];
    let piece = |n: usize| format!("{n:>7}\n").repeat(2_048);
    for n in 0..1_024 {
        ids.push(
            client
                .feed_request("process/write", write_params("p", &n.to_string(), piece(n).as_bytes()))
                .await,
        );
    }
    ids.push(client.feed_request("process/closeStdin", json!({"processId": "p", "writeId": "end"})).await);
    client.flush().await;
    for id in ids {
        assert_eq!(client.answer(id).await, Ok(json!({"status": "accepted"})));
    }
    let expected: String = (0..1_024).map(piece).collect();
    assert!(client.closed("p").await.text() == expected);
}

tests_over_every_transport! {
    starts_of_256_processes_in_one_burst_are_all_answered
    small_requests_by_the_thousand_are_all_answered
    long_polls_by_the_thousand_are_all_answered
    writes_by_the_thousand_are_all_answered_and_keep_the_order_of_each_process
    writes_that_have_to_wait_keep_their_order
}
