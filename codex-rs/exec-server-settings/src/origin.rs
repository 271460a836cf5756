//! Where a value comes from.

use std::fmt;

use crate::document::Place;
use crate::key::Setting;

/// The layers of settings; later ones win.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LayerKind {
    /// What holds when nobody says anything.
    Default,
    /// The file of the machine.
    SystemFile,
    /// The file of the user, or the one that was named.
    UserFile,
    /// The environment.
    Variable,
    /// The command line.
    Flag,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// A place in a file.
    File(LayerKind, Place),
    /// That variable.
    Variable(String),
    /// That flag.
    Flag(&'static str),
}

impl Origin {
    /// The layer that it belongs to.
    #[must_use]
    pub const fn layer(&self) -> LayerKind {
        match self {
            Self::Default => LayerKind::Default,
            Self::File(layer, _) => *layer,
            Self::Variable(_) => LayerKind::Variable,
            Self::Flag(_) => LayerKind::Flag,
        }
    }

    /// The setting as it is named there: a flag, a variable, a key with its place.
    #[must_use]
    pub fn name(&self, setting: &Setting) -> String {
        match self {
            Self::Default => format!("`{}`", setting.key),
            Self::File(_, place) => place.to_string(),
            Self::Variable(name) => name.clone(),
            Self::Flag(flag) => (*flag).to_owned(),
        }
    }

    /// How `setting` would be set to `value` there, for advice.
    #[must_use]
    pub fn assignment(&self, setting: &Setting, value: &str) -> String {
        match (self, setting.flag) {
            (Self::Flag(_), Some(flag)) => format!("{flag} {value}"),
            (Self::Variable(_), _) => format!("{}={value}", setting.variable()),
            _ => format!("`{} = {value:?}`", setting.key),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(_, place) => write!(f, "{}:{}", place.file.display(), place.line),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// A value that can't be used: which, from where, and what must be there instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} {problem}")]
pub struct SettingError {
    /// The key of the setting.
    pub key: &'static str,
    /// Where the value comes from.
    pub origin: Box<Origin>,
    name: String,
    problem: String,
}

impl SettingError {
    /// `problem` follows the name of the setting and says what to do.
    #[must_use]
    pub fn new(setting: &Setting, origin: &Origin, problem: String) -> Self {
        Self { key: setting.key, origin: Box::new(origin.clone()), name: origin.name(setting), problem }
    }
}
