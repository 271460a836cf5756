//! What the commands about files have in common: the machine, its paths, and reading from it.
//!
//! ```text
//! path on the command line → host (whose files, where a relative path begins) → FileSystem
//!                                                 reading, listing: a file and a directory piece by piece
//! ```

mod host;
mod listing;
mod names;
mod reading;

pub(super) use self::host::{Host, uri};
pub(super) use self::listing::{Entry, Kind, Listing};
pub(super) use self::names::{for_output, shown};
pub(super) use self::reading::{BLOCK_BYTES, Reading};

use std::fmt;

use codex_exec_server_core::service::FsError;

use super::Failure;

/// A file operation that failed, with what it is about; without the wire's code, which tells people nothing.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {}", words(.error))]
pub(super) struct Fault {
    what: String,
    error: FsError,
}

fn words(error: &FsError) -> String {
    error.refusal().map_or_else(|| error.to_string(), |refusal| refusal.message.clone())
}

impl Fault {
    /// Whether the machine was asked and could not do it, rather than nobody having been asked.
    pub(super) fn is_refused(&self) -> bool {
        match &self.error {
            FsError::NotFound(_) | FsError::Changed { .. } | FsError::Refused(_) => true,
            FsError::Unsupported(_)
            | FsError::OutcomeUnknown
            | FsError::SearchLost(_)
            | FsError::Disconnected(_) => false,
        }
    }

    /// Whether nothing else will succeed either: there is no connection any more, the server can't do it, or there is no
    /// room on the disk.
    pub(super) fn is_fatal(&self) -> bool {
        let is_full = || {
            let errno = self.error.data().and_then(|data| data.errno);
            errno.is_some_and(|name| ["ENOSPC", "EDQUOT", "EROFS"].contains(&name.as_str()))
        };
        matches!(self.error, FsError::Disconnected(_) | FsError::Unsupported(_)) || is_full()
    }
}

/// A [`Fault`].
pub(super) fn about(what: impl fmt::Display, error: &FsError) -> Failure {
    Fault { what: what.to_string(), error: error.clone() }.into()
}
