//! What a client is told from outside: its patience, and the environments.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use codex_exec_server_client::ClientConfig;
use codex_exec_server_client::environments::{
    EnvironmentManager, EnvironmentsConfig, EnvironmentsFileError, URL_VARIABLE, UrlVariableError,
    choose_default, from_url_variable, parse,
};
use codex_exec_server_core::service::ExecBackend;
use codex_exec_server_settings::{Effective, Layer, LayerError, SettingError};

use super::keys;
use super::serve::set;
use super::sources::{Absence, FileText, ReadError, Sources, read_file};

/// A client's settings from outside.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// What every client is made with.
    pub client: ClientConfig,
    /// The environments, and which is meant when none is named.
    pub environments: EnvironmentsConfig,
}

/// Why a client's settings can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ClientSettingsError {
    /// A file can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A file or variable of settings has a mistake.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// A value can't be used.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The file of environments has a mistake.
    #[error(transparent)]
    Environments(#[from] EnvironmentsFileError),
    /// The variable of the one environment has a mistake.
    #[error(transparent)]
    UrlVariable(#[from] UrlVariableError),
}

/// What a command line says about a client's settings.
#[derive(Debug, Clone, Default)]
pub struct ClientFlags {
    /// `--config`: the one file of settings to read, or `none`.
    pub config: Option<String>,
    /// `--environments`: the file of environments.
    pub environments: Option<PathBuf>,
}

impl ClientSettings {
    /// The settings of this machine and process.
    ///
    /// # Errors
    /// The first mistake found, with its place.
    pub fn load(flags: &ClientFlags) -> Result<Self, ClientSettingsError> {
        let sources = Sources::from_host(flags.config.as_deref())?;
        sources.warn_of_strays();
        let mut layer = Layer::default();
        let environments = flags.environments.as_ref().map(|path| path.to_string_lossy());
        layer.set_flag(&keys::ENVIRONMENTS, environments.as_deref())?;
        let effective = sources.effective(layer)?;
        let (path, absence) = environments_file(&effective, sources.environments.as_deref());
        let file = match path {
            Some(path) => read_file(&path, absence)?.map(|text| FileText { path, text }),
            None => None,
        };
        Self::of(&effective, file.as_ref(), sources.variables.get(URL_VARIABLE))
    }

    /// What `effective` says, with `file`, the environments, if there is such a file, and otherwise `url_variable`.
    ///
    /// # Errors
    /// The first mistake found, with its place.
    pub fn of(
        effective: &Effective,
        file: Option<&FileText>,
        url_variable: Option<&str>,
    ) -> Result<Self, ClientSettingsError> {
        let mut client = ClientConfig::default();
        set(&mut client.connect_timeout, effective, &keys::CONNECT_TIMEOUT);
        set(&mut client.initialize_timeout, effective, &keys::INITIALIZE_TIMEOUT);
        set(&mut client.recovery_deadline, effective, &keys::RECOVERY_TIMEOUT);
        let mut environments = match file {
            Some(FileText { path, text }) => parse(path, text)?,
            None => from_url_variable(url_variable)?,
        };
        if let Some(default) = effective.get(&keys::DEFAULT_ENVIRONMENT) {
            let unknown = |error: &dyn std::fmt::Display| {
                let problem = format!("names no environment: {error}; \"none\" would disable execution");
                SettingError::new(&keys::DEFAULT_ENVIRONMENT.setting, default.origin, problem)
            };
            environments.default =
                choose_default(&default.value, &environments).map_err(|error| unknown(&error))?;
        }
        Ok(Self { client, environments })
    }

    /// The environments, ready to be used. `local` is this machine, for programs that can run something on it themselves.
    #[must_use]
    pub fn manager(self, local: Option<Arc<dyn ExecBackend>>) -> EnvironmentManager {
        EnvironmentManager::new(self.environments, &self.client, local)
    }
}

/// Where the environments are, and whether they must be there.
fn environments_file(effective: &Effective, usual: Option<&Path>) -> (Option<PathBuf>, Absence) {
    match effective.value(&keys::ENVIRONMENTS) {
        Some(named) => (Some(named), Absence::Mistake),
        None => (usual.map(Path::to_owned), Absence::Fine),
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
