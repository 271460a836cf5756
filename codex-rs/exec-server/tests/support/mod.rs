//! What the tests of this folder share: a server behind each transport, and one test for each case and transport.
#![allow(dead_code, unused_macros, reason = "each test program takes the part that it needs")]

#[macro_use]
mod cases;
#[macro_use]
pub(crate) mod places;

use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;

use codex_exec_server::{Server, ServerConfig};
use codex_exec_server_testkit::{Harness, Host, PATIENCE};

/// The real program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_codex-exec-server");

/// How clients reach the server.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Transport {
    WebSocket,
    UnixSocket,
    /// The real program, one for each client.
    Stdio,
    Memory,
}

/// No clock decides whether a killed process is dead in time.
pub(crate) fn patient(mut config: ServerConfig) -> ServerConfig {
    config.limits.kill_wait = PATIENCE;
    config
}

/// A server in this process.
pub(crate) fn host(config: ServerConfig) -> Host {
    let server = Server::new(config);
    let serving = Arc::clone(&server);
    Host::new(
        move |connection| {
            let server = Arc::clone(&serving);
            async move { server.serve(connection).await }
        },
        move || {
            let server = Arc::clone(&server);
            async move { server.shut_down().await }
        },
    )
}

/// Runs a case against a server of its own, which is ended in good order whatever comes of the case.
pub(crate) async fn over<C>(transport: Transport, case: impl FnOnce(Arc<Harness>) -> C)
where
    C: Future<Output = ()> + Send + 'static,
{
    let config = patient(ServerConfig::from_process());
    let harness = match transport {
        Transport::WebSocket => Harness::websocket(host(config)).await,
        Transport::UnixSocket => Harness::unix_socket(host(config)).await,
        Transport::Stdio => Harness::stdio(Path::new(PROGRAM)),
        Transport::Memory => Harness::memory(host(config)),
    };
    run(harness, case).await;
}

/// As [`over`] a WebSocket, with settings of the case's own.
pub(crate) async fn with<C>(config: ServerConfig, case: impl FnOnce(Arc<Harness>) -> C)
where
    C: Future<Output = ()> + Send + 'static,
{
    let wire = config.wire.clone();
    run(Harness::websocket_with(host(patient(config)), wire).await, case).await;
}

async fn run<C>(harness: Harness, case: impl FnOnce(Arc<Harness>) -> C)
where
    C: Future<Output = ()> + Send + 'static,
{
    let harness = Arc::new(harness);
    // A task of its own, so that a panic in it does not keep the server from ending its processes.
    let outcome = tokio::spawn(case(Arc::clone(&harness))).await;
    let harness = Arc::into_inner(harness).expect("the case has let go of the server");
    match outcome {
        Ok(()) => harness.stop().await,
        Err(error) => {
            let _ = tokio::spawn(harness.stop()).await;
            resume_unwind(error.into_panic());
        }
    }
}

/// Makes a test of each case over each of the transports named: `websocket::case`, and so on.
macro_rules! tests_over {
    ($($transport:ident as $module:ident),+; $cases:tt) => {
        $(tests_over!(@one $transport $module $cases);)+
    };
    (@one $transport:ident $module:ident { $($case:ident)+ }) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    crate::support::over(crate::support::Transport::$transport, super::$case).await;
                }
            )+
        }
    };
}

/// Makes a test of each case over every transport.
macro_rules! tests_over_every_transport {
    ($($case:ident)+) => {
        tests_over! { WebSocket as websocket, UnixSocket as unix_socket, Stdio as stdio, Memory as memory; { $($case)+ } }
    };
}

/// Makes a test of each case over every transport on which one server has more than one client.
macro_rules! tests_over_shared_transports {
    ($($case:ident)+) => {
        tests_over! { WebSocket as websocket, UnixSocket as unix_socket, Memory as memory; { $($case)+ } }
    };
}
