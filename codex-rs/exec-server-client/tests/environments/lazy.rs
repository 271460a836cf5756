//! Clients are made when they are first needed, once for all who need them then.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use codex_exec_server_client::environments::{
    Environment, EnvironmentError, EnvironmentId, EnvironmentManager, EnvironmentsConfig,
};
use codex_exec_server_client::{Client, ClientConfig, ClientError, DialError, Dialer};
use codex_exec_server_transport::{Connection, Message, memory};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// One environment, `box`, and the server that the test plays behind it.
struct World {
    manager: EnvironmentManager,
    calls: mpsc::UnboundedReceiver<Connection>,
    dials: Arc<AtomicUsize>,
}

impl World {
    fn new() -> Self {
        let (caller, calls) = mpsc::unbounded_channel();
        let dials = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&dials);
        let dialer = move || {
            let (caller, counted) = (caller.clone(), Arc::clone(&counted));
            Dialer::new(move || {
                counted.fetch_add(1, Ordering::Relaxed);
                let (ours, theirs) = memory::pair();
                let outcome =
                    caller.send(theirs).map(|()| ours).map_err(|_| DialError::Gone("no server".into()));
                async move { outcome }
            })
        };
        let id = EnvironmentId::new("box").expect("it is good");
        let config = ClientConfig { recovery_deadline: Duration::from_secs(1), ..ClientConfig::default() };
        let environment = Environment::custom(id, "played".into(), dialer, config);
        let mut manager = EnvironmentManager::new(
            EnvironmentsConfig::local_only(),
            &ClientConfig::default(),
            /*local*/ None,
        );
        manager.insert(environment);
        Self { manager, calls, dials }
    }

    fn dials(&self) -> usize {
        self.dials.load(Ordering::Relaxed)
    }

    /// Somebody who wants the client.
    fn user(&self) -> JoinHandle<Result<Client, EnvironmentError>> {
        let environment = self.manager.get("box").expect("it is there");
        tokio::spawn(async move { environment.client().await })
    }

    /// The server's end of the next connection, once `initialize` has come.
    async fn accept(&mut self) -> (Connection, Value) {
        let mut connection = self.calls.recv().await.expect("the client dials");
        let message = connection.reader.next().await.expect("the client is there").expect("a message");
        let request: Value = serde_json::from_slice(&message).expect("it is JSON");
        assert_eq!(request["method"], "initialize");
        (connection, request["id"].clone())
    }

    /// As [`accept`](Self::accept), and answers.
    async fn welcome(&mut self, session: &str) -> Connection {
        let (mut connection, id) = self.accept().await;
        answer(&mut connection, &id, session).await;
        connection
    }
}

async fn answer(connection: &mut Connection, id: &Value, session: &str) {
    let shell = json!({"name": "sh", "path": "/bin/sh"});
    let info = json!({"shell": shell, "capabilities": {}});
    let answer = json!({"id": id, "result": {"sessionId": session, "environmentInfo": info}});
    connection.writer.send(Message::text(answer.to_string())).await.expect("the client is there");
}

fn session(outcome: Result<Client, EnvironmentError>) -> String {
    outcome.expect("it is connected").peer().session_id.to_string()
}

#[tokio::test(start_paused = true)]
async fn nothing_is_connected_before_the_first_use_and_all_first_users_share_one_attempt() {
    let mut world = World::new();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(world.dials(), 0);
    assert!(world.manager.get("box").expect("it is there").present_client().is_none());
    let users: Vec<_> = (0..5).map(|_| world.user()).collect();
    let _server = world.welcome("one").await;
    for user in users {
        assert_eq!(session(user.await.expect("no panic")), "one");
    }
    assert_eq!(session(world.user().await.expect("no panic")), "one");
    assert_eq!(world.dials(), 1);
    assert!(world.manager.get("box").expect("it is there").present_client().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_failed_attempt_is_told_to_all_who_waited_and_the_next_user_tries_anew() {
    let mut world = World::new();
    let users = [world.user(), world.user()];
    let (connection, _) = world.accept().await;
    drop(connection);
    for user in users {
        let error = user.await.expect("no panic").map(|_| ()).expect_err("it was lost");
        assert!(matches!(error, EnvironmentError::Connect { source: ClientError::Lost(_), .. }), "{error}");
        assert!(error.to_string().starts_with("environment box: "), "{error}");
    }
    let user = world.user();
    let _server = world.welcome("two").await;
    assert_eq!(session(user.await.expect("no panic")), "two");
    assert_eq!(world.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_fails_the_attempt_in_time() {
    let mut world = World::new();
    let user = world.user();
    let _server = world.accept().await;
    let error = user.await.expect("no panic").map(|_| ()).expect_err("nobody answered");
    let EnvironmentError::Connect { source: ClientError::InitializeTimedOut { after }, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(after, Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_user_who_goes_away_leaves_the_attempt_to_the_others() {
    let mut world = World::new();
    let (leaves, stays) = (world.user(), world.user());
    let (mut connection, id) = world.accept().await;
    leaves.abort();
    assert!(leaves.await.expect_err("it left").is_cancelled());
    answer(&mut connection, &id, "one").await;
    assert_eq!(session(stays.await.expect("no panic")), "one");
    assert_eq!(world.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn even_when_all_go_away_the_next_user_finds_what_the_attempt_came_to() {
    let mut world = World::new();
    let leaves = world.user();
    let (mut connection, id) = world.accept().await;
    leaves.abort();
    assert!(leaves.await.expect_err("it left").is_cancelled());
    answer(&mut connection, &id, "one").await;
    assert_eq!(session(world.user().await.expect("no panic")), "one");
    assert_eq!(world.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_failed_for_good_is_replaced_at_the_next_use() {
    let mut world = World::new();
    let user = world.user();
    let server = world.welcome("one").await;
    let first = user.await.expect("no panic").expect("it is connected");
    drop(server);
    // While it is being recovered it is the one, and no other is made.
    let again = world.user().await.expect("no panic").expect("it is there");
    assert_eq!(again.peer().session_id, first.peer().session_id);
    let (mut connection, id) = world.accept().await;
    let refusal = json!({"id": id, "error": {"code": -32600, "message": "unknown session"}});
    connection.writer.send(Message::text(refusal.to_string())).await.expect("the client is there");
    let mut status = first.status();
    while !matches!(status.now(), codex_exec_server_client::Status::Failed(_)) {
        status.changed().await;
    }
    let user = world.user();
    let _server = world.welcome("two").await;
    assert_eq!(session(user.await.expect("no panic")), "two");
}

#[tokio::test(start_paused = true)]
async fn a_closed_manager_ends_clients_and_attempts_and_makes_no_more() {
    let mut world = World::new();
    let user = world.user();
    let _silent = world.accept().await;
    world.manager.close().await;
    for user in [user, world.user()] {
        let error = user.await.expect("no panic").map(|_| ()).expect_err("it is closed");
        assert!(matches!(&error, EnvironmentError::Closed(id) if id.as_str() == "box"), "{error}");
    }
    assert_eq!(world.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn closing_says_good_bye_to_the_server() {
    let mut world = World::new();
    let user = world.user();
    let mut server = world.welcome("one").await;
    let client = user.await.expect("no panic").expect("it is connected");
    world.manager.close().await;
    while server.reader.next().await.is_some() {}
    let mut status = client.status();
    assert!(matches!(status.now(), codex_exec_server_client::Status::Failed(ClientError::Closed)));
}

#[tokio::test(start_paused = true)]
async fn what_runs_processes_there_is_the_shared_client() {
    let mut world = World::new();
    let environment = world.manager.get("box").expect("it is there");
    let backend = tokio::spawn(async move { environment.backend().await });
    let _server = world.welcome("one").await;
    let backend = backend.await.expect("no panic").expect("it is connected");
    assert_eq!(backend.environment().shell.path, "/bin/sh");
    assert_eq!(session(world.user().await.expect("no panic")), "one");
    assert_eq!(world.dials(), 1);
}
