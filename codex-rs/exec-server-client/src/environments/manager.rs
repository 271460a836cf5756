//! All environments by name, and which is meant when none is named.

use std::sync::Arc;

use codex_exec_server_core::service::ExecBackend;
use tokio::task::JoinSet;

use super::config::{DefaultEnvironment, DisabledBy, EnvironmentsConfig};
use super::environment::Environment;
use super::error::EnvironmentError;
use super::id::{EnvironmentId, LOCAL};
use super::unknown::UnknownEnvironment;
use crate::config::ClientConfig;

/// See the module. Nothing is connected before it is used.
///
/// That execution is disabled for callers is a state of its own: look-ups answer [`EnvironmentError::Disabled`], while
/// the program itself still reaches this machine by [`internal_local`](Self::internal_local).
#[derive(Debug)]
pub struct EnvironmentManager {
    /// In the order in which they are shown: this machine first, unless it is left out.
    environments: Vec<Arc<Environment>>,
    default: DefaultEnvironment,
    internal_local: Option<Arc<dyn ExecBackend>>,
}

impl EnvironmentManager {
    /// The environments of `config`. Clients are made as `client` says, as far as an environment does not say otherwise.
    /// `local` is this machine, for programs that can run something on it themselves.
    #[must_use]
    pub fn new(
        config: EnvironmentsConfig,
        client: &ClientConfig,
        local: Option<Arc<dyn ExecBackend>>,
    ) -> Self {
        let here = config.include_local.then(|| Environment::local(local.clone()));
        let there = config.remotes.into_iter().map(|remote| Environment::remote(remote, client));
        Self {
            environments: here.into_iter().chain(there).map(Arc::new).collect(),
            default: config.default,
            internal_local: local,
        }
    }

    /// Adds one that is reached by other means, in place of one that has the same name.
    pub fn insert(&mut self, environment: Environment) {
        self.environments.retain(|present| present.id() != environment.id());
        self.environments.push(Arc::new(environment));
    }

    /// All that callers may use.
    #[must_use]
    pub fn environments(&self) -> &[Arc<Environment>] {
        &self.environments
    }

    /// Which is meant when none is named.
    #[must_use]
    pub const fn default_choice(&self) -> &DefaultEnvironment {
        &self.default
    }

    /// The one that is meant when none is named.
    ///
    /// # Errors
    /// [`EnvironmentError::Disabled`] when there is none.
    pub fn default_environment(&self) -> Result<Arc<Environment>, EnvironmentError> {
        match &self.default {
            DefaultEnvironment::Is(id) => self.get(id.as_str()),
            DefaultEnvironment::Disabled(by) => Err(EnvironmentError::Disabled(*by)),
        }
    }

    /// The one of that name.
    ///
    /// # Errors
    /// [`EnvironmentError::Unknown`], or [`EnvironmentError::Disabled`] when there is none at all.
    pub fn get(&self, id: &str) -> Result<Arc<Environment>, EnvironmentError> {
        if let Some(environment) =
            self.environments.iter().find(|environment| environment.id().as_str() == id)
        {
            return Ok(Arc::clone(environment));
        }
        if let DefaultEnvironment::Disabled(by @ DisabledBy::Variable) = self.default {
            return Err(EnvironmentError::Disabled(by));
        }
        let ids = self.environments.iter().map(|environment| environment.id().as_str());
        Err(UnknownEnvironment::new(id, ids).into())
    }

    /// The one named, or the default.
    ///
    /// # Errors
    /// As [`get`](Self::get) and [`default_environment`](Self::default_environment).
    pub fn find(&self, id: Option<&str>) -> Result<Arc<Environment>, EnvironmentError> {
        id.map_or_else(|| self.default_environment(), |id| self.get(id))
    }

    /// This machine, for callers.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn local(&self) -> Result<Arc<Environment>, EnvironmentError> {
        self.get(LOCAL)
    }

    /// This machine for the program's own ends, whether or not callers may use it.
    #[must_use]
    pub fn internal_local(&self) -> Option<Arc<dyn ExecBackend>> {
        self.internal_local.clone()
    }

    /// Whether `id` is the one that is meant when none is named.
    #[must_use]
    pub fn is_default(&self, id: &EnvironmentId) -> bool {
        matches!(&self.default, DefaultEnvironment::Is(default) if default == id)
    }

    /// Ends every client, and the programs that lead to them. From now on no environment can be used but this machine.
    pub async fn close(&self) {
        // Side by side, as a program may take a while to end.
        let mut closing = JoinSet::new();
        for environment in &self.environments {
            let environment = Arc::clone(environment);
            closing.spawn(async move { environment.close().await });
        }
        closing.join_all().await;
    }
}
