//! Finding files by name (`fs/glob`) and by content (`fs/search`). Flag `fsSearch`.
//!
//! Matches are pushed in numbered batches while the search runs; the answer comes at the end and says how many batches
//! there were, so that a caller knows when it has all of them. `$/cancel` ends a search early.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::FsWalkEntry;
use crate::path_uri::PathUri;
use crate::sandbox::SandboxContext;

/// Matches that one search may be asked to return.
pub const MAX_SEARCH_MATCHES: u64 = 100_000;
/// Lines around a match that may be asked for, on each side.
pub const MAX_CONTEXT_LINES: u32 = 20;
/// A longer line is cut to this many bytes, around its first match.
pub const MAX_SEARCH_LINE_BYTES: usize = 4096;

/// Names a running search on its connection. Chosen by the client; free again after the answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, TS)]
#[serde(transparent)]
#[ts(type = "string")]
pub struct SearchId(pub String);

/// Which files a search looks at. Globs know `*`, `?`, `[…]`, `{a,b}` and `**`, and are relative to the search's
/// `path`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsSearchScope {
    /// Globs of what is skipped; a directory that matches is not entered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[ts(optional, as = "Option<Vec<String>>")]
    pub exclude: Vec<String>,
    /// Look at names that begin with a dot, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[ts(optional, as = "Option<bool>")]
    pub include_hidden: bool,
    /// Look at what `.gitignore` and `.ignore` files exclude, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[ts(optional, as = "Option<bool>")]
    pub include_ignored: bool,
    /// Enter directories through symbolic links, each target once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[ts(optional, as = "Option<bool>")]
    pub follow_directory_symlinks: bool,
}

/// Parameters of `fs/glob`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsGlobParams {
    /// A name that no running search of this connection has, otherwise -32600.
    pub search_id: SearchId,
    /// The directory to look in.
    pub path: PathUri,
    /// Globs; a path is found if one of them matches. A malformed one, or none at all, is -32602.
    pub patterns: Vec<String>,
    /// What to look at.
    #[serde(default)]
    #[ts(optional, as = "Option<FsSearchScope>")]
    pub scope: FsSearchScope,
    /// Stop after this many matches: 1 to [`MAX_SEARCH_MATCHES`], which is also what absence means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub max_matches: Option<u64>,
    /// Confines this call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sandbox: Option<SandboxContext>,
}

/// Parameters of the notification `fs/glob/matches`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsGlobMatchesNotification {
    /// The search.
    pub search_id: SearchId,
    /// Number of this batch, from 1.
    #[ts(type = "number")]
    pub batch: u64,
    /// What was found, in no particular order.
    pub matches: Vec<FsWalkEntry>,
}

/// Result of `fs/glob`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsGlobResponse {
    /// How many batches were sent; some may still arrive after this answer.
    #[ts(type = "number")]
    pub batches: u64,
    /// How many matches they hold in all.
    #[ts(type = "number")]
    pub matches: u64,
    /// Whether the search stopped at `maxMatches`.
    pub truncated: bool,
    /// How many files and directories could not be looked at.
    #[ts(type = "number")]
    pub unreadable: u64,
}

/// Parameters of `fs/search`. Files that look binary are skipped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsSearchParams {
    /// A name that no running search of this connection has, otherwise -32600.
    pub search_id: SearchId,
    /// The directory to look in, or a single file.
    pub path: PathUri,
    /// What to find within a line: a regular expression, or plain text with `literal`. A malformed one is -32602.
    pub pattern: String,
    /// Take `pattern` as plain text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[ts(optional, as = "Option<bool>")]
    pub literal: bool,
    /// Treat upper and lower case as the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[ts(optional, as = "Option<bool>")]
    pub ignore_case: bool,
    /// Globs; if there are any, only files that match one are read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[ts(optional, as = "Option<Vec<String>>")]
    pub include: Vec<String>,
    /// What to look at.
    #[serde(default)]
    #[ts(optional, as = "Option<FsSearchScope>")]
    pub scope: FsSearchScope,
    /// Lines to show before and after each match, at most [`MAX_CONTEXT_LINES`].
    #[serde(default, skip_serializing_if = "is_zero")]
    #[ts(optional, as = "Option<u32>")]
    pub context_lines: u32,
    /// Stop after this many matching lines: 1 to [`MAX_SEARCH_MATCHES`], which is also what absence means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub max_matches: Option<u64>,
    /// Confines this call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sandbox: Option<SandboxContext>,
}

/// Parameters of the notification `fs/search/matches`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsSearchMatchesNotification {
    /// The search.
    pub search_id: SearchId,
    /// Number of this batch, from 1.
    #[ts(type = "number")]
    pub batch: u64,
    /// What was found: lines of one file in order and together, files in no particular order.
    pub matches: Vec<FsSearchMatch>,
}

/// One matching line. Texts are without line ends; what is not UTF-8 in them is replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsSearchMatch {
    /// The file.
    pub path: PathUri,
    /// Number of the line, from 1.
    #[ts(type = "number")]
    pub line: u64,
    /// The line, cut to [`MAX_SEARCH_LINE_BYTES`].
    pub text: String,
    /// Where `pattern` matches, as positions in `text`.
    pub ranges: Vec<FsTextRange>,
    /// Lines before it, oldest first; as many as were asked for and exist.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[ts(optional, as = "Option<Vec<String>>")]
    pub before: Vec<String>,
    /// Lines after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[ts(optional, as = "Option<Vec<String>>")]
    pub after: Vec<String>,
}

/// A piece of a text, counted in UTF-16 code units: the positions that editors and JavaScript use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsTextRange {
    /// First unit, from 0.
    pub start: u32,
    /// The unit after the last.
    pub end: u32,
}

/// Result of `fs/search`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsSearchResponse {
    /// How many batches were sent; some may still arrive after this answer.
    #[ts(type = "number")]
    pub batches: u64,
    /// How many matches they hold in all.
    #[ts(type = "number")]
    pub matches: u64,
    /// Whether the search stopped at `maxMatches`.
    pub truncated: bool,
    /// How many files and directories could not be looked at.
    #[ts(type = "number")]
    pub unreadable: u64,
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}
