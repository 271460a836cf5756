//! Writes beyond what a connection may have waiting: as long as their process reads they wait in the socket, and are
//! refused only where nothing moves.

use std::sync::Arc;
use std::time::Duration;

use codex_exec_server::ServerConfig;
use codex_exec_server_testkit::{Client, Harness, shell_with, write_params};
use serde_json::json;

use crate::support::with;

const WRITE_BYTES: usize = 32 << 10;

/// A server on which a few writes are all that may wait, for a process of which another few may be queued.
fn little_room(request_room: Duration) -> ServerConfig {
    let mut config = ServerConfig::from_process();
    config.limits.request_bytes_in_flight = 4 * WRITE_BYTES;
    config.limits.queued_stdin_bytes = 4 * WRITE_BYTES;
    config.limits.request_room = request_room;
    config
}

/// Sends `count` writes to `p` at once. Returns their requests.
async fn pipeline(client: &mut Client, count: usize) -> Vec<i64> {
    let mut ids = Vec::new();
    for number in 0..count {
        let params = write_params("p", &number.to_string(), &[b'x'; WRITE_BYTES]);
        ids.push(client.feed_request("process/write", params).await);
    }
    client.flush().await;
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_far_beyond_the_bound_are_all_accepted_while_the_process_reads() {
    // However busy the machine is, the process reads again within this time.
    with(little_room(Duration::from_secs(120)), async |server: Arc<Harness>| {
        const COUNT: usize = 300;
        let mut client = server.ready().await;
        client.start(shell_with("p", "wc -c", json!({"pipeStdin": true}))).await;
        for id in pipeline(&mut client, COUNT).await {
            assert_eq!(client.answer(id).await, Ok(json!({"status": "accepted"})));
        }
        assert_eq!(client.close_stdin("p", "end").await, "accepted");
        assert_eq!(client.closed("p").await.text().trim(), (COUNT * WRITE_BYTES).to_string());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_process_that_reads_nothing_writes_are_refused_and_everything_else_is_answered() {
    with(little_room(Duration::from_millis(1)), async |server: Arc<Harness>| {
        let mut client = server.ready().await;
        client.start(shell_with("p", "exec sleep 1000", json!({"pipeStdin": true}))).await;
        // Pipe, queue and what may wait hold a dozen or two.
        let ids = pipeline(&mut client, /*count*/ 100).await;
        client.done("environment/status", json!({})).await;
        let last = *ids.last().expect("some were sent");
        let refused = client.answer(last).await.expect_err("there is no room for it");
        assert!(refused.message.contains("bytes of requests of this connection wait already"), "{refused:?}");
        client.done("process/terminate", json!({"processId": "p"})).await;
        client.closed("p").await;
    })
    .await;
}
