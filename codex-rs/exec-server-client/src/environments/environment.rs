//! One environment: a machine by name, connected when it is first used.

use std::fmt;
use std::sync::Arc;

use codex_exec_server_core::service::ExecBackend;
use codex_exec_server_transport::client::ConnectOptions;

use super::config::{EnvironmentConfig, TransportConfig};
use super::error::EnvironmentError;
use super::id::EnvironmentId;
use super::lazy::{Connect, LazyClient};
use super::program;
use crate::client::Client;
use crate::config::ClientConfig;
use crate::dial::Dialer;

/// See the module.
#[derive(Debug)]
pub struct Environment {
    id: EnvironmentId,
    description: String,
    reach: Reach,
}

/// How an environment is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnvironmentKind {
    /// It is this machine.
    Local,
    /// By a server's address; a lost connection is sought again.
    Url,
    /// Through a program's standard streams; when they are lost, so is the session.
    Program,
    /// By whatever the program that uses this crate has.
    Custom,
}

impl EnvironmentKind {
    /// The kind in one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Url => "url",
            Self::Program => "program",
            Self::Custom => "custom",
        }
    }
}

impl fmt::Display for EnvironmentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

enum Reach {
    Here(Option<Arc<dyn ExecBackend>>),
    There(EnvironmentKind, LazyClient),
}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(_) => f.write_str("Here"),
            Self::There(kind, client) => write!(f, "There({kind}, {client:?})"),
        }
    }
}

impl Environment {
    /// This machine, with a backend where the program has one.
    pub(super) fn local(backend: Option<Arc<dyn ExecBackend>>) -> Self {
        Self { id: EnvironmentId::local(), description: "this machine".into(), reach: Reach::Here(backend) }
    }

    /// The one that `config` describes. What it does not say is as in `client`.
    pub(super) fn remote(config: EnvironmentConfig, client: &ClientConfig) -> Self {
        let EnvironmentConfig { id, transport, initialize_timeout, required_skills: _ } = config;
        let mut client = client.clone();
        client.initialize_timeout = initialize_timeout.unwrap_or(client.initialize_timeout);
        match transport {
            TransportConfig::Url { url, bearer_token, connect_timeout } => {
                client.connect_timeout = connect_timeout.unwrap_or(client.connect_timeout);
                let options = ConnectOptions {
                    bearer_token: bearer_token.map(|token| token.reveal().to_owned()),
                    connect_timeout: client.connect_timeout,
                    ..ConnectOptions::default()
                };
                let description = url.to_string();
                let dialer = move || Dialer::url(url.to_string(), options.clone());
                Self::dialled(id, description, EnvironmentKind::Url, dialer, client)
            }
            TransportConfig::Program(config) => {
                let description = program::describe(&config);
                let (config, named) = (Arc::new(config), id.clone());
                let connect: Connect = Box::new(move |tasks| {
                    let (config, client, id) = (Arc::clone(&config), client.clone(), named.clone());
                    Box::pin(async move {
                        let connected = program::connect(&config, client, &tasks).await;
                        connected.map_err(|source| EnvironmentError::Program { id, source: Arc::new(source) })
                    })
                });
                Self::lazy(id, description, EnvironmentKind::Program, connect)
            }
        }
    }

    /// One that is reached by other means: each call of `dialer` gives what connects a new client.
    pub fn custom(
        id: EnvironmentId,
        description: String,
        dialer: impl Fn() -> Dialer + Send + Sync + 'static,
        client: ClientConfig,
    ) -> Self {
        Self::dialled(id, description, EnvironmentKind::Custom, dialer, client)
    }

    fn dialled(
        id: EnvironmentId,
        description: String,
        kind: EnvironmentKind,
        dialer: impl Fn() -> Dialer + Send + Sync + 'static,
        client: ClientConfig,
    ) -> Self {
        let named = id.clone();
        let connect: Connect = Box::new(move |_| {
            let (dialer, client, id) = (dialer(), client.clone(), named.clone());
            Box::pin(async move {
                let connected = Client::connect(dialer, client).await;
                connected.map_err(|source| EnvironmentError::Connect { id, source })
            })
        });
        Self::lazy(id, description, kind, connect)
    }

    fn lazy(id: EnvironmentId, description: String, kind: EnvironmentKind, connect: Connect) -> Self {
        let client = LazyClient::new(connect, EnvironmentError::Closed(id.clone()));
        Self { id, description, reach: Reach::There(kind, client) }
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> &EnvironmentId {
        &self.id
    }

    /// Where it is, for people: an address or a command, without secrets.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// How it is reached.
    #[must_use]
    pub const fn kind(&self) -> EnvironmentKind {
        match &self.reach {
            Reach::Here(_) => EnvironmentKind::Local,
            Reach::There(kind, _) => *kind,
        }
    }

    /// The client of a remote one, connected at the first call. Calls that come meanwhile share the attempt and what it
    /// comes to; dropping one leaves it to the others. A client that has failed for good is replaced at the next call.
    /// Needs a tokio runtime.
    ///
    /// # Errors
    /// [`EnvironmentError::NoConnection`] for this machine; otherwise why there is no connection.
    pub async fn client(&self) -> Result<Client, EnvironmentError> {
        match &self.reach {
            Reach::Here(_) => Err(EnvironmentError::NoConnection),
            Reach::There(_, client) => client.client().await,
        }
    }

    /// The client of a remote one if it is connected, or being recovered, already.
    #[must_use]
    pub fn present_client(&self) -> Option<Client> {
        match &self.reach {
            Reach::Here(_) => None,
            Reach::There(_, client) => client.present(),
        }
    }

    /// What runs processes there; callers can't tell whether that is this machine. A remote one is connected as by
    /// [`client`](Self::client).
    ///
    /// # Errors
    /// [`EnvironmentError::NoLocalBackend`] for this machine where the program has none; otherwise why there is no
    /// connection.
    pub async fn backend(&self) -> Result<Arc<dyn ExecBackend>, EnvironmentError> {
        match &self.reach {
            Reach::Here(Some(backend)) => Ok(Arc::clone(backend)),
            Reach::Here(None) => Err(EnvironmentError::NoLocalBackend),
            Reach::There(_, client) => Ok(Arc::new(client.client().await?)),
        }
    }

    /// Ends its client and what leads to it. From now on it can't be used.
    pub(super) async fn close(&self) {
        match &self.reach {
            Reach::Here(_) => {}
            Reach::There(_, client) => client.close().await,
        }
    }
}
