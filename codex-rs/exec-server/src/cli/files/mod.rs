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
pub(super) use self::reading::Reading;

use std::fmt;

use codex_exec_server_core::service::FsError;

use super::Failure;

/// A failure, with what it is about; without the wire's code, which tells people nothing.
pub(super) fn about(what: impl fmt::Display, error: &FsError) -> Failure {
    match error.refusal() {
        Some(refusal) => format!("{what}: {}", refusal.message).into(),
        None => format!("{what}: {error}").into(),
    }
}
