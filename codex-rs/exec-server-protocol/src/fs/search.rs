//! Finding files by name (`fs/glob`) and by content (`fs/search`). Flag `fsSearch`.
//!
//! Matches are pushed in numbered batches while the search runs; the answer comes at the end and says how many batches
//! there were, so that a caller knows when it has all of them. `$/cancel` ends a search early. With `creditBatches` no
//! more is sent than was granted: a search whose batches are not taken waits, and nothing else does.

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
/// Of a longer line this many bytes are shown, around its first match; of one before or after it, its beginning.
pub const MAX_SEARCH_LINE_BYTES: usize = 4096;
/// Matches within one line that are told; more are left out.
pub const MAX_SEARCH_RANGES: usize = 256;
/// Directories that a search enters below each other; what lies deeper counts as unreadable.
pub const MAX_SEARCH_DEPTH: u32 = 256;
/// A pattern may have so many bytes, and so may all globs of one list together.
pub const MAX_SEARCH_PATTERN_BYTES: usize = 16 << 10;
/// The name of a search may have so many bytes.
pub const MAX_SEARCH_ID_BYTES: usize = 128;

/// Names a running search on its connection. Chosen by the client; free again after the answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, TS)]
#[serde(transparent)]
#[ts(type = "string")]
pub struct SearchId(pub String);

/// Which files a search looks at. Globs know `*`, `?`, `[…]`, `{a,b}` and `**`, and are relative to the search's
/// `path`. `?` and `[…]` stand for one byte: a letter beyond ASCII has several.
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
    /// Look at what `.gitignore`, `.ignore` and `.git/info/exclude` exclude, too. Such files count below `path` and in the
    /// directories above it, as git reads them; a repository's end at its root.
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
    /// How many batches may be sent before the client grants more with `fs/searchCredit`. Absent means any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub credit_batches: Option<u64>,
    /// Confines this call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sandbox: Option<SandboxContext>,
}

impl FsGlobParams {
    /// Everything below `path` that one of `patterns` matches, except what is hidden or ignored. Whoever sends it gives it
    /// a name.
    #[must_use]
    pub fn new(path: PathUri, patterns: Vec<String>) -> Self {
        Self {
            search_id: SearchId(String::new()),
            path,
            patterns,
            scope: FsSearchScope::default(),
            max_matches: None,
            credit_batches: None,
            sandbox: None,
        }
    }
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
    /// Whether the search stopped at `maxMatches`, so that there may be more; or could not keep all directories in mind
    /// that it had still to enter.
    pub truncated: bool,
    /// How many files and directories could not be looked at.
    #[ts(type = "number")]
    pub unreadable: u64,
}

/// Parameters of `fs/search`. A file is read as text, in UTF-8, or in UTF-16 if it begins by saying so, up to the first
/// NUL, since what follows that is no text.
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
    /// How many batches may be sent before the client grants more with `fs/searchCredit`. Absent means any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub credit_batches: Option<u64>,
    /// Confines this call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sandbox: Option<SandboxContext>,
}

impl FsSearchParams {
    /// Every line below `path` in which the regular expression `pattern` matches, except in what is hidden or ignored.
    /// Whoever sends it gives it a name.
    #[must_use]
    pub fn new(path: PathUri, pattern: impl Into<String>) -> Self {
        Self {
            search_id: SearchId(String::new()),
            path,
            pattern: pattern.into(),
            literal: false,
            ignore_case: false,
            include: Vec::new(),
            scope: FsSearchScope::default(),
            context_lines: 0,
            max_matches: None,
            credit_batches: None,
            sandbox: None,
        }
    }
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
    /// The line, or [`MAX_SEARCH_LINE_BYTES`] of it.
    pub text: String,
    /// Where `pattern` matches, as positions in `text`; the first [`MAX_SEARCH_RANGES`].
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

/// Parameters of the notification `fs/searchCredit`: the server may send more batches of a search that was asked for with
/// `creditBatches`. For one that is over, or unknown, it means nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FsSearchCreditNotification {
    /// The search, of either kind.
    pub search_id: SearchId,
    /// How many batches more.
    #[ts(type = "number")]
    pub batches: u64,
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
    /// Whether the search stopped at `maxMatches`, so that there may be more; or could not keep all directories in mind
    /// that it had still to enter.
    pub truncated: bool,
    /// How many files and directories could not be looked at.
    #[ts(type = "number")]
    pub unreadable: u64,
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}
