//! Where cases run: a backend of each kind, made for one case and ended after it.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use codex_exec_server::{Server, ServerConfig};
use codex_exec_server_client::{Client, ClientConfig, Dialer};
use codex_exec_server_core::limits::Limits;
use codex_exec_server_core::service::ExecBackend;
use codex_exec_server_local::LocalBackend;
use codex_exec_server_testkit::{Harness, Host, PATIENCE, patiently};
use codex_exec_server_transport::client::ConnectOptions;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// What a case is given.
pub(crate) type Backend = Arc<dyn ExecBackend>;

/// The usual ones, but no clock decides whether a killed process is dead in time.
fn limits() -> Limits {
    Limits { kill_wait: PATIENCE, ..Limits::default() }
}

/// Runs `case` on this machine.
pub(crate) async fn on_local<C: Future<Output = ()>>(case: impl FnOnce(Backend) -> C) {
    let environment = std::env::vars_os().collect();
    let backend = Arc::new(LocalBackend::new(environment, limits(), Some(std::env::temp_dir())));
    case(Arc::clone(&backend) as Backend).await;
    backend.shut_down().await;
}

/// Runs `case` over a WebSocket to a server of its own.
pub(crate) async fn on_remote<C: Future<Output = ()>>(case: impl FnOnce(Backend) -> C) {
    let server = Server::new(ServerConfig { limits: limits(), ..ServerConfig::from_process() });
    let serving = Arc::clone(&server);
    let host = Host::new(
        move |connection| {
            let server = Arc::clone(&serving);
            async move { server.serve(connection).await }
        },
        move || {
            let server = Arc::clone(&server);
            async move { server.shut_down().await }
        },
    );
    let harness = Harness::websocket(host).await;
    on_server(harness.url(), case).await;
    harness.stop().await;
}

/// Runs `case` on the reference's server, if `CODEX_REFERENCE_BIN` says where that is.
pub(crate) async fn on_reference<C: Future<Output = ()>>(case: impl FnOnce(Backend) -> C) {
    let Some(path) = std::env::var_os("CODEX_REFERENCE_BIN") else {
        println!("skipped: CODEX_REFERENCE_BIN is not set");
        return;
    };
    let mut server = Command::new(Path::new(&path))
        .args(["exec-server", "--listen", "ws://127.0.0.1:0"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the reference starts");
    let mut lines = BufReader::new(server.stdout.take().expect("it has a pipe")).lines();
    let line = patiently("the reference to say where it listens", lines.next_line()).await;
    let url = line.expect("its output can be read").expect("it says where it listens");
    on_server(&url, case).await;
    server.kill().await.expect("it is our child");
}

async fn on_server<C: Future<Output = ()>>(url: &str, case: impl FnOnce(Backend) -> C) {
    let dialer = Dialer::url(url.to_owned(), ConnectOptions::default());
    let client = Client::connect(dialer, ClientConfig::default()).await.expect("the server answers");
    case(Arc::new(client.clone())).await;
    client.close().await;
}

/// Makes a test of each case in each place. Those that ask for what the reference lacks say so there.
macro_rules! cases {
    (everywhere { $($case:ident)* } not_on_reference { $($ours:ident: $reason:literal)* }) => {
        mod local {
            cases!(@run on_local $($case)* $($ours)*);
        }
        mod remote {
            cases!(@run on_remote $($case)* $($ours)*);
        }
        mod reference {
            cases!(@run on_reference $($case)*);
            $(
                #[test]
                fn $ours() {
                    println!("skipped on the reference: {}", $reason);
                }
            )*
        }
    };
    (@run $place:ident $($case:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::place::$place(super::$case).await;
            }
        )*
    };
}
