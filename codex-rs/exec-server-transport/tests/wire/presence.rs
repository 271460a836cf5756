//! What is known of a peer without reading what it sent.

use codex_exec_server_transport::client::{ConnectOptions, connect};
use codex_exec_server_transport::{AcceptPolicy, Message, WireLimits};

use crate::support::{Server, soon};

/// Listens at `url`.
async fn a_peer_is_known_to_have_hung_up_before_what_it_sent_is_read_at(url: &str) {
    let limits = WireLimits { liveness: None, ..WireLimits::default() };
    let mut server = Server::start_at(url, AcceptPolicy::default(), limits).await;
    let mut client = soon(connect(&server.url, &ConnectOptions::default())).await.unwrap();
    let mut accepted = server.next().await;
    let presence = accepted.writer.presence();
    soon(client.writer.send(Message::text("words"))).await.unwrap();
    assert!(!presence.has_ended(), "what it sent is no hang-up");
    // The kernel of both ends is one: it knows at once.
    drop(client);
    assert!(presence.has_ended());
    assert_eq!(soon(accepted.reader.next()).await.unwrap().unwrap(), "words");
    drop(accepted);
    assert!(presence.has_ended(), "a connection that is no more has nobody at its other end");
}

#[tokio::test]
async fn a_peer_is_known_to_have_hung_up_before_what_it_sent_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let socket = format!("unix://{}", folder.path().join("socket").display());
    for url in ["ws://127.0.0.1:0", &socket] {
        a_peer_is_known_to_have_hung_up_before_what_it_sent_is_read_at(url).await;
    }
}
