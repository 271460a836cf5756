//! Hearing about changes: one path that does not exist yet, or a tree that does.
//!
//! Watches belong to their connection and end with it. A connection has one space of names for both kinds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::path_uri::PathUri;
use crate::sandbox::SandboxContext;

/// Names a watch on its connection. Chosen by the client; best used once, since notifications of a watch that was ended may
/// still be on their way.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, TS,
)]
#[serde(transparent)]
#[ts(type = "number")]
pub struct WatchId(pub u64);

/// Paths that one `fs/watchMissing` may name; beyond that it is answered `watching: false`.
pub const MAX_MISSING_PATHS: usize = 64;

/// Parameters of `fs/watchMissing`: one notification as soon as one of these paths, or the first missing parent of one,
/// comes into existence, or what led there goes away. Flag `fsWatchMissing`.
///
/// A connection has one such watch, its newest: another one takes its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsWatchMissingParams {
    /// A name above those of every `fs/watchMissing` before it on this connection, the failed ones included, and above 0.
    pub watch_id: WatchId,
    /// 1 to 64 paths that do not exist.
    pub missing: Vec<PathUri>,
    /// A path that exists, which the caller found while it looked for the others: that it changes or goes away is told, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub present: Option<PathUri>,
}

/// Result of `fs/watchMissing`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsWatchMissingResponse {
    /// False if no notification will come: the list is empty or too long, one of the paths exists already, a symbolic link
    /// stands on the way to one, the name was used, or the server can't watch there. Whoever asked looks for itself.
    pub watching: bool,
}

/// Parameters of the notification `fs/missingChanged`, which is sent once per watch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsMissingChangedNotification {
    /// The watch, which is over now.
    pub watch_id: WatchId,
}

/// Parameters of `fs/watch`: hear about every change until `fs/unwatch`. Flag `fsWatch`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsWatchParams {
    /// A name that no watch of this connection has, otherwise -32600.
    pub watch_id: WatchId,
    /// An existing file or directory.
    pub path: PathUri,
    /// Watch everything below the directory, and not only its direct children.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[ts(optional, as = "Option<bool>")]
    pub recursive: bool,
    /// Globs, relative to `path`, of what is not of interest. Directories that match are not watched at all, which is
    /// what keeps a watch on a large tree affordable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[ts(optional, as = "Option<Vec<String>>")]
    pub exclude: Vec<String>,
    /// Confines this watch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sandbox: Option<SandboxContext>,
}

/// Result of `fs/watch`. From now on nothing is missed without notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsWatchResponse {
    /// Where the watch really stands, without symbolic links: the paths in `fs/changed` begin with it.
    pub path: PathUri,
}

/// Parameters of `fs/unwatch`, for watches of either kind. An unknown one is fine. Flag `fsWatch`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsUnwatchParams {
    /// The watch to end. Notifications that are on their way may still arrive.
    pub watch_id: WatchId,
}

/// Parameters of the notification `fs/changed`. Flag `fsWatch`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsChangedNotification {
    /// The watch.
    pub watch_id: WatchId,
    /// What changed, oldest first; changes of one path in quick succession may be reported as one.
    pub changes: Vec<FsChange>,
    /// Changes were lost before these (the system's queue, or ours, was full): look at everything again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[ts(optional, as = "Option<bool>")]
    pub resync: bool,
    /// The watched path itself is gone, and the watch with it; or, with `resync`, it could not go on, and whoever sets it again is
    /// told why. This is its last notification.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[ts(optional, as = "Option<bool>")]
    pub ended: bool,
}

/// One change below a watched path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsChange {
    /// Where.
    pub path: PathUri,
    /// What happened.
    pub kind: FsChangeKind,
}

/// What happened to a path. A move is a removal here and a creation there, as far as either place is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub enum FsChangeKind {
    /// It came into existence.
    Created,
    /// Its content or its permissions changed.
    Modified,
    /// It went away.
    Removed,
}
