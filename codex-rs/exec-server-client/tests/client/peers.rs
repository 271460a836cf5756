//! Servers that are old, wrong, or silent.

use codex_exec_server_client::{
    Client, ClientConfig, ClientError, ExecProcessEvent, Exit, Lag, Proof, RequestError,
};
use codex_exec_server_protocol::ids::Seq;
use codex_exec_server_protocol::methods::{EnvironmentStatus, NoParams};
use codex_exec_server_transport::Message;
use serde_json::json;

use crate::fake::{EVERYTHING, Network, chunk, no_client, page, start, text};

#[tokio::test(start_paused = true)]
async fn an_old_server_tells_little_and_is_asked_once_at_the_exit() {
    let mut network = Network::new();
    let connecting = Client::connect(network.dialer(), ClientConfig::default());
    let serving = async {
        let mut server = network.accept().await;
        let request = server.request("initialize").await;
        server.answer(&request, json!({"sessionId": "s"})).await;
        server
    };
    let (client, mut server) = tokio::join!(connecting, serving);
    let client = client.expect("it was answered");
    assert_eq!(client.peer().environment.shell.path, "/bin/sh");
    let (_process, mut events) = start(&client, &mut server, Lag::ReadLater).await;
    server.output(1, "a").await;
    let exited = json!({"processId": "p", "seq": 2, "exitCode": 3});
    server.send(json!({"method": "process/exited", "params": exited})).await;
    server.send(json!({"method": "process/closed", "params": {"processId": "p", "seq": 3}})).await;
    assert_eq!(text(&mut events).await, "a");
    let read = server.request("process/read").await;
    let mut answer = page(&[], /*next_seq*/ 4);
    (answer["exited"], answer["exitCode"], answer["closed"]) = (json!(true), json!(3), json!(true));
    server.answer(&read, answer).await;
    let exited = events.next().await;
    let is_right = matches!(
        exited,
        Some(Ok(ExecProcessEvent::Exited { seq: Seq(2), exit: Exit { code: 3, sandbox_denied: None, .. } }))
    );
    assert!(is_right, "{exited:?}");
    let closed = events.next().await;
    let is_right = matches!(closed, Some(Ok(ExecProcessEvent::Closed { proof: Proof::Numbering, .. })));
    assert!(is_right, "{closed:?}");
    assert_eq!(server.requested("process/read"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_skips_and_repeats_numbers_is_read_from_once_for_each_hole() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let (_process, mut events) = start(&client, &mut server, Lag::ReadLater).await;
    for (seq, letter) in [(1, "a"), (1, "a"), (3, "c"), (3, "c"), (1, "z")] {
        server.output(seq, letter).await;
    }
    let read = server.request("process/read").await;
    assert_eq!(read.params["afterSeq"], 1);
    server.answer(&read, page(&[chunk(/*seq*/ 2, "b"), chunk(/*seq*/ 3, "c")], /*next_seq*/ 4)).await;
    server.exited(/*seq*/ 4).await;
    server.closed(/*seq*/ 5, "abc").await;
    for letter in ["a", "b", "c"] {
        assert_eq!(text(&mut events).await, letter);
    }
    assert!(matches!(events.next().await, Some(Ok(ExecProcessEvent::Exited { .. }))));
    let end = events.next().await;
    assert!(matches!(end, Some(Ok(ExecProcessEvent::Closed { proof: Proof::Checksum, .. }))), "{end:?}");
    assert_eq!(server.requested("process/read"), 1);
}

#[tokio::test(start_paused = true)]
async fn whole_and_ordered_events_need_no_read_at_all() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(EVERYTHING).await;
    let (_process, mut events) = start(&client, &mut server, Lag::ReadLater).await;
    server.output(/*seq*/ 1, "a").await;
    server.exited(/*seq*/ 2).await;
    server.output(/*seq*/ 3, "b").await;
    server.closed(/*seq*/ 4, "ab").await;
    let mut seen = 0;
    while events.next().await.is_some() {
        seen += 1;
    }
    // By the time that this is answered, whatever was sent before it has arrived.
    let asking = tokio::spawn(async move { client.call::<EnvironmentStatus>(&NoParams {}).await });
    let request = server.request("environment/status").await;
    server.answer(&request, json!({"status": "ready"})).await;
    asking.await.expect("no panic").expect("it was answered");
    assert_eq!((seen, server.requested("process/read")), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn garbage_is_told_by_type_whenever_it_comes() {
    for garbage in ["{", "[]", "null", "{\"id\": 1}", "{\"id\": 1, \"result\": 7}", "\u{1F980}"] {
        let mut network = Network::new();
        let connecting = tokio::spawn(Client::connect(network.dialer(), ClientConfig::default()));
        let mut server = network.accept().await;
        server.request("initialize").await;
        server.send_raw(Message::text(garbage.to_owned())).await;
        let failure = no_client(connecting.await.expect("no panic"));
        assert!(matches!(failure, ClientError::Protocol(_)), "{garbage}: {failure}");

        let mut network = Network::new();
        let (client, mut server) = network.connect(EVERYTHING).await;
        let asking = tokio::spawn(async move { client.call::<EnvironmentStatus>(&NoParams {}).await });
        server.request("environment/status").await;
        let later = garbage.replace("\"id\": 1", "\"id\": 2");
        server.send_raw(Message::text(later)).await;
        let outcome = asking.await.expect("no panic");
        assert!(
            matches!(outcome, Err(RequestError::Client(ClientError::Protocol(_)))),
            "{garbage}: {outcome:?}"
        );
    }
}
