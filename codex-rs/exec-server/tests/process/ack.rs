//! Clients that acknowledge: how far they are pushed, what is kept for them, and what holds up nobody.

use std::sync::Arc;

use codex_exec_server_testkit::{Client, Harness, Transcript, session_id, shell, shell_with};
use serde_json::{Value, json};

const WINDOW_BYTES: u64 = 64 << 10;
const EVENT_COST: u64 = 256;
/// 1.3 MB.
const FLOOD: &str = "exec seq 200000";

fn flood() -> Vec<u8> {
    (1..=200_000).flat_map(|n| format!("{n}\n").into_bytes()).collect()
}

fn announcement() -> Value {
    json!({"clientName": "test", "capabilities": {"outputWindowBytes": WINDOW_BYTES}})
}

/// What everything that was pushed costs, as the window counts.
fn cost(seen: &Transcript) -> u64 {
    seen.output.len() as u64 + EVENT_COST * seen.order.len() as u64
}

async fn acknowledge(client: &mut Client, process: &str, through: u64) {
    client.notify("process/ack", json!({"processId": process, "throughSeq": through})).await;
}

/// Acknowledges each window when it is full, to the close.
async fn take(client: &mut Client, process: &str, mut seen: Transcript) -> Transcript {
    while seen.closed.is_none() {
        acknowledge(client, process, seen.last_seq).await;
        let before = cost(&seen);
        // The server knows what was acknowledged to a part of the window.
        let more = |seen: &Transcript| cost(seen) >= before + WINDOW_BYTES / 2 || seen.closed.is_some();
        seen = client.until(process, "half a window", more).await;
    }
    seen
}

async fn a_client_that_acknowledges_is_pushed_no_more_than_its_window(server: Arc<Harness>) {
    let mut client = server.connect().await;
    let answer = client.initialize_with(announcement()).await;
    assert_eq!(answer["environmentInfo"]["capabilities"]["outputWindow"], true);
    assert!(answer["limits"]["outputWindowBytes"].as_u64().expect("it is told") >= WINDOW_BYTES);
    client.start(shell("p", FLOOD)).await;
    // The process does not wait, and all it says can be read meanwhile.
    let (all, _) = client.read_to_close("p").await;
    assert!(all.output == flood());
    let seen = client.until("p", "a window", |seen| cost(seen) >= WINDOW_BYTES).await;
    // Whatever else had been pushed would come before this.
    client.done("environment/status", json!({})).await;
    let pushed = cost(&client.transcript("p"));
    assert!(pushed <= WINDOW_BYTES + (64 << 10) + EVENT_COST, "{pushed}");
    let seen = take(&mut client, "p", seen).await;
    seen.assert_complete();
    assert!(seen.output == flood());
}

async fn a_full_window_is_the_business_of_its_process_alone(server: Arc<Harness>) {
    let mut client = server.connect().await;
    client.initialize_with(announcement()).await;
    client.start(shell("flood", "exec yes")).await;
    client.start(shell_with("echo", "exec cat", json!({"pipeStdin": true}))).await;
    client.until("flood", "a window", |seen| cost(seen) >= WINDOW_BYTES).await;
    for n in 0..20 {
        let text = format!("key {n};");
        client.write("echo", &text, text.as_bytes()).await;
        client.sees("echo", &text).await;
    }
    client.done("process/terminate", json!({"processId": "flood"})).await;
}

async fn what_was_not_acknowledged_is_there_after_a_resume(server: Arc<Harness>) {
    let mut first = server.connect().await;
    let session = session_id(&first.initialize_with(announcement()).await);
    first.start(shell("p", FLOOD)).await;
    let seen = first.until("p", "a window", |seen| cost(seen) >= WINDOW_BYTES).await;
    acknowledge(&mut first, "p", seen.last_seq).await;
    // The server has heard it when it answers what came behind it.
    first.done("environment/status", json!({})).await;
    first.vanish();
    server.idle().await;
    let mut second = server.connect().await;
    let mut params = announcement();
    params["resumeSessionId"] = json!(session);
    second.initialize_with(params).await;
    // Read to the end, and said so: nothing is left to be pushed but what is behind that.
    let (mut all, mut after) = (seen.output, seen.last_seq);
    loop {
        let page = second.read(json!({"processId": "p", "afterSeq": after, "waitMs": 60_000})).await;
        for chunk in &page.chunks {
            assert_eq!(chunk.offset, Some(all.len() as u64), "nothing is missing and nothing comes twice");
            all.extend_from_slice(&chunk.chunk);
        }
        after = page.next_seq.0 - 1;
        acknowledge(&mut second, "p", after).await;
        if page.closed && page.chunks.is_empty() {
            break;
        }
    }
    assert!(all == flood());
}

async fn a_process_that_its_client_does_not_read_runs_on_to_its_end(server: Arc<Harness>) {
    let mut client = server.connect().await;
    client.initialize_with(announcement()).await;
    let output = json!({"pipeStdin": true, "output": {"retainBytes": 20_000, "whenFull": "wait"}});
    client.start(shell_with("p", &format!("read line; {FLOOD}"), output)).await;
    client.notify("process/ack", json!({"processId": "p"})).await;
    client.write("p", "go", b"\n").await;
    let seen = client.until("p", "the close", |seen| seen.closed.is_some()).await;
    assert_eq!(seen.order, ["exited", "closed"]);
    assert_eq!(seen.closed.expect("it closed").output_bytes, Some(flood().len() as u64));
}

async fn words_about_nothing_mean_nothing(server: Arc<Harness>) {
    // One that announced nothing is pushed everything, whatever it says.
    let mut client = server.ready().await;
    client.notify("process/ack", json!({"processId": "nobody", "throughSeq": 5})).await;
    client.start(shell_with("p", &format!("read line; {FLOOD}"), json!({"pipeStdin": true}))).await;
    client.notify("process/ack", json!({"processId": "p"})).await;
    client.write("p", "go", b"\n").await;
    assert!(client.closed("p").await.output == flood());
    // One that did may say what it likes of a position.
    let mut client = server.connect().await;
    client.initialize_with(announcement()).await;
    client.start(shell("p", FLOOD)).await;
    acknowledge(&mut client, "p", /*through*/ 0).await;
    client.until("p", "a window", |seen| cost(seen) >= WINDOW_BYTES).await;
    acknowledge(&mut client, "p", u64::MAX >> 11).await;
    acknowledge(&mut client, "p", /*through*/ 1).await;
    client.done("process/list", json!({})).await;
}

tests_over_shared_transports! {
    a_client_that_acknowledges_is_pushed_no_more_than_its_window
    a_full_window_is_the_business_of_its_process_alone
    what_was_not_acknowledged_is_there_after_a_resume
    a_process_that_its_client_does_not_read_runs_on_to_its_end
    words_about_nothing_mean_nothing
}
