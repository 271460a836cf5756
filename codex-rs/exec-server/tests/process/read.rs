//! `process/read`: what a page holds, and when a long poll is answered.

use std::sync::Arc;

use codex_exec_server_protocol::process::ProcessReadResponse;
use codex_exec_server_testkit::{Client, Harness, shell, shell_with, start_params};
use serde_json::{Value, json};

/// `cat`, which has written "a", "bb" and "ccc" as events 1, 2 and 3.
async fn three_chunks(client: &mut Client) {
    let mut params = start_params("p", &["cat"]);
    params["pipeStdin"] = json!(true);
    client.start(params).await;
    for (id, text) in ["a", "bb", "ccc"].into_iter().enumerate() {
        client.write("p", &id.to_string(), text.as_bytes()).await;
        // What was seen is not merged with what follows.
        client.sees("p", text).await;
    }
}

/// Numbers and texts of a page, and its `nextSeq`.
fn page(read: &ProcessReadResponse) -> (Vec<(u64, String)>, u64) {
    let chunks =
        read.chunks.iter().map(|chunk| (chunk.seq.0, String::from_utf8_lossy(&chunk.chunk).into_owned()));
    (chunks.collect(), read.next_seq.0)
}

async fn a_page_holds_what_follows_after_seq_within_max_bytes_and_at_least_one_chunk(server: Arc<Harness>) {
    let mut client = server.ready().await;
    three_chunks(&mut client).await;
    let all: [(u64, &str); 3] = [(1, "a"), (2, "bb"), (3, "ccc")];
    for (extra, chunks, next) in [
        (json!({}), &all[..], 4),
        (json!({"afterSeq": null, "maxBytes": null, "waitMs": null}), &all[..], 4),
        (json!({"maxBytes": 0}), &all[..1], 2),
        (json!({"maxBytes": 2}), &all[..1], 2),
        (json!({"maxBytes": 3}), &all[..2], 3),
        (json!({"maxBytes": 6}), &all[..], 4),
        (json!({"afterSeq": 1, "maxBytes": 3}), &all[1..2], 3),
        (json!({"afterSeq": 1}), &all[1..], 4),
        (json!({"afterSeq": 3, "maxBytes": 1}), &[], 4),
        (json!({"afterSeq": 3}), &[], 4),
        (json!({"afterSeq": u64::MAX}), &[], 4),
    ] {
        let mut params = json!({"processId": "p"});
        params.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
        let read = client.read(params).await;
        let expected: Vec<_> = chunks.iter().map(|(seq, text)| (*seq, (*text).to_owned())).collect();
        assert_eq!(page(&read), (expected, next), "{extra}");
        assert!(!read.exited && !read.closed && read.exit_code.is_none() && read.dropped.is_none());
        assert_eq!(read.output_bytes, Some(6));
    }
}

async fn a_long_poll_is_answered_by_the_next_output(server: Arc<Harness>) {
    let mut client = server.ready().await;
    three_chunks(&mut client).await;
    let poll = json!({"processId": "p", "afterSeq": 3, "waitMs": 60_000});
    let waiting = client.request("process/read", poll).await;
    client.done("environment/status", json!({})).await;
    assert!(!client.has_answer(waiting), "nothing is there to answer with");
    client.write("p", "d", b"dddd").await;
    let answer = client.answer(waiting).await.expect("a page");
    let read: ProcessReadResponse = serde_json::from_value(answer).expect("a read answer decodes");
    assert_eq!(page(&read), (vec![(4, "dddd".to_owned())], 5));
}

async fn a_long_poll_that_runs_out_of_time_is_answered_with_nothing_new(server: Arc<Harness>) {
    let mut client = server.ready().await;
    three_chunks(&mut client).await;
    let read = client.read(json!({"processId": "p", "afterSeq": 3, "waitMs": 1})).await;
    assert_eq!(page(&read), (vec![], 4));
    assert!(!read.exited);
}

fn state(answer: Result<Value, impl std::fmt::Debug>) -> (bool, Value, bool, u64) {
    let read: ProcessReadResponse =
        serde_json::from_value(answer.expect("a page")).expect("a read answer decodes");
    (read.exited, json!(read.exit_code), read.closed, read.next_seq.0)
}

async fn a_long_poll_returns_at_once_while_the_exit_is_news_and_then_waits_for_the_close(
    server: Arc<Harness>,
) {
    let mut client = server.ready().await;
    let script = "exec 3<&0; (read line <&3) & exit 9";
    client.start(shell_with("p", script, json!({"pipeStdin": true}))).await;
    client.exited("p").await;
    let poll = |after: u64| json!({"processId": "p", "afterSeq": after, "waitMs": 60_000});
    let news = client.call("process/read", poll(/*after*/ 0)).await;
    assert_eq!(state(news), (true, json!(9), false, 2));
    let (tip, beyond) = (
        client.request("process/read", poll(/*after*/ 1)).await,
        client.request("process/read", poll(/*after*/ 7)).await,
    );
    client.done("environment/status", json!({})).await;
    assert!(!client.has_answer(tip) && !client.has_answer(beyond), "the exit is known to these readers");
    client.write("p", "w", b"\n").await;
    assert_eq!(state(client.answer(tip).await), (true, json!(9), true, 3));
    assert_eq!(state(client.answer(beyond).await), (true, json!(9), true, 3));
}

async fn a_long_poll_behind_the_exit_is_answered_by_late_output(server: Arc<Harness>) {
    let mut client = server.ready().await;
    let script = "exec 3<&0; (read line <&3; echo late; read line <&3) & exit 9";
    client.start(shell_with("p", script, json!({"pipeStdin": true}))).await;
    client.exited("p").await;
    let poll = json!({"processId": "p", "afterSeq": 1, "waitMs": 60_000});
    let waiting = client.request("process/read", poll).await;
    client.write("p", "w1", b"\n").await;
    let read: ProcessReadResponse =
        serde_json::from_value(client.answer(waiting).await.expect("a page")).expect("a read answer decodes");
    assert_eq!(page(&read), (vec![(2, "late\n".to_owned())], 3));
    assert!(read.exited && !read.closed);
    client.write("p", "w2", b"\n").await;
    client.closed("p").await;
}

async fn a_read_of_a_closed_process_never_waits(server: Arc<Harness>) {
    let mut client = server.ready().await;
    client.run(shell("p", "echo x; exit 1")).await;
    for after in [0, 1, 3, 99, u64::MAX] {
        let poll = json!({"processId": "p", "afterSeq": after, "waitMs": u64::MAX});
        assert_eq!(state(client.call("process/read", poll).await), (true, json!(1), true, 4));
    }
}

async fn a_read_of_an_unknown_process_is_refused(server: Arc<Harness>) {
    let mut client = server.ready().await;
    let error = client.refused("process/read", json!({"processId": "nobody", "waitMs": 60_000})).await;
    assert_eq!((error.code, error.message.as_str()), (-32600, "unknown process id nobody"));
}

async fn reading_yields_the_same_bytes_as_being_pushed(server: Arc<Harness>) {
    let mut client = server.ready().await;
    client.start(shell("p", "seq 1 50000; seq 1 1000 >&2")).await;
    let (read, last) = client.read_to_close("p").await;
    let pushed = client.closed("p").await;
    assert!(read.stdout == pushed.stdout && read.stderr == pushed.stderr && read.holes.is_empty());
    assert_eq!(last.output_bytes, Some(pushed.output.len() as u64));
}

async fn a_cancelled_long_poll_is_answered_with_an_error(server: Arc<Harness>) {
    let mut client = server.ready().await;
    client.start(shell_with("p", "read line", json!({"pipeStdin": true}))).await;
    let waiting = client.request("process/read", json!({"processId": "p", "waitMs": 60_000})).await;
    client.notify("$/cancel", json!({"id": waiting})).await;
    assert_eq!(client.answer(waiting).await.expect_err("it was cancelled").code, -32800);
    // Neither of these names a request that waits.
    client.notify("$/cancel", json!({"id": waiting})).await;
    client.notify("$/cancel", json!({"id": "never used"})).await;
    client.close_stdin("p", "w").await;
    client.closed("p").await;
}

tests_over_every_transport! {
    a_page_holds_what_follows_after_seq_within_max_bytes_and_at_least_one_chunk
    a_long_poll_is_answered_by_the_next_output
    a_long_poll_that_runs_out_of_time_is_answered_with_nothing_new
    a_long_poll_returns_at_once_while_the_exit_is_news_and_then_waits_for_the_close
    a_long_poll_behind_the_exit_is_answered_by_late_output
    a_read_of_a_closed_process_never_waits
    a_read_of_an_unknown_process_is_refused
    reading_yields_the_same_bytes_as_being_pushed
    a_cancelled_long_poll_is_answered_with_an_error
}
