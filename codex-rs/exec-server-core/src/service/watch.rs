//! Watches of a machine's files: what is asked stands in [`FileSystem`](super::FileSystem), what comes of it here.

use std::fmt;

use codex_exec_server_protocol::fs::FsChange;
use codex_exec_server_protocol::path_uri::PathUri;

use super::{FsError, ServiceFuture};

/// A watch that stands. Dropping it ends it.
pub trait FileWatch: fmt::Debug + Send {
    /// Where it stands, without symbolic links: the paths of changes begin with it.
    fn path(&self) -> &PathUri;

    /// What has changed since the last call. `None` behind the last one, which says `ended`, or behind an error, which is
    /// told once. Cancel-safe: changes are either returned or still to come.
    ///
    /// Whoever takes them too slowly is told to look again, by `resync`; so is whoever watches over a connection that was
    /// lost meanwhile.
    fn next(&mut self) -> ServiceFuture<'_, Option<Result<Changes, FsError>>>;
}

/// What has changed below a watched path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Oldest first; changes of one path in quick succession may be told as one.
    pub changes: Vec<FsChange>,
    /// Changes were lost before these: look at everything again.
    pub resync: bool,
    /// The watched path itself is gone, or can't be watched any more.
    pub ended: bool,
}
