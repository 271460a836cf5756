//! `process/write` and `process/closeStdin`: order, exactly once, and every status.

use std::sync::Arc;

use codex_exec_server_testkit::{Client, Harness, shell, shell_with, start_params, write_params};
use serde_json::{Value, json};

fn cat(process: &str) -> Value {
    let mut params = start_params(process, &["cat"]);
    params["pipeStdin"] = json!(true);
    params
}

async fn write_error(client: &mut Client, process: &str, write_id: &str, bytes: &[u8]) -> (i64, String) {
    let error = client.refused("process/write", write_params(process, write_id, bytes)).await;
    (error.code, error.message)
}

async fn a_write_tells_what_became_of_it(server: Arc<Harness>) {
    let mut client = server.ready().await;
    client.start(cat("with")).await;
    client.start(shell("without", "exit 0")).await;
    client.closed("without").await;
    assert_eq!(client.write("with", "1", b"x").await, "accepted");
    assert_eq!(client.write("with", "2", b"").await, "accepted");
    assert_eq!(client.write("nobody", "1", b"x").await, "unknownProcess");
    assert_eq!(client.write("without", "1", b"x").await, "stdinClosed");
    assert_eq!(client.write("without", "1", b"x").await, "stdinClosed");
    let empty = (-32602, "writeId must not be empty".to_owned());
    for process in ["with", "without", "nobody"] {
        assert_eq!(write_error(&mut client, process, "", b"x").await, empty, "{process}");
        let ended = client.refused("process/closeStdin", json!({"processId": process, "writeId": ""})).await;
        assert_eq!((ended.code, ended.message), empty, "{process}");
    }
    assert_eq!(client.sees("with", "x").await.text(), "x");
}

async fn each_write_id_takes_effect_once(server: Arc<Harness>) {
    let mut client = server.ready().await;
    client.start(cat("p")).await;
    assert_eq!(client.write("p", "a", b"one ").await, "accepted");
    assert_eq!(client.write("p", "a", b"one ").await, "accepted");
    assert_eq!(client.write("p", "a", b"other ").await, "accepted");
    assert_eq!(client.write("p", "b", b"two ").await, "accepted");
    assert_eq!(client.close_stdin("p", "c").await, "accepted");
    assert_eq!(client.close_stdin("p", "c").await, "accepted");
    assert_eq!(client.closed("p").await.text(), "one two ");
    // The memory outlives the process.
    assert_eq!(client.write("p", "a", b"again").await, "accepted");
    assert_eq!(client.close_stdin("p", "c").await, "accepted");
}

async fn closing_stdin_is_the_end_of_input_behind_everything_written(server: Arc<Harness>) {
    let mut client = server.ready().await;
    client.start(shell_with("p", "wc -c", json!({"pipeStdin": true}))).await;
    // More than a pipe holds.
    client.write("p", "1", &vec![b'x'; 300_000]).await;
    client.write("p", "2", b"yz").await;
    assert_eq!(client.close_stdin("p", "3").await, "accepted");
    assert_eq!(client.write("p", "4", b"too late").await, "stdinClosed");
    assert_eq!(client.close_stdin("p", "5").await, "stdinClosed");
    assert_eq!(client.closed("p").await.text().trim(), "300002");
    assert_eq!(client.close_stdin("nobody", "1").await, "unknownProcess");
}

async fn closing_the_stdin_of_a_terminal_sends_its_end_of_file_character(server: Arc<Harness>) {
    let mut client = server.ready().await;
    client.start(shell_with("p", "echo ready; cat; echo over", json!({"tty": true}))).await;
    client.sees("p", "ready").await;
    assert_eq!(client.close_stdin("p", "1").await, "accepted");
    client.sees("p", "over").await;
    client.closed("p").await;
}

async fn bytes_written_after_the_process_ended_by_itself_vanish(server: Arc<Harness>) {
    let mut client = server.ready().await;
    client.start(shell_with("p", "exit 0", json!({"pipeStdin": true}))).await;
    client.closed("p").await;
    assert_eq!(client.write("p", "1", b"x").await, "accepted");
}

async fn a_write_after_terminate_fails_unless_it_repeats_an_earlier_one(server: Arc<Harness>) {
    let mut client = server.ready().await;
    client.start(cat("p")).await;
    assert_eq!(client.write("p", "1", b"x").await, "accepted");
    client.done("process/terminate", json!({"processId": "p"})).await;
    let failed = (-32603, "failed to write to process stdin".to_owned());
    assert_eq!(write_error(&mut client, "p", "2", b"x").await, failed);
    assert_eq!(write_error(&mut client, "p", "3", b"").await, failed);
    assert_eq!(client.write("p", "1", b"x").await, "accepted");
}

async fn a_write_of_many_megabytes_goes_through_whole(server: Arc<Harness>) {
    let mut client = server.ready().await;
    client.start(cat("p")).await;
    let bytes: Vec<u8> = (0..8_u32 << 20).map(|n| (n % 251) as u8).collect();
    let wrote = client.request("process/write", write_params("p", "1", &bytes)).await;
    let ended = client.request("process/closeStdin", json!({"processId": "p", "writeId": "2"})).await;
    let transcript = client.closed("p").await;
    assert!(transcript.stdout == bytes);
    for id in [wrote, ended] {
        assert_eq!(client.answer(id).await, Ok(json!({"status": "accepted"})));
    }
}

async fn writes_sent_right_behind_the_start_arrive_in_order(server: Arc<Harness>) {
    let mut client = server.ready().await;
    for round in 0..20 {
        let process = format!("p{round}");
        let mut ids = vec![client.feed_request("process/start", cat(&process)).await];
        for n in 0..10 {
            let params = write_params(&process, &n.to_string(), format!("{n} ").as_bytes());
            ids.push(client.feed_request("process/write", params).await);
        }
        let end = json!({"processId": process, "writeId": "end"});
        ids.push(client.feed_request("process/closeStdin", end).await);
        client.flush().await;
        let mut answers = Vec::new();
        for id in ids {
            answers.push(client.answer(id).await.expect("accepted"));
        }
        assert!(answers[1..].iter().all(|answer| answer["status"] == "accepted"), "{process}: {answers:?}");
        assert_eq!(client.closed(&process).await.text(), "0 1 2 3 4 5 6 7 8 9 ");
    }
}

async fn a_write_that_waits_holds_up_neither_reads_nor_signals_nor_terminate(server: Arc<Harness>) {
    let mut client = server.ready().await;
    client
        .start(shell_with(
            "p",
            "trap 'echo usr1' USR1; echo ready; while :; do sleep 1000 & wait $!; done",
            json!({"pipeStdin": true}),
        ))
        .await;
    client.sees("p", "ready").await;
    // Nobody reads this. The first is taken whole, the second has to wait for it.
    let big = vec![0; 2 << 20];
    client.write("p", "1", &big).await;
    let stuck = client.request("process/write", write_params("p", "2", b"x")).await;
    client.read(json!({"processId": "p"})).await;
    client.done("process/signal", json!({"processId": "p", "signal": "usr1"})).await;
    client.sees("p", "usr1").await;
    assert!(!client.has_answer(stuck));
    // One that was cancelled was not taken, so its id is free.
    client.notify("$/cancel", json!({"id": stuck})).await;
    assert_eq!(client.answer(stuck).await.expect_err("it was cancelled").code, -32800);
    let ended = client.done("process/terminate", json!({"processId": "p"})).await;
    assert_eq!(ended, json!({"running": true, "survivors": 0}));
    client.closed("p").await;
}

tests_over_every_transport! {
    a_write_tells_what_became_of_it
    each_write_id_takes_effect_once
    closing_stdin_is_the_end_of_input_behind_everything_written
    closing_the_stdin_of_a_terminal_sends_its_end_of_file_character
    bytes_written_after_the_process_ended_by_itself_vanish
    a_write_after_terminate_fails_unless_it_repeats_an_earlier_one
    a_write_of_many_megabytes_goes_through_whole
    writes_sent_right_behind_the_start_arrive_in_order
    a_write_that_waits_holds_up_neither_reads_nor_signals_nor_terminate
}
