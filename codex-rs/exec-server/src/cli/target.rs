//! Which server a command is for: the flags that say so, and connecting to it.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use codex_exec_server_client::{Client, ClientConfig, ClientError, DialError, Dialer};
use codex_exec_server_transport::client::{ConnectError, ConnectOptions};
use serde::{Deserialize, Serialize};

use super::Failure;
use super::teller::Teller;

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
    /// The server that was named.
    pub(super) fn required(&self) -> Result<Address, Failure> {
        self.address().ok_or_else(|| "which server? say it with --connect URL".into())
    }

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
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url { url, .. } => f.write_str(url),
        }
    }
}

impl Address {
    /// A relative path means one in this folder, also when it is used from another.
    pub(super) fn url(url: String, token_file: Option<PathBuf>) -> Self {
        let token_file = token_file.map(|path| std::path::absolute(&path).unwrap_or(path));
        Self::Url { url, token_file }
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
        }
    }

    /// Connections to it.
    pub(super) fn dialer(&self) -> Result<Dialer, Failure> {
        match self {
            Self::Url { url, token_file } => {
                let bearer_token = token_file.as_deref().map(read_token).transpose()?;
                Ok(Dialer::url(url.clone(), ConnectOptions { bearer_token, ..ConnectOptions::default() }))
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
        let Self::Url { url, token_file } = self;
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

fn read_token(path: &Path) -> Result<String, Failure> {
    match std::fs::read_to_string(path) {
        Ok(token) => Ok(token.trim().to_owned()),
        Err(error) => Err(format!("--token-file {}: {error}", path.display()).into()),
    }
}
