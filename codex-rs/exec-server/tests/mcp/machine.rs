//! Where the servers of these tests run: this machine, or a server behind a cable that can be cut.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use codex_exec_server::ServerConfig;
use codex_exec_server_client::{Client, ClientConfig, Dialer};
use codex_exec_server_core::service::ExecBackend;
use codex_exec_server_local::LocalBackend;
use codex_exec_server_testkit::{Harness, Proxy, patiently};
use codex_exec_server_transport::client::{ConnectOptions, connect};

use crate::support::host;

/// See the module. Ends with [`Machine::stop`].
pub(crate) enum Machine {
    Local(Arc<LocalBackend>),
    Remote { harness: Harness, client: Client, cable: Arc<Cable> },
}

impl Machine {
    pub(crate) fn local() -> Self {
        Self::Local(Arc::new(LocalBackend::from_process()))
    }

    pub(crate) async fn remote() -> Self {
        let harness = Harness::websocket(host(ServerConfig::from_process())).await;
        let cable = Arc::new(Cable { url: harness.url().to_owned(), ..Cable::default() });
        let client = Client::connect(Cable::dialer(&cable), ClientConfig::default()).await;
        Self::Remote { harness, client: client.expect("the server is there"), cable }
    }

    /// One of each kind.
    pub(crate) async fn each() -> [Self; 2] {
        [Self::local(), Self::remote().await]
    }

    pub(crate) fn backend(&self) -> Arc<dyn ExecBackend> {
        match self {
            Self::Local(backend) => Arc::<LocalBackend>::clone(backend),
            Self::Remote { client, .. } => Arc::new(client.clone()),
        }
    }

    /// Cuts the connection, in the middle of whatever it carries. A machine that is here has none.
    pub(crate) fn cut(&self) {
        if let Self::Remote { cable, .. } = self {
            cable.cut();
        }
    }

    /// How often the machine was connected to.
    pub(crate) fn connections(&self) -> usize {
        match self {
            Self::Local(_) => 0,
            Self::Remote { cable, .. } => cable.connections.load(Ordering::Relaxed),
        }
    }

    /// Ends everything on it.
    pub(crate) async fn stop(self) {
        match self {
            Self::Local(backend) => patiently("processes to end", backend.shut_down()).await,
            Self::Remote { harness, client, .. } => {
                client.close().await;
                harness.stop().await;
            }
        }
    }
}

/// Leads to one server, by a proxy of its own for each connection.
#[derive(Default)]
pub(crate) struct Cable {
    url: String,
    present: Mutex<Option<Proxy>>,
    connections: AtomicUsize,
}

impl Cable {
    fn dialer(cable: &Arc<Self>) -> Dialer {
        let cable = Arc::clone(cable);
        Dialer::new(move || {
            let cable = Arc::clone(&cable);
            async move {
                let proxy = Proxy::before(&cable.url).await;
                let connection = connect(proxy.url(), &ConnectOptions::default()).await?;
                cable.connections.fetch_add(1, Ordering::Relaxed);
                *cable.present.lock().unwrap_or_else(PoisonError::into_inner) = Some(proxy);
                Ok(connection)
            }
        })
    }

    fn cut(&self) {
        if let Some(proxy) = &*self.present.lock().unwrap_or_else(PoisonError::into_inner) {
            proxy.cut();
        }
    }
}
