//! A name that leads to no environment, and what to use instead.

use std::fmt;

use codex_exec_server_settings::closest;

use super::id::LOCAL;

/// There is no environment of that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownEnvironment {
    /// As it was asked for.
    pub id: String,
    /// What there is.
    pub ids: Vec<String>,
}

impl UnknownEnvironment {
    pub(super) fn new<'i>(id: &str, ids: impl IntoIterator<Item = &'i str>) -> Self {
        Self { id: id.to_owned(), ids: ids.into_iter().map(str::to_owned).collect() }
    }
}

impl fmt::Display for UnknownEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no environment {:?}", self.id)?;
        if self.id == LOCAL {
            f.write_str(", as this machine is left out")?;
        } else if let Some(meant) = closest(&self.id, self.ids.iter().map(String::as_str)) {
            return write!(f, "; did you mean {meant:?}?");
        }
        match &*self.ids {
            [] => f.write_str("; there is none at all"),
            ids => write!(f, "; there is {}", ids.join(", ")),
        }
    }
}

impl std::error::Error for UnknownEnvironment {}
