//! Where a command runs, and what it starts with there: connection, working directory, environment.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use codex_exec_server_client::{Client, ClientConfig, ClientError, DialError, Dialer};
use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_protocol::process::{EnvInherit, EnvPolicy, ProcessStartParams};
use codex_exec_server_transport::client::{ConnectError, ConnectOptions};

use super::embedded::Embedded;
use super::terminal::window_size;
use super::{Failure, RunArgs, input};

/// See the module.
pub(super) struct Place {
    pub(super) client: Client,
    pub(super) embedded: Option<Embedded>,
}

impl Place {
    /// Connects to where `args` say, or starts a server in this process.
    pub(super) async fn find(args: &RunArgs) -> Result<Self, Failure> {
        let (dialer, embedded) = match &args.connect {
            Some(url) => (Dialer::url(url.clone(), connect_options(args).await?), None),
            None => {
                let embedded = Embedded::start()?;
                (embedded.dialer(), Some(embedded))
            }
        };
        let config = ClientConfig { client_name: "codex-exec-server run".into(), ..ClientConfig::default() };
        match Client::connect(dialer, config).await {
            Ok(client) => Ok(Self { client, embedded }),
            Err(error) => Err(advice(&error, args).into()),
        }
    }

    /// What to start.
    pub(super) fn start_params(&self, args: &RunArgs) -> Result<ProcessStartParams, Failure> {
        let environment = &self.client.peer().environment;
        let flags = &environment.capabilities;
        let mut env: BTreeMap<String, String> = BTreeMap::new();
        if args.tty
            && let Ok(term) = std::env::var("TERM")
        {
            env.insert("TERM".into(), term);
        }
        env.extend(args.env.iter().cloned());
        let size = if args.tty && flags.process_resize { window_size() } else { None };
        let timeout = args.timeout.filter(|_| flags.process_timeout);
        Ok(ProcessStartParams {
            process_id: "run".into(),
            argv: args.command.clone(),
            cwd: self.cwd(args, environment.cwd.as_ref())?,
            env,
            tty: args.tty,
            env_policy: Some(self.env_policy()),
            pipe_stdin: args.tty || input::is_wanted(flags.process_stdin_close),
            arg0: None,
            sandbox: None,
            enforce_managed_network: false,
            managed_network: None,
            network_proxy: None,
            shell_snapshot: None,
            metadata: None,
            output: None,
            size,
            timeout_ms: timeout.map(|limit| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX).max(1)),
            limits: None,
            request_key: None,
        })
    }

    /// Another machine's environment is not ours to hand on, least of all its secrets; our own goes on as it is.
    fn env_policy(&self) -> EnvPolicy {
        let here = self.embedded.is_some();
        EnvPolicy {
            inherit: if here { EnvInherit::All } else { EnvInherit::Core },
            ignore_default_excludes: here,
            exclude: Vec::new(),
            set: BTreeMap::new(),
            include_only: Vec::new(),
        }
    }

    fn cwd(&self, args: &RunArgs, server: Option<&PathUri>) -> Result<PathUri, Failure> {
        let asked = args.cwd.as_deref().unwrap_or(Path::new(""));
        if asked.is_absolute() {
            return Ok(PathUri::try_from(asked)?);
        }
        let base: PathBuf = if self.embedded.is_some() {
            std::env::current_dir()?
        } else {
            let server = server
                .ok_or("the server does not tell its working directory; give an absolute one with --cwd")?;
            if args.cwd.is_none() {
                return Ok(server.clone());
            }
            server.to_path()?
        };
        Ok(PathUri::try_from(base.join(asked).as_path())?)
    }
}

async fn connect_options(args: &RunArgs) -> Result<ConnectOptions, Failure> {
    let bearer_token = match &args.token_file {
        Some(path) => match std::fs::read_to_string(path) {
            Ok(token) => Some(token.trim().to_owned()),
            Err(error) => return Err(format!("--token-file {}: {error}", path.display()).into()),
        },
        None => None,
    };
    Ok(ConnectOptions { bearer_token, ..ConnectOptions::default() })
}

/// What went wrong, and what to do about it.
fn advice(error: &ClientError, args: &RunArgs) -> String {
    let url = args.connect.as_deref().unwrap_or_default();
    let ClientError::Dial(dial) = error else { return error.to_string() };
    let DialError::Connect(connect) = &**dial else { return error.to_string() };
    match connect {
        ConnectError::Io { source, .. }
            if matches!(source.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound) =>
        {
            format!("{error}; is the server running? start it there with: codex-exec-server --listen {url}")
        }
        ConnectError::Unauthorized { .. } if args.token_file.is_none() => {
            format!("{error}; give the server's token with --token-file PATH")
        }
        ConnectError::Unauthorized { .. } => {
            format!("{error}; check that --token-file names this server's token")
        }
        _ => error.to_string(),
    }
}
