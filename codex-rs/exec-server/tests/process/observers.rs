//! Connections that watch a session: what they see, what they may not do, and that nobody has to care.

use std::sync::Arc;

use codex_exec_server::ServerConfig;
use codex_exec_server_client::{
    Client as OurClient, ClientConfig, ClientError, Dialer, ExecProcessEvent, Lag,
};
use codex_exec_server_protocol::ids::Seq;
use codex_exec_server_protocol::process::ProcessSignal;
use codex_exec_server_protocol::session::OBSERVED_SESSION_ENDED;
use codex_exec_server_testkit::{Client, Ended, Harness, patiently, session_id, shell, shell_with};
use codex_exec_server_transport::client::ConnectOptions;
use codex_exec_server_transport::{CloseReason, close_code};
use serde_json::{Value, json};

use crate::support::with;

/// 1.3 MB.
const FLOOD: &str = "exec seq 200000";

fn flood() -> Vec<u8> {
    (1..=200_000).flat_map(|n| format!("{n}\n").into_bytes()).collect()
}

async fn observe(server: &Harness, session: &str) -> Client {
    observe_with(server, session, json!({})).await
}

async fn observe_with(server: &Harness, session: &str, capabilities: Value) -> Client {
    let mut observer = server.connect().await;
    let answer = observer
        .initialize_with(json!({
            "clientName": "observer", "observeSessionId": session, "capabilities": capabilities,
        }))
        .await;
    assert_eq!((&answer["sessionId"], answer.get("detachedLifetimeMs")), (&json!(session), None));
    assert_eq!(answer["environmentInfo"]["capabilities"]["observers"], true);
    observer
}

async fn an_observer_sees_what_the_holder_sees_and_the_holder_goes_on(server: Arc<Harness>) {
    let mut holder = server.connect().await;
    let session = holder.initialize().await;
    holder.start(shell_with("old", "echo before; exec cat", json!({"pipeStdin": true}))).await;
    holder.sees("old", "before").await;

    let mut observer = observe(&server, &session).await;
    let listed = observer.done("process/list", json!({})).await;
    assert_eq!(listed["processes"][0]["processId"], "old");
    // What was there before is read; what comes is pushed.
    let page = observer.read(json!({"processId": "old", "afterSeq": 0})).await;
    assert_eq!(page.chunks[0].chunk.to_vec(), b"before\n");
    holder.write("old", "1", b"after\n").await;
    holder.sees("old", "after").await;
    observer.sees("old", "after").await;
    assert!(!observer.transcript("old").shows("before"));
    // Of one that starts from now on, everything.
    holder.start(shell("new", "seq 100; exit 3")).await;
    for client in [&mut holder, &mut observer] {
        let seen = client.closed("new").await;
        seen.assert_complete();
        assert_eq!((seen.exit_code(), seen.output.len()), (3, 292));
    }
    observer.close().await;
    holder.write("old", "2", b"still\n").await;
    holder.sees("old", "still").await;
}

async fn an_observer_may_only_read(server: Arc<Harness>) {
    let mut holder = server.connect().await;
    let session = holder.initialize().await;
    let start = json!({"pipeStdin": true, "tty": true});
    holder.start(shell_with("p", "exec cat", start)).await;
    let mut observer = observe(&server, &session).await;
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("kept"), "kept").expect("it is written");
    let folder_uri = format!("file://{}", folder.path().display());
    let file = format!("{folder_uri}/kept");
    for (method, params) in [
        ("process/start", serde_json::to_value(shell("q", "true")).expect("parameters")),
        ("process/write", json!({"processId": "p", "chunk": "aGk=", "writeId": "w"})),
        ("process/closeStdin", json!({"processId": "p", "writeId": "w"})),
        ("process/resize", json!({"processId": "p", "rows": 9, "cols": 9})),
        ("process/signal", json!({"processId": "p", "signal": "interrupt"})),
        ("process/terminate", json!({"processId": "p"})),
        (
            "http/request",
            json!({"requestId": "r", "method": "GET", "url": "http://127.0.0.1:9/", "headers": []}),
        ),
        ("fs/writeFile", json!({"path": file, "dataBase64": ""})),
        ("fs/remove", json!({"path": file})),
        // What is opened may be opened to be written.
        ("fs/open", json!({"handleId": "h", "path": file})),
    ] {
        let error = observer.refused(method, params).await;
        assert_eq!((error.code, error.data), (-32600, Some(json!({"readOnly": true}))), "{method}");
        assert!(error.message.contains(&format!("`{method}`")), "{}", error.message);
    }
    // It has had no effect on anything.
    let listed = holder.done("process/list", json!({})).await;
    assert_eq!(listed["processes"].as_array().map(Vec::len), Some(1));
    assert_eq!(listed["processes"][0]["state"], "running");
    for (method, params) in [
        ("environment/status", json!({})),
        ("environment/info", json!({})),
        (
            "environmentConfig/read",
            json!({"cwd": "file:///", "configPaths": [["model"]], "requirementsPaths": []}),
        ),
        ("capabilityRoots/discoverV1", json!({"roots": []})),
        ("capabilities/discoverV2", json!({"cwd": "file:///"})),
        ("fs/getMetadata", json!({"path": file})),
        ("fs/readFile", json!({"path": file})),
        ("fs/readDirectory", json!({"path": folder_uri})),
    ] {
        observer.done(method, params).await;
    }
    assert_eq!(std::fs::read(folder.path().join("kept")).expect("it is there"), b"kept");
}

async fn an_observer_with_a_window_is_pushed_from_where_it_says_and_none_of_what_it_does_not_want(
    server: Arc<Harness>,
) {
    let mut holder = server.connect().await;
    let session = holder.initialize().await;
    holder.start(shell_with("p", "seq 5; exec cat", json!({"pipeStdin": true}))).await;
    holder.sees("p", "5\n").await;
    let mut observer = observe_with(&server, &session, json!({"outputWindowBytes": 1 << 20})).await;
    observer.notify("process/ack", json!({"processId": "p", "throughSeq": 0})).await;
    observer.sees("p", "5\n").await;
    assert_eq!(observer.transcript("p").first_offset(), Some(0));
    observer.notify("process/ack", json!({"processId": "p"})).await;
    observer.done("environment/status", json!({})).await;
    holder.write("p", "1", b"unwanted\n").await;
    holder.sees("p", "unwanted").await;
    holder.done("process/terminate", json!({"processId": "p"})).await;
    let seen = observer.until("p", "the close", |seen| seen.closed.is_some()).await;
    assert!(!seen.shows("unwanted"));
}

async fn a_session_outlives_its_holder_for_observers_as_for_anybody_and_tells_them_its_end(
    server: Arc<Harness>,
) {
    let mut holder = server.connect().await;
    let answer = holder.initialize_with(json!({"clientName": "test", "detachedLifetimeMs": 0})).await;
    let session = session_id(&answer);
    holder.start(shell("p", "exec sleep 1000")).await;
    let mut observer = observe(&server, &session).await;
    let poll = observer.request("process/read", json!({"processId": "p", "waitMs": 600_000})).await;
    observer.done("environment/status", json!({})).await;
    holder.vanish();
    // The poll is answered by the end of the process, or refused by that of the session.
    if let Err(error) = observer.answer(poll).await {
        assert_eq!((error.code, &*error.message), (-32600, "observed session has ended"));
    }
    let reason = OBSERVED_SESSION_ENDED.to_owned();
    let ended = Ended::Closed(Some(CloseReason { code: close_code::NORMAL, reason }));
    assert_eq!(observer.ended().await, ended);
    let mut late = server.connect().await;
    let params = json!({"clientName": "late", "observeSessionId": session});
    let error = late.refused("initialize", params).await;
    assert_eq!((error.code, error.message), (-32600, format!("unknown session id {session}")));
}

async fn an_observer_that_asks_for_more_at_once_is_refused_and_may_ask_again(server: Arc<Harness>) {
    let mut holder = server.connect().await;
    let session = holder.initialize().await;
    let mut observer = server.connect().await;
    for more in
        [json!({"resumeSessionId": session}), json!({"takeover": true}), json!({"detachedLifetimeMs": 5})]
    {
        let mut params = json!({"clientName": "observer", "observeSessionId": session});
        params.as_object_mut().expect("it is one").extend(more.as_object().cloned().expect("so is this"));
        let error = observer.refused("initialize", params).await;
        assert_eq!(error.code, -32602);
        assert!(error.message.contains("observeSessionId"), "{}", error.message);
    }
    observer.initialize_with(json!({"clientName": "observer", "observeSessionId": session})).await;
    holder.done("environment/status", json!({})).await;
}

tests_over_shared_transports! {
    an_observer_sees_what_the_holder_sees_and_the_holder_goes_on
    an_observer_may_only_read
    an_observer_with_a_window_is_pushed_from_where_it_says_and_none_of_what_it_does_not_want
    a_session_outlives_its_holder_for_observers_as_for_anybody_and_tells_them_its_end
    an_observer_that_asks_for_more_at_once_is_refused_and_may_ask_again
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_may_observe_than_the_settings_say_and_each_that_goes_makes_room() {
    let mut config = ServerConfig::from_process();
    config.limits.observers_per_session = 2;
    with(config, |server| async move {
        let mut holder = server.connect().await;
        let answer = holder.initialize_with(json!({"clientName": "test"})).await;
        assert_eq!(answer["limits"]["observersPerSession"], 2);
        let session = session_id(&answer);
        let _first = observe(&server, &session).await;
        let second = observe(&server, &session).await;
        let params = json!({"clientName": "third", "observeSessionId": session});
        let mut third = server.connect().await;
        let error = third.refused("initialize", params.clone()).await;
        assert_eq!(error.code, -32600);
        assert!(error.message.contains("2 observers"), "{}", error.message);
        assert_eq!(error.data, Some(json!({"observersPerSession": 2})));
        second.close().await;
        // Its end is noticed by and by.
        let room = async { while third.call("initialize", params.clone()).await.is_err() {} };
        patiently("room for another", room).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_client_observes_from_the_first_byte_and_is_told_what_it_may_not() {
    with(ServerConfig::from_process(), |server| async move {
        let mut holder = server.connect().await;
        let session = holder.initialize().await;
        holder.start(shell_with("p", &format!("read line; {FLOOD}"), json!({"pipeStdin": true}))).await;
        let dialer = || Dialer::url(server.url().to_owned(), ConnectOptions::default());
        let observer = OurClient::observe(dialer(), ClientConfig::default(), session.as_str().into())
            .await
            .expect("it may");
        assert!(observer.peer().observes);
        assert_eq!(observer.list().await.expect("it may").len(), 1);
        let (process, mut events) =
            observer.adopt("p".into(), Seq::START, Lag::ReadLater).await.expect("it is there");
        process.signal(ProcessSignal::Kill).await.expect_err("it may not");
        holder.write("p", "go", b"\n").await;
        let mut output = Vec::new();
        while let Some(event) = patiently("an event", events.next()).await {
            if let ExecProcessEvent::Output { bytes, .. } = event.expect("nothing is gone") {
                output.extend_from_slice(&bytes);
            }
        }
        assert!(output == flood() && holder.closed("p").await.output == flood());
        observer.close().await;
        let nowhere = OurClient::observe(dialer(), ClientConfig::default(), "nowhere".into()).await;
        assert!(matches!(nowhere, Err(ClientError::SessionLost { .. })), "{:?}", nowhere.err());
    })
    .await;
}
