//! `fs/*`

use std::sync::Arc;

use codex_exec_server_core::error::ServiceError;
use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_local::fs::{Block, FileHandles, LocalFileSystem, WholeFile};
use codex_exec_server_protocol::binary::Head;
use codex_exec_server_protocol::bytes::{Base64Text, encoded_len};
use codex_exec_server_protocol::bytes_result::{BytesResult, Json};
use codex_exec_server_protocol::error_code::RpcError;
use codex_exec_server_protocol::fs::*;
use codex_exec_server_protocol::listing_result::ListingResult;
use codex_exec_server_protocol::metadata_result::encode_metadata_result;
use codex_exec_server_protocol::methods::ClientRequest;
use codex_exec_server_protocol::process::EmptyResponse;
use codex_exec_server_protocol::rpc::{RequestId, encode_error, encode_result};
use serde::Serialize;

use super::lending::Lending;
use super::{Answer, Work, search};
use crate::connection::missing::MissingWatches;
use crate::connection::searches::Searches;
use crate::connection::watches::Watches;
use crate::connection::{Form, Reply, Waiting};
use crate::sessions::Displaced;

/// How much of a whole file is read at once: whole groups of base64.
const PIECE_BYTES: usize = 3 << 16;

/// From this length on a block is told in memory that is used again.
const LENT_BYTES: usize = 128 << 10;

/// The files that a connection reaches: those of its session, and what it has opened itself.
pub(crate) struct Files {
    pub(crate) system: Arc<LocalFileSystem>,
    pub(crate) handles: FileHandles,
    pub(crate) searches: Searches,
    pub(crate) watches: Watches,
    pub(crate) missing: MissingWatches,
    /// What blocks are told in.
    pub(crate) lending: Arc<Lending>,
}

macro_rules! requests {
    ($($variant:ident($method:ident, $params:ty): $waiting:ident,)*) => {
        /// What can be asked of files.
        pub(crate) enum FsRequest {
            $($variant($params),)*
            /// A [`Self::WriteFile`] whose content is apart from it, as text.
            WriteText(FsWriteFileParams, Base64Text),
        }

        impl FsRequest {
            /// Takes a request of this family; `None` for one that is not served.
            pub(crate) fn take(request: ClientRequest) -> Option<Self> {
                match request {
                    $(ClientRequest::$method(params) => Some(Self::$variant(params)),)*
                    _ => None,
                }
            }

            /// What may become of it while it waits. What changes something is seen through to its end.
            pub(crate) const fn waiting(&self) -> Waiting {
                match self {
                    $(Self::$variant(_) => Waiting::$waiting,)*
                    Self::WriteText(..) => Waiting::Steady,
                }
            }
        }
    };
}

requests! {
    ReadFile(FsReadFile, FsReadFileParams): Idle,
    ReadRange(FsReadRange, FsReadRangeParams): Idle,
    WriteFile(FsWriteFile, FsWriteFileParams): Steady,
    Append(FsAppend, FsAppendParams): Steady,
    WriteRange(FsWriteRange, FsWriteRangeParams): Steady,
    Digest(FsDigest, FsDigestParams): Idle,
    ReadLink(FsReadLink, FsReadLinkParams): Idle,
    CreateLink(FsCreateLink, FsCreateLinkParams): Steady,
    Open(FsOpen, FsOpenParams): Steady,
    ReadBlock(FsReadBlock, FsReadBlockParams): Idle,
    WriteBlock(FsWriteBlock, FsWriteBlockParams): Steady,
    Close(FsClose, FsCloseParams): Steady,
    CreateDirectory(FsCreateDirectory, FsCreateDirectoryParams): Steady,
    GetMetadata(FsGetMetadata, FsGetMetadataParams): Idle,
    StatMany(FsStatMany, FsStatManyParams): Idle,
    Canonicalize(FsCanonicalize, FsCanonicalizeParams): Idle,
    ReadDirectory(FsReadDirectory, FsReadDirectoryParams): Idle,
    Walk(FsWalk, FsWalkParams): Idle,
    Glob(FsGlob, FsGlobParams): Idle,
    Search(FsSearch, FsSearchParams): Idle,
    Watch(FsWatch, FsWatchParams): Idle,
    WatchMissing(FsWatchMissing, FsWatchMissingParams): Idle,
    Unwatch(FsUnwatch, FsUnwatchParams): Idle,
    Remove(FsRemove, FsRemoveParams): Steady,
    Copy(FsCopy, FsCopyParams): Idle,
    Rename(FsRename, FsRenameParams): Steady,
    SetPermissions(FsSetPermissions, FsSetPermissionsParams): Steady,
}

/// The answer to what the kernel has in memory, without anything that could wait.
pub(crate) fn at_once(files: &Files, id: &RequestId, request: &FsRequest) -> Option<Reply> {
    match request {
        FsRequest::GetMetadata(params) => {
            let outcome = files.system.known_metadata(params)?;
            Some(metadata(id, outcome).reply)
        }
        FsRequest::ReadFile(params) => {
            let bytes = files.system.short_file(params)?;
            Some(bytes_result(id, "dataBase64", &bytes).finish(&[]).into())
        }
        _ => None,
    }
}

/// Does what `request` asks, for which [`at_once`] had no answer.
///
/// A request about an open file takes its place among others when the future is first polled. When the session goes to
/// another connection before the answer is there, the request fails; what it began to change goes on.
pub(crate) fn answer(
    files: Arc<Files>,
    id: RequestId,
    request: FsRequest,
    displaced: Displaced,
    form: Form,
) -> Work {
    Box::pin(async move {
        tokio::select! {
            biased;
            _ = displaced.wait() => failed(&id, ServiceError::Displaced),
            answer = run(&files, &id, request, form) => answer,
        }
    })
}

async fn run(files: &Arc<Files>, id: &RequestId, request: FsRequest, form: Form) -> Answer {
    let Files { system, handles, searches, watches, missing, lending } = &**files;
    match request {
        FsRequest::ReadFile(params) => read_file(system, id, params).await,
        FsRequest::ReadRange(params) => read_range(system, handles, id, params, form).await,
        FsRequest::ReadBlock(params) => read_block(handles, lending, id, params, form).await,
        FsRequest::WriteFile(params) => encode(id, system.write_file(params).await),
        FsRequest::WriteText(params, text) => encode(id, system.write_text(params, text).await),
        FsRequest::Append(params) => encode(id, system.append(params).await),
        FsRequest::WriteRange(params) => encode(id, system.write_range(params).await),
        FsRequest::Digest(params) => encode(id, system.digest(params).await),
        FsRequest::ReadLink(params) => encode(id, system.read_link(params).await),
        FsRequest::CreateLink(params) => encode_empty(id, system.create_link(params).await),
        FsRequest::Open(params) => encode(id, handles.open(params).await),
        FsRequest::WriteBlock(params) => encode_empty(id, handles.write_block(params).await),
        FsRequest::Close(params) => encode_empty(id, handles.close(params).await),
        FsRequest::CreateDirectory(params) => encode_empty(id, system.create_directory(params).await),
        FsRequest::GetMetadata(params) => metadata(id, system.ask_metadata(params).await),
        FsRequest::StatMany(params) => encode(id, system.stat_many(params).await),
        FsRequest::Canonicalize(params) => encode(id, system.canonicalize(params).await),
        FsRequest::ReadDirectory(params) => read_directory(system, id, params).await,
        FsRequest::Walk(params) => encode(id, system.walk(params).await),
        FsRequest::Glob(params) => encode(id, search::glob(system, searches, params).await),
        FsRequest::Search(params) => encode(id, search::contents(system, searches, params).await),
        FsRequest::Watch(params) => watch(files, id, params).await,
        FsRequest::WatchMissing(params) => watch_missing(files, id, params).await,
        FsRequest::Unwatch(params) => {
            watches.end(params.watch_id);
            missing.end(params.watch_id);
            encode_empty(id, Ok::<_, ServiceError>(()))
        }
        FsRequest::Remove(params) => encode_empty(id, system.remove(params).await),
        FsRequest::Copy(params) => encode_empty(id, system.copy(params).await),
        FsRequest::Rename(params) => encode_empty(id, system.rename(params).await),
        FsRequest::SetPermissions(params) => encode_empty(id, system.set_permissions(params).await),
    }
}

/// What a watch sees is told behind the answer, and not before.
async fn watch(files: &Arc<Files>, id: &RequestId, params: FsWatchParams) -> Answer {
    let place = match files.watches.reserve(params.watch_id) {
        Ok(place) => place,
        Err(fault) => return failed(id, FsFault::from(fault)),
    };
    match files.system.watch(params).await {
        Ok(watch) => {
            let answer = FsWatchResponse { path: watch.stands_at().clone() };
            let files = Arc::clone(files);
            let then = move || files.watches.begin(place, watch);
            Answer { then: Some(Box::new(then)), ..encode(id, Ok::<_, ServiceError>(answer)) }
        }
        Err(fault) => failed(id, fault),
    }
}

/// The newest takes the place of the one before it when it is asked for, whatever comes of it.
async fn watch_missing(files: &Arc<Files>, id: &RequestId, params: FsWatchMissingParams) -> Answer {
    let watch_id = params.watch_id;
    let place = if files.watches.stands(watch_id) { None } else { files.missing.newest(watch_id) };
    let set = match place {
        None => None,
        Some(place) => match files.system.watch_missing(params).await {
            Ok(watch) => watch.map(|watch| (place, watch)),
            Err(fault) => return failed(id, fault),
        },
    };
    let answer = FsWatchMissingResponse { watching: set.is_some() };
    let answer = encode(id, Ok::<_, ServiceError>(answer));
    let Some((place, watch)) = set else { return answer };
    let files = Arc::clone(files);
    let then = move || files.missing.begin(place, watch);
    Answer { then: Some(Box::new(then)), ..answer }
}

fn failed(id: &RequestId, error: impl Into<ServiceError>) -> Answer {
    encode_error(id, &RpcError::from(&error.into())).into()
}

fn encode<R: Serialize>(id: &RequestId, outcome: Result<R, impl Into<ServiceError>>) -> Answer {
    match outcome {
        Ok(response) => encode_result(id, &response).into(),
        Err(error) => failed(id, error),
    }
}

fn metadata(id: &RequestId, outcome: Result<FsGetMetadataResponse, FsFault>) -> Answer {
    match outcome {
        Ok(found) => encode_metadata_result(id, &found).into(),
        Err(fault) => failed(id, fault),
    }
}

fn encode_empty(id: &RequestId, outcome: Result<(), impl Into<ServiceError>>) -> Answer {
    encode(id, outcome.map(|()| EmptyResponse {}))
}

/// A whole file that is not at hand: read piece by piece, straight into the answer, where the reading waits; and only as many
/// at a time as fit into memory, until they have left it.
async fn read_file(system: &LocalFileSystem, id: &RequestId, params: FsReadFileParams) -> Answer {
    let path = params.path.clone();
    let file = match system.open_whole_file(params).await {
        Ok(file) => file,
        Err(fault) => return failed(id, fault),
    };
    let expected = file.expected_bytes().unwrap_or(0);
    let expected = usize::try_from(expected).unwrap_or(usize::MAX);
    let room = system.room(encoded_len(expected)).await;
    let about = id.clone();
    match system.work(&path, move || whole_file(&about, expected, file)).await {
        Ok(json) => Answer { hold: Some(room), ..json.into() },
        Err(fault) => failed(id, fault),
    }
}

fn whole_file(id: &RequestId, expected: usize, mut file: WholeFile) -> Result<String, FsFault> {
    let mut result = BytesResult::begin(id, "dataBase64", expected);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = file.read(&mut piece)?;
        result.push(&piece[..read]);
        if read < piece.len() {
            return Ok(result.finish(&[]));
        }
    }
}

fn bytes_result(id: &RequestId, member: &'static str, bytes: &[u8]) -> BytesResult {
    let mut result = BytesResult::begin(id, member, bytes.len());
    result.push(bytes);
    result
}

/// What is told of a directory is written down while it is read.
async fn read_directory(system: &LocalFileSystem, id: &RequestId, params: FsReadDirectoryParams) -> Answer {
    match system.list(params, ListingResult::begin(id)).await {
        Ok((listing, more)) => Reply::Pieces(listing.finish(more)).into(),
        Err(fault) => failed(id, fault),
    }
}

/// A range is encoded where it is: that takes less time than to go elsewhere for it. Or goes as it is, to a client that
/// takes it so.
async fn read_range(
    system: &LocalFileSystem,
    handles: &FileHandles,
    id: &RequestId,
    params: FsReadRangeParams,
    form: Form,
) -> Answer {
    let hold = handles.room(params.len).await;
    let (offset, form) = (params.offset, if params.binary { form } else { Form::Text });
    match system.read_range(params).await {
        Ok(range) => {
            let FsReadRangeResponse { eof, size, ref etag, .. } = range;
            if form == Form::Binary
                && let Some(head) =
                    (Head::Range { id, offset, eof, size, etag }).encode(range.data_base64.len())
            {
                let reply = Reply::Binary { head, payload: range.data_base64.into_bytes() };
                return Answer { hold, ..reply.into() };
            }
            let others: [(_, &dyn Json); 3] =
                [("eof", &range.eof), ("size", &range.size), ("etag", &range.etag)];
            let reply = bytes_result(id, "dataBase64", &range.data_base64).finish(&others);
            Answer { hold, ..reply.into() }
        }
        Err(fault) => failed(id, fault),
    }
}

/// As it is where the client takes it so; otherwise in base64, which is made where the block is read.
async fn read_block(
    handles: &FileHandles,
    lending: &Arc<Lending>,
    id: &RequestId,
    params: FsReadBlockParams,
    form: Form,
) -> Answer {
    let (about, lending) = (id.clone(), Arc::clone(lending));
    let FsReadBlockParams { offset, len, .. } = params;
    let expected = usize::try_from(len).unwrap_or(usize::MAX);
    let take = move |block: Block<'_>| block_reply(&lending, &about, (offset, expected), block, form);
    match handles.take_block(params, take).await {
        Ok((reply, room)) => Answer { hold: room, ..reply.into() },
        Err(fault) => failed(id, fault),
    }
}

fn block_reply(
    lending: &Arc<Lending>,
    id: &RequestId,
    (offset, expected): (u64, usize),
    block: Block<'_>,
    form: Form,
) -> std::io::Result<Reply> {
    // A short one needs no memory that would be worth keeping.
    let is_long = expected >= LENT_BYTES;
    let memory = if is_long { lending.take() } else { Vec::new() };
    if form == Form::Binary {
        let (bytes, eof) = block.whole(memory)?;
        let head = (Head::Block { id, offset, eof }).encode(bytes.len());
        let Some(head) = head else {
            return Ok(bytes_result(id, "chunk", &bytes).finish(&[("eof", &eof)]).into());
        };
        let payload = if is_long { lending.lend(bytes) } else { bytes.into() };
        return Ok(Reply::Binary { head, payload });
    }
    let mut result = BytesResult::begin_in(memory, id, "chunk", expected);
    let eof = block.pieces(|piece| result.push(piece))?;
    let json = result.finish(&[("eof", &eof)]);
    Ok(if is_long { Reply::Lent(lending.lend(json.into_bytes())) } else { json.into() })
}
