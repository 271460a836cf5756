//! Where a server is: the flags that say so, how it is written down, and connecting to it.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use codex_exec_server_client::environments::{EnvironmentConfig, EnvironmentManager, TransportConfig};
use codex_exec_server_client::{Client, ClientConfig, ClientError, DialError, Dialer};
use codex_exec_server_transport::client::{ConnectError, ConnectOptions};
use serde::{Deserialize, Serialize};

use super::Failure;
use super::teller::Teller;
use crate::config::client::{ClientFlags, ClientSettings};

/// Flags that say which server.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct TargetArgs {
    /// Server to reach: ws://HOST:PORT or unix:///PATH
    #[arg(long, value_name = "URL")]
    connect: Option<String>,
    /// File that holds the token to show to the server
    #[arg(long, value_name = "PATH", requires = "connect")]
    token_file: Option<PathBuf>,
}

impl TargetArgs {
    /// The server that was named, if one was.
    pub(super) fn address(&self) -> Option<Address> {
        let url = self.connect.clone()?;
        Some(Address::url(url, self.token_file.clone()))
    }
}

/// Where a server is, as it can be written down: without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind", deny_unknown_fields)]
pub(super) enum Address {
    /// At a URL.
    Url {
        /// `ws://HOST:PORT` or `unix:///PATH`.
        url: String,
        /// File that holds the token to show.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_file: Option<PathBuf>,
    },
    /// In a file of environments.
    Environment {
        /// Its name there.
        name: String,
        /// The file, if it is not the usual one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        environments: Option<PathBuf>,
    },
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url { url, .. } => f.write_str(url),
            Self::Environment { name, .. } => write!(f, "environment {name}"),
        }
    }
}

impl Address {
    /// A relative path means one in this folder, also when it is used from another.
    pub(super) fn url(url: String, token_file: Option<PathBuf>) -> Self {
        let token_file = token_file.map(|path| std::path::absolute(&path).unwrap_or(path));
        Self::Url { url, token_file }
    }

    /// As [`Self::url`].
    pub(super) fn environment(name: String, environments: Option<PathBuf>) -> Self {
        let environments = environments.map(|path| std::path::absolute(&path).unwrap_or(path));
        Self::Environment { name, environments }
    }

    /// The name, if it has one.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Url { .. } => None,
            Self::Environment { name, .. } => Some(name),
        }
    }

    /// How clients are made for it; `command` is for the server's log.
    pub(super) fn client_config(&self, command: &str) -> Result<ClientConfig, Failure> {
        let (settings, environment) = match self {
            Self::Url { .. } => (settings(/*file*/ None)?, None),
            Self::Environment { name, environments } => {
                let settings = settings(environments.as_deref())?;
                let environment = remote(&settings, name)?.clone();
                (settings, Some(environment))
            }
        };
        let mut config = ClientConfig { client_name: client_config(command).client_name, ..settings.client };
        if let Some(environment) = environment {
            config.initialize_timeout = environment.initialize_timeout.unwrap_or(config.initialize_timeout);
            if let TransportConfig::Url { connect_timeout: Some(timeout), .. } = environment.transport {
                config.connect_timeout = timeout;
            }
        }
        Ok(config)
    }

    /// What makes clients for it, if a program leads there: then a lost connection is the end of the session.
    pub(super) fn program(&self, config: &ClientConfig) -> Result<Option<EnvironmentManager>, Failure> {
        let Self::Environment { name, environments } = self else { return Ok(None) };
        let settings = settings(environments.as_deref())?;
        match remote(&settings, name)?.transport {
            TransportConfig::Url { .. } => Ok(None),
            TransportConfig::Program(_) => {
                Ok(Some(EnvironmentManager::new(settings.environments, config, /*local*/ None)))
            }
        }
    }

    /// The flags that lead there.
    pub(super) fn flags(&self) -> Vec<String> {
        match self {
            Self::Url { url, token_file } => {
                let mut flags = vec!["--connect".to_owned(), url.clone()];
                if let Some(path) = token_file {
                    flags.extend(["--token-file".to_owned(), path.display().to_string()]);
                }
                flags
            }
            Self::Environment { name, environments } => {
                let mut flags = vec!["--env".to_owned(), name.clone()];
                if let Some(path) = environments {
                    flags.extend(["--environments".to_owned(), path.display().to_string()]);
                }
                flags
            }
        }
    }

    /// Connections to it.
    pub(super) fn dialer(&self) -> Result<Dialer, Failure> {
        match self {
            Self::Url { url, token_file } => {
                let bearer_token = token_file.as_deref().map(read_token).transpose()?;
                Ok(Dialer::url(url.clone(), ConnectOptions { bearer_token, ..ConnectOptions::default() }))
            }
            Self::Environment { name, environments } => {
                let settings = settings(environments.as_deref())?;
                match &remote(&settings, name)?.transport {
                    TransportConfig::Url { url, bearer_token, connect_timeout } => {
                        let options = ConnectOptions {
                            bearer_token: bearer_token.as_ref().map(|token| token.reveal().to_owned()),
                            connect_timeout: connect_timeout.unwrap_or(settings.client.connect_timeout),
                            ..ConnectOptions::default()
                        };
                        Ok(Dialer::url(url.to_string(), options))
                    }
                    TransportConfig::Program(_) => Err(format!(
                        "environment {name} is reached through a program, and its sessions end with that: nothing is \
                         left running there"
                    )
                    .into()),
                }
            }
        }
    }

    /// Connects with a session of its own.
    pub(super) async fn connect(&self, config: ClientConfig, teller: Teller) -> Result<Client, Failure> {
        let connecting = Client::connect(self.dialer()?, config);
        match teller.waiting(format_args!("connecting to {self}"), connecting).await {
            Ok(client) => Ok(client),
            Err(error) => Err(self.advice(&error).into()),
        }
    }

    /// What went wrong, and what to do about it.
    pub(super) fn advice(&self, error: &ClientError) -> String {
        let Self::Url { url, token_file } = self else { return format!("{self}: {error}") };
        let ClientError::Dial(dial) = error else { return error.to_string() };
        let DialError::Connect(connect) = &**dial else { return error.to_string() };
        match connect {
            ConnectError::Io { source, .. }
                if matches!(source.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound) =>
            {
                format!(
                    "{error}; is the server running? start it there with: codex-exec-server --listen {url}"
                )
            }
            ConnectError::Unauthorized { .. } if token_file.is_none() => {
                format!("{error}; give the server's token with --token-file PATH")
            }
            ConnectError::Unauthorized { .. } => {
                format!("{error}; check that --token-file names this server's token")
            }
            _ => error.to_string(),
        }
    }
}

/// What commands have in common as clients; `command` is for the server's log.
pub(super) fn client_config(command: &str) -> ClientConfig {
    ClientConfig { client_name: format!("codex-exec-server {command}"), ..ClientConfig::default() }
}

/// This user's settings of clients, with the environments of `file` if it is named.
pub(super) fn settings(file: Option<&Path>) -> Result<ClientSettings, Failure> {
    let flags = ClientFlags { config: None, environments: file.map(Path::to_owned) };
    Ok(ClientSettings::load(&flags)?)
}

/// The environment of that name, other than this machine.
fn remote<'a>(settings: &'a ClientSettings, name: &str) -> Result<&'a EnvironmentConfig, Failure> {
    let environments = &settings.environments;
    match environments.remotes.iter().find(|remote| remote.id.as_str() == name) {
        Some(remote) => Ok(remote),
        None => {
            let manager =
                EnvironmentManager::new(environments.clone(), &settings.client, /*local*/ None);
            match manager.get(name) {
                Ok(_) => Err(format!("environment {name} is this machine").into()),
                Err(error) => Err(error.into()),
            }
        }
    }
}

fn read_token(path: &Path) -> Result<String, Failure> {
    match std::fs::read_to_string(path) {
        Ok(token) => Ok(token.trim().to_owned()),
        Err(error) => Err(format!("--token-file {}: {error}", path.display()).into()),
    }
}
