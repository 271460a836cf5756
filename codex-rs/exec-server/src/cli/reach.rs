//! Which machine a command is for, said by name or by address, and the connection to it.

use std::fmt;
use std::path::PathBuf;

use codex_exec_server_client::environments::{
    DefaultEnvironment, EnvironmentError, EnvironmentKind, EnvironmentManager,
};
use codex_exec_server_client::{Client, ClientConfig};

use serde::{Serialize, Serializer};

use super::Failure;
use super::embedded::Embedded;
use super::target::{Address, TargetArgs, settings};
use super::teller::Teller;

/// Flags that say which machine.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct ReachArgs {
    /// Environment to reach, by its name in environments.toml; `local` is this machine [default: the default
    /// environment]
    #[arg(long = "env", value_name = "NAME", conflicts_with = "connect")]
    environment: Option<String>,
    /// File of environments [default: environments.toml in the user's configuration]
    #[arg(long, value_name = "PATH", conflicts_with = "connect")]
    environments: Option<PathBuf>,
    #[command(flatten)]
    target: TargetArgs,
}

/// A machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Goal {
    /// This one, without a server elsewhere.
    Here,
    /// One with a server.
    There(Address),
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here => f.write_str("this machine"),
            Self::There(address) => address.fmt(f),
        }
    }
}

impl Serialize for Goal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Local {
            kind: &'static str,
        }
        match self {
            Self::Here => Local { kind: "local" }.serialize(serializer),
            Self::There(address) => address.serialize(serializer),
        }
    }
}

impl ReachArgs {
    /// Of what `run` says in its own flags.
    pub(super) const fn new(
        environment: Option<String>,
        environments: Option<PathBuf>,
        target: TargetArgs,
    ) -> Self {
        Self { environment, environments, target }
    }

    /// The machine that was named, if one was.
    pub(super) fn named(&self) -> Result<Option<Goal>, Failure> {
        match (self.target.address(), &self.environment) {
            (Some(address), None) => Ok(Some(Goal::There(address))),
            (Some(_), Some(_)) => Err("--connect and --env both say where; give one of them".into()),
            (None, None) => Ok(None),
            (None, Some(name)) => {
                let settings = settings(self.environments.as_deref())?;
                let manager =
                    EnvironmentManager::new(settings.environments, &settings.client, /*local*/ None);
                Ok(Some(self.goal(name, manager.get(name)?.kind())))
            }
        }
    }

    /// The machine that was named, or the default environment.
    pub(super) fn find(&self) -> Result<Goal, Failure> {
        if let Some(goal) = self.named()? {
            return Ok(goal);
        }
        let settings = settings(self.environments.as_deref())?;
        match &settings.environments.default {
            DefaultEnvironment::Disabled(by) => Err(EnvironmentError::Disabled(*by).into()),
            DefaultEnvironment::Is(id) => {
                let manager = EnvironmentManager::new(
                    settings.environments.clone(),
                    &settings.client,
                    /*local*/ None,
                );
                Ok(self.goal(id.as_str(), manager.get(id.as_str())?.kind()))
            }
        }
    }

    fn goal(&self, name: &str, kind: EnvironmentKind) -> Goal {
        match kind {
            EnvironmentKind::Local => Goal::Here,
            EnvironmentKind::Url | EnvironmentKind::Program | EnvironmentKind::Custom => {
                Goal::There(Address::environment(name.to_owned(), self.environments.clone()))
            }
        }
    }
}

/// A machine with a connection. Ends with [`Reached::close`].
pub(super) struct Reached {
    pub(super) client: Client,
    /// Where the session can be found again, if it can.
    pub(super) address: Option<Address>,
    /// The server, if it is in this process.
    pub(super) embedded: Option<Embedded>,
    /// Whose program leads to the server, if one does.
    manager: Option<EnvironmentManager>,
}

impl Reached {
    /// Connects, or starts a server in this process. `adjust` has the last word on how.
    pub(super) async fn open(
        goal: &Goal,
        command: &str,
        adjust: impl FnOnce(&mut ClientConfig),
        teller: Teller,
    ) -> Result<Self, Failure> {
        match goal {
            Goal::Here => {
                let mut config = ClientConfig::default();
                adjust(&mut config);
                let embedded = Embedded::start()?;
                let client = Client::connect(embedded.dialer(), config).await?;
                Ok(Self { client, address: None, embedded: Some(embedded), manager: None })
            }
            Goal::There(address) => {
                let mut config = address.client_config(command)?;
                adjust(&mut config);
                if let Some(manager) = address.program(&config)? {
                    let connecting = async { manager.find(address.name())?.client().await };
                    let client = teller.waiting(format_args!("connecting to {address}"), connecting).await?;
                    return Ok(Self { client, address: None, embedded: None, manager: Some(manager) });
                }
                let client = address.connect(config, teller).await?;
                Ok(Self::at(address, client))
            }
        }
    }

    /// By a connection that is there already.
    pub(super) fn at(address: &Address, client: Client) -> Self {
        Self { client, address: Some(address.clone()), embedded: None, manager: None }
    }

    /// Ends the server in this process with all its processes, or the program that leads to one.
    pub(super) async fn close(self) {
        if let Some(embedded) = self.embedded {
            embedded.shut_down().await;
        }
        if let Some(manager) = self.manager {
            manager.close().await;
        }
    }
}
