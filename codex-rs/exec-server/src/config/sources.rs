//! The files and variables of this machine that settings are read from. Which they are is decided by [`Locations::of`],
//! from arguments; only [`Sources::from_host`] looks at the machine.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use codex_exec_server_client::environments::FILE_NAME as ENVIRONMENTS_FILE;
use codex_exec_server_settings::{Effective, Layer, LayerError, LayerKind, VARIABLE_PREFIX, stray_variables};

use super::keys::{OTHER_VARIABLES, SETTINGS, defaults};

/// The variable that names the one file to read.
pub const CONFIG_VARIABLE: &str = "CODEX_EXEC_SERVER_CONFIG";
/// What stands in the place of a file to say: none.
pub const NO_FILES: &str = "none";
/// The file of the machine.
const SYSTEM_FILE: &str = "/etc/codex-exec-server/config.toml";
/// The folder of the user's files, below that of all configuration.
const FOLDER: &str = "codex-exec-server";
/// The user's file.
const USER_FILE: &str = "config.toml";
/// Largest file that is read, in bytes; nobody writes one by hand.
const FILE_BYTES: u64 = 1 << 20;

/// A file can't be read.
#[derive(Debug, thiserror::Error)]
#[error("{} can't be read: {source}", path.display())]
pub struct ReadError {
    /// The file.
    pub path: PathBuf,
    /// What the operating system said.
    pub source: io::Error,
}

/// The variables that matter, of the environment of a process.
#[derive(Debug, Clone, Default)]
pub struct Variables {
    home: Option<PathBuf>,
    config_home: Option<PathBuf>,
    ours: BTreeMap<String, String>,
}

impl Variables {
    /// Those of `variables` that matter.
    #[must_use]
    pub fn of(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut found = Self::default();
        for (name, value) in variables {
            let absolute = || Some(PathBuf::from(&value)).filter(|path| path.is_absolute());
            match name.to_str() {
                Some("HOME") => found.home = absolute(),
                // A relative one is to be ignored, says its specification.
                Some("XDG_CONFIG_HOME") => found.config_home = absolute(),
                Some(name) if name.starts_with(VARIABLE_PREFIX) => {
                    found.ours.insert(name.to_owned(), value.to_string_lossy().into_owned());
                }
                _ => {}
            }
        }
        found
    }

    /// What the variable `name`, one of this program, holds.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.ours.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn user_folder(&self) -> Option<PathBuf> {
        let of_home = || Some(self.home.as_ref()?.join(".config"));
        Some(self.config_home.clone().or_else(of_home)?.join(FOLDER))
    }
}

/// Which files are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locations {
    /// Files of settings: the layer, the path, and whether it is a mistake when there is none.
    pub files: Vec<(LayerKind, PathBuf, Absence)>,
    /// Where the environments are, unless they are named elsewhere.
    pub environments: Option<PathBuf>,
}

/// What it means when a file is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// Nothing: it need not be.
    Fine,
    /// A mistake: somebody named it.
    Mistake,
}

impl Locations {
    /// The files of machine and user; only `named`, if somebody named one; none if that is `none`.
    #[must_use]
    pub fn of(named: Option<&str>, variables: &Variables) -> Self {
        match named.or_else(|| variables.get(CONFIG_VARIABLE)) {
            Some(NO_FILES) => Self { files: Vec::new(), environments: None },
            Some(named) => {
                let path = PathBuf::from(named);
                let environments = path.parent().map(|folder| folder.join(ENVIRONMENTS_FILE));
                Self { files: vec![(LayerKind::UserFile, path, Absence::Mistake)], environments }
            }
            None => {
                let user = variables.user_folder();
                let mut files = vec![(LayerKind::SystemFile, PathBuf::from(SYSTEM_FILE), Absence::Fine)];
                files.extend(
                    user.iter().map(|folder| (LayerKind::UserFile, folder.join(USER_FILE), Absence::Fine)),
                );
                Self { files, environments: user.map(|folder| folder.join(ENVIRONMENTS_FILE)) }
            }
        }
    }
}

/// A file that was read.
#[derive(Debug, Clone)]
pub struct FileText {
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub text: String,
}

/// All that settings are read from, as texts.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Files of settings, in the order of their layers.
    pub files: Vec<(LayerKind, FileText)>,
    /// Variables.
    pub variables: Variables,
    /// Where the environments are, unless a setting says otherwise.
    pub environments: Option<PathBuf>,
}

impl Sources {
    /// Those of this machine and process. `named` is the file that was named, as for [`Locations::of`].
    ///
    /// # Errors
    /// When a file can't be read, or one that was named is not there.
    pub fn from_host(named: Option<&str>) -> Result<Self, ReadError> {
        let variables = Variables::of(std::env::vars_os());
        let Locations { files, environments } = Locations::of(named, &variables);
        let mut read = Vec::new();
        for (kind, path, absence) in files {
            if let Some(text) = read_file(&path, absence)? {
                read.push((kind, FileText { path, text }));
            }
        }
        Ok(Self { files: read, variables, environments })
    }

    /// What they say, with `flags` over it.
    ///
    /// # Errors
    /// The first mistake in the lowest layer that has one.
    pub fn effective(&self, flags: Layer) -> Result<Effective, LayerError> {
        let mut layers = vec![defaults()];
        for (kind, FileText { path, text }) in &self.files {
            layers.push(Layer::from_file(SETTINGS, *kind, path, text)?);
        }
        let variables = self.variables.ours.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        layers.push(Layer::from_variables(SETTINGS, variables)?);
        layers.push(flags);
        Ok(Effective::of(layers))
    }

    /// Says in the log which variables look like settings and are none.
    pub fn warn_of_strays(&self) {
        let names = self.variables.ours.keys().map(String::as_str);
        for stray in stray_variables(SETTINGS, OTHER_VARIABLES, names) {
            match stray.suggestion {
                Some(meant) => tracing::warn!("variable {} has no effect; did you mean {meant}?", stray.name),
                None => tracing::warn!("variable {} has no effect", stray.name),
            }
        }
    }
}

/// The text of a file; `None` when it is not there and need not be.
pub(crate) fn read_file(path: &Path, absence: Absence) -> Result<Option<String>, ReadError> {
    let read = || {
        let mut text = String::new();
        let read = File::open(path)?.take(FILE_BYTES + 1).read_to_string(&mut text)?;
        if read as u64 > FILE_BYTES {
            return Err(io::Error::other(format!("it is larger than {FILE_BYTES} bytes")));
        }
        Ok(text)
    };
    match read() {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound && absence == Absence::Fine => Ok(None),
        Err(source) => Err(ReadError { path: path.to_owned(), source }),
    }
}

#[cfg(test)]
#[path = "sources_tests.rs"]
mod tests;
