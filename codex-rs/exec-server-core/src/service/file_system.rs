//! Files and directories of a machine, whether it is this one or one behind a connection.
//!
//! Parameters and answers are those of the wire, so that nothing that can be asked is lost on the way. Names that only
//! matter to a connection, of handles, watches and searches, are chosen by the implementation: what comes back is an
//! object.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use codex_exec_server_protocol::environment::EnvironmentCapabilities;
use codex_exec_server_protocol::error_code::{ErrorCode, RpcError};
use codex_exec_server_protocol::fs::{
    FsAppendParams, FsAppendResponse, FsCanonicalizeParams, FsCanonicalizeResponse, FsCopyParams,
    FsCreateDirectoryParams, FsCreateLinkParams, FsDigestParams, FsDigestResponse, FsErrorData,
    FsGetMetadataParams, FsGetMetadataResponse, FsGlobParams, FsOpenMode, FsReadBlockResponse,
    FsReadDirectoryParams, FsReadDirectoryResponse, FsReadFileParams, FsReadLinkParams, FsReadLinkResponse,
    FsReadRangeParams, FsReadRangeResponse, FsRemoveParams, FsRenameParams, FsSearchMatch, FsSearchParams,
    FsSetPermissionsParams, FsStatManyParams, FsStatManyResponse, FsWalkEntry, FsWalkParams, FsWalkResponse,
    FsWatchParams, FsWriteFileParams, FsWriteFileResponse, FsWriteRangeParams, FsWriteRangeResponse,
};
use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_protocol::sandbox::SandboxContext;

use super::{FileSearch, FileWatch, ServiceFuture};
use crate::error::ServiceError;
use crate::fs_fault::FsFault;

/// Files and directories of a machine.
///
/// What changes something is done or certainly not done when it fails, except for [`FsError::OutcomeUnknown`]; a tree
/// that is copied or removed may be half done, and the error names the path at which it stopped. Dropping a future gives
/// up waiting: what has begun to change a file still runs to its end.
pub trait FileSystem: fmt::Debug + Send + Sync {
    /// A whole regular file, at most [`MAX_READ_FILE_BYTES`](codex_exec_server_protocol::fs::MAX_READ_FILE_BYTES). Of
    /// one that changes meanwhile, what was found while reading.
    fn read_file(&self, params: FsReadFileParams) -> ServiceFuture<'_, Result<Bytes, FsError>>;

    /// Part of a regular file. Flag `fsExtended`.
    fn read_range(
        &self,
        params: FsReadRangeParams,
    ) -> ServiceFuture<'_, Result<FsReadRangeResponse, FsError>>;

    /// Creates a file or replaces what is in it. `atomic`, `if_match` and `mode` need the flag `fsExtended`.
    fn write_file(
        &self,
        params: FsWriteFileParams,
    ) -> ServiceFuture<'_, Result<FsWriteFileResponse, FsError>>;

    /// Writes behind the end of a file. Flag `fsExtended`.
    fn append(&self, params: FsAppendParams) -> ServiceFuture<'_, Result<FsAppendResponse, FsError>>;

    /// Makes a directory.
    fn create_directory(&self, params: FsCreateDirectoryParams) -> ServiceFuture<'_, Result<(), FsError>>;

    /// What a path is.
    fn get_metadata(
        &self,
        params: FsGetMetadataParams,
    ) -> ServiceFuture<'_, Result<FsGetMetadataResponse, FsError>>;

    /// What many paths are. Flag `fsExtended`.
    fn stat_many(&self, params: FsStatManyParams) -> ServiceFuture<'_, Result<FsStatManyResponse, FsError>>;

    /// Where a path really leads.
    fn canonicalize(
        &self,
        params: FsCanonicalizeParams,
    ) -> ServiceFuture<'_, Result<FsCanonicalizeResponse, FsError>>;

    /// What a directory holds. Pages need the flag `fsTransfer`.
    fn read_directory(
        &self,
        params: FsReadDirectoryParams,
    ) -> ServiceFuture<'_, Result<FsReadDirectoryResponse, FsError>>;

    /// A whole tree, breadth first.
    fn walk(&self, params: FsWalkParams) -> ServiceFuture<'_, Result<FsWalkResponse, FsError>>;

    /// Removes a file or a tree.
    fn remove(&self, params: FsRemoveParams) -> ServiceFuture<'_, Result<(), FsError>>;

    /// Copies a file or a tree.
    fn copy(&self, params: FsCopyParams) -> ServiceFuture<'_, Result<(), FsError>>;

    /// Moves within one file system, in one step. Flag `fsExtended`.
    fn rename(&self, params: FsRenameParams) -> ServiceFuture<'_, Result<(), FsError>>;

    /// Changes permission bits. Flag `fsExtended`.
    fn set_permissions(&self, params: FsSetPermissionsParams) -> ServiceFuture<'_, Result<(), FsError>>;

    /// Writes a part of a file, and leaves the rest alone. Flag `fsTransfer`.
    fn write_range(
        &self,
        params: FsWriteRangeParams,
    ) -> ServiceFuture<'_, Result<FsWriteRangeResponse, FsError>>;

    /// A checksum of a file, or of its beginning. Flag `fsTransfer`.
    fn digest(&self, params: FsDigestParams) -> ServiceFuture<'_, Result<FsDigestResponse, FsError>>;

    /// What a symbolic link says. Flag `fsTransfer`.
    fn read_link(&self, params: FsReadLinkParams) -> ServiceFuture<'_, Result<FsReadLinkResponse, FsError>>;

    /// Makes a symbolic link. Flag `fsTransfer`.
    fn create_link(&self, params: FsCreateLinkParams) -> ServiceFuture<'_, Result<(), FsError>>;

    /// Opens a file, to be read or written block by block. At most
    /// [`MAX_FILE_HANDLES`](codex_exec_server_protocol::fs::MAX_FILE_HANDLES) at a time.
    fn open(
        &self,
        path: PathUri,
        mode: FsOpenMode,
        sandbox: Option<SandboxContext>,
    ) -> ServiceFuture<'_, Result<Arc<dyn FileHandle>, FsError>>;

    /// Finds paths by their names. `search_id` and `credit_batches` are of no importance. Flag `fsSearch`.
    fn glob(&self, params: FsGlobParams) -> Box<dyn FileSearch<FsWalkEntry>>;

    /// Finds lines of files by their content; otherwise as [`Self::glob`]. Flag `fsSearch`.
    fn search(&self, params: FsSearchParams) -> Box<dyn FileSearch<FsSearchMatch>>;

    /// Watches for changes; `watch_id` is of no importance. From its return on nothing is missed without notice. Flag
    /// `fsWatch`.
    fn watch(&self, params: FsWatchParams) -> ServiceFuture<'_, Result<Box<dyn FileWatch>, FsError>>;
}

/// An open file. Dropping it closes it; [`FileHandle::close`] also tells when that is done.
///
/// Reads and writes take effect in the order in which their futures are first polled. One that fails, other than for a wrong length, closes the
/// handle, as does the loss of a connection: then every later one is [`FsError::NotFound`].
pub trait FileHandle: fmt::Debug + Send + Sync {
    /// Up to `len` bytes (1 to [`MAX_BLOCK_BYTES`](codex_exec_server_protocol::fs::MAX_BLOCK_BYTES)) at `offset`.
    fn read(&self, offset: u64, len: u64) -> ServiceFuture<'_, Result<FsReadBlockResponse, FsError>>;

    /// Writes 1 to [`MAX_BLOCK_BYTES`](codex_exec_server_protocol::fs::MAX_BLOCK_BYTES) at `offset`.
    fn write(&self, offset: u64, bytes: Bytes) -> ServiceFuture<'_, Result<(), FsError>>;

    /// Closes the file behind everything that was asked before.
    fn close(&self) -> ServiceFuture<'_, Result<(), FsError>>;
}

/// Why a file operation came to nothing. Cheap to clone.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FsError {
    /// There is no such file, directory, or open handle.
    #[error("{0}")]
    NotFound(RpcError),
    /// `ifMatch` did not hold, and nothing was written.
    #[error("{error}")]
    Changed {
        /// The words of the wire.
        error: RpcError,
        /// The file's present etag; empty if there is no file.
        etag: String,
    },
    /// Anything else that the service refused or the system failed at; see [`FsError::data`].
    #[error("{0}")]
    Refused(RpcError),
    /// The peer can't do it; holds the name of the capability flag.
    #[error("server does not support {0}")]
    Unsupported(&'static str),
    /// The connection was lost before the answer came, and this is not to be repeated: it took effect or it did not.
    #[error("connection was lost before the answer came")]
    OutcomeUnknown,
    /// The connection was lost, or what came over it does not add up: the rest of what was searched for is lost. Says why.
    #[error("search broke off: {0}; search again")]
    SearchLost(Arc<str>),
    /// There is no connection any more, and there won't be one. Says why.
    #[error("{0}")]
    Disconnected(Arc<str>),
}

impl FsError {
    /// What the service said, if it said anything.
    #[must_use]
    pub const fn refusal(&self) -> Option<&RpcError> {
        match self {
            Self::NotFound(error) | Self::Changed { error, .. } | Self::Refused(error) => Some(error),
            Self::Unsupported(_) | Self::OutcomeUnknown | Self::SearchLost(_) | Self::Disconnected(_) => None,
        }
    }

    /// What the service tells programs: the system's error and the path at fault. Absent from the reference peer.
    #[must_use]
    pub fn data(&self) -> Option<FsErrorData> {
        let data = self.refusal()?.data.clone()?;
        serde_json::from_value(data).ok()
    }
}

impl From<RpcError> for FsError {
    fn from(error: RpcError) -> Self {
        if error.code == ErrorCode::NotFound.number() {
            return Self::NotFound(error);
        }
        let refused = Self::Refused(error);
        match (refused.data(), refused) {
            (Some(FsErrorData { etag: Some(etag), .. }), Self::Refused(error)) => {
                Self::Changed { error, etag }
            }
            (_, refused) => refused,
        }
    }
}

impl From<FsFault> for FsError {
    fn from(fault: FsFault) -> Self {
        RpcError::from(&ServiceError::Fs(fault)).into()
    }
}

/// The flag of the first thing that a write asks for and a server with these `flags` would ignore.
#[must_use]
pub fn missing_write_flag(
    params: &FsWriteFileParams,
    flags: &EnvironmentCapabilities,
) -> Option<&'static str> {
    let extended = params.atomic || params.if_match.is_some() || params.mode.is_some();
    let needs = [
        (extended, flags.fs_extended, "fsExtended"),
        (params.request_key.is_some(), flags.idempotent_requests, "idempotentRequests"),
    ];
    needs.into_iter().find(|(asked, has, _)| *asked && !has).map(|(_, _, name)| name)
}
