//! Searches of a server's files.

use codex_exec_server_client::Client;
use codex_exec_server_core::service::{FileSearch, FileSystem, Found, FsError, SearchEnd};
use codex_exec_server_protocol::fs::{FsGlobParams, FsWalkEntry};
use codex_exec_server_protocol::path_uri::PathUri;
use serde_json::{Value, json};

use crate::fake::{Network, Request, Server};

const FLAGS: &[&str] = &["fsSearch", "cancel"];

fn glob(client: &Client) -> Box<dyn FileSearch<FsWalkEntry>> {
    let path: PathUri = "file:///srv".parse().expect("a URI");
    client.glob(FsGlobParams::new(path, vec!["*".into()]))
}

async fn batch(server: &mut Server, request: &Request, number: u64) {
    let entry = json!({"path": format!("file:///srv/{number}"), "kind": "file"});
    let params = json!({"searchId": request.params["searchId"], "batch": number, "matches": [entry]});
    server.send(json!({"method": "fs/glob/matches", "params": params})).await;
}

fn end(batches: u64) -> Value {
    json!({"batches": batches, "matches": batches, "truncated": false, "unreadable": 0})
}

/// A search that was asked for, and the number of its first match.
async fn begun(
    client: &Client,
    server: &mut Server,
) -> (Request, Box<dyn FileSearch<FsWalkEntry>>, Result<Found<FsWalkEntry>, FsError>) {
    let mut search = glob(client);
    let serving = async {
        let request = server.request("fs/glob").await;
        batch(server, &request, /*number*/ 1).await;
        request
    };
    let (first, request) = tokio::join!(search.next(), serving);
    (request, search, first)
}

fn number(found: Result<Found<FsWalkEntry>, FsError>) -> String {
    match found.expect("it goes on") {
        Found::Matches(found) => found[0].path.as_str().trim_start_matches("file:///srv/").to_owned(),
        Found::End(end) => panic!("{end:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_is_granted_what_was_read_and_may_answer_ahead_of_its_batches() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(FLAGS).await;
    let (request, mut search, first) = begun(&client, &mut server).await;
    assert_eq!(request.params["creditBatches"], 16);
    assert_eq!(number(first), "1");
    for next in 2..=8 {
        batch(&mut server, &request, next).await;
        assert_eq!(number(search.next().await), next.to_string());
    }
    let waiting = async {
        let credit = server.notification("fs/searchCredit").await;
        assert_eq!(credit, json!({"searchId": request.params["searchId"], "batches": 8}));
        server.answer(&request, end(/*batches*/ 10)).await;
        batch(&mut server, &request, /*number*/ 9).await;
        batch(&mut server, &request, /*number*/ 10).await;
    };
    let (ninth, ()) = tokio::join!(search.next(), waiting);
    assert_eq!(number(ninth), "9");
    assert_eq!(number(search.next().await), "10");
    let expected = Found::End(SearchEnd { matches: 10, truncated: false, unreadable: 0 });
    for _ in 0..2 {
        assert_eq!(search.next().await.expect("it has ended"), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_search_of_which_nothing_was_told_is_made_again_and_another_is_lost_with_its_connection() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(FLAGS).await;
    let (_, mut told, first) = begun(&client, &mut server).await;
    assert_eq!(number(first), "1");
    let mut untold = glob(&client);
    let serving = async {
        let first = server.request("fs/glob").await;
        drop(server);
        let mut server = network.accept_resumption(FLAGS).await;
        let again = server.request("fs/glob").await;
        assert_ne!(again.params["searchId"], first.params["searchId"]);
        batch(&mut server, &again, /*number*/ 1).await;
        server.answer(&again, end(/*batches*/ 1)).await;
        server
    };
    let (found, _server) = tokio::join!(untold.next(), serving);
    assert_eq!(number(found), "1");
    assert!(matches!(untold.next().await, Ok(Found::End(_))));
    for _ in 0..2 {
        let lost = told.next().await.expect_err("it is lost");
        assert!(matches!(lost, FsError::SearchLost(_)), "{lost}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_search_that_is_dropped_is_cancelled_and_one_that_has_ended_is_not() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(FLAGS).await;
    let (request, search, _) = begun(&client, &mut server).await;
    drop(search);
    assert_eq!(server.notification("$/cancel").await, json!({"id": request.id}));
    // What was on its way is of no importance.
    batch(&mut server, &request, /*number*/ 2).await;
    let (request, mut search, _) = begun(&client, &mut server).await;
    server.answer(&request, end(/*batches*/ 1)).await;
    assert!(matches!(search.next().await, Ok(Found::End(_))));
    drop(search);
    let (request, search, _) = begun(&client, &mut server).await;
    drop(search);
    assert_eq!(server.notification("$/cancel").await, json!({"id": request.id}));
}

#[tokio::test(start_paused = true)]
async fn what_does_not_add_up_ends_a_search_behind_what_came_before() {
    let mut network = Network::new();
    let (client, mut server) = network.connect(FLAGS).await;
    let (request, mut search, first) = begun(&client, &mut server).await;
    assert_eq!(number(first), "1");
    batch(&mut server, &request, /*number*/ 2).await;
    batch(&mut server, &request, /*number*/ 4).await;
    assert_eq!(number(search.next().await), "2");
    let lost = search.next().await.expect_err("it is lost").to_string();
    assert_eq!(lost, "search broke off: batch 4 came in place of batch 3; search again");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_can_not_search_is_not_asked() {
    let mut network = Network::new();
    let (client, server) = network.connect(&["cancel"]).await;
    let refused = glob(&client).next().await;
    assert!(matches!(refused, Err(FsError::Unsupported("fsSearch"))), "{refused:?}");
    assert_eq!(server.requested("fs/glob"), 0);
}
