//! Watches of a server's files.

use codex_exec_server_client::Client;
use codex_exec_server_core::service::{Changes, FileSystem, FileWatch, FsError};
use codex_exec_server_protocol::fs::{FsWatchParams, WatchId};
use serde_json::json;

use crate::fake::{Network, Request, Server};

const FLAGS: &[&str] = &["fsWatch"];

fn params() -> FsWatchParams {
    let path = "file:///way".parse().expect("a URI");
    FsWatchParams { watch_id: WatchId(0), path, recursive: true, exclude: Vec::new(), sandbox: None }
}

async fn answered(server: &mut Server) -> Request {
    let request = server.request("fs/watch").await;
    assert_eq!(
        (&request.params["path"], &request.params["recursive"]),
        (&json!("file:///way"), &json!(true))
    );
    server.answer(&request, json!({"path": "file:///real"})).await;
    request
}

async fn standing(client: &Client, server: &mut Server) -> (Request, Box<dyn FileWatch>) {
    let (watch, request) = tokio::join!(client.watch(params()), answered(server));
    (request, watch.expect("it was answered"))
}

async fn changed(server: &mut Server, request: &Request, name: &str) {
    let change = json!({"path": format!("file:///real/{name}"), "kind": "created"});
    let params = json!({"watchId": request.params["watchId"], "changes": [change]});
    server.send(json!({"method": "fs/changed", "params": params})).await;
}

fn names(changes: Option<Result<Changes, FsError>>) -> Vec<String> {
    let changes = changes.expect("it goes on").expect("it goes on");
    changes
        .changes
        .iter()
        .map(|change| change.path.as_str().trim_start_matches("file:///real/").to_owned())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_watch_stands_on_each_connection_in_turn_and_what_was_missed_is_told() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(FLAGS).await;
    let (request, mut watch) = standing(&client, &mut server).await;
    assert_eq!(watch.path().as_str(), "file:///real");
    changed(&mut server, &request, "a").await;
    assert_eq!(names(watch.next().await), ["a"]);
    drop(server);
    let serving = async {
        let mut server = network.accept_resumption(FLAGS).await;
        let again = answered(&mut server).await;
        assert_ne!(again.params["watchId"], request.params["watchId"]);
        changed(&mut server, &again, "b").await;
        server
    };
    let (missed, server) = tokio::join!(watch.next(), serving);
    assert_eq!(
        missed.expect("it goes on").expect("it goes on"),
        Changes { resync: true, ..Changes::default() }
    );
    assert_eq!(names(watch.next().await), ["b"]);
    // What is gone when it is looked for again has ended.
    drop(server);
    let serving = async {
        let mut server = network.accept_resumption(FLAGS).await;
        let again = server.request("fs/watch").await;
        server.refuse(&again, /*code*/ -32004).await;
        server
    };
    let (end, _server) = tokio::join!(watch.next(), serving);
    let expected = Changes { resync: true, ended: true, changes: Vec::new() };
    assert_eq!(end.expect("it is told").expect("it is told"), expected);
    assert!(watch.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_dropped_ends() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(FLAGS).await;
    let (request, watch) = standing(&client, &mut server).await;
    drop(watch);
    let unwatch = server.request("fs/unwatch").await;
    assert_eq!(unwatch.params, json!({"watchId": request.params["watchId"]}));
    // What was on its way is of no importance.
    changed(&mut server, &request, "a").await;
    server.answer(&unwatch, json!({})).await;
    let (_, watch) = standing(&client, &mut server).await;
    drop(watch);
    server.request("fs/unwatch").await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_can_not_watch_is_not_asked() {
    let mut network = Network::new();
    let (client, server) = network.connect(&[]).await;
    let refused = client.watch(params()).await;
    assert!(matches!(refused, Err(FsError::Unsupported("fsWatch"))), "{refused:?}");
    assert_eq!(server.requested("fs/watch"), 0);
}
