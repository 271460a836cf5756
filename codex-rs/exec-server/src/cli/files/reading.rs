//! One file of a machine, read from beginning to end, several blocks ahead.
//!
//! The file is opened, so that what is read is the file that was there when reading began, wherever its name leads by now.
//! With a connection its handle is lost; then it is opened again, and reading goes on if it is still the same file.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use codex_exec_server_core::service::{FileHandle, FileSystem, FsError};
use codex_exec_server_protocol::fs::{
    FsGetMetadataParams, FsGetMetadataResponse, FsOpenMode, FsReadBlockResponse,
};
use codex_exec_server_protocol::path_uri::PathUri;
use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;

use super::host::uri;
use super::{about, shown};
use crate::cli::Failure;

/// What is asked for at a time: small enough that several files take turns, large enough that a request costs nothing
/// beside it.
pub(in crate::cli) const BLOCK_BYTES: u64 = 512 << 10;
/// Blocks on their way at once, 8 MiB in all: 80 ms at 100 MB/s.
const AHEAD: usize = 16;
/// How often a handle may be lost in a row without a byte in between.
const FRUITLESS: u32 = 5;

type Block = Pin<Box<dyn Future<Output = Result<FsReadBlockResponse, FsError>> + Send>>;

/// See the module.
pub(in crate::cli) struct Reading {
    files: Arc<dyn FileSystem>,
    path: PathBuf,
    uri: PathUri,
    /// What the file was when reading began.
    pub(in crate::cli) metadata: FsGetMetadataResponse,
    handle: Arc<dyn FileHandle>,
    blocks: FuturesOrdered<Block>,
    /// The first byte that was not asked for.
    asked: u64,
    /// The first byte that was not given.
    given: u64,
    fruitless: u32,
    is_over: bool,
}

impl Reading {
    /// Opens the file at `path`.
    pub(in crate::cli) async fn open(files: &Arc<dyn FileSystem>, path: &Path) -> Result<Self, Failure> {
        let uri = uri(path)?;
        let (handle, metadata) = open(&**files, &uri).await.map_err(|error| about(shown(path), &error))?;
        Ok(Self {
            files: Arc::clone(files),
            path: path.to_owned(),
            uri,
            metadata,
            handle,
            blocks: FuturesOrdered::new(),
            asked: 0,
            given: 0,
            fruitless: 0,
            is_over: false,
        })
    }

    /// Begins behind so many bytes. Before anything is read.
    pub(in crate::cli) fn skip(&mut self, bytes: u64) {
        (self.asked, self.given) = (bytes, bytes);
    }

    /// The next bytes, never none; `None` at the end of the file. To be awaited to its end.
    pub(in crate::cli) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        while !self.is_over {
            self.ask();
            match self.blocks.next().await {
                None => break,
                Some(Ok(block)) => {
                    self.fruitless = 0;
                    let chunk = block.chunk.into_bytes();
                    self.given += chunk.len() as u64;
                    // A short block is the end as well: what was asked for behind it begins elsewhere.
                    self.is_over = block.eof || (chunk.len() as u64) < BLOCK_BYTES;
                    if !chunk.is_empty() {
                        return Ok(Some(chunk));
                    }
                }
                Some(Err(FsError::NotFound(_))) if self.fruitless < FRUITLESS => {
                    self.fruitless += 1;
                    self.reopen().await?;
                }
                Some(Err(error)) => return Err(about(shown(&self.path), &error)),
            }
        }
        self.blocks = FuturesOrdered::new();
        Ok(None)
    }

    /// Asks for what is known to be there, and for one block in any case: files may grow, and some tell no length.
    fn ask(&mut self) {
        while self.blocks.len() < AHEAD && (self.blocks.is_empty() || self.asked < self.metadata.size) {
            let (handle, offset) = (Arc::clone(&self.handle), self.asked);
            self.blocks.push_back(Box::pin(async move { handle.read(offset, BLOCK_BYTES).await }));
            self.asked += BLOCK_BYTES;
        }
    }

    /// Goes on with a new handle.
    async fn reopen(&mut self) -> Result<(), Failure> {
        self.blocks = FuturesOrdered::new();
        self.asked = self.given;
        let opened = open(&*self.files, &self.uri).await;
        let (handle, metadata) = opened.map_err(|error| about(shown(&self.path), &error))?;
        if !is_same(&self.metadata, &metadata) {
            return Err(format!(
                "{}: another file is there since the connection was lost, so the rest can't be read",
                shown(&self.path)
            )
            .into());
        }
        self.handle = handle;
        Ok(())
    }
}

async fn open(
    files: &dyn FileSystem,
    uri: &PathUri,
) -> Result<(Arc<dyn FileHandle>, FsGetMetadataResponse), FsError> {
    let handle = files.open(uri.clone(), FsOpenMode::Read, /*sandbox*/ None).await?;
    let params = FsGetMetadataParams { path: uri.clone(), follow_symlinks: None, sandbox: None };
    Ok((handle, files.get_metadata(params).await?))
}

/// Whether both are of one file. Where the server does not tell, one that was not changed is taken for it.
fn is_same(before: &FsGetMetadataResponse, after: &FsGetMetadataResponse) -> bool {
    match (&before.inode, &after.inode) {
        (Some(before), Some(after)) => before == after,
        _ => (before.size, before.modified_at_ms) == (after.size, after.modified_at_ms),
    }
}
