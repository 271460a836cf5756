//! A start that was given up, its late clean-up, and another process that has its id by then: the client and the real
//! server, with a network between them that holds back what the test wants held back.

use std::sync::Arc;

use codex_exec_server::{Server, ServerConfig};
use codex_exec_server_client::{Client, ClientConfig, Dialer, Lag};
use codex_exec_server_protocol::methods::{ProcessStart, ProcessTerminate};
use codex_exec_server_protocol::process::{ProcessStartParams, ProcessState, ProcessTerminateParams};
use codex_exec_server_testkit::{patiently, shell_with};
use codex_exec_server_transport::{Connection, Message, memory};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// A request on its way to the server, held until it is let through.
struct Held {
    request: Value,
    onward: mpsc::UnboundedSender<Message>,
    /// Cuts the connection that it is on.
    cut: CancellationToken,
}

impl Held {
    fn params(&self) -> &Value {
        &self.request["params"]
    }

    fn let_through(&self) {
        self.onward.send(Message::text(self.request.to_string())).expect("its connection is there");
    }
}

/// Where the client dials. Starts and terminations are held; everything else passes.
struct Network {
    held: mpsc::UnboundedReceiver<Held>,
    /// Whatever the server said that answers something.
    answers: mpsc::UnboundedReceiver<Value>,
}

impl Network {
    fn before(server: &Arc<Server>) -> (Self, Dialer) {
        let ((hold, held), (answer, answers)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let server = Arc::clone(server);
        let dialer = Dialer::new(move || {
            let ((near, client), (ours, theirs)) = (memory::pair(), memory::pair());
            let server = Arc::clone(&server);
            tokio::spawn(async move { server.serve(theirs).await });
            tokio::spawn(carry(client, ours, hold.clone(), answer.clone()));
            async move { Ok(near) }
        });
        (Self { held, answers }, dialer)
    }

    /// The next request that is held, which must be of `method`.
    async fn held(&mut self, method: &str) -> Held {
        let held = patiently("a request that is held", self.held.recv()).await.expect("there is a network");
        assert_eq!(held.request["method"], method);
        held
    }

    /// The server's answer to what was let through.
    async fn answer(&mut self, held: &Held) -> Value {
        loop {
            let answer = patiently("the answer", self.answers.recv()).await.expect("there is a network");
            if answer["id"] == held.request["id"] {
                return answer["result"].clone();
            }
        }
    }
}

/// Carries messages both ways until either side ends or the connection is cut.
async fn carry(
    mut client: Connection,
    mut server: Connection,
    hold: mpsc::UnboundedSender<Held>,
    answer: mpsc::UnboundedSender<Value>,
) {
    let cut = CancellationToken::new();
    let (onward, mut let_through) = mpsc::unbounded_channel();
    loop {
        tokio::select! {
            Some(Ok(message)) = client.reader.next() => {
                let request: Value = serde_json::from_slice(&message).expect("the client speaks JSON");
                if request["method"] == "process/start" || request["method"] == "process/terminate" {
                    let held = Held { request, onward: onward.clone(), cut: cut.clone() };
                    hold.send(held).expect("the test is under way");
                } else {
                    onward.send(Message::text(request.to_string())).expect("it is read here");
                }
            }
            Some(message) = let_through.recv() => server.writer.send(message).await.expect("the server is there"),
            Some(Ok(message)) = server.reader.next() => {
                let said: Value = serde_json::from_slice(&message).expect("the server speaks JSON");
                client.writer.send(Message::text(said.to_string())).await.expect("the client is there");
                // The test may be over.
                let _ = answer.send(said);
            }
            () = cut.cancelled() => return,
            else => return,
        }
    }
}

fn params(script: &str, key: Option<&str>) -> ProcessStartParams {
    let mut params = shell_with("p", script, json!({}));
    if let Some(key) = key {
        params["requestKey"] = json!(key);
    }
    serde_json::from_value(params).expect("these are parameters")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_late_clean_up_of_a_start_that_was_given_up_spares_who_has_its_id_by_then() {
    let server = Server::new(ServerConfig::from_process());
    let (mut network, dialer) = Network::before(&server);
    let client = Client::connect(dialer, ClientConfig::default()).await.expect("it is let in");

    // The connection is cut while the start is under way, and its caller goes away.
    let starting = tokio::spawn({
        let client = client.clone();
        async move {
            client.start(params("exec sleep 1000", /*key*/ None), Lag::ReadLater).await
        }
    });
    let given_up = network.held("process/start").await;
    starting.abort();
    assert!(starting.await.expect_err("it was given up").is_cancelled());
    given_up.cut.cancel();
    let clean_up = network.held("process/terminate").await;
    assert_eq!(clean_up.params(), &json!({"processId": "p", "requestKey": given_up.params()["requestKey"]}));

    // Meanwhile the same session uses the id for something else.
    let starting = tokio::spawn({
        let client = client.clone();
        async move { client.call::<ProcessStart>(&params("exec sleep 1000", Some("another"))).await }
    });
    let another = network.held("process/start").await;
    another.let_through();
    starting.await.expect("no panic").expect("the id is free at the server");
    clean_up.let_through();
    assert_eq!(network.answer(&clean_up).await, json!({"running": false}));
    let listed = client.list().await.expect("it can be listed");
    assert_eq!(listed.iter().map(|process| process.state).collect::<Vec<_>>(), [ProcessState::Running]);

    // By its own key it is ended.
    let ending = tokio::spawn({
        let client = client.clone();
        let params = ProcessTerminateParams {
            process_id: "p".into(),
            grace_ms: None,
            request_key: Some("another".into()),
        };
        async move { client.call::<ProcessTerminate>(&params).await }
    });
    network.held("process/terminate").await.let_through();
    assert!(ending.await.expect("no panic").expect("it is answered").running);
    client.close().await;
    server.shut_down().await;
}
