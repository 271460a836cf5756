//! `process/terminate` of what one start began, whoever has its id by now.

use std::sync::Arc;

use codex_exec_server::ServerConfig;
use codex_exec_server_testkit::{Harness, shell, shell_with, start_params};
use serde_json::{Value, json};

use crate::support::with;

fn keyed(key: &str, script: &str) -> Value {
    shell_with("p", script, json!({"pipeStdin": true, "requestKey": key}))
}

fn meant(key: &str) -> Value {
    json!({"processId": "p", "requestKey": key})
}

async fn the_key_of_another_start_leaves_a_process_alone_and_its_own_ends_it(server: Arc<Harness>) {
    let mut client = server.ready().await;
    // A start that fails leaves the id free.
    let mut missing = start_params("p", &["/nowhere"]);
    missing["requestKey"] = json!("a");
    client.refused("process/start", missing).await;
    client.start(keyed("b", "read line; echo got $line; exec sleep 1000")).await;
    for other in ["a", "never", ""] {
        let answer = client.done("process/terminate", meant(other)).await;
        assert_eq!(answer, json!({"running": false}), "{other:?}");
    }
    assert_eq!(client.write("p", "w", b"it\n").await, "accepted");
    client.sees("p", "got it").await;
    let answer = client.done("process/terminate", meant("b")).await;
    assert_eq!(answer, json!({"running": true, "survivors": 0}));
    assert_eq!(client.closed("p").await.exit_code(), 137);
}

async fn a_start_that_is_not_over_is_told_by_its_key_from_others(server: Arc<Harness>) {
    let mut client = server.ready().await;
    let start = client.feed_request("process/start", keyed("b", "exec sleep 1000")).await;
    let other = client.feed_request("process/terminate", meant("a")).await;
    let own = client.request("process/terminate", meant("b")).await;
    client.answer(start).await.expect("it starts");
    assert_eq!(client.answer(other).await, Ok(json!({"running": false})));
    assert_eq!(client.answer(own).await, Ok(json!({"running": true, "survivors": 0})));
    client.closed("p").await;
}

async fn a_process_without_a_key_is_ended_by_its_id_alone(server: Arc<Harness>) {
    let mut client = server.ready().await;
    client.start(shell("p", "exec sleep 1000")).await;
    assert_eq!(client.done("process/terminate", meant("a")).await, json!({"running": false}));
    let answer = client.done("process/terminate", json!({"processId": "p"})).await;
    assert_eq!(answer, json!({"running": true, "survivors": 0}));
    client.closed("p").await;
}

tests_over_every_transport! {
    the_key_of_another_start_leaves_a_process_alone_and_its_own_ends_it
    a_start_that_is_not_over_is_told_by_its_key_from_others
    a_process_without_a_key_is_ended_by_its_id_alone
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_of_a_process_that_ended_and_was_forgotten_does_not_reach_who_has_its_id_now() {
    // Room for one: a closed process is forgotten when another one is to start.
    let mut config = ServerConfig::from_process();
    config.limits.processes_per_session = 1;
    with(config, async |server: Arc<Harness>| {
        let mut client = server.connect().await;
        let session = client.initialize().await;
        client.run(keyed("a", "exit 0")).await;
        // Its close is told a moment before it may be forgotten.
        while client.done("process/list", json!({})).await != json!({"processes": []}) {
            client.refused("process/start", start_params("fails", &["/nowhere"])).await;
        }
        client.vanish();
        server.idle().await;
        // Another client of the same session, to which the id is new.
        let mut client = server.connect().await;
        client.resume(&session).await;
        client.start(keyed("b", "exec sleep 1000")).await;
        assert_eq!(client.done("process/terminate", meant("a")).await, json!({"running": false}));
        let answer = client.done("process/terminate", meant("b")).await;
        assert_eq!(answer, json!({"running": true, "survivors": 0}));
        assert_eq!(client.closed("p").await.exit_code(), 137);
    })
    .await;
}
