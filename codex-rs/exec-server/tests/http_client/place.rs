//! Where cases run: something that sends requests, of each kind, made for one case and ended after it.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use codex_exec_server::ServerConfig;
use codex_exec_server_client::{Client, ClientConfig, Dialer};
use codex_exec_server_core::limits::HttpLimits;
use codex_exec_server_core::service::http::HttpClient;
use codex_exec_server_local::env::Environment;
use codex_exec_server_local::http::LocalHttp;
use codex_exec_server_testkit::{Harness, patiently};
use codex_exec_server_transport::client::ConnectOptions;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::support::host;
use crate::tls::authority_file;

/// What a case is given.
pub(crate) type Machine = Arc<dyn HttpClient>;

/// The environment of every place: no proxies, an authority that the tests' sites are certified by, and something to put
/// into headers.
pub(crate) fn environment() -> Vec<(&'static str, String)> {
    let authority = authority_file().to_str().expect("the path is text").to_owned();
    vec![
        ("PATH", "/usr/local/bin:/usr/bin:/bin".into()),
        ("TEST_TOKEN", "t0k".into()),
        ("TEST_EMPTY", String::new()),
        ("OPENAI_API_KEY", "secret".into()),
        ("SSL_CERT_FILE", authority),
    ]
}

/// `variables`, as a server has them.
pub(crate) fn as_environment(variables: Vec<(&'static str, String)>) -> Environment {
    variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

/// Runs `case` on this machine.
pub(crate) async fn on_local<C: Future<Output = ()>>(case: impl FnOnce(Machine) -> C) {
    case(LocalHttp::new(as_environment(environment()), HttpLimits::default())).await;
}

/// Runs `case` over a WebSocket to a server of its own.
pub(crate) async fn on_remote<C: Future<Output = ()>>(case: impl FnOnce(Machine) -> C) {
    on_remote_with(as_environment(environment()), case).await;
}

/// As [`on_remote`], with the server's environment.
pub(crate) async fn on_remote_with<C: Future<Output = ()>>(
    environment: Environment,
    case: impl FnOnce(Machine) -> C,
) {
    let config = ServerConfig { environment, ..ServerConfig::from_process() };
    let harness = Harness::websocket(host(config)).await;
    on_server(harness.url(), case).await;
    harness.stop().await;
}

/// Runs `case` on the reference's server, if `CODEX_REFERENCE_BIN` says where that is.
pub(crate) async fn on_reference<C: Future<Output = ()>>(case: impl FnOnce(Machine) -> C) {
    let Some(path) = std::env::var_os("CODEX_REFERENCE_BIN") else {
        println!("skipped: CODEX_REFERENCE_BIN is not set");
        return;
    };
    let mut server = Command::new(Path::new(&path))
        .args(["exec-server", "--listen", "ws://127.0.0.1:0"])
        .env_clear()
        .envs(environment())
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

/// A client of the server at `url`.
pub(crate) async fn connect(url: &str) -> Client {
    let dialer = Dialer::url(url.to_owned(), ConnectOptions::default());
    Client::connect(dialer, ClientConfig::default()).await.expect("the server answers")
}

async fn on_server<C: Future<Output = ()>>(url: &str, case: impl FnOnce(Machine) -> C) {
    let client = connect(url).await;
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
