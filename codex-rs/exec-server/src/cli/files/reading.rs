//! Reading a file of a machine, with failures in the words of the command line.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use codex_exec_server_client::{FileReading, READING_BLOCK_BYTES, ReadingError};
use codex_exec_server_core::service::FileSystem;
use codex_exec_server_protocol::fs::FsGetMetadataResponse;

use super::host::uri;
use super::{about, shown};
use crate::cli::Failure;
use crate::cli::exit::undone;

/// What is asked for at a time.
pub(in crate::cli) const BLOCK_BYTES: u64 = READING_BLOCK_BYTES;

/// See [`FileReading`].
pub(in crate::cli) struct Reading {
    path: PathBuf,
    inner: FileReading,
}

impl Reading {
    /// Opens the file at `path`.
    pub(in crate::cli) async fn open(files: &Arc<dyn FileSystem>, path: &Path) -> Result<Self, Failure> {
        let inner = FileReading::open(files, uri(path)?, /*sandbox*/ None).await;
        Ok(Self { path: path.to_owned(), inner: inner.map_err(|error| told(path, &error))? })
    }

    /// What the file was when reading began.
    pub(in crate::cli) const fn metadata(&self) -> &FsGetMetadataResponse {
        self.inner.metadata()
    }

    /// Begins behind so many bytes. Before anything is read.
    pub(in crate::cli) fn skip(&mut self, bytes: u64) {
        self.inner.skip(bytes);
    }

    /// The next bytes, never none; `None` at the end of the file. To be awaited to its end.
    pub(in crate::cli) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        self.inner.next().await.map_err(|error| told(&self.path, &error))
    }
}

fn told(path: &Path, error: &ReadingError) -> Failure {
    match error {
        ReadingError::Fs(error) => about(shown(path), error),
        ReadingError::Replaced => undone(format_args!("{}: {error}", shown(path))),
    }
}
