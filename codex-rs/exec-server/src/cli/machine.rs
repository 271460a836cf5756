//! The machine that a command is for, by name, by URL, or the default one: the flags that say which, and what runs
//! processes there.
//!
//! The machine may be this one. Nothing is kept beyond the command: whatever still runs at its end is ended.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use codex_exec_server_client::Client;
use codex_exec_server_client::environments::{EnvironmentKind, EnvironmentManager};
use codex_exec_server_core::service::ExecBackend;
use codex_exec_server_local::{LocalBackend, Orphans};
use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_protocol::process::{EnvInherit, EnvPolicy};
use tokio::time::timeout;

use super::Failure;
use super::console::tell_status;
use super::target::{TargetArgs, client_config};
use super::teller::Teller;
use crate::config::client::{ClientFlags, ClientSettings};

/// How long a server, or processes that run here, may take to say good-bye.
const FAREWELL: Duration = Duration::from_secs(5);

/// Flags that say which machine.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct MachineArgs {
    /// Environment to run in, by its name in environments.toml; `local` is this machine [default: the default
    /// environment]
    #[arg(long = "env", value_name = "NAME", conflicts_with = "connect")]
    environment: Option<String>,
    #[command(flatten)]
    target: TargetArgs,
    /// File of environments [default: environments.toml in the user's configuration]
    #[arg(long, value_name = "PATH", conflicts_with = "connect")]
    environments: Option<PathBuf>,
}

/// See the module. Ends with [`Machine::close`].
pub(super) struct Machine {
    pub(super) backend: Arc<dyn ExecBackend>,
    /// The connection to it. `None` when it is this one.
    pub(super) client: Option<Client>,
    local: Arc<LocalBackend>,
    /// Whose clients have to be ended.
    manager: Option<EnvironmentManager>,
    /// Held for as long as there may be any.
    _orphans: Option<Orphans>,
}

impl Machine {
    /// Connects to the machine that `args` name; `command` is for the server's log.
    pub(super) async fn find(args: &MachineArgs, command: &str) -> Result<Self, Failure> {
        let local = Arc::new(LocalBackend::from_process());
        if let Some(address) = args.target.address() {
            let client = address.connect(client_config(command), Teller::default()).await?;
            let backend = Arc::new(client.clone());
            return Ok(Self { backend, client: Some(client), local, manager: None, _orphans: None });
        }
        let flags = ClientFlags { config: None, environments: args.environments.clone() };
        let mut settings = ClientSettings::load(&flags)?;
        settings.client.client_name = client_config(command).client_name;
        let manager = settings.manager(Some(Arc::<LocalBackend>::clone(&local)));
        let environment = manager.find(args.environment.as_deref())?;
        let (client, orphans) = match environment.kind() {
            EnvironmentKind::Local => (None, Some(Orphans::adopt()?)),
            EnvironmentKind::Url | EnvironmentKind::Program | EnvironmentKind::Custom => {
                let what = format!("connecting to {}", environment.description());
                let connecting = environment.client();
                let client = Teller::default().waiting(format_args!("{what}"), connecting).await?;
                (Some(client), None)
            }
        };
        let backend = environment.backend().await?;
        Ok(Self { backend, client, local, manager: Some(manager), _orphans: orphans })
    }

    /// What a program gets of the machine's own environment. Another machine's is not ours to hand on, least of all its
    /// secrets; our own goes on as it is.
    pub(super) fn env_policy(&self) -> EnvPolicy {
        let here = self.client.is_none();
        EnvPolicy {
            inherit: if here { EnvInherit::All } else { EnvInherit::Core },
            ignore_default_excludes: here,
            exclude: Vec::new(),
            set: Default::default(),
            include_only: Vec::new(),
        }
    }

    /// Where a program runs: a relative path starts from where it would run without one.
    pub(super) fn cwd(&self, asked: Option<&Path>) -> Result<Option<PathUri>, Failure> {
        let base = match (asked, &self.client) {
            (Some(path), _) if path.is_absolute() => return Ok(Some(PathUri::try_from(path)?)),
            (_, None) => std::env::current_dir()?,
            (None, Some(_)) => return Ok(None),
            (Some(_), Some(_)) => {
                let told = self.backend.environment().cwd.clone();
                let told =
                    told.ok_or("the server does not tell its working directory; give an absolute one")?;
                told.to_path()?
            }
        };
        Ok(Some(PathUri::try_from(base.join(asked.unwrap_or(Path::new(""))).as_path())?))
    }

    /// Tells people when the connection is lost.
    pub(super) async fn tell_status(&self) -> Infallible {
        match &self.client {
            Some(client) => tell_status(client.status(), Teller::default()).await,
            None => std::future::pending().await,
        }
    }

    /// Ends what runs here, and lets go of a server in good order.
    pub(super) async fn close(self) {
        let closing = async {
            match (&self.client, &self.manager) {
                (_, Some(manager)) => manager.close().await,
                (Some(client), None) => client.close().await,
                (None, None) => {}
            }
            self.local.shut_down().await;
        };
        // Nothing depends on it any more.
        let _ = timeout(FAREWELL, closing).await;
    }
}
