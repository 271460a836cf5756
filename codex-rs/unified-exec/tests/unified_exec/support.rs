//! What the tests of this folder share: the service on either kind of machine, and one test for each case and machine.

use std::sync::Arc;
use std::time::Duration;

use codex_exec_server::{Server, ServerConfig};
use codex_exec_server_client::{Client, ClientConfig, Dialer};
use codex_exec_server_core::limits::Limits;
use codex_exec_server_core::service::ExecBackend;
use codex_exec_server_local::LocalBackend;
use codex_exec_server_transport::client::ConnectOptions;
use codex_exec_server_transport::{AcceptPolicy, ListenUrl, Listener, WireLimits};
use codex_exec_server_unified_exec::{
    ApproveAsAsked, Collect, ExecCommand, OutputLimit, Report, UnifiedExec, UnifiedExecConfig, WriteStdin,
};
use tokio::task::JoinHandle;

/// Longer than anything takes here: who waits for it waits for an event.
pub(crate) const LONG: Duration = Duration::from_secs(240);

/// The usual ones, but no clock decides whether a killed process is dead in time.
fn limits() -> Limits {
    Limits { kill_wait: LONG, ..Limits::default() }
}

/// Runs `case` on this machine.
pub(crate) async fn on_local<C: Future<Output = ()>>(case: impl FnOnce(UnifiedExec) -> C) {
    let backend =
        Arc::new(LocalBackend::new(std::env::vars_os().collect(), limits(), /*state_directory*/ None));
    case(service(Arc::clone(&backend) as Arc<dyn ExecBackend>)).await;
    backend.shut_down().await;
}

/// Runs `case` over a WebSocket.
pub(crate) async fn on_remote<C: Future<Output = ()>>(case: impl FnOnce(UnifiedExec) -> C) {
    let remote = Remote::new().await;
    let client = connect(remote.url(), ClientConfig::default()).await;
    case(service(Arc::new(client.clone()))).await;
    client.close().await;
    remote.stop().await;
}

/// A server behind a WebSocket.
pub(crate) struct Remote {
    server: Arc<Server>,
    url: String,
    accepting: JoinHandle<()>,
}

impl Remote {
    pub(crate) async fn new() -> Self {
        let server = Server::new(ServerConfig { limits: limits(), ..ServerConfig::from_process() });
        let url: ListenUrl = "ws://127.0.0.1:0".parse().expect("a listen URL");
        let listener =
            Listener::bind(&url, AcceptPolicy::default(), WireLimits::default()).await.expect("a free port");
        let url = listener.local_url().to_owned();
        let serving = Arc::clone(&server);
        let accepting = tokio::spawn(async move { serving.serve_listener(listener).await });
        Self { server, url, accepting }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) async fn stop(self) {
        self.server.shut_down().await;
        self.accepting.await.expect("no panic");
    }
}

pub(crate) async fn connect(url: &str, config: ClientConfig) -> Client {
    let dialer = Dialer::url(url.to_owned(), ConnectOptions::default());
    Client::connect(dialer, config).await.expect("the server answers")
}

/// The usual service, but small bounds on what is held.
pub(crate) fn service(backend: Arc<dyn ExecBackend>) -> UnifiedExec {
    let config = UnifiedExecConfig {
        max_processes: 4,
        held_output_bytes: 16 << 10,
        // Nothing but an event may end a wait.
        linger: LONG,
        least_write_time: LONG,
        ..UnifiedExecConfig::default()
    };
    UnifiedExec::new(backend, Arc::new(ApproveAsAsked), config)
}

/// Makes a test of each case on either kind of machine.
macro_rules! tests_near_and_far {
    ($($case:ident)+) => {
        mod local {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    crate::support::on_local(super::$case).await;
                }
            )+
        }
        mod remote {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    crate::support::on_remote(super::$case).await;
                }
            )+
        }
    };
}
pub(crate) use tests_near_and_far;

/// `script`, to its end.
pub(crate) fn shell(script: &str) -> ExecCommand {
    let mut command = ExecCommand::argv(["/bin/sh", "-c", script]);
    command.collect.yield_time = LONG;
    command
}

/// `script`, started only.
pub(crate) fn started(script: &str) -> ExecCommand {
    let mut command = shell(script);
    command.stdin = true;
    command.collect.yield_time = Duration::ZERO;
    command
}

/// Waits for more until `enough` text is there; returns all of it and the last report.
pub(crate) async fn until(exec: &UnifiedExec, mut report: Report, enough: &str) -> (String, Report) {
    let mut text = report.output.text.clone();
    while !text.contains(enough) {
        assert!(!report.state.is_final(), "{text:?} and then the end, without {enough:?}");
        // The shortest wait that lets other tasks run; what is waited for is the text.
        let poll = WriteStdin { collect: for_ms(5), ..WriteStdin::default() };
        report = exec.write_stdin(report.process, poll).await.expect("it is known");
        text.push_str(&report.output.text);
    }
    (text, report)
}

pub(crate) fn for_ms(ms: u64) -> Collect {
    Collect { yield_time: Duration::from_millis(ms), ..Collect::default() }
}

/// To the end.
pub(crate) fn to_the_end() -> Collect {
    Collect { yield_time: LONG, ..Collect::default() }
}

pub(crate) fn input(chars: &str) -> WriteStdin {
    WriteStdin { chars: chars.into(), close: false, collect: to_the_end() }
}

/// The most that may be asked for.
pub(crate) const ALL: OutputLimit = OutputLimit::Bytes(1 << 20);
