//! The same cases on this machine, over a WebSocket to a server of their own, and on the reference's server where it is at
//! hand. A program that has such cases says in its `place` what of each it gives them.

use std::path::Path;

use codex_exec_server::ServerConfig;
use codex_exec_server_client::{Client, ClientConfig, Dialer};
use codex_exec_server_testkit::{Harness, Program};
use codex_exec_server_transport::client::ConnectOptions;

use super::{host, patient};

/// Makes a test of each case in each place. Those that ask for what the reference lacks say so there.
macro_rules! cases {
    (everywhere $everywhere:tt not_on_reference $ours:tt) => {
        cases_at! { place { local: on_local remote: on_remote } everywhere $everywhere not_on_reference $ours }
    };
}

/// A client of the server at `url`.
pub(crate) async fn connect(url: &str) -> Client {
    let dialer = Dialer::url(url.to_owned(), ConnectOptions::default());
    Client::connect(dialer, ClientConfig::default()).await.expect("the server answers")
}

/// Runs `case` with a client of a server of its own, in this process.
pub(crate) async fn behind_server<C: Future<Output = ()>>(
    config: ServerConfig,
    case: impl FnOnce(Client) -> C,
) {
    let harness = Harness::websocket(host(patient(config))).await;
    behind(harness.url(), case).await;
    harness.stop().await;
}

/// Runs `case` with a client of the reference's server, if `CODEX_REFERENCE_BIN` says where that is. The server has
/// `environment`, or else this process's.
pub(crate) async fn behind_reference<C: Future<Output = ()>>(
    environment: Option<&[(&str, String)]>,
    case: impl FnOnce(Client) -> C,
) {
    let Some(path) = std::env::var_os("CODEX_REFERENCE_BIN") else {
        println!("skipped: CODEX_REFERENCE_BIN is not set");
        return;
    };
    let words = ["exec-server"];
    let server = match environment {
        None => Program::start_with(Path::new(&path), &words).await,
        Some(environment) => Program::start_in(Path::new(&path), &words, environment).await,
    };
    behind(server.url(), case).await;
}

async fn behind<C: Future<Output = ()>>(url: &str, case: impl FnOnce(Client) -> C) {
    let client = connect(url).await;
    case(client.clone()).await;
    client.close().await;
}
