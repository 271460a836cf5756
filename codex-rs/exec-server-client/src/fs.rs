//! The files of the server's machine.
//!
//! A question is asked again on the next connection when one is lost. What changes something is sent once, unless the
//! server knows it again by a key; writes and appends get one by themselves wherever that is so.

mod file;
mod missing;
mod reading;
mod search;
mod watch;

use std::sync::Arc;

use bytes::Bytes;
use codex_exec_server_core::reconnect::Repeat;
use codex_exec_server_core::service::{
    FileHandle, FileSearch, FileSystem, FileWatch, FsError, ServiceFuture, missing_write_flag,
};
use codex_exec_server_protocol::bytes::{Base64Bytes, encoded_len};
use codex_exec_server_protocol::error_code::{ErrorCode, RpcError};
use codex_exec_server_protocol::fs::{
    FsAppendParams, FsAppendResponse, FsCanonicalizeParams, FsCanonicalizeResponse, FsCopyParams,
    FsCreateDirectoryParams, FsCreateLinkParams, FsDigestParams, FsDigestResponse, FsGetMetadataParams,
    FsGetMetadataResponse, FsGlobParams, FsOpenMode, FsReadDirectoryParams, FsReadDirectoryResponse,
    FsReadFileParams, FsReadLinkParams, FsReadLinkResponse, FsReadRangeParams, FsReadRangeResponse,
    FsRemoveParams, FsRenameParams, FsSearchMatch, FsSearchParams, FsSetPermissionsParams, FsStatManyParams,
    FsStatManyResponse, FsWalkEntry, FsWalkParams, FsWalkResponse, FsWatchParams, FsWriteFileParams,
    FsWriteFileResponse, FsWriteRangeParams, FsWriteRangeResponse,
};
use codex_exec_server_protocol::ids::RequestKey;
use codex_exec_server_protocol::methods::{
    FsAppend, FsCanonicalize, FsCopy, FsCreateDirectory, FsCreateLink, FsDigest, FsGetMetadata,
    FsReadDirectory, FsReadFile, FsReadLink, FsReadRange, FsRemove, FsRename, FsSetPermissions, FsStatMany,
    FsWalk, FsWriteFile, FsWriteRange, Method,
};
use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_protocol::sandbox::SandboxContext;
use uuid::Uuid;

pub use self::missing::MissingWatch;
pub use self::reading::{FileReading, READING_BLOCK_BYTES, ReadingError};
use self::search::{Lines, Paths, RemoteSearch};
use crate::client::Client;
use crate::error::{RequestError, Unsupported};

/// What a server takes that does not tell: the reference's bound on one frame.
const REFERENCE_FRAME_BYTES: u64 = 16 << 20;

/// More than all of a request but its bytes and its path.
const ENVELOPE_BYTES: usize = 4 << 10;

impl From<RequestError> for FsError {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Refused(error) => error.into(),
            RequestError::Unknown => Self::OutcomeUnknown,
            RequestError::Unsupported(Unsupported(flag)) => Self::Unsupported(flag),
            RequestError::Client(error) => Self::Disconnected(error.to_string().into()),
        }
    }
}

impl Client {
    async fn ask<M: Method>(&self, params: M::Params, repeat: Repeat) -> Result<M::Response, FsError>
    where
        M::Response: Send + 'static,
    {
        Ok(self.inner.call::<M>(&params, repeat).await?)
    }

    /// As [`Self::ask`], of a server with the flag `fsExtended`.
    async fn ask_extended<M: Method>(&self, params: M::Params, repeat: Repeat) -> Result<M::Response, FsError>
    where
        M::Response: Send + 'static,
    {
        let flag = self.inner.require("fsExtended", |flags| flags.fs_extended);
        flag.map_err(RequestError::from)?;
        self.ask::<M>(params, repeat).await
    }

    fn require_transfer(&self) -> Result<(), FsError> {
        let flag = self.inner.require("fsTransfer", |flags| flags.fs_transfer);
        Ok(flag.map_err(RequestError::from)?)
    }

    /// As [`Self::ask`], of a server with the flag `fsTransfer`, and of what does no harm when it is done twice.
    async fn ask_transfer<M: Method>(&self, params: M::Params) -> Result<M::Response, FsError>
    where
        M::Response: Send + 'static,
    {
        self.require_transfer()?;
        self.ask::<M>(params, Repeat::Always).await
    }

    /// Fails if `bytes` do not fit into one request: the server would end the connection over it.
    fn check_size(&self, path: &PathUri, bytes: usize) -> Result<(), FsError> {
        let peer = self.peer();
        let told = peer.limits.as_ref();
        let limit = told
            .map_or(REFERENCE_FRAME_BYTES, |told| told.inbound_frame_bytes.min(told.inbound_message_bytes));
        let needed = encoded_len(bytes) + path.as_str().len() + ENVELOPE_BYTES;
        if needed as u64 <= limit {
            return Ok(());
        }
        let text = format!(
            "{bytes} bytes are too much for one request to this server, which takes {limit} bytes in base64; write the \
             file in blocks"
        );
        Err(FsError::Refused(RpcError::new(ErrorCode::InvalidRequest, text)))
    }

    /// Gives a request a key, if it has none and the server knows keys, and tells what that means for a loss.
    fn with_key(&self, key: &mut Option<RequestKey>) -> Repeat {
        if key.is_none() && self.peer().environment.capabilities.idempotent_requests {
            *key = Some(RequestKey::from(Uuid::new_v4().to_string()));
        }
        if key.is_some() { Repeat::Always } else { Repeat::IfUnsent }
    }
}

impl FileSystem for Client {
    fn read_file(&self, params: FsReadFileParams) -> ServiceFuture<'_, Result<Bytes, FsError>> {
        Box::pin(
            async move { Ok(self.ask::<FsReadFile>(params, Repeat::Always).await?.data_base64.into_bytes()) },
        )
    }

    fn read_range(
        &self,
        mut params: FsReadRangeParams,
    ) -> ServiceFuture<'_, Result<FsReadRangeResponse, FsError>> {
        params.binary = self.peer().environment.capabilities.binary_ranges;
        Box::pin(self.ask_extended::<FsReadRange>(params, Repeat::Always))
    }

    fn write_file(
        &self,
        mut params: FsWriteFileParams,
    ) -> ServiceFuture<'_, Result<FsWriteFileResponse, FsError>> {
        Box::pin(async move {
            if let Some(flag) = missing_write_flag(&params, &self.peer().environment.capabilities) {
                return Err(FsError::Unsupported(flag));
            }
            let bytes = params.data_base64.as_ref().map_or(0, Base64Bytes::len);
            self.check_size(&params.path, bytes)?;
            let repeat = self.with_key(&mut params.request_key);
            self.ask::<FsWriteFile>(params, repeat).await
        })
    }

    fn append(&self, mut params: FsAppendParams) -> ServiceFuture<'_, Result<FsAppendResponse, FsError>> {
        Box::pin(async move {
            self.check_size(&params.path, params.data_base64.len())?;
            let repeat = self.with_key(&mut params.request_key);
            self.ask_extended::<FsAppend>(params, repeat).await
        })
    }

    fn write_range(
        &self,
        params: FsWriteRangeParams,
    ) -> ServiceFuture<'_, Result<FsWriteRangeResponse, FsError>> {
        Box::pin(async move {
            self.check_size(&params.path, params.data_base64.len())?;
            self.ask_transfer::<FsWriteRange>(params).await
        })
    }

    fn digest(&self, params: FsDigestParams) -> ServiceFuture<'_, Result<FsDigestResponse, FsError>> {
        Box::pin(self.ask_transfer::<FsDigest>(params))
    }

    fn read_link(&self, params: FsReadLinkParams) -> ServiceFuture<'_, Result<FsReadLinkResponse, FsError>> {
        Box::pin(self.ask_transfer::<FsReadLink>(params))
    }

    fn create_link(&self, params: FsCreateLinkParams) -> ServiceFuture<'_, Result<(), FsError>> {
        Box::pin(async move {
            if params.overwrite {
                // The second time it replaces itself.
                return self.ask_transfer::<FsCreateLink>(params).await.map(drop);
            }
            self.require_transfer()?;
            self.ask::<FsCreateLink>(params, Repeat::IfUnsent).await.map(drop)
        })
    }

    fn create_directory(&self, params: FsCreateDirectoryParams) -> ServiceFuture<'_, Result<(), FsError>> {
        Box::pin(async move {
            // One that may exist already is made as well the second time.
            let repeat = if params.is_recursive() { Repeat::Always } else { Repeat::IfUnsent };
            self.ask::<FsCreateDirectory>(params, repeat).await.map(drop)
        })
    }

    fn get_metadata(
        &self,
        params: FsGetMetadataParams,
    ) -> ServiceFuture<'_, Result<FsGetMetadataResponse, FsError>> {
        Box::pin(self.ask::<FsGetMetadata>(params, Repeat::Always))
    }

    fn stat_many(&self, params: FsStatManyParams) -> ServiceFuture<'_, Result<FsStatManyResponse, FsError>> {
        Box::pin(self.ask_extended::<FsStatMany>(params, Repeat::Always))
    }

    fn canonicalize(
        &self,
        params: FsCanonicalizeParams,
    ) -> ServiceFuture<'_, Result<FsCanonicalizeResponse, FsError>> {
        Box::pin(self.ask::<FsCanonicalize>(params, Repeat::Always))
    }

    fn read_directory(
        &self,
        params: FsReadDirectoryParams,
    ) -> ServiceFuture<'_, Result<FsReadDirectoryResponse, FsError>> {
        Box::pin(async move {
            if params.max_entries.is_some() || params.after.is_some() {
                self.require_transfer()?;
            }
            self.ask::<FsReadDirectory>(params, Repeat::Always).await
        })
    }

    fn walk(&self, params: FsWalkParams) -> ServiceFuture<'_, Result<FsWalkResponse, FsError>> {
        Box::pin(self.ask::<FsWalk>(params, Repeat::Always))
    }

    fn remove(&self, params: FsRemoveParams) -> ServiceFuture<'_, Result<(), FsError>> {
        Box::pin(async move { self.ask::<FsRemove>(params, Repeat::IfUnsent).await.map(drop) })
    }

    fn copy(&self, params: FsCopyParams) -> ServiceFuture<'_, Result<(), FsError>> {
        Box::pin(async move { self.ask::<FsCopy>(params, Repeat::IfUnsent).await.map(drop) })
    }

    fn rename(&self, params: FsRenameParams) -> ServiceFuture<'_, Result<(), FsError>> {
        Box::pin(async move { self.ask_extended::<FsRename>(params, Repeat::IfUnsent).await.map(drop) })
    }

    fn set_permissions(&self, params: FsSetPermissionsParams) -> ServiceFuture<'_, Result<(), FsError>> {
        Box::pin(async move {
            if params.modified_at_ms.is_some() {
                self.require_transfer()?;
            }
            self.ask_extended::<FsSetPermissions>(params, Repeat::Always).await.map(drop)
        })
    }

    fn open(
        &self,
        path: PathUri,
        mode: FsOpenMode,
        sandbox: Option<SandboxContext>,
    ) -> ServiceFuture<'_, Result<Arc<dyn FileHandle>, FsError>> {
        Box::pin(file::open(self, path, mode, sandbox))
    }

    fn glob(&self, params: FsGlobParams) -> Box<dyn FileSearch<FsWalkEntry>> {
        Box::new(RemoteSearch::<Paths>::new(self, params))
    }

    fn search(&self, params: FsSearchParams) -> Box<dyn FileSearch<FsSearchMatch>> {
        Box::new(RemoteSearch::<Lines>::new(self, params))
    }

    fn watch(&self, params: FsWatchParams) -> ServiceFuture<'_, Result<Box<dyn FileWatch>, FsError>> {
        Box::pin(async move {
            let watch = watch::watch(self, params).await?;
            Ok(Box::new(watch) as Box<dyn FileWatch>)
        })
    }
}
