//! `process/start`: ids, failures, and repeats.

use std::sync::Arc;

use codex_exec_server_testkit::{Harness, shell, shell_with, start_params};
use serde_json::{Value, json};

fn with(mut params: Value, name: &str, value: Value) -> Value {
    params[name] = value;
    params
}

async fn a_missing_program_and_a_missing_folder_are_told_apart(server: Arc<Harness>) {
    let mut client = server.ready().await;
    for tty in [false, true] {
        let program = with(start_params("p", &["/nowhere/to/be/found"]), "tty", json!(tty));
        let error = client.refused("process/start", program).await;
        assert_eq!(error.code, -32603);
        assert!(error.message.ends_with("No such file or directory (os error 2)"), "{error}");
        let data = error.data.expect("the error says more");
        assert_eq!((&data["what"], &data["errno"]), (&json!("program"), &json!(2)));

        let folder = with(shell("p", "true"), "cwd", json!("file:///nowhere/to/be/found"));
        let error = client.refused("process/start", with(folder, "tty", json!(tty))).await;
        assert_eq!(error.code, -32603);
        let data = error.data.expect("the error says more");
        assert_eq!((&data["what"], &data["errno"]), (&json!("cwd"), &json!(2)));
    }
    // A failed start has left the id free.
    client.run(shell("p", "exit 0")).await;
}

/// A policy that sets this name and does nothing else.
fn set_alone(name: &str) -> Value {
    json!({"inherit": "none", "ignoreDefaultExcludes": false, "exclude": [], "set": {name: "x"}, "includeOnly": []})
}

async fn bad_arguments_are_refused_before_anything_runs(server: Arc<Harness>) {
    let mut client = server.ready().await;
    for (params, code) in [
        (start_params("p", &[]), -32602),
        (start_params("p", &[""]), -32603),
        (with(shell("p", "true"), "cwd", json!("file://host/x")), -32602),
        (with(shell("p", "true"), "cwd", json!("/tmp")), -32602),
        (with(shell("p", "true"), "env", json!({"A": "b\0c"})), -32603),
        (with(shell("p", "true"), "env", json!({"A=B": "c"})), -32602),
        (with(shell("p", "true"), "env", json!({"": "c"})), -32602),
        (with(shell("p", "true"), "env", json!({"A\0": "c"})), -32602),
        (with(shell("p", "true"), "envPolicy", set_alone("A=B")), -32602),
        (with(shell("p", "true"), "tty", json!(null)), -32602),
        (json!({"processId": "p"}), -32602),
    ] {
        let error = client.refused("process/start", params.clone()).await;
        assert_eq!(error.code, code, "{params}: {error}");
    }
    assert_eq!(client.done("process/list", json!({})).await, json!({"processes": []}));
}

async fn an_id_stays_taken_while_its_process_can_be_read(server: Arc<Harness>) {
    let mut client = server.ready().await;
    client.start(shell_with("p", "read line", json!({"pipeStdin": true}))).await;
    let taken = (-32600, "process p already exists".to_owned());
    let live = client.refused("process/start", shell("p", "true")).await;
    assert_eq!((live.code, live.message), taken);
    client.close_stdin("p", "w").await;
    client.closed("p").await;
    let finished = client.refused("process/start", shell("p", "true")).await;
    assert_eq!((finished.code, finished.message), taken);
}

async fn any_text_may_name_a_process(server: Arc<Harness>) {
    let mut client = server.ready().await;
    for process in ["", " ", "new\nline", "é\u{0}\"", &"long".repeat(200)] {
        assert_eq!(client.run(shell(process, "echo x")).await.text(), "x\n");
    }
}

async fn requests_sent_right_behind_a_start_wait_for_it(server: Arc<Harness>) {
    let mut client = server.ready().await;
    for round in 0..20 {
        let process = format!("p{round}");
        let whom = json!({"processId": process, "waitMs": 60_000, "signal": "continue"});
        let start = client.feed_request("process/start", shell(&process, "echo x; exec sleep 1000")).await;
        let read = client.feed_request("process/read", whom.clone()).await;
        let signal = client.feed_request("process/signal", whom.clone()).await;
        let end = client.request("process/terminate", whom).await;
        client.answer(start).await.expect("it starts");
        assert_eq!(client.answer(signal).await, Ok(json!({})));
        assert_eq!(client.answer(end).await, Ok(json!({"running": true, "survivors": 0})));
        client.answer(read).await.expect("a page");
        client.closed(&process).await;
    }
}

async fn a_repeat_of_a_start_joins_it_or_gets_its_answer(server: Arc<Harness>) {
    let mut client = server.ready().await;
    let params =
        shell_with("p", "echo once; read line; echo twice", json!({"pipeStdin": true, "requestKey": "k"}));
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(client.feed_request("process/start", params.clone()).await);
    }
    client.flush().await;
    for id in ids {
        assert_eq!(client.answer(id).await, Ok(json!({"processId": "p", "sandboxType": "none"})));
    }
    client.sees("p", "once").await;
    client.start(params.clone()).await;
    client.write("p", "w", b"\n").await;
    // It would not be a story without gaps and repeats if the repeated starts had begun it anew.
    assert_eq!(client.closed("p").await.text(), "once\ntwice\n");
    client.start(params).await;
    client.done("environment/status", json!({})).await;
    assert_eq!(client.transcript("p").order.last(), Some(&"closed"));
}

async fn a_repeat_of_a_failed_start_gets_its_error(server: Arc<Harness>) {
    let mut client = server.ready().await;
    let params = with(start_params("p", &["/nowhere"]), "requestKey", json!("k"));
    let first = client.refused("process/start", params.clone()).await;
    assert_eq!(client.refused("process/start", params).await, first);
}

async fn a_request_key_is_not_for_two_different_starts(server: Arc<Harness>) {
    let mut client = server.ready().await;
    client.run(shell_with("p", "exit 0", json!({"requestKey": "k"}))).await;
    for other in [
        shell_with("p", "exit 1", json!({"requestKey": "k"})),
        shell_with("q", "exit 0", json!({"requestKey": "k"})),
        shell_with("p", "exit 0", json!({"requestKey": "k", "timeoutMs": 1})),
        shell_with("p", "exit 0", json!({"requestKey": "k", "output": {"whenFull": "dropOldest"}})),
    ] {
        assert_eq!(client.refused("process/start", other.clone()).await.code, -32600, "{other}");
    }
    assert_eq!(client.done("process/list", json!({})).await["processes"].as_array().map(Vec::len), Some(1));
}

tests_over_every_transport! {
    a_missing_program_and_a_missing_folder_are_told_apart
    bad_arguments_are_refused_before_anything_runs
    an_id_stays_taken_while_its_process_can_be_read
    any_text_may_name_a_process
    requests_sent_right_behind_a_start_wait_for_it
    a_repeat_of_a_start_joins_it_or_gets_its_answer
    a_repeat_of_a_failed_start_gets_its_error
    a_request_key_is_not_for_two_different_starts
}

mod scope {
    use super::*;

    async fn process_ids_belong_to_a_session(server: Arc<Harness>) {
        let (mut one, mut two) = (server.ready().await, server.ready().await);
        one.start(shell_with("p", "read line; echo one", json!({"pipeStdin": true}))).await;
        assert_eq!(
            two.refused("process/read", json!({"processId": "p"})).await.message,
            "unknown process id p"
        );
        assert_eq!(two.write("p", "w", b"\n").await, "unknownProcess");
        assert_eq!(two.done("process/terminate", json!({"processId": "p"})).await, json!({"running": false}));
        assert_eq!(two.done("process/list", json!({})).await, json!({"processes": []}));
        assert_eq!(two.run(shell_with("p", "echo two", json!({"requestKey": "k"}))).await.text(), "two\n");
        one.write("p", "w", b"\n").await;
        assert_eq!(one.closed("p").await.text(), "one\n");
    }

    tests_over_shared_transports! { process_ids_belong_to_a_session }
}
