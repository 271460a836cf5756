//! The handshake, and who holds a session.

#[macro_use]
mod support;

use std::sync::Arc;
use std::time::Duration;

use codex_exec_server::ServerConfig;
use codex_exec_server_testkit::{Client, Ended, Harness, patiently, session_id, shell, shell_with};
use codex_exec_server_transport::{CloseReason, close_code};
use serde_json::{Value, json};
use support::host;
use uuid::Uuid;

/// A request of each family that is served, and what its family is called.
fn families() -> [(&'static str, Value, &'static str); 9] {
    let process =
        json!({"processId": "p", "chunk": "", "writeId": "w", "signal": "interrupt", "rows": 1, "cols": 1});
    [
        ("process/start", shell("p", "true"), "exec"),
        ("process/read", process.clone(), "exec"),
        ("process/write", process.clone(), "exec"),
        ("process/closeStdin", process.clone(), "exec"),
        ("process/resize", process.clone(), "exec"),
        ("process/signal", process.clone(), "exec"),
        ("process/terminate", process, "exec"),
        ("environment/info", json!({}), "environment info"),
        ("environment/status", json!({}), "environment status"),
    ]
}

async fn assert_all_refused(client: &mut Client, because: &str) {
    for (method, params, family) in families() {
        let error = client.refused(method, params).await;
        let expected = format!("client must {because} before using {family} methods");
        assert_eq!((error.code, error.message), (-32600, expected), "{method}");
    }
}

async fn nothing_may_be_used_before_both_steps_of_the_handshake(server: Arc<Harness>) {
    let mut client = server.connect().await;
    assert_all_refused(&mut client, "call initialize").await;
    client.done("initialize", json!({"clientName": ""})).await;
    assert_all_refused(&mut client, "send initialized").await;
    client.notify("initialized", json!({})).await;
    // Repeating it is harmless, and nobody looks at its parameters.
    client.notify("initialized", json!([1])).await;
    client.send_text(r#"{"method":"initialized"}"#).await;
    assert_eq!(client.done("environment/status", Value::Null).await, json!({"status": "ready"}));
}

async fn unknown_methods_and_bad_parameters_are_told_before_the_state(server: Arc<Harness>) {
    let mut client = server.connect().await;
    let unknown = client.refused("no/such", json!({"any": "thing"})).await;
    let expected = "exec-server stub does not implement `no/such` yet";
    assert_eq!((unknown.code, unknown.message.as_str()), (-32601, expected));
    let bad = client.refused("process/read", json!({})).await;
    assert_eq!((bad.code, bad.message.as_str()), (-32602, "missing field `processId`"));
    // As a request it is only unknown, not a fault.
    assert_eq!(client.refused("initialized", json!({})).await.code, -32601);
}

async fn initialize_is_for_once(server: Arc<Harness>) {
    let mut client = server.connect().await;
    let session = client.initialize().await;
    for params in [json!({"clientName": "test"}), json!({"clientName": "test", "resumeSessionId": session})] {
        let error = client.refused("initialize", params).await;
        assert_eq!(
            (error.code, error.message.as_str()),
            (-32600, "initialize may only be sent once per connection")
        );
    }
    client.done("environment/status", json!({})).await;
}

async fn a_failed_initialize_may_be_tried_again(server: Arc<Harness>) {
    let mut client = server.connect().await;
    let nobody = Uuid::new_v4().to_string();
    for (params, code, message) in [
        (json!({}), -32602, "missing field `clientName`".to_owned()),
        (
            json!({"clientName": "t", "resumeSessionId": nobody}),
            -32600,
            format!("unknown session id {nobody}"),
        ),
        (
            json!({"clientName": "t", "resumeSessionId": "no uuid"}),
            -32600,
            "unknown session id no uuid".to_owned(),
        ),
        (json!({"clientName": "t", "resumeSessionId": ""}), -32600, "unknown session id ".to_owned()),
        (
            json!({"clientName": "t", "resumeSessionId": "x", "takeover": true}),
            -32600,
            "unknown session id x".to_owned(),
        ),
    ] {
        let error = client.refused("initialize", params).await;
        assert_eq!((error.code, error.message), (code, message));
    }
    client.initialize_with(json!({"clientName": "t", "resumeSessionId": null})).await;
    client.done("environment/status", json!({})).await;
}

async fn a_session_is_a_version_4_uuid_of_its_own(server: Arc<Harness>) {
    let mut client = server.connect().await;
    let session = client.initialize().await;
    let uuid: Uuid = session.parse().expect("a uuid");
    assert_eq!((uuid.get_version_num(), uuid.to_string()), (4, session.clone()));
    assert_ne!(server.connect().await.initialize().await, session);
}

async fn the_answer_tells_limits_capabilities_and_the_machine(server: Arc<Harness>) {
    let mut client = server.connect().await;
    let answer = client.initialize_with(json!({"clientName": "test", "unknown": [1]})).await;
    let limits = answer["limits"].as_object().expect("limits are told");
    for (name, value) in [
        ("inboundFrameBytes", 96 << 20),
        ("inboundMessageBytes", 96 << 20),
        ("messageValues", 262_144),
        ("rememberedWriteIds", 4_096),
        ("closedProcessRetentionMs", 80_000),
        ("detachedSessionMs", 80_000),
        ("detachedSessionMaxMs", 86_400_000),
    ] {
        assert_eq!(limits[name], json!(value), "{name}");
    }
    assert!(limits.values().all(|limit| limit.as_u64().is_some_and(|limit| limit > 0)), "{limits:?}");
    let environment = &answer["environmentInfo"];
    for flag in [
        "sessionTakeover",
        "sessionLifetime",
        "serverLimits",
        "gapAccounting",
        "outputBudget",
        "processStdinClose",
        "processResize",
        "processSignals",
        "processTerminateGrace",
        "processList",
        "processTimeout",
        "processUsage",
        "idempotentRequests",
        "observers",
        "cancel",
    ] {
        assert_eq!(environment["capabilities"][flag], json!(true), "{flag}");
    }
    // What this server does not do it does not claim.
    assert_eq!(environment["capabilities"]["networkProxyLaunch"], json!(false));
    assert_eq!(environment["platformOs"], json!(std::env::consts::OS));
    assert!(environment["shell"]["path"].as_str().is_some_and(|path| path.starts_with('/')));
    assert!(environment["cwd"].as_str().is_some_and(|cwd| cwd.starts_with("file:///")));
    // Sandboxes, too, however early the first client comes.
    let info = client.done("environment/info", json!({})).await;
    assert_eq!(info, *environment);
}

async fn the_whole_handshake_and_the_first_start_may_come_in_one_burst(server: Arc<Harness>) {
    let mut client = server.connect().await;
    let initialize = client.feed_request("initialize", json!({"clientName": "test"})).await;
    client.feed_text(json!({"method": "initialized", "params": {}}).to_string()).await;
    let start = client.feed_request("process/start", shell("p", "echo x")).await;
    client.flush().await;
    let _ = session_id(&client.answer(initialize).await.expect("a session"));
    client.answer(start).await.expect("a process");
    assert_eq!(client.closed("p").await.text(), "x\n");
}

tests_over_every_transport! {
    nothing_may_be_used_before_both_steps_of_the_handshake
    unknown_methods_and_bad_parameters_are_told_before_the_state
    initialize_is_for_once
    a_failed_initialize_may_be_tried_again
    a_session_is_a_version_4_uuid_of_its_own
    the_answer_tells_limits_capabilities_and_the_machine
    the_whole_handshake_and_the_first_start_may_come_in_one_burst
}

mod holders {
    use super::*;

    fn closed(code: u16, reason: &str) -> Ended {
        Ended::Closed(Some(CloseReason { code, reason: reason.to_owned() }))
    }

    async fn initialized_before_initialize_ends_the_connection(server: Arc<Harness>) {
        let mut client = server.connect().await;
        client.notify("initialized", json!({})).await;
        let expected = closed(close_code::PROTOCOL_ERROR, "initialized was sent before initialize");
        assert_eq!(client.ended().await, expected);
        // One that failed does not count.
        let mut client = server.connect().await;
        client.refused("initialize", json!({"clientName": "t", "resumeSessionId": "x"})).await;
        client.notify("initialized", json!({})).await;
        assert_eq!(client.ended().await, expected);
    }

    async fn a_session_that_is_held_can_be_taken_over_but_not_resumed(server: Arc<Harness>) {
        let mut first = server.connect().await;
        let session = first.initialize().await;
        let mut second = server.connect().await;
        let error =
            second.refused("initialize", json!({"clientName": "t", "resumeSessionId": session})).await;
        let expected = format!("session {session} is already attached to another connection");
        assert_eq!((error.code, error.message), (-32010, expected));
        first.done("environment/status", json!({})).await;

        let params = json!({"clientName": "t", "resumeSessionId": session, "takeover": true});
        let answer = second.initialize_with(params).await;
        assert_eq!(session_id(&answer), session);
        let expected = closed(close_code::POLICY, "session was taken over by another connection");
        assert_eq!(first.ended().await, expected);
        second.done("environment/status", json!({})).await;
        // The end of the first does not detach what is no longer its own.
        let mut third = server.connect().await;
        let error = third.refused("initialize", json!({"clientName": "t", "resumeSessionId": session})).await;
        assert_eq!(error.code, -32010);
    }

    async fn takeover_of_a_session_that_nobody_holds_is_a_resume(server: Arc<Harness>) {
        let mut first = server.connect().await;
        let session = first.initialize().await;
        first.close().await;
        server.idle().await;
        let mut second = server.connect().await;
        second.take_over(&session).await;
        second.done("environment/status", json!({})).await;
    }

    async fn a_session_goes_from_hand_to_hand(server: Arc<Harness>) {
        let mut holder = server.connect().await;
        let session = holder.initialize().await;
        holder.start(shell_with("p", "cat", json!({"pipeStdin": true}))).await;
        let mut output = Vec::new();
        for n in 0..30 {
            let mut next = server.connect().await;
            next.take_over(&session).await;
            let text = format!("{n};");
            assert_eq!(next.write("p", &n.to_string(), text.as_bytes()).await, "accepted");
            output.extend(next.sees("p", &text).await.output);
            holder = next;
        }
        holder.close_stdin("p", "end").await;
        let (read, _) = holder.read_to_close("p").await;
        assert_eq!(read.output, output);
    }

    tests_over_shared_transports! {
        initialized_before_initialize_ends_the_connection
        a_session_that_is_held_can_be_taken_over_but_not_resumed
        takeover_of_a_session_that_nobody_holds_is_a_resume
        a_session_goes_from_hand_to_hand
    }
}

/// Resuming a session that was let go this long ago.
async fn resume_after(seconds: u64) -> Result<Value, String> {
    let server = Harness::memory(host(ServerConfig::from_process()));
    let mut client = server.connect().await;
    let session = client.initialize().await;
    client.vanish();
    server.idle().await;
    tokio::time::advance(Duration::from_secs(seconds)).await;
    let mut client = server.connect().await;
    let params = json!({"clientName": "t", "resumeSessionId": session});
    let outcome = client.call("initialize", params).await.map_err(|error| {
        assert_eq!(error.code, -32600);
        error.message.replace(&session, "S")
    });
    client.vanish();
    server.stop().await;
    outcome
}

#[tokio::test(start_paused = true)]
async fn a_detached_session_waits_for_80_seconds() {
    resume_after(/*seconds*/ 79).await.expect("it is still there");
    assert_eq!(resume_after(/*seconds*/ 81).await, Err("unknown session id S".to_owned()));
}

/// Opens a session, lets it go, and says how it is after so many seconds.
async fn lifetime_after(asked_ms: u64, seconds: u64) -> (Value, Result<Value, i64>) {
    let server = Harness::memory(host(ServerConfig::from_process()));
    let mut client = server.connect().await;
    let answer = client.initialize_with(json!({"clientName": "t", "detachedLifetimeMs": asked_ms})).await;
    client.vanish();
    server.idle().await;
    tokio::time::advance(Duration::from_secs(seconds)).await;
    let mut client = server.connect().await;
    let params = json!({"clientName": "t", "resumeSessionId": answer["sessionId"]});
    let resumed = client.call("initialize", params).await.map_err(|error| error.code);
    client.vanish();
    server.stop().await;
    (answer["detachedLifetimeMs"].clone(), resumed.map(|answer| answer["detachedLifetimeMs"].clone()))
}

#[tokio::test(start_paused = true)]
async fn a_session_waits_for_as_long_as_its_client_asked_for_within_the_limit() {
    let day = json!(86_400_000);
    assert_eq!(
        lifetime_after(/*asked_ms*/ 7_200_000, /*seconds*/ 7_199).await,
        (json!(7_200_000), Ok(json!(7_200_000)))
    );
    assert_eq!(
        lifetime_after(/*asked_ms*/ 7_200_000, /*seconds*/ 7_201).await,
        (json!(7_200_000), Err(-32600))
    );
    assert_eq!(lifetime_after(u64::MAX, /*seconds*/ 86_399).await, (day.clone(), Ok(day.clone())));
    assert_eq!(lifetime_after(u64::MAX, /*seconds*/ 86_401).await, (day, Err(-32600)));
    assert_eq!(lifetime_after(/*asked_ms*/ 0, /*seconds*/ 0).await, (json!(0), Err(-32600)));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_resumed_in_time_starts_its_wait_anew() {
    let server = Harness::memory(host(ServerConfig::from_process()));
    let mut client = server.connect().await;
    let session = client.initialize().await;
    for _ in 0..3 {
        client.vanish();
        server.idle().await;
        tokio::time::advance(Duration::from_secs(70)).await;
        client = server.connect().await;
        client.resume(&session).await;
        // While it is held, time does not count.
        tokio::time::advance(Duration::from_secs(1_000)).await;
        client.done("environment/status", json!({})).await;
    }
    client.vanish();
    server.stop().await;
}

#[tokio::test]
async fn the_processes_of_an_expired_session_are_ended() {
    let mut config = ServerConfig::from_process();
    config.limits.detached_session = Duration::from_millis(1);
    let server = Harness::memory(host(config));
    let mut client = server.ready().await;
    // Their end is seen at the other end of a fifo that both hold open.
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("held");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a fifo can be made");
    let script =
        format!("exec 3<>'{}'; setsid sleep 1000 & echo up >&3; echo ready; sleep 1000", path.display());
    client.start(shell("p", &script)).await;
    client.sees("p", "ready").await;
    let held = std::fs::File::open(path).expect("it can be opened");
    let held = tokio::task::spawn_blocking(move || std::io::read_to_string(held));
    client.vanish();
    let text = patiently("the end of the processes", held).await;
    assert_eq!(text.expect("no panic").expect("it can be read"), "up\n");
    server.stop().await;
}
