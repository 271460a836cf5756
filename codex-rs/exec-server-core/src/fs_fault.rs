//! What can go wrong with a file, with the code and the data that a client is told.
//!
//! Codes and words are the reference peer's wherever it has any: its clients match the text, since it tells them nothing
//! else. What happened is told to programs as [`FsErrorData`].

use std::io;
use std::sync::Arc;

use codex_exec_server_protocol::bytes::Base64Error;
use codex_exec_server_protocol::error_code::{ErrorCode, RpcError};
use codex_exec_server_protocol::fs::{
    FileHandleId, FsErrorData, MAX_BLOCK_BYTES, MAX_FILE_HANDLE_ID_BYTES, MAX_LINK_TARGET_BYTES,
    MAX_STAT_PATHS, MAX_WALK_DEPTH, MAX_WALK_DIRECTORIES, MAX_WALK_ENTRIES,
};
use codex_exec_server_protocol::path_uri::PathUri;

use crate::errno;
use crate::search_fault::SearchFault;
use crate::watch_fault::WatchFault;

/// A file operation that failed. Every variant is something that happened, with what its receiver needs to know.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FsFault {
    /// The system refused or failed. The text is the system's own and nothing else.
    #[error("{source}")]
    Io {
        /// Where; of two paths, the one at fault.
        path: PathUri,
        /// The system's words.
        source: Arc<io::Error>,
    },
    /// An open file can't be read or written; its handle is closed with that.
    #[error("{source}")]
    HandleIo {
        /// What was opened.
        path: PathUri,
        /// The system's words.
        source: Arc<io::Error>,
    },
    /// A path of another kind of host. Holds the whole message.
    #[error("{0}")]
    ForeignPath(String),
    /// A component that hides a separator.
    #[error(
        "path URI `{0}` spells `/` as %2F within a name, which no file of this host has; write it as `/`"
    )]
    EncodedSeparator(PathUri),
    /// Directories, devices, pipes and sockets are neither read nor written as files.
    #[error("path `{native}` is not a file")]
    NotAFile {
        /// The path.
        path: PathUri,
        /// As this host writes it.
        native: String,
    },
    /// More than one answer may hold.
    #[error("file is too large to read: limit is {limit_bytes} bytes")]
    TooLarge {
        /// The file.
        path: PathUri,
        /// The longest that is read in one piece.
        limit_bytes: u64,
    },
    /// What is there is no symbolic link.
    #[error("path is not a symbolic link")]
    NotALink(PathUri),
    /// A text that no symbolic link can have.
    #[error("target of a link must have 1 to {MAX_LINK_TARGET_BYTES} bytes, none of them NUL")]
    LinkTarget(PathUri),
    /// The path itself is a link, and was not to be followed.
    #[error("path contains a symbolic link")]
    SymbolicLink(PathUri),
    /// The reference peer's limit, kept so that nobody relies on it: see `fs/remove`.
    #[error("recursive no-follow removal is unsupported")]
    RecursiveNoFollow(PathUri),
    /// More entries than one answer may hold.
    #[error(
        "directory has more than {limit} entries, the limit of fs/readDirectory; list it in pages, with maxEntries and after"
    )]
    TooManyEntries {
        /// The directory.
        path: PathUri,
        /// How many it may have.
        limit: u64,
    },
    /// A page of a directory that is empty or too long.
    #[error("maxEntries of fs/readDirectory must be between 1 and {0}")]
    PageLength(u64),
    /// The whole content would be lost.
    #[error("fs/copy cannot copy a file to itself")]
    CopyOntoItself(PathUri),
    /// A directory, without being asked for one.
    #[error("fs/copy requires recursive: true when sourcePath is a directory")]
    CopyNeedsRecursive(PathUri),
    /// It would never end.
    #[error("fs/copy cannot copy a directory to itself or one of its descendants")]
    CopyIntoItself(PathUri),
    /// A device, pipe or socket.
    #[error("fs/copy only supports regular files, directories, and symlinks")]
    CopyUnsupported(PathUri),
    /// `fs/walk` was asked to go too far.
    #[error(
        "filesystem walk limits exceed maximums: depth={MAX_WALK_DEPTH}, directories={MAX_WALK_DIRECTORIES}, \
         entries={MAX_WALK_ENTRIES}"
    )]
    WalkTooFar,
    /// `fs/walk` was asked not to go at all.
    #[error("filesystem walk limits must be greater than zero")]
    WalkNowhere,
    /// The content of a file does not decode.
    #[error("fs/writeFile requires valid base64 dataBase64: {0}")]
    BadBase64(Base64Error),
    /// Permission bits that do not exist.
    #[error("mode must be between 0 and 0o7777, got 0o{0:o}")]
    BadMode(u32),
    /// Too many paths in one question.
    #[error("fs/statMany takes at most {MAX_STAT_PATHS} paths, got {0}")]
    TooManyPaths(usize),
    /// A part of a file that is empty or too long.
    #[error("file read range length must be between 1 and {MAX_BLOCK_BYTES}")]
    RangeLength,
    /// A part that is too long.
    #[error("file write range length must be at most {MAX_BLOCK_BYTES}")]
    WriteRangeLength,
    /// A block that is empty or too long. The handle stays open.
    #[error("file read block length must be between 1 and {MAX_BLOCK_BYTES}")]
    ReadBlockLength,
    /// A block that is empty or too long. The handle stays open.
    #[error("file write block length must be between 1 and {MAX_BLOCK_BYTES}")]
    WriteBlockLength,
    /// No room for another open file.
    #[error("at most {0} file handles may be open per connection")]
    TooManyHandles(usize),
    /// The name is taken.
    #[error("file handle `{id}` already exists", id = .0.0)]
    HandleExists(FileHandleId),
    /// A name that is too long.
    #[error("file handle ID must not exceed {MAX_FILE_HANDLE_ID_BYTES} bytes")]
    HandleIdTooLong,
    /// No such open file, or not any more.
    #[error("unknown file handle `{id}`", id = .0.0)]
    UnknownHandle(FileHandleId),
    /// `ifMatch` does not hold; nothing was written.
    #[error("{}", changed(.expected, .etag))]
    Changed {
        /// The file.
        path: PathUri,
        /// What the caller took for its etag.
        expected: String,
        /// What it is; empty if there is no file.
        etag: String,
    },
    /// A search that is refused.
    #[error(transparent)]
    Search(#[from] SearchFault),
    /// A watch that is refused.
    #[error(transparent)]
    Watch(#[from] WatchFault),
    /// A sandbox that has no meaning here, or that nothing here enforces. Holds the whole message; nothing was done.
    #[error("{0}")]
    Sandbox(String),
    /// What a process said that does operations under a policy, told on as it is.
    #[error("{message}", message = .0.message)]
    Relayed(RpcError),
    /// Such a process ended over the operation.
    #[error(
        "the process that does file operations in this sandbox ended before it answered; \
         what was to be changed may have been changed"
    )]
    HelperLost(PathUri),
    /// The operation was given up halfway, since nobody waits for it any more.
    #[error("operation was given up")]
    GivenUp(PathUri),
}

impl FsFault {
    /// What `source` means for `path`.
    pub fn io(path: &PathUri, source: impl Into<io::Error>) -> Self {
        Self::Io { path: path.clone(), source: Arc::new(source.into()) }
    }

    /// The only place where a failed file operation turns into a wire code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Io { source, .. } | Self::HandleIo { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => ErrorCode::NotFound,
                io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput => ErrorCode::InvalidRequest,
                _ => ErrorCode::Internal,
            },
            Self::UnknownHandle(_) => ErrorCode::NotFound,
            Self::RecursiveNoFollow(_) | Self::HelperLost(_) => ErrorCode::Internal,
            Self::Relayed(error) => ErrorCode::from_number(error.code).unwrap_or(ErrorCode::Internal),
            Self::BadMode(_) | Self::Sandbox(_) => ErrorCode::InvalidParams,
            Self::GivenUp(_) => ErrorCode::Cancelled,
            Self::Search(fault) => fault.code(),
            Self::Watch(fault) => fault.code(),
            Self::ForeignPath(_)
            | Self::EncodedSeparator(_)
            | Self::NotAFile { .. }
            | Self::TooLarge { .. }
            | Self::NotALink(_)
            | Self::LinkTarget(_)
            | Self::SymbolicLink(_)
            | Self::TooManyEntries { .. }
            | Self::PageLength(_)
            | Self::CopyOntoItself(_)
            | Self::CopyNeedsRecursive(_)
            | Self::CopyIntoItself(_)
            | Self::CopyUnsupported(_)
            | Self::WalkTooFar
            | Self::WalkNowhere
            | Self::BadBase64(_)
            | Self::TooManyPaths(_)
            | Self::RangeLength
            | Self::WriteRangeLength
            | Self::ReadBlockLength
            | Self::WriteBlockLength
            | Self::TooManyHandles(_)
            | Self::HandleExists(_)
            | Self::HandleIdTooLong
            | Self::Changed { .. } => ErrorCode::InvalidRequest,
        }
    }

    /// What programs are told; `None` where no path is at fault.
    #[must_use]
    pub fn data(&self) -> Option<FsErrorData> {
        let (path, errno, etag) = match self {
            Self::Io { path, source } | Self::HandleIo { path, source } => {
                (path, source.raw_os_error().map(errno::name), None)
            }
            Self::Changed { path, etag, .. } => (path, None, Some(etag.clone())),
            Self::EncodedSeparator(path)
            | Self::NotAFile { path, .. }
            | Self::TooLarge { path, .. }
            | Self::NotALink(path)
            | Self::LinkTarget(path)
            | Self::SymbolicLink(path)
            | Self::RecursiveNoFollow(path)
            | Self::TooManyEntries { path, .. }
            | Self::CopyOntoItself(path)
            | Self::CopyNeedsRecursive(path)
            | Self::CopyIntoItself(path)
            | Self::CopyUnsupported(path)
            | Self::HelperLost(path)
            | Self::GivenUp(path) => (path, None, None),
            Self::ForeignPath(_)
            | Self::WalkTooFar
            | Self::WalkNowhere
            | Self::BadBase64(_)
            | Self::BadMode(_)
            | Self::TooManyPaths(_)
            | Self::RangeLength
            | Self::WriteRangeLength
            | Self::PageLength(_)
            | Self::ReadBlockLength
            | Self::WriteBlockLength
            | Self::TooManyHandles(_)
            | Self::HandleExists(_)
            | Self::HandleIdTooLong
            | Self::UnknownHandle(_)
            | Self::Search(_)
            | Self::Watch(_)
            | Self::Sandbox(_) => return None,
            Self::Relayed(error) => return serde_json::from_value(error.data.clone()?).ok(),
        };
        Some(FsErrorData { errno, path: path.clone(), etag })
    }
}

/// What a caller of `ifMatch` got wrong, in words. The empty etag is that of a file that is not there.
fn changed(expected: &str, etag: &str) -> String {
    match (expected, etag) {
        ("", _) => format!("file exists already: its etag is \"{etag}\""),
        (_, "") => format!("file is not there any more: its etag was to be \"{expected}\""),
        _ => format!("file was changed by somebody else: its etag is \"{etag}\", not \"{expected}\""),
    }
}

#[cfg(test)]
mod tests {
    use codex_exec_server_protocol::error_code::RpcError;
    use serde_json::json;

    use super::*;
    use crate::error::ServiceError;

    fn uri() -> PathUri {
        "file:///tmp/f".parse().expect("a URI")
    }

    #[test]
    fn codes_are_those_that_peers_know_and_words_are_the_systems_own() {
        for (number, code, name) in [
            (2, -32004, "ENOENT"),
            (1, -32600, "EPERM"),
            (13, -32600, "EACCES"),
            (22, -32600, "EINVAL"),
            (20, -32603, "ENOTDIR"),
            (17, -32603, "EEXIST"),
            (28, -32603, "ENOSPC"),
            (5, -32603, "EIO"),
        ] {
            let source = io::Error::from_raw_os_error(number);
            let text = source.to_string();
            let error = RpcError::from(&ServiceError::from(FsFault::io(&uri(), source)));
            assert_eq!((error.code, error.message), (code, text), "{name}");
            assert_eq!(error.data, Some(json!({"errno": name, "path": "file:///tmp/f"})));
        }
    }

    #[test]
    fn a_lost_race_tells_the_etag_that_is_there_instead() {
        let fault = FsFault::Changed { path: uri(), expected: "a".into(), etag: "b".into() };
        let error = RpcError::from(&ServiceError::from(fault));
        assert_eq!(error.code, -32600);
        assert_eq!(error.data, Some(json!({"path": "file:///tmp/f", "etag": "b"})));
    }
}
