//! What is pushed: output, exit and close.

use std::sync::Arc;

use codex_exec_server_testkit::{Harness, shell, shell_with};
use serde_json::json;

use crate::support::{Transport, over};

async fn start_output_exit_and_close_come_in_this_order(server: Arc<Harness>) {
    let mut client = server.ready().await;
    let params = shell("p", "printf out; printf err >&2; exit 3");
    let id = client.request("process/start", params).await;
    let first = client.next_message().await.expect("an answer");
    assert_eq!(first, json!({"id": id, "result": {"processId": "p", "sandboxType": "none"}}));
    let transcript = client.closed("p").await;
    assert_eq!(transcript.order[transcript.order.len() - 2..], ["exited", "closed"]);
    assert_eq!((&transcript.stdout[..], &transcript.stderr[..]), (&b"out"[..], &b"err"[..]));
    assert_eq!(transcript.exit_code(), 3);
}

async fn output_comes_as_it_is_to_a_client_that_takes_it_so(server: Arc<Harness>) {
    let mut client = server.connect().await;
    let params = json!({"clientName": "test", "capabilities": {"binaryOutput": true}});
    let answer = client.initialize_with(params).await;
    assert_eq!(answer["environmentInfo"]["capabilities"]["binaryOutput"], true);
    // Both streams at once, more than any pipe, socket or turn holds.
    let script = "seq 1 100000 & seq 100000 -1 1 >&2 & wait; wait";
    let transcript = client.run(shell("p", script)).await;
    let up: String = (1..=100_000).map(|n| format!("{n}\n")).collect();
    let down: String = (1..=100_000).rev().map(|n| format!("{n}\n")).collect();
    assert!(transcript.stdout == up.as_bytes() && transcript.stderr == down.as_bytes(), "every byte comes");
    // Every piece of output came so, and nothing else did. Where lines of text are all that can be sent, none.
    let pieces = transcript.order.iter().filter(|kind| matches!(**kind, "stdout" | "stderr")).count();
    assert_eq!(client.binary_messages(), if server.carries_binary() { pieces } else { 0 });
}

async fn output_comes_in_packs_to_a_client_that_takes_them(server: Arc<Harness>) {
    let mut client = server.connect().await;
    let capabilities = json!({"binaryOutput": true, "outputPackingMs": 100});
    let answer = client.initialize_with(json!({"clientName": "test", "capabilities": capabilities})).await;
    assert_eq!(answer["environmentInfo"]["capabilities"]["outputPacking"], true);
    // Much and little, of both streams: every byte, its place and its end as ever.
    let script = "seq 1 50000 & i=0; while [ $i -lt 500 ]; do echo $i >&2; i=$((i + 1)); done; wait; exit 3";
    let transcript = client.run(shell("p", script)).await;
    let lines = |to: u32| (0..to).map(|n| format!("{n}\n")).collect::<String>();
    assert_eq!(transcript.stdout, lines(/*to*/ 50_001).as_bytes()[2..]);
    assert_eq!(transcript.stderr, lines(/*to*/ 500).as_bytes());
    assert_eq!(transcript.order[transcript.order.len() - 2..], ["exited", "closed"]);
    // Line by line, until some came together. Where lines of text are all that can be sent, none do.
    if server.carries_binary() {
        client.start(shell("lines", "while :; do echo x; sleep 0.001; done")).await;
        let mut lines = String::new();
        while client.packs() == 0 {
            lines.push_str("x\n");
            client.sees("lines", &lines).await;
        }
        client.done("process/terminate", json!({"processId": "lines"})).await;
        client.closed("lines").await;
    } else {
        assert_eq!(client.packs(), 0);
    }
}

async fn output_comes_as_text_to_a_client_that_says_nothing_else(server: Arc<Harness>) {
    let mut client = server.ready().await;
    assert_eq!(client.run(shell("p", "echo x")).await.text(), "x\n");
    assert_eq!(client.binary_messages(), 0);
}

async fn a_silent_process_exits_as_event_1_and_closes_as_event_2(server: Arc<Harness>) {
    let mut client = server.ready().await;
    let transcript = client.run(shell("p", "exit 0")).await;
    assert_eq!(transcript.order, ["exited", "closed"]);
    assert_eq!(transcript.last_seq, 2);
}

async fn the_close_states_how_many_bytes_were_written_and_their_checksum(server: Arc<Harness>) {
    let mut client = server.ready().await;
    // Both streams at once, more than any pipe, socket or turn holds.
    let script = "seq 1 200000 & seq 200000 -1 1 >&2 & wait; wait";
    let transcript = client.run(shell("p", script)).await;
    let up: String = (1..=200_000).map(|n| format!("{n}\n")).collect();
    let down: String = (1..=200_000).rev().map(|n| format!("{n}\n")).collect();
    assert!(
        transcript.stdout == up.as_bytes() && transcript.stderr == down.as_bytes(),
        "streams are kept apart"
    );
}

async fn output_of_a_grandchild_may_come_after_the_exit_and_before_the_close(server: Arc<Harness>) {
    let mut client = server.ready().await;
    let script = "exec 3<&0; (read line <&3; echo late $line) & exit 4";
    client.start(shell_with("p", script, json!({"pipeStdin": true}))).await;
    assert_eq!(client.exited("p").await.order, ["exited"]);
    let listed = client.done("process/list", json!({})).await;
    assert_eq!(listed["processes"][0]["state"], "exited");
    // The process itself is gone, but its stdin has a reader.
    assert_eq!(client.write("p", "w", b"word\n").await, "accepted");
    let transcript = client.closed("p").await;
    assert_eq!(transcript.order, ["exited", "stdout", "closed"]);
    assert_eq!((transcript.text().as_str(), transcript.exit_code()), ("late word\n", 4));
}

async fn a_stream_that_was_duplicated_stays_open_for_its_last_holder(server: Arc<Harness>) {
    let mut client = server.ready().await;
    let script =
        "exec 3<&0; echo one; exec 2>&1; echo two >&2; (read line <&3; echo three >&2) 1>&- & exit 0";
    client.start(shell_with("p", script, json!({"pipeStdin": true}))).await;
    let transcript = client.exited("p").await;
    assert!(transcript.closed.is_none());
    client.write("p", "w", b"\n").await;
    let transcript = client.closed("p").await;
    // What is written to stderr is stdout by then, whatever its number in the process.
    assert_eq!((&transcript.stdout[..], &transcript.stderr[..]), (&b"one\ntwo\nthree\n"[..], &b""[..]));
}

async fn a_process_that_closes_its_streams_itself_is_closed_by_its_exit(server: Arc<Harness>) {
    let mut client = server.ready().await;
    let script = "echo x; exec 1>&- 2>&-; read line; exit 6";
    client.start(shell_with("p", script, json!({"pipeStdin": true}))).await;
    client.sees("p", "x\n").await;
    client.write("p", "w", b"\n").await;
    let transcript = client.closed("p").await;
    assert_eq!(transcript.order, ["stdout", "exited", "closed"]);
    assert_eq!(transcript.exit_code(), 6);
}

async fn a_line_comes_through_ten_floods_and_none_of_them_starves(server: Arc<Harness>) {
    let mut client = server.ready().await;
    client.start(shell_with("cat", "cat", json!({"pipeStdin": true}))).await;
    let floods: Vec<String> = (0..10).map(|n| format!("flood {n}")).collect();
    for name in &floods {
        client.start(shell(name, "exec yes")).await;
    }
    for name in &floods {
        client.sees(name, "y\n").await;
    }
    assert_eq!(client.write("cat", "w", b"through\n").await, "accepted");
    client.sees("cat", "through\n").await;
    for name in &floods {
        client.done("process/terminate", json!({"processId": name})).await;
    }
    for name in &floods {
        // Whole as well, which this checks.
        client.closed(name).await;
    }
}

async fn every_key_is_echoed_by_a_terminal_beside_ten_floods(server: Arc<Harness>) {
    let mut client = server.ready().await;
    // The terminal echoes by itself; what reads from it sees no whole line.
    client.start(shell_with("terminal", "exec cat", json!({"tty": true}))).await;
    let floods: Vec<String> = (0..10).map(|n| format!("flood {n}")).collect();
    for name in &floods {
        client.start(shell(name, "exec yes")).await;
    }
    for name in &floods {
        client.sees(name, "y\n").await;
    }
    let mut typed = String::new();
    for key in 'a'..='e' {
        assert_eq!(
            client.write("terminal", &format!("key {key}"), key.to_string().as_bytes()).await,
            "accepted"
        );
        typed.push(key);
        client.sees("terminal", &typed).await;
    }
    assert_eq!(client.transcript("terminal").text(), typed);
    for name in floods.iter().map(String::as_str).chain(["terminal"]) {
        client.done("process/terminate", json!({"processId": name})).await;
    }
    for name in &floods {
        client.closed(name).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminal_answers_over_a_socket_that_ten_floods_fill() {
    over(Transport::WebSocket, every_key_is_echoed_by_a_terminal_beside_ten_floods).await;
}

async fn many_processes_speak_at_once_and_each_story_is_whole(server: Arc<Harness>) {
    let mut client = server.ready().await;
    let names: Vec<String> = (0..24).map(|n| format!("p{n}")).collect();
    for name in &names {
        client.request("process/start", shell(name, "seq 1 20000; seq 1 9 >&2; exit 1")).await;
    }
    for name in &names {
        let transcript = client.closed(name).await;
        assert_eq!(
            (transcript.stdout.len(), transcript.stderr.len(), transcript.exit_code()),
            (108_894, 18, 1)
        );
    }
}

async fn floods_that_are_read_in_turns_keep_their_bytes_apart(server: Arc<Harness>) {
    const BYTES: usize = 4 << 20;
    let mut client = server.connect().await;
    client.initialize_with(json!({"clientName": "test", "capabilities": {"binaryOutput": true}})).await;
    let words = ["first--\n", "second-\n", "third--\n"];
    for word in words {
        // Long pieces, so that each is read as a flood from early on, and its last one is short.
        let script = format!("yes {} | head -c {}", word.trim_end(), BYTES + 3);
        client.request("process/start", shell(word, &script)).await;
    }
    for word in words {
        let transcript = client.closed(word).await;
        let expected: Vec<u8> = word.bytes().cycle().take(BYTES + 3).collect();
        assert!(transcript.stdout == expected, "{word} has come as it was written");
    }
}

tests_over_every_transport! {
    floods_that_are_read_in_turns_keep_their_bytes_apart
    output_comes_as_it_is_to_a_client_that_takes_it_so
    output_comes_as_text_to_a_client_that_says_nothing_else
    output_comes_in_packs_to_a_client_that_takes_them
    a_line_comes_through_ten_floods_and_none_of_them_starves
    start_output_exit_and_close_come_in_this_order
    a_silent_process_exits_as_event_1_and_closes_as_event_2
    the_close_states_how_many_bytes_were_written_and_their_checksum
    output_of_a_grandchild_may_come_after_the_exit_and_before_the_close
    a_stream_that_was_duplicated_stays_open_for_its_last_holder
    a_process_that_closes_its_streams_itself_is_closed_by_its_exit
    many_processes_speak_at_once_and_each_story_is_whole
}
