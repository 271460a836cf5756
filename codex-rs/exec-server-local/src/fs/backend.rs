//! The file service of this machine.
//!
//! Each method takes what the wire takes, refuses what can be refused at once, and has the rest done on a thread that may
//! wait, here or under a policy, unless the kernel has the answer in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use codex_exec_server_core::error::ServiceError;
use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_core::limits::FileLimits;
use codex_exec_server_core::service::{
    FileHandle, FileSearch, FileSystem, FileWatch, FsError, ServiceFuture,
};
use codex_exec_server_protocol::bytes::Base64Text;
use codex_exec_server_protocol::error_code::RpcError;
use codex_exec_server_protocol::fs::{
    FileHandleId, FsAppendParams, FsAppendResponse, FsCanonicalizeParams, FsCanonicalizeResponse,
    FsCloseParams, FsCopyParams, FsCreateDirectoryParams, FsCreateLinkParams, FsDigestParams,
    FsDigestResponse, FsGetMetadataParams, FsGetMetadataResponse, FsGlobParams, FsOpenMode, FsOpenParams,
    FsReadBlockParams, FsReadBlockResponse, FsReadDirectoryParams, FsReadDirectoryResponse, FsReadFileParams,
    FsReadLinkParams, FsReadLinkResponse, FsReadRangeParams, FsReadRangeResponse, FsRemoveParams,
    FsRenameParams, FsSearchMatch, FsSearchParams, FsSetPermissionsParams, FsStatManyParams,
    FsStatManyResponse, FsWalkEntry, FsWalkParams, FsWalkResponse, FsWatchMissingParams, FsWatchParams,
    FsWriteBlockParams, FsWriteFileParams, FsWriteFileResponse, FsWriteRangeParams, FsWriteRangeResponse,
};
use codex_exec_server_protocol::ids::RequestKey;
use codex_exec_server_protocol::listing_result::Listing;
use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_protocol::sandbox::SandboxContext;

use tokio::sync::OwnedSemaphorePermit;

use super::confined::{Answer, Request};
use super::handles::FileHandles;
use super::host::{FsHost, Interest};
use super::keys::{Keys, Turn, Written, of_append, of_write};
use super::listing;
use super::read::WholeFile;
use super::sandbox::{self, Confined, Reply, perform};
use super::search::LocalSearch;
use super::watch::{LocalWatch, MissingWatch};
use super::write::{self, Content};

/// What an answer of this kind holds.
macro_rules! taken {
    (Done) => {
        |reply: Reply| matches!(reply.answer, Answer::Done).then_some(())
    };
    ($kind:ident) => {
        |reply: Reply| match reply.answer {
            Answer::$kind(answer) => Some(answer),
            _ => None,
        }
    };
}

/// See the module. One memory of request keys, and as a [`FileSystem`] one set of open files.
#[derive(Debug)]
pub struct LocalFileSystem {
    host: Arc<FsHost>,
    keys: Keys,
    handles: Arc<FileHandles>,
    next_handle: AtomicU64,
}

impl LocalFileSystem {
    /// A service on `host` that remembers `keys` request keys.
    #[must_use]
    pub fn new(host: Arc<FsHost>, keys: usize) -> Self {
        let handles = Arc::new(FileHandles::new(Arc::clone(&host)));
        Self { host, keys: Keys::new(keys), handles, next_handle: AtomicU64::new(1) }
    }

    /// Default bounds, for a caller in the same program.
    #[must_use]
    pub fn with_defaults() -> Self {
        let limits = codex_exec_server_core::limits::Limits::default();
        Self::new(FsHost::new(FileLimits::default()), limits.remembered_request_keys)
    }

    /// Has `request` done, under the policy of `sandbox` if that restricts files. What comes back is what `take` makes of it.
    async fn run<T: Send + 'static>(
        &self,
        sandbox: Option<&SandboxContext>,
        request: Request,
        take: impl FnOnce(Reply) -> Option<T> + Send + 'static,
    ) -> Result<T, FsFault> {
        let policy = Confined::new(&self.host, sandbox)?;
        let host = Arc::clone(&self.host);
        let (interest, _interested) = Interest::new();
        let path = request.path().clone();
        self.host.blocking(&path, move || perform(&host, policy.as_ref(), request, &interest, take)).await
    }

    /// Opens a file that is to be read as a whole, piece by piece.
    pub async fn open_whole_file(&self, params: FsReadFileParams) -> Result<WholeFile, FsFault> {
        let (path, sandbox) = (params.path.clone(), params.sandbox.clone());
        let take = |reply: Reply| match reply.answer {
            Answer::OpenWhole(opened) => Some(WholeFile::from_parts(path, opened, reply.file?)),
            _ => None,
        };
        self.run(sandbox.as_ref(), Request::OpenWhole(params), take).await
    }

    /// Runs `work`, such as reading of a [`WholeFile`], on one of the threads that may wait for a disk.
    pub async fn work<T: Send + 'static>(
        &self,
        path: &PathUri,
        work: impl FnOnce() -> Result<T, FsFault> + Send + 'static,
    ) -> Result<T, FsFault> {
        self.host.blocking(path, work).await
    }

    /// Its bounds.
    pub(crate) fn limits(&self) -> &FileLimits {
        self.host.limits()
    }

    /// Waits for room in memory for `bytes` of a whole file, until the permit is dropped.
    pub async fn room(&self, bytes: usize) -> OwnedSemaphorePermit {
        self.host.room(bytes).await
    }

    /// A whole file that is short and in memory.
    #[must_use]
    pub fn short_file(&self, params: &FsReadFileParams) -> Option<Vec<u8>> {
        let is_plain = params.sandbox.is_none() && params.follows_symlinks();
        is_plain.then(|| self.host.devices.short_file(&params.path)).flatten()
    }

    /// Does `work` once for all requests with `key`, and for every one without.
    async fn keyed<T: Send + 'static>(
        &self,
        key: Option<(RequestKey, u64)>,
        path: PathUri,
        work: impl FnOnce(&Arc<FsHost>) -> Result<T, FsFault> + Send + 'static,
        wrap: impl FnOnce(T) -> Written + Send + 'static,
        unwrap: impl FnOnce(Written) -> Option<T>,
    ) -> Result<T, ServiceError> {
        let host = Arc::clone(&self.host);
        let Some((key, fingerprint)) = key else {
            return Ok(self.host.blocking(&path, move || work(&host)).await?);
        };
        let outcome = match self.keys.claim(&key, fingerprint)? {
            Turn::Wait(outcome) => outcome,
            Turn::Do(outcome) => {
                let tell = Arc::clone(&outcome);
                let (runner, about) = (Arc::clone(&self.host), path.clone());
                // A task of its own: once claimed it is done, whoever still waits.
                let running = tokio::spawn(async move {
                    let done = runner.blocking(&about, move || work(&host)).await;
                    let _ = tell.set(done.map(wrap).map_err(ServiceError::from));
                });
                // Only for a panic in it, which nobody is left to tell otherwise.
                if running.await.is_err() {
                    let text = format!("write to {path} was cut short");
                    let _ = outcome.set(Err(ServiceError::Internal(text)));
                }
                outcome
            }
        };
        let written = outcome.wait().await.clone()?;
        unwrap(written).ok_or(ServiceError::RequestKeyMismatch(key))
    }

    /// `fs/writeFile`
    pub async fn write_file(&self, params: FsWriteFileParams) -> Result<FsWriteFileResponse, ServiceError> {
        let policy = Confined::new(&self.host, params.sandbox.as_ref())?;
        let key = params.request_key.clone().map(|key| (key, of_write(&params)));
        let path = params.path.clone();
        if let Err(error) = &params.data_base64 {
            return Err(FsFault::BadBase64(*error).into());
        }
        let unwrap = |written| if let Written::File(answer) = written { Some(answer) } else { None };
        let work = see_through(policy, Request::WriteFile(params), |reply| match reply.answer {
            Answer::WriteFile(answer) => Some(answer),
            _ => None,
        });
        self.keyed(key, path, work, Written::File, unwrap).await
    }

    /// `fs/writeFile` with `text` as its content, instead of what is in `params`.
    pub async fn write_text(
        &self,
        mut params: FsWriteFileParams,
        text: Base64Text,
    ) -> Result<FsWriteFileResponse, ServiceError> {
        if params.sandbox.is_some() || params.request_key.is_some() {
            params.data_base64 = Ok(text.decode());
            return self.write_file(params).await;
        }
        let (host, path) = (Arc::clone(&self.host), params.path.clone());
        let work = move || write::write_content(&host, &params, Content::Text(&text));
        Ok(self.host.blocking(&path, work).await?)
    }

    /// `fs/append`
    pub async fn append(&self, params: FsAppendParams) -> Result<FsAppendResponse, ServiceError> {
        let policy = Confined::new(&self.host, params.sandbox.as_ref())?;
        let key = params.request_key.clone().map(|key| (key, of_append(&params)));
        let path = params.path.clone();
        let unwrap = |written| if let Written::Appended(answer) = written { Some(answer) } else { None };
        let work = see_through(policy, Request::Append(params), |reply| match reply.answer {
            Answer::Append(answer) => Some(answer),
            _ => None,
        });
        self.keyed(key, path, work, Written::Appended, unwrap).await
    }

    /// `fs/readRange`
    pub async fn read_range(&self, params: FsReadRangeParams) -> Result<FsReadRangeResponse, FsFault> {
        let sandbox = params.sandbox.clone();
        self.run(sandbox.as_ref(), Request::ReadRange(params), |reply| match reply.answer {
            Answer::ReadRange(range) => Some(FsReadRangeResponse { data_base64: reply.data.into(), ..range }),
            _ => None,
        })
        .await
    }

    /// `fs/writeRange`
    pub async fn write_range(&self, params: FsWriteRangeParams) -> Result<FsWriteRangeResponse, FsFault> {
        let sandbox = params.sandbox.clone();
        self.run(sandbox.as_ref(), Request::WriteRange(params), taken!(WriteRange)).await
    }

    /// `fs/digest`. Given up when the future is dropped.
    pub async fn digest(&self, params: FsDigestParams) -> Result<FsDigestResponse, FsFault> {
        let sandbox = params.sandbox.clone();
        self.run(sandbox.as_ref(), Request::Digest(params), taken!(Digest)).await
    }

    /// `fs/readLink`
    pub async fn read_link(&self, params: FsReadLinkParams) -> Result<FsReadLinkResponse, FsFault> {
        let sandbox = params.sandbox.clone();
        self.run(sandbox.as_ref(), Request::ReadLink(params), taken!(ReadLink)).await
    }

    /// `fs/createLink`
    pub async fn create_link(&self, params: FsCreateLinkParams) -> Result<(), FsFault> {
        let sandbox = params.sandbox.clone();
        self.run(sandbox.as_ref(), Request::CreateLink(params), taken!(Done)).await
    }

    /// `fs/createDirectory`
    pub async fn create_directory(&self, params: FsCreateDirectoryParams) -> Result<(), FsFault> {
        let sandbox = params.sandbox.clone();
        self.run(sandbox.as_ref(), Request::CreateDirectory(params), taken!(Done)).await
    }

    /// `fs/getMetadata`
    pub async fn get_metadata(&self, params: FsGetMetadataParams) -> Result<FsGetMetadataResponse, FsFault> {
        match self.known_metadata(&params) {
            Some(answer) => answer,
            None => self.ask_metadata(params).await,
        }
    }

    /// The same, as far as the kernel has it in memory.
    #[must_use]
    pub fn known_metadata(
        &self,
        params: &FsGetMetadataParams,
    ) -> Option<Result<FsGetMetadataResponse, FsFault>> {
        let is_plain = params.sandbox.is_none() && params.follows_symlinks();
        is_plain.then(|| self.host.devices.metadata(&params.path)).flatten()
    }

    /// The same, where the kernel has it from.
    pub async fn ask_metadata(&self, params: FsGetMetadataParams) -> Result<FsGetMetadataResponse, FsFault> {
        let sandbox = params.sandbox.clone();
        self.run(sandbox.as_ref(), Request::GetMetadata(params), taken!(GetMetadata)).await
    }

    /// `fs/statMany`
    pub async fn stat_many(&self, params: FsStatManyParams) -> Result<FsStatManyResponse, FsFault> {
        if params.paths.is_empty() {
            Confined::new(&self.host, params.sandbox.as_ref())?;
            return Ok(FsStatManyResponse { results: Vec::new() });
        }
        let sandbox = params.sandbox.clone();
        self.run(sandbox.as_ref(), Request::StatMany(params), taken!(StatMany)).await
    }

    /// `fs/canonicalize`
    pub async fn canonicalize(
        &self,
        params: FsCanonicalizeParams,
    ) -> Result<FsCanonicalizeResponse, FsFault> {
        let sandbox = params.sandbox.clone();
        self.run(sandbox.as_ref(), Request::Canonicalize(params), taken!(Canonicalize)).await
    }

    /// `fs/readDirectory`
    pub async fn read_directory(
        &self,
        params: FsReadDirectoryParams,
    ) -> Result<FsReadDirectoryResponse, FsFault> {
        let sandbox = params.sandbox.clone();
        self.run(sandbox.as_ref(), Request::ReadDirectory(params), taken!(ReadDirectory)).await
    }

    /// The same, into `listing`. Returns that, and whether there are more behind it.
    pub async fn list<L: Listing>(
        &self,
        params: FsReadDirectoryParams,
        mut listing: L,
    ) -> Result<(L, bool), FsFault> {
        if Confined::new(&self.host, params.sandbox.as_ref())?.is_none() {
            return listing::read_into(&self.host, params, listing).await;
        }
        let answer = self.read_directory(params).await?;
        answer.entries.iter().for_each(|entry| listing.list(entry.into()));
        Ok((listing, answer.more))
    }

    /// `fs/walk`
    pub async fn walk(&self, params: FsWalkParams) -> Result<FsWalkResponse, FsFault> {
        let sandbox = params.sandbox.clone();
        self.run(sandbox.as_ref(), Request::Walk(params), taken!(Walk)).await
    }

    /// `fs/glob`
    #[must_use]
    pub fn glob(&self, params: FsGlobParams) -> LocalSearch<FsWalkEntry> {
        LocalSearch::glob(&self.host, params)
    }

    /// `fs/watch`
    pub async fn watch(&self, params: FsWatchParams) -> Result<LocalWatch, FsFault> {
        sandbox::unwatched(&self.host, params.sandbox.as_ref())?;
        let (host, path) = (Arc::clone(&self.host), params.path.clone());
        self.host.blocking(&path, move || LocalWatch::set(&host, &params)).await
    }

    /// `fs/watchMissing`; `None` if nothing would be told.
    pub async fn watch_missing(&self, params: FsWatchMissingParams) -> Result<Option<MissingWatch>, FsFault> {
        let Some(path) = params.missing.first().cloned() else { return Ok(None) };
        let host = Arc::clone(&self.host);
        self.host.blocking(&path, move || Ok(MissingWatch::set(&host, &params))).await
    }

    /// `fs/search`
    #[must_use]
    pub fn search(&self, params: FsSearchParams) -> LocalSearch<FsSearchMatch> {
        LocalSearch::search(&self.host, params)
    }

    /// `fs/remove`
    pub async fn remove(&self, params: FsRemoveParams) -> Result<(), FsFault> {
        let sandbox = params.sandbox.clone();
        self.run(sandbox.as_ref(), Request::Remove(params), taken!(Done)).await
    }

    /// `fs/copy`. Given up when the future is dropped: then what was copied so far stays.
    pub async fn copy(&self, params: FsCopyParams) -> Result<(), FsFault> {
        let sandbox = params.sandbox.clone();
        self.run(sandbox.as_ref(), Request::Copy(params), taken!(Done)).await
    }

    /// `fs/rename`
    pub async fn rename(&self, params: FsRenameParams) -> Result<(), FsFault> {
        let sandbox = params.sandbox.clone();
        self.run(sandbox.as_ref(), Request::Rename(params), taken!(Done)).await
    }

    /// `fs/setPermissions`
    pub async fn set_permissions(&self, params: FsSetPermissionsParams) -> Result<(), FsFault> {
        let sandbox = params.sandbox.clone();
        self.run(sandbox.as_ref(), Request::SetPermissions(params), taken!(Done)).await
    }

    /// `fs/readFile`
    pub async fn read_file(&self, params: FsReadFileParams) -> Result<Bytes, FsFault> {
        if let Some(bytes) = self.short_file(&params) {
            return Ok(bytes.into());
        }
        let path = params.path.clone();
        let file = self.open_whole_file(params).await?;
        self.host.blocking(&path, move || file.read_to_end()).await
    }
}

/// Work that goes on to its end, whoever still waits for it.
fn see_through<T>(
    policy: Option<Confined>,
    request: Request,
    take: impl FnOnce(Reply) -> Option<T>,
) -> impl FnOnce(&Arc<FsHost>) -> Result<T, FsFault> {
    move |host| {
        let (interest, _interested) = Interest::new();
        perform(host, policy.as_ref(), request, &interest, take)
    }
}

/// The same for callers in this program, with errors as callers elsewhere get them.
macro_rules! as_file_system {
    ($($name:ident($params:ty) -> $answer:ty;)*) => {
        impl FileSystem for LocalFileSystem {
            $(fn $name(&self, params: $params) -> ServiceFuture<'_, Result<$answer, FsError>> {
                Box::pin(async move { Self::$name(self, params).await.map_err(told) })
            })*

            fn open(
                &self,
                path: PathUri,
                mode: FsOpenMode,
                sandbox: Option<SandboxContext>,
            ) -> ServiceFuture<'_, Result<Arc<dyn FileHandle>, FsError>> {
                Box::pin(async move {
                    let number = self.next_handle.fetch_add(1, Ordering::Relaxed);
                    let id = FileHandleId(format!("file-{number}"));
                    let params = FsOpenParams { handle_id: id.clone(), path, mode, sandbox };
                    self.handles.open(params).await?;
                    let handle = LocalFile { id, handles: Arc::clone(&self.handles) };
                    Ok(Arc::new(handle) as Arc<dyn FileHandle>)
                })
            }

            fn glob(&self, params: FsGlobParams) -> Box<dyn FileSearch<FsWalkEntry>> {
                Box::new(Self::glob(self, params))
            }

            fn search(&self, params: FsSearchParams) -> Box<dyn FileSearch<FsSearchMatch>> {
                Box::new(Self::search(self, params))
            }

            fn watch(&self, params: FsWatchParams) -> ServiceFuture<'_, Result<Box<dyn FileWatch>, FsError>> {
                Box::pin(async move {
                    let watch = Self::watch(self, params).await.map_err(told)?;
                    Ok(Box::new(watch) as Box<dyn FileWatch>)
                })
            }
        }
    };
}

as_file_system! {
    read_file(FsReadFileParams) -> Bytes;
    read_range(FsReadRangeParams) -> FsReadRangeResponse;
    write_file(FsWriteFileParams) -> FsWriteFileResponse;
    append(FsAppendParams) -> FsAppendResponse;
    write_range(FsWriteRangeParams) -> FsWriteRangeResponse;
    digest(FsDigestParams) -> FsDigestResponse;
    read_link(FsReadLinkParams) -> FsReadLinkResponse;
    create_link(FsCreateLinkParams) -> ();
    create_directory(FsCreateDirectoryParams) -> ();
    get_metadata(FsGetMetadataParams) -> FsGetMetadataResponse;
    stat_many(FsStatManyParams) -> FsStatManyResponse;
    canonicalize(FsCanonicalizeParams) -> FsCanonicalizeResponse;
    read_directory(FsReadDirectoryParams) -> FsReadDirectoryResponse;
    walk(FsWalkParams) -> FsWalkResponse;
    remove(FsRemoveParams) -> ();
    copy(FsCopyParams) -> ();
    rename(FsRenameParams) -> ();
    set_permissions(FsSetPermissionsParams) -> ();
}

fn told(error: impl Into<ServiceError>) -> FsError {
    RpcError::from(&error.into()).into()
}

/// An open file of this machine.
#[derive(Debug)]
struct LocalFile {
    id: FileHandleId,
    handles: Arc<FileHandles>,
}

impl FileHandle for LocalFile {
    fn read(&self, offset: u64, len: u64) -> ServiceFuture<'_, Result<FsReadBlockResponse, FsError>> {
        let params = FsReadBlockParams { handle_id: self.id.clone(), offset, len };
        Box::pin(async move { Ok(self.handles.read_block(params).await?) })
    }

    fn write(&self, offset: u64, bytes: Bytes) -> ServiceFuture<'_, Result<(), FsError>> {
        let params = FsWriteBlockParams { handle_id: self.id.clone(), offset, chunk: bytes.into() };
        Box::pin(async move { Ok(self.handles.write_block(params).await?) })
    }

    fn close(&self) -> ServiceFuture<'_, Result<(), FsError>> {
        let params = FsCloseParams { handle_id: self.id.clone() };
        Box::pin(async move { Ok(self.handles.close(params).await?) })
    }
}

impl Drop for LocalFile {
    fn drop(&mut self) {
        self.handles.abandon(&self.id);
    }
}
