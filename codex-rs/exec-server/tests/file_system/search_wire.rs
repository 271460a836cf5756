//! What only the wire can say of searches: names, batches, credit, and their end.

use std::path::Path;

use codex_exec_server::ServerConfig;
use codex_exec_server_core::limits::{FileLimits, Limits};
use codex_exec_server_testkit::{Client, patiently, shell_with};
use serde_json::{Value, json};

use crate::place::uri;

/// Lines of one file, far more than what may wait for a reader.
const LINES: usize = 60_000;

fn plant(folder: &Path) {
    let text: String = (0..LINES).map(|number| format!("needle {number}\n")).collect();
    std::fs::write(folder.join("f"), text).expect("it can be written");
}

fn search(id: &str, folder: &Path, credit: u64) -> Value {
    json!({"searchId": id, "path": uri(folder), "pattern": "needle", "creditBatches": credit})
}

/// The next notification, which is a batch.
async fn batch(client: &mut Client) -> Value {
    let (method, params) = client.next_notification().await;
    assert_eq!(method, "fs/search/matches");
    params
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_is_sent_than_was_granted_and_nothing_else_waits() {
    crate::support::with(ServerConfig::from_process(), |harness| async move {
        let folder = tempfile::tempdir().expect("a folder");
        plant(folder.path());
        let mut client = harness.connect().await;
        client.initialize().await;
        let cat = shell_with("cat", "exec cat", json!({ "pipeStdin": true }));
        client.start(cat).await;
        let mut ids = Vec::new();
        for number in 0..4 {
            let params = search(&format!("s{number}"), folder.path(), /*credit*/ 1);
            ids.push(client.request("fs/search", params).await);
        }
        let mut seen: Vec<Value> = Vec::new();
        while seen.len() < 4 {
            seen.push(batch(&mut client).await);
        }
        assert!(seen.iter().all(|params| params["batch"] == 1));
        // All four stand; a keystroke and its echo pass, and questions are answered.
        assert_eq!(client.write("cat", "1", b"keystroke").await, "accepted");
        client.sees("cat", "keystroke").await;
        client.done("fs/getMetadata", json!({"path": uri(folder.path())})).await;
        assert!(ids.iter().all(|id| !client.has_answer(*id)));

        client.notify("fs/searchCredit", json!({"searchId": "s1", "batches": 2})).await;
        // Neither is of importance: one that nobody runs, and more than there can be.
        client.notify("fs/searchCredit", json!({"searchId": "none", "batches": 2})).await;
        for number in 2..=3 {
            let mut next = client.next_notification().await;
            while next.0 != "fs/search/matches" {
                next = client.next_notification().await;
            }
            assert_eq!((&next.1["searchId"], &next.1["batch"]), (&json!("s1"), &json!(number)));
        }
        for _ in 0..2 {
            client.notify("fs/searchCredit", json!({"searchId": "s2", "batches": u64::MAX})).await;
        }
        let answer = client.answer(ids[2]).await.expect("it came to its end");
        assert_eq!((&answer["matches"], &answer["truncated"]), (&json!(LINES), &json!(false)));
        let mut batches = 1;
        let mut matches = seen.iter().find(|params| params["searchId"] == "s2").map_or(0, found);
        while batches < answer["batches"].as_u64().expect("a number") {
            let (method, params) = client.next_notification().await;
            if method == "fs/search/matches" {
                batches += 1;
                assert_eq!((&params["searchId"], &params["batch"]), (&json!("s2"), &json!(batches)));
                matches += found(&params);
            }
        }
        assert_eq!(matches, LINES);

        // One that is cancelled says no more, and its name is free.
        client.notify("$/cancel", json!({"id": ids[3]})).await;
        assert_eq!(client.answer(ids[3]).await.expect_err("given up").code, -32800);
        let few = json!({"searchId": "s3", "path": uri(folder.path()), "pattern": "needle 7$"});
        let answer = client.done("fs/search", few).await;
        assert_eq!((&answer["matches"], &answer["batches"]), (&json!(1), &json!(1)));
        let params = batch(&mut client).await;
        assert_eq!((&params["searchId"], &params["matches"][0]["line"]), (&json!("s3"), &json!(8)));
        client.call("process/terminate", json!({ "processId": "cat" })).await.expect("it ends");
    })
    .await;
}

fn found(params: &Value) -> usize {
    params["matches"].as_array().expect("a list").len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_taken_while_their_searches_run_and_may_not_be_long() {
    crate::support::with(ServerConfig::from_process(), |harness| async move {
        let folder = tempfile::tempdir().expect("a folder");
        plant(folder.path());
        let mut client = harness.connect().await;
        client.initialize().await;
        client.request("fs/search", search("s", folder.path(), /*credit*/ 0)).await;
        let glob = json!({"searchId": "s", "path": uri(folder.path()), "patterns": ["*"]});
        let error = client.refused("fs/glob", glob).await;
        assert_eq!((error.code, error.message.as_str()), (-32600, "search `s` is running already"));
        let long = search(&"x".repeat(129), folder.path(), /*credit*/ 0);
        assert_eq!(client.refused("fs/search", long).await.message, "searchId must not exceed 128 bytes");
        // Another connection has names of its own.
        let mut other = harness.connect().await;
        other.initialize().await;
        let glob = json!({"searchId": "s", "path": uri(folder.path()), "patterns": ["*"]});
        assert_eq!(other.done("fs/glob", glob).await["matches"], 1);
    })
    .await;
}

/// A search that nobody takes anything of goes away with its connection: then there is room for others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_are_as_many_searches_as_there_may_be_and_those_of_a_connection_end_with_it() {
    let files = FileLimits { searches: 3, searches_per_connection: 2, ..FileLimits::default() };
    let config = ServerConfig::with_limits(Limits { files, ..Limits::default() });
    crate::support::with(config, |harness| async move {
        let folder = tempfile::tempdir().expect("a folder");
        plant(folder.path());
        let (mut one, mut two) = (harness.connect().await, harness.connect().await);
        one.initialize().await;
        two.initialize().await;
        let mut ids = Vec::new();
        for name in ["a", "b"] {
            ids.push(one.request("fs/search", search(name, folder.path(), /*credit*/ 1)).await);
            batch(&mut one).await;
        }
        let error = one.refused("fs/search", search("c", folder.path(), /*credit*/ 1)).await;
        assert_eq!(
            error.message,
            "2 searches of this connection are running, its limit; wait for one or cancel it"
        );
        two.request("fs/search", search("a", folder.path(), /*credit*/ 1)).await;
        batch(&mut two).await;
        let error = two.refused("fs/search", search("b", folder.path(), /*credit*/ 1)).await;
        assert_eq!(
            (error.code, error.message.as_str()),
            (-32600, "3 searches are running on this server, its limit; try again later")
        );
        one.vanish();
        patiently("the searches to end with their connection", async {
            while two.call("fs/search", search("b", folder.path(), /*credit*/ u64::MAX)).await.is_err() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    })
    .await;
}
