//! What a helper can be asked, and how it is answered: by the same functions that answer without a policy.

use std::fs::File;

use bytes::Bytes;
use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_protocol::fs::{
    FsAppendParams, FsAppendResponse, FsCanonicalizeParams, FsCanonicalizeResponse, FsCopyParams,
    FsCreateDirectoryParams, FsCreateLinkParams, FsDigestParams, FsDigestResponse, FsGetMetadataParams,
    FsGetMetadataResponse, FsOpenMode, FsReadDirectoryParams, FsReadDirectoryResponse, FsReadFileParams,
    FsReadLinkParams, FsReadLinkResponse, FsReadRangeParams, FsReadRangeResponse, FsRemoveParams,
    FsRenameParams, FsSetPermissionsParams, FsStatManyParams, FsStatManyResponse, FsWalkParams,
    FsWalkResponse, FsWriteFileParams, FsWriteFileResponse, FsWriteRangeParams, FsWriteRangeResponse,
};
use codex_exec_server_protocol::path_uri::PathUri;
use serde::{Deserialize, Serialize};

use super::super::handle::open_file;
use super::super::host::{FsHost, Interest};
use super::super::read::WholeFile;
use super::super::{copy, digest, directory, link, listing, metadata, read, remove, rename, walk, write};
use super::search::Search;

/// What is sent over a connection.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Asked {
    /// To be answered once.
    Do(Request),
    /// To be answered bit by bit.
    Find(Search),
}

/// See the module. Content travels beside it, as it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::fs) enum Request {
    OpenWhole(FsReadFileParams),
    Open(PathUri, FsOpenMode),
    ReadRange(FsReadRangeParams),
    WriteFile(FsWriteFileParams),
    Append(FsAppendParams),
    WriteRange(FsWriteRangeParams),
    Digest(FsDigestParams),
    ReadLink(FsReadLinkParams),
    CreateLink(FsCreateLinkParams),
    CreateDirectory(FsCreateDirectoryParams),
    GetMetadata(FsGetMetadataParams),
    StatMany(FsStatManyParams),
    Canonicalize(FsCanonicalizeParams),
    ReadDirectory(FsReadDirectoryParams),
    Walk(FsWalkParams),
    Remove(FsRemoveParams),
    Copy(FsCopyParams),
    Rename(FsRenameParams),
    SetPermissions(FsSetPermissionsParams),
}

/// See [`Request`]. A descriptor travels beside it, too.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::fs) enum Answer {
    OpenWhole(Opened),
    Open,
    ReadRange(FsReadRangeResponse),
    WriteFile(FsWriteFileResponse),
    Append(FsAppendResponse),
    WriteRange(FsWriteRangeResponse),
    Digest(FsDigestResponse),
    ReadLink(FsReadLinkResponse),
    GetMetadata(FsGetMetadataResponse),
    StatMany(FsStatManyResponse),
    Canonicalize(FsCanonicalizeResponse),
    ReadDirectory(FsReadDirectoryResponse),
    Walk(FsWalkResponse),
    Done,
}

/// What is known of a file that was opened to be read as a whole.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(in crate::fs) struct Opened {
    pub(in crate::fs) left: u64,
    pub(in crate::fs) has_length: bool,
}

impl Request {
    /// What it is about.
    pub(in crate::fs) fn path(&self) -> &PathUri {
        match self {
            Self::OpenWhole(params) => &params.path,
            Self::Open(path, _) => path,
            Self::ReadRange(params) => &params.path,
            Self::WriteFile(params) => &params.path,
            Self::Append(params) => &params.path,
            Self::WriteRange(params) => &params.path,
            Self::Digest(params) => &params.path,
            Self::ReadLink(params) => &params.path,
            Self::CreateLink(params) => &params.path,
            Self::CreateDirectory(params) => &params.path,
            Self::GetMetadata(params) => &params.path,
            Self::StatMany(params) => &params.paths[0],
            Self::Canonicalize(params) => &params.path,
            Self::ReadDirectory(params) => &params.path,
            Self::Walk(params) => &params.path,
            Self::Remove(params) => &params.path,
            Self::Copy(params) => &params.source_path,
            Self::Rename(params) => &params.source_path,
            Self::SetPermissions(params) => &params.path,
        }
    }

    /// Whether it may be asked again when its answer was lost.
    pub(super) const fn only_looks(&self) -> bool {
        match self {
            Self::OpenWhole(_)
            | Self::Open(_, FsOpenMode::Read)
            | Self::ReadRange(_)
            | Self::Digest(_)
            | Self::ReadLink(_)
            | Self::GetMetadata(_)
            | Self::StatMany(_)
            | Self::Canonicalize(_)
            | Self::ReadDirectory(_)
            | Self::Walk(_) => true,
            Self::Open(_, FsOpenMode::Replace)
            | Self::WriteFile(_)
            | Self::Append(_)
            | Self::WriteRange(_)
            | Self::CreateLink(_)
            | Self::CreateDirectory(_)
            | Self::Remove(_)
            | Self::Copy(_)
            | Self::Rename(_)
            | Self::SetPermissions(_) => false,
        }
    }

    /// Takes the content out, to travel beside the rest, and what the helper need not be told.
    pub(in crate::fs) fn strip(&mut self) -> Bytes {
        match self {
            Self::WriteFile(params) => {
                params.sandbox = None;
                match &mut params.data_base64 {
                    Ok(data) => std::mem::take(data).into_bytes(),
                    Err(_) => Bytes::new(),
                }
            }
            Self::Append(params) => {
                params.sandbox = None;
                std::mem::take(&mut params.data_base64).into_bytes()
            }
            Self::WriteRange(params) => {
                params.sandbox = None;
                std::mem::take(&mut params.data_base64).into_bytes()
            }
            Self::OpenWhole(FsReadFileParams { sandbox, .. })
            | Self::ReadRange(FsReadRangeParams { sandbox, .. })
            | Self::Digest(FsDigestParams { sandbox, .. })
            | Self::ReadLink(FsReadLinkParams { sandbox, .. })
            | Self::CreateLink(FsCreateLinkParams { sandbox, .. })
            | Self::CreateDirectory(FsCreateDirectoryParams { sandbox, .. })
            | Self::GetMetadata(FsGetMetadataParams { sandbox, .. })
            | Self::StatMany(FsStatManyParams { sandbox, .. })
            | Self::Canonicalize(FsCanonicalizeParams { sandbox, .. })
            | Self::ReadDirectory(FsReadDirectoryParams { sandbox, .. })
            | Self::Walk(FsWalkParams { sandbox, .. })
            | Self::Remove(FsRemoveParams { sandbox, .. })
            | Self::Copy(FsCopyParams { sandbox, .. })
            | Self::Rename(FsRenameParams { sandbox, .. })
            | Self::SetPermissions(FsSetPermissionsParams { sandbox, .. }) => {
                *sandbox = None;
                Bytes::new()
            }
            Self::Open(..) => Bytes::new(),
        }
    }

    /// Does it, with the content that came beside it.
    pub(in crate::fs) fn perform(
        mut self,
        data: Bytes,
        host: &FsHost,
        interest: &Interest,
    ) -> Result<(Answer, Bytes, Option<File>), FsFault> {
        let plain = |answer| Ok((answer, Bytes::new(), None));
        match &mut self {
            Self::OpenWhole(params) => {
                let (opened, file) = WholeFile::open(params, &host.devices)?.into_parts();
                Ok((Answer::OpenWhole(opened), Bytes::new(), Some(file)))
            }
            Self::Open(path, mode) => Ok((Answer::Open, Bytes::new(), Some(open_file(path, *mode)?))),
            Self::ReadRange(params) => {
                let mut range = read::range(params)?;
                let data = std::mem::take(&mut range.data_base64).into_bytes();
                Ok((Answer::ReadRange(range), data, None))
            }
            Self::WriteFile(params) => {
                params.data_base64 = Ok(data.into());
                plain(Answer::WriteFile(write::write_file(host, params)?))
            }
            Self::Append(params) => {
                params.data_base64 = data.into();
                plain(Answer::Append(write::append(host, params)?))
            }
            Self::WriteRange(params) => {
                params.data_base64 = data.into();
                plain(Answer::WriteRange(write::write_range(host, params)?))
            }
            Self::Digest(params) => plain(Answer::Digest(digest::of(params, interest)?)),
            Self::ReadLink(params) => plain(Answer::ReadLink(link::read(params)?)),
            Self::CreateLink(params) => {
                link::create(params)?;
                plain(Answer::Done)
            }
            Self::CreateDirectory(params) => {
                directory::create(params)?;
                plain(Answer::Done)
            }
            Self::GetMetadata(params) => plain(Answer::GetMetadata(metadata::get(host, params)?)),
            Self::StatMany(params) => plain(Answer::StatMany(metadata::stat_many(host, params, interest)?)),
            Self::Canonicalize(params) => plain(Answer::Canonicalize(metadata::canonicalize(params)?)),
            Self::ReadDirectory(params) => {
                plain(Answer::ReadDirectory(listing::read(host, params, interest)?))
            }
            Self::Walk(params) => plain(Answer::Walk(walk::walk(params, interest)?)),
            Self::Remove(params) => {
                remove::remove(params)?;
                plain(Answer::Done)
            }
            Self::Copy(params) => {
                copy::copy(params, interest)?;
                plain(Answer::Done)
            }
            Self::Rename(params) => {
                rename::rename(params)?;
                plain(Answer::Done)
            }
            Self::SetPermissions(params) => {
                metadata::set_permissions(params)?;
                plain(Answer::Done)
            }
        }
    }
}
