//! One file, from one machine to another.
//!
//! ```text
//! what is there of an earlier copy? → blocks, read and written several at a time → on disk → the same digest on both sides
//! → permissions → its name
//! ```
//!
//! Until the last step it has another name, so nobody ever sees half of it. Each step can be repeated, so a connection
//! that is lost in between costs time alone.

use std::ffi::{OsStr, OsString};
use std::hash::{DefaultHasher, Hasher};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use codex_exec_server_core::service::{FileSystem, FsError};
use codex_exec_server_protocol::fs::{
    FsDigestParams, FsDigestResponse, FsGetMetadataParams, FsRemoveParams, FsRenameParams,
    FsSetPermissionsParams, FsWriteRangeParams,
};
use codex_exec_server_protocol::path_uri::PathUri;
use futures_util::StreamExt;
use futures_util::future::try_join;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Semaphore, mpsc};

use super::progress::Progress;
use crate::cli::Failure;
use crate::cli::exit::undone;
use crate::cli::files::{BLOCK_BYTES, Reading, about, shown, uri};

/// Blocks that are written at a time.
const WRITING: usize = 16;
/// Of an interrupted copy, what may lack a block in front of the last: as much as was written at a time.
const UNSURE_BYTES: u64 = WRITING as u64 * BLOCK_BYTES;
/// Files beyond this are copied one at a time: blocks that wait for each other's turn would only take up memory.
const LARGE_BYTES: u64 = 4 * BLOCK_BYTES;
/// The longest name of a file, in bytes.
const MAX_NAME_BYTES: usize = 255;
/// What a copy is called until it is whole: its name between these two.
const PARTIAL: (&[u8], &[u8]) = (b".", b".partial");
/// Permissions of a copy until it has the original's: nobody else's business.
const PRIVATE: u32 = 0o600;
/// Permission bits that are copied. Whose rights a program gets is not for a copy to say.
pub(super) const COPIED_BITS: u32 = 0o777;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileCopied {
    pub(super) bytes: u64,
    pub(super) resumed_bytes: u64,
    /// Whether SHA-256 was the same on both sides; otherwise the source's machine has none.
    pub(super) verified: bool,
}

/// Between which file systems, and how much of that at a time.
pub(super) struct Between<'a> {
    pub(super) from: &'a Arc<dyn FileSystem>,
    pub(super) to: &'a Arc<dyn FileSystem>,
    pub(super) progress: &'a Progress,
    pub(super) large: &'a Semaphore,
    /// Whether copies keep the time of the last change.
    pub(super) keeps_times: bool,
}

impl Between<'_> {
    /// Copies the file at `from` to `to`, in whose directory there are no links on the way.
    pub(super) async fn copy(&self, from: &Path, to: &Path) -> Result<FileCopied, Failure> {
        let partial = Partial::beside(to)?;
        let (mut reading, left) = try_join(Reading::open(self.from, from), partial.left(&**self.to)).await?;
        let size = reading.metadata().size;
        let _turn = if size > LARGE_BYTES { Some(self.large.acquire().await?) } else { None };
        let (from_uri, etag) = (uri(from)?, reading.metadata().etag.clone());
        let resumed_bytes = match left {
            Some(left) => self.resume(&from_uri, &partial, left, size).await?,
            None => 0,
        };
        reading.skip(resumed_bytes);
        Progress::add(&self.progress.known_bytes, size);
        Progress::add(&self.progress.resumed_bytes, resumed_bytes);
        let bytes = self.blocks(&mut reading, &partial, resumed_bytes).await?;
        let mode = reading.metadata().mode.map(|mode| mode & COPIED_BITS);
        let modified_at_ms = self.keeps_times.then_some(reading.metadata().modified_at_ms);
        drop(reading);

        let sums = try_join(self.sum(&from_uri, from), partial.sum(&**self.to)).await?;
        let verified = match sums {
            (None, _) => false,
            (Some(original), copy) => {
                if Some(&original.etag) != etag.as_ref() {
                    return Err(undone(format_args!(
                        "{}: was changed while it was copied; try again",
                        shown(from)
                    )));
                }
                if (&original.sha256, original.len) != (&copy.sha256, copy.len) {
                    partial.remove(&**self.to).await?;
                    return Err(undone(format_args!(
                        "{}: the copy is not the same as the original (SHA-256 differs), and is removed; try again",
                        shown(from)
                    )));
                }
                true
            }
        };
        partial.finish(&**self.to, to, mode, modified_at_ms).await?;
        Progress::add(&self.progress.files, /*by*/ 1);
        Ok(FileCopied { bytes, resumed_bytes, verified })
    }

    /// How much of the original an interrupted copy of `left` bytes has: what both sides agree about.
    async fn resume(&self, from: &PathUri, partial: &Partial, left: u64, size: u64) -> Result<u64, Failure> {
        // The original has become shorter, or is another one.
        if left <= size {
            for len in [left, left.saturating_sub(UNSURE_BYTES)] {
                if len == 0 {
                    break;
                }
                let original = match self.from.digest(digest(from.clone(), Some(len))).await {
                    Ok(original) => original,
                    Err(FsError::Unsupported(_)) => break,
                    Err(error) => return Err(about(partial.name(), &error)),
                };
                let copy = self.to.digest(digest(partial.uri.clone(), Some(len))).await;
                let copy = copy.map_err(|error| about(partial.name(), &error))?;
                if (original.len, &original.sha256) == (len, &copy.sha256) {
                    return Ok(len);
                }
            }
        }
        partial.remove(&**self.to).await?;
        Ok(0)
    }

    /// Moves what is behind `resumed` bytes; how long the copy is then.
    async fn blocks(&self, reading: &mut Reading, partial: &Partial, resumed: u64) -> Result<u64, Failure> {
        let (sender, receiver) = mpsc::channel::<(u64, Bytes)>(1);
        let read = async move {
            let mut offset = resumed;
            while let Some(bytes) = reading.next().await? {
                let next = offset + bytes.len() as u64;
                if sender.send((offset, bytes)).await.is_err() {
                    // Writing has failed, which is told there.
                    break;
                }
                offset = next;
            }
            Ok(offset)
        };
        let (len, ()) = try_join(read, self.write(receiver, partial)).await?;
        // Makes an empty file as well.
        let on_disk = FsWriteRangeParams { sync: true, ..partial.block(len, Bytes::new()) };
        self.to.write_range(on_disk).await.map_err(|error| about(partial.name(), &error))?;
        Ok(len)
    }

    async fn write(
        &self,
        mut blocks: mpsc::Receiver<(u64, Bytes)>,
        partial: &Partial,
    ) -> Result<(), Failure> {
        let mut writing = FuturesUnordered::new();
        loop {
            tokio::select! {
                block = blocks.recv(), if writing.len() < WRITING => match block {
                    None => break,
                    Some((offset, bytes)) => {
                        let len = bytes.len() as u64;
                        let written = self.to.write_range(partial.block(offset, bytes));
                        writing.push(async move { written.await.map(|_| len) });
                    }
                },
                Some(written) = writing.next() => {
                    let len = written.map_err(|error| about(partial.name(), &error))?;
                    Progress::add(&self.progress.moved_bytes, len);
                }
            }
        }
        while let Some(written) = writing.next().await {
            let len = written.map_err(|error| about(partial.name(), &error))?;
            Progress::add(&self.progress.moved_bytes, len);
        }
        Ok(())
    }

    /// The original's digest; `None` if its machine has no such thing.
    async fn sum(&self, from: &PathUri, path: &Path) -> Result<Option<FsDigestResponse>, Failure> {
        match self.from.digest(digest(from.clone(), /*len*/ None)).await {
            Ok(sum) => Ok(Some(sum)),
            Err(FsError::Unsupported(_)) => Ok(None),
            Err(error) => Err(about(shown(path), &error)),
        }
    }
}

fn digest(path: PathUri, len: Option<u64>) -> FsDigestParams {
    FsDigestParams { path, len, follow_symlinks: None, sandbox: None }
}

/// What the copy of this name is called until it is whole. A name that would become too long ends in a number that stands
/// for the rest of it.
pub(super) fn partial_of(name: &OsStr) -> OsString {
    let room = MAX_NAME_BYTES - PARTIAL.0.len() - PARTIAL.1.len();
    let mut bytes = name.as_bytes().to_owned();
    if bytes.len() > room {
        let mut hasher = DefaultHasher::new();
        hasher.write(&bytes);
        let number = format!("~{:016x}", hasher.finish());
        bytes.truncate(room - number.len());
        bytes.extend_from_slice(number.as_bytes());
    }
    OsString::from_vec([PARTIAL.0, &bytes, PARTIAL.1].concat())
}

/// A copy that is not whole yet.
struct Partial {
    path: PathBuf,
    uri: PathUri,
}

impl Partial {
    /// That of the copy at `to`.
    fn beside(to: &Path) -> Result<Self, Failure> {
        let name =
            to.file_name().ok_or_else(|| undone(format_args!("{}: has no name of its own", shown(to))))?;
        let path = to.with_file_name(partial_of(name));
        let uri = uri(&path)?;
        Ok(Self { path, uri })
    }

    fn name(&self) -> String {
        shown(&self.path)
    }

    fn block(&self, offset: u64, bytes: Bytes) -> FsWriteRangeParams {
        FsWriteRangeParams {
            path: self.uri.clone(),
            offset,
            data_base64: bytes.into(),
            create: true,
            mode: Some(PRIVATE),
            sync: false,
            // Somebody else's link would lead somewhere else.
            follow_symlinks: Some(false),
            sandbox: None,
        }
    }

    /// How long it is, if an earlier copy left one.
    async fn left(&self, on: &dyn FileSystem) -> Result<Option<u64>, Failure> {
        let path = self.uri.clone();
        match on.get_metadata(FsGetMetadataParams { path, follow_symlinks: None, sandbox: None }).await {
            Ok(found) if found.is_file && !found.is_symlink => Ok(Some(found.size)),
            Ok(_) => Err(undone(format_args!("{}: is in the way of a copy, and is not a file", self.name()))),
            Err(FsError::NotFound(_)) => Ok(None),
            Err(error) => Err(about(self.name(), &error)),
        }
    }

    async fn remove(&self, on: &dyn FileSystem) -> Result<(), Failure> {
        let params = FsRemoveParams {
            path: self.uri.clone(),
            recursive: Some(false),
            force: Some(true),
            follow_symlinks: None,
            sandbox: None,
        };
        match on.remove(params).await {
            // If it is still there, what is written next and its digest will tell.
            Ok(()) | Err(FsError::OutcomeUnknown) => Ok(()),
            Err(error) => Err(about(self.name(), &error)),
        }
    }

    async fn sum(&self, on: &dyn FileSystem) -> Result<FsDigestResponse, Failure> {
        on.digest(digest(self.uri.clone(), /*len*/ None)).await.map_err(|error| about(self.name(), &error))
    }

    /// Gives it its permissions, its time if it is to have one, and its name.
    async fn finish(
        &self,
        on: &dyn FileSystem,
        to: &Path,
        mode: Option<u32>,
        modified_at_ms: Option<i64>,
    ) -> Result<(), Failure> {
        // A machine that tells no permissions still tells times; then the copy stays private.
        if mode.is_some() || modified_at_ms.is_some() {
            let (path, mode) = (self.uri.clone(), mode.unwrap_or(PRIVATE));
            let params =
                FsSetPermissionsParams { path, mode, modified_at_ms, follow_symlinks: None, sandbox: None };
            on.set_permissions(params).await.map_err(|error| about(self.name(), &error))?;
        }
        let params = FsRenameParams {
            source_path: self.uri.clone(),
            destination_path: uri(to)?,
            overwrite: true,
            sandbox: None,
        };
        match on.rename(params.clone()).await {
            Ok(()) => Ok(()),
            // Done once, it leaves nothing to be done again.
            Err(FsError::OutcomeUnknown) => match self.left(on).await? {
                None => Ok(()),
                Some(_) => on.rename(params).await.map_err(|error| about(shown(to), &error)),
            },
            Err(error) => Err(about(shown(to), &error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_copy_lies_beside_the_copy_under_a_name_that_is_short_enough() {
        let partial = |to: &str| Partial::beside(Path::new(to)).map(|partial| partial.path);
        assert_eq!(partial("/a/b.txt").unwrap(), Path::new("/a/.b.txt.partial"));
        assert!(partial("/").is_err());
        let long = |end| partial_of(OsStr::new(&format!("{}{end}", "x".repeat(250))));
        assert_eq!(long("a").len(), 255);
        assert_eq!(long("a"), long("a"));
        assert_ne!(long("a"), long("b"));
    }
}
