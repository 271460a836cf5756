//! Streamed bodies beside each other, and readers that are slow.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use codex_exec_server::ServerConfig;
use codex_exec_server_client::{Client, ClientConfig, Dialer};
use codex_exec_server_core::service::http::HttpBodyError;
use codex_exec_server_testkit::{Harness, patiently};
use codex_exec_server_transport::client::ConnectOptions;
use tokio::io::AsyncWriteExt;

use crate::place::{Machine, as_environment, environment};
use crate::site::{Site, answer, get, rest, stream, whole};
use crate::support::host;

/// What a client of these tests lets wait of one body.
const AHEAD_BYTES: usize = 256 << 10;
/// More than kernels, libraries and servers hold of one body between them, by far.
const FAR_TOO_MUCH: u64 = 256 << 20;

/// A site whose body never ends, and how much of it was taken.
async fn endless() -> (Site, Arc<AtomicU64>) {
    let taken: Arc<AtomicU64> = Arc::default();
    let counting = Arc::clone(&taken);
    let site = Site::talking(move |_, mut stream| {
        let taken = Arc::clone(&counting);
        async move {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            let piece = vec![b'x'; 64 << 10];
            while stream.write_all(&piece).await.is_ok() {
                let taken = taken.fetch_add(piece.len() as u64, Ordering::Relaxed) + piece.len() as u64;
                assert!(taken < FAR_TOO_MUCH, "nobody holds this body back");
            }
        }
    })
    .await;
    (site, taken)
}

/// A server, and a client that lets little of a body wait.
async fn served() -> (Harness, Client) {
    let config = ServerConfig { environment: as_environment(environment()), ..ServerConfig::from_process() };
    let harness = Harness::websocket(host(config)).await;
    let dialer = Dialer::url(harness.url().to_owned(), ConnectOptions::default());
    let config = ClientConfig { http_body_bytes: AHEAD_BYTES, ..ClientConfig::default() };
    let client = Client::connect(dialer, config).await.expect("the server answers");
    (harness, client)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_nobody_reads_holds_back_its_site_and_nothing_else() {
    let (harness, client) = served().await;
    let machine: Machine = Arc::new(client.clone());
    let (unread_site, taken) = endless().await;
    let mut unread = stream(&machine, get(&unread_site.url("/"))).await;
    let first = patiently("a piece", unread.body.next()).await.expect("there is one").expect("it came");
    assert!(!first.is_empty());
    // Beside it, other bodies and other requests go on, much more than fits anywhere.
    let body = vec![b'y'; 8 << 20];
    let expected = body.clone();
    let site = Site::raw(move |_| answer("200 OK", "", &body)).await;
    for _ in 0..4 {
        let (streamed, error) = rest(stream(&machine, get(&site.url("/"))).await).await;
        assert!(streamed == expected && error.is_none(), "{} bytes, {error:?}", streamed.len());
    }
    assert_eq!(whole(&machine, get(&site.url("/"))).await.0, 200);
    assert!(taken.load(Ordering::Relaxed) < FAR_TOO_MUCH);
    // What waited is still there, and when it is read more comes.
    let mut read = first.len();
    while read < 4 * AHEAD_BYTES {
        read +=
            patiently("a piece", unread.body.next()).await.expect("there is more").expect("it came").len();
    }
    drop(unread);
    client.close().await;
    harness.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_ends_at_once_with_the_connection_that_carries_it() {
    let (harness, client) = served().await;
    let machine: Machine = Arc::new(client.clone());
    let (site, _) = endless().await;
    let unread = stream(&machine, get(&site.url("/"))).await;
    harness.stop().await;
    let (_, error) = rest(unread).await;
    assert!(matches!(error, Some(HttpBodyError::Disconnected(_))), "{error:?}");
    client.close().await;
}
