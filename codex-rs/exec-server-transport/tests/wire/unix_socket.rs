//! The file of a Unix socket, from before it exists until after it is gone.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::Path;

use codex_exec_server_transport::client::{ConnectOptions, connect};
use codex_exec_server_transport::{
    AcceptPolicy, BindError, ListenUrl, Listener, UnixSocketError, WireLimits,
};

use crate::support::soon;

async fn bind(path: &Path) -> Result<Listener, BindError> {
    let url = ListenUrl::Unix(path.to_owned());
    Listener::bind(&url, AcceptPolicy::default(), WireLimits::default()).await
}

async fn refusal(path: &Path) -> UnixSocketError {
    match bind(path).await {
        Err(BindError::Unix(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_socket_is_private_and_gone_with_its_listener() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.sock");
    let listener = bind(&path).await.unwrap();
    let metadata = std::fs::symlink_metadata(&path).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert_eq!(
        std::fs::read_dir(directory.path()).unwrap().count(),
        1,
        "nothing else is left in the directory"
    );
    drop(listener);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_dead_socket_is_replaced_and_a_live_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.sock");
    drop(StdUnixListener::bind(&path).unwrap());
    assert!(path.exists(), "the standard library leaves the file behind");
    let mut listener = bind(&path).await.unwrap();
    assert!(matches!(refusal(&path).await, UnixSocketError::InUse(_)));
    let url = listener.local_url().to_owned();
    let options = ConnectOptions::default();
    let (accepted, connected) =
        soon(async { tokio::join!(listener.accept(), connect(&url, &options)) }).await;
    assert!(accepted.is_some() && connected.is_ok());
}

#[tokio::test]
async fn whatever_is_no_socket_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("precious");
    std::fs::write(&path, "data").unwrap();
    assert!(matches!(refusal(&path).await, UnixSocketError::NotASocket(_)));
    assert_eq!(std::fs::read(&path).unwrap(), b"data");
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(matches!(refusal(&link).await, UnixSocketError::NotASocket(_)));
    assert!(matches!(refusal(directory.path()).await, UnixSocketError::NotASocket(_)));
    let long = directory.path().join("x".repeat(200));
    assert!(matches!(refusal(&long).await, UnixSocketError::PathTooLong(_)));
    assert!(matches!(refusal(&directory.path().join("no/s.sock")).await, UnixSocketError::Io { .. }));
}

#[tokio::test]
async fn a_listener_removes_only_its_own_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.sock");
    let first = bind(&path).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    let _second = bind(&path).await.unwrap();
    drop(first);
    assert!(path.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_servers_that_start_at_once_exactly_one_gets_the_socket() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.sock");
    drop(StdUnixListener::bind(&path).unwrap());
    let mut starting = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let path = path.clone();
        starting.spawn(async move { bind(&path).await });
    }
    let all = soon(starting.join_all()).await;
    assert_eq!(all.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(path.exists());
}
