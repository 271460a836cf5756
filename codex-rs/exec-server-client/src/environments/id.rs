//! The name of an environment.

use std::fmt;

/// Longest id, in characters.
pub const MAX_ID_CHARS: usize = 64;
/// The id of the environment that is this machine.
pub const LOCAL: &str = "local";
/// What stands in the place of an id to say: no environment.
pub const NONE: &str = "none";

/// Names an environment: up to 64 letters, digits, `-` and `_`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnvironmentId(String);

/// Why a text is no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// There is nothing.
    #[error("is empty")]
    Empty,
    /// There is too much.
    #[error("is longer than {MAX_ID_CHARS} characters")]
    TooLong,
    /// There is something else.
    #[error("holds {0:?}; only letters, digits, - and _ of ASCII may be used")]
    Character(char),
}

impl EnvironmentId {
    /// The id of this machine.
    #[must_use]
    pub fn local() -> Self {
        Self(LOCAL.to_owned())
    }

    /// Takes `text` for an id.
    ///
    /// # Errors
    /// [`IdError`] when it is none.
    pub fn new(text: &str) -> Result<Self, IdError> {
        if text.is_empty() {
            return Err(IdError::Empty);
        }
        let foreign = |c: &char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        match text.chars().find(foreign) {
            Some(character) => Err(IdError::Character(character)),
            None if text.len() > MAX_ID_CHARS => Err(IdError::TooLong),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// The id as a text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EnvironmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
