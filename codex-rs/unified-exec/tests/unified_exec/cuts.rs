//! Commands over a connection that breaks: once and again, and for good.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use codex_exec_server_client::{Client, ClientConfig, Dialer};
use codex_exec_server_core::service::ExecError;
use codex_exec_server_testkit::Proxy;
use codex_exec_server_transport::client::{self as transport, ConnectOptions};
use codex_exec_server_unified_exec::{ProcessState, UnifiedExecError};

use crate::support::{Remote, connect, input, service, shell, started, until};

/// What the present connection goes through; each goes through one of its own.
#[derive(Default)]
struct Cable(Arc<Mutex<Option<Proxy>>>);

impl Cable {
    fn dialer(&self, url: &str) -> Dialer {
        let (present, url) = (Arc::clone(&self.0), url.to_owned());
        Dialer::new(move || {
            let (present, url) = (Arc::clone(&present), url.clone());
            async move {
                let proxy = Proxy::before(&url).await;
                let connection = transport::connect(proxy.url(), &ConnectOptions::default()).await?;
                *present.lock().expect("no panic") = Some(proxy);
                Ok(connection)
            }
        })
    }

    fn cut(&self) {
        if let Some(proxy) = self.0.lock().expect("no panic").take() {
            proxy.cut();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_notices_nothing_of_connections_that_break() {
    let remote = Remote::new().await;
    let cable = Cable::default();
    let dialer = cable.dialer(remote.url());
    let client = Client::connect(dialer, ClientConfig::default()).await.expect("the server answers");
    let exec = service(Arc::new(client.clone()));

    let report = exec.exec_command(started("while read n; do seq $n; echo end $n; done")).await;
    let mut report = report.expect("it runs");
    let number = report.process;
    for n in 1..=20 {
        cable.cut();
        let mut line = input(&format!("{n}\n"));
        line.collect.yield_time = Duration::ZERO;
        report = exec.write_stdin(number, line).await.expect("it is written, once");
        cable.cut();
        let (text, last) = until(&exec, report, &format!("end {n}\n")).await;
        let counted: String = (1..=n).map(|n| format!("{n}\n")).collect();
        assert_eq!(text, format!("{counted}end {n}\n"));
        report = last;
    }
    assert!(report.state.is_running());
    exec.shut_down().await;
    client.close().await;
    remote.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_does_not_come_back_fails_every_command_and_says_why() {
    let remote = Remote::new().await;
    let proxy = Proxy::before(remote.url()).await;
    let config = ClientConfig { recovery_deadline: Duration::from_millis(1), ..ClientConfig::default() };
    let client = connect(proxy.url(), config).await;
    let exec = service(Arc::new(client.clone()));
    let report = exec.exec_command(started("echo ready; exec sleep 1000")).await.expect("it runs");
    let number = report.process;
    until(&exec, report, "ready\n").await;

    // Nobody listens there any more, and what is open is reset.
    let waiting = exec.write_stdin(number, input(""));
    let losing = async { drop(proxy) };
    let (report, ()) = tokio::join!(waiting, losing);
    let report = report.expect("it is known");
    let ProcessState::Failed { error: ExecError::Disconnected(_), exit: None } = &report.state else {
        panic!("{:?}", report.state)
    };
    let refused = exec.exec_command(shell("exit 0")).await.expect_err("there is no machine");
    assert!(matches!(refused, UnifiedExecError::Backend(ExecError::Disconnected(_))), "{refused:?}");
    client.close().await;
    remote.stop().await;
}
