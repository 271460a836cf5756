//! What stays readable, and how a gap is accounted for.

use std::sync::Arc;

use codex_exec_server::ServerConfig;
use codex_exec_server_core::limits::LogLimits;
use codex_exec_server_testkit::{Client, Harness, shell_with, start_params};
use serde_json::json;

use crate::support::with;

/// A server whose logs hold 64 KiB each.
fn small_logs() -> ServerConfig {
    let mut config = ServerConfig::from_process();
    config.limits.log = LogLimits {
        retain_bytes: 64 << 10,
        memory_chunks: 1_000,
        crowded_memory_bytes: 8 << 10,
        chunk_bytes: 8 << 10,
        unread_bytes: 16 << 10,
        in_flight_bytes: 40 << 10,
        ..LogLimits::default()
    };
    config
}

/// Reads what is left of a closed process and checks it against what was dropped and against `all`. Returns how much
/// was dropped.
async fn check_gap(client: &mut Client, process: &str, all: &[u8]) -> u64 {
    let read = client.read(json!({"processId": process})).await;
    assert!(read.closed);
    assert_eq!(read.output_bytes, Some(all.len() as u64));
    let dropped = read.dropped.expect("it wrote more than is retained");
    let (first, last) =
        (read.chunks.first().expect("a tail is left"), read.chunks.last().expect("a tail is left"));
    // The exit may stand between two chunks, and so between what is gone and what is left.
    let between = first.seq.0 - dropped.through_seq.next().0;
    assert!(between <= 1, "{between} events are neither dropped nor there");
    assert_eq!(first.offset, Some(dropped.bytes));
    assert_eq!(last.offset.expect("told") + last.chunk.len() as u64, all.len() as u64);
    let tail: Vec<u8> = read.chunks.iter().flat_map(|chunk| chunk.chunk.to_vec()).collect();
    assert!(
        tail == all[usize::try_from(dropped.bytes).expect("it fits")..],
        "the tail is what was written last"
    );
    assert!(tail.len() <= 64 << 10, "{} bytes are retained", tail.len());
    // The list says the same.
    let list = client.done("process/list", json!({})).await;
    assert_eq!(list["processes"][0]["dropped"], json!(dropped));
    // And so does a read that begins before, in or behind the gap.
    for after in [0, dropped.through_seq.0 / 2, dropped.through_seq.0] {
        let read = client.read(json!({"processId": process, "afterSeq": after, "maxBytes": 1})).await;
        assert_eq!((read.chunks.len(), read.chunks[0].seq), (1, first.seq));
        assert_eq!(read.dropped, Some(dropped));
    }
    dropped.bytes
}

fn numbers(to: u32) -> Vec<u8> {
    (1..=to).flat_map(|n| format!("{n}\n").into_bytes()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_gets_everything_and_what_is_dropped_behind_it_is_accounted_for_exactly() {
    with(small_logs(), async |server: Arc<Harness>| {
        let mut client = server.ready().await;
        let transcript = client.run(start_params("p", &["seq", "100000"])).await;
        let all = numbers(/*to*/ 100_000);
        assert!(transcript.stdout == all);
        check_gap(&mut client, "p", &all).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_runs_on_without_a_reader_and_drops_its_oldest_output() {
    with(small_logs(), async |server: Arc<Harness>| {
        let mut client = server.connect().await;
        let session = client.initialize().await;
        client.start(start_params("p", &["seq", "200000"])).await;
        client.vanish();
        server.idle().await;
        let mut client = server.connect().await;
        client.resume(&session).await;
        let all = numbers(/*to*/ 200_000);
        client.read_to_close("p").await;
        assert!(check_gap(&mut client, "p", &all).await > 1 << 20);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_smaller_budget_of_the_client_is_kept() {
    with(small_logs(), async |server: Arc<Harness>| {
        let mut client = server.ready().await;
        let output = json!({"output": {"retainBytes": 20_000}});
        let transcript = client.run(shell_with("p", "seq 100000", output)).await;
        assert!(transcript.stdout == numbers(/*to*/ 100_000));
        let read = client.read(json!({"processId": "p"})).await;
        let left: usize = read.chunks.iter().map(|chunk| chunk.chunk.len()).sum();
        assert!(left <= 20_000 && left > 20_000 - (8 << 10), "{left} bytes are retained");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_without_a_reader_waits_rather_than_lose_anything_if_its_start_asks_for_that() {
    with(small_logs(), async |server: Arc<Harness>| {
        let mut client = server.connect().await;
        let session = client.initialize().await;
        client.start(shell_with("p", "seq 200000", json!({"output": {"whenFull": "wait"}}))).await;
        client.vanish();
        server.idle().await;
        let mut client = server.connect().await;
        client.resume(&session).await;
        // What the first connection took may be gone, and is accounted for; what nobody took is not.
        let first = client.read(json!({"processId": "p", "maxBytes": 1})).await;
        let dropped = first.dropped.map_or(0, |dropped| usize::try_from(dropped.bytes).expect("it fits"));
        let all = numbers(/*to*/ 200_000);
        // What was read is the client's, and need not be kept for it.
        let mut known = all[..dropped].to_vec();
        first.chunks.iter().for_each(|chunk| known.extend_from_slice(&chunk.chunk));
        assert!(client.recover("p", known, first.next_seq.0 - 1).await == all);
    })
    .await;
}
