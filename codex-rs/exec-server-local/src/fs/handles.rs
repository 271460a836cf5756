//! The open files of one caller, by the names that it chose.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_protocol::fs::{
    FileHandleId, FsCloseParams, FsOpenParams, FsOpenResponse, FsReadBlockParams, FsReadBlockResponse,
    FsWriteBlockParams, MAX_BLOCK_BYTES, MAX_FILE_HANDLE_ID_BYTES, MAX_FILE_HANDLES,
};
use tokio::sync::OwnedSemaphorePermit;

use super::block::Block;
use super::handle::{Ahead, OpenFile};
use super::host::FsHost;
use super::sandbox::Confined;

/// See the module. Dropping it closes them all.
///
/// Each future takes its place among others of the same file when it is first polled.
#[derive(Debug)]
pub struct FileHandles {
    host: Arc<FsHost>,
    ahead: Ahead,
    /// Those that are being opened, too.
    open: Mutex<HashMap<FileHandleId, Arc<OpenFile>>>,
}

/// Takes a name out of the table again, unless its file was opened and stays so.
struct Claim<'a> {
    handles: &'a FileHandles,
    id: &'a FileHandleId,
    file: Option<Arc<OpenFile>>,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            self.handles.forget(self.id, file);
        }
    }
}

impl FileHandles {
    /// None yet.
    #[must_use]
    pub fn new(host: Arc<FsHost>) -> Self {
        let ahead = Ahead::new(host.limits.block_bytes_ahead);
        Self { host, ahead, open: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<FileHandleId, Arc<OpenFile>>> {
        // Every change under this lock is a single insertion or removal.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, id: &FileHandleId) -> Result<Arc<OpenFile>, FsFault> {
        let file = self.lock().get(id).filter(|file| !file.is_closing()).cloned();
        file.ok_or_else(|| FsFault::UnknownHandle(id.clone()))
    }

    /// Frees the name of `file`, unless it stands for another by now.
    fn forget(&self, id: &FileHandleId, file: &Arc<OpenFile>) {
        let mut open = self.lock();
        if open.get(id).is_some_and(|known| Arc::ptr_eq(known, file)) {
            open.remove(id);
        }
    }

    /// `fs/open`
    pub async fn open(&self, params: FsOpenParams) -> Result<FsOpenResponse, FsFault> {
        let FsOpenParams { handle_id, path, mode, sandbox } = params;
        if handle_id.0.len() > MAX_FILE_HANDLE_ID_BYTES {
            return Err(FsFault::HandleIdTooLong);
        }
        let policy = Confined::new(&self.host, sandbox.as_ref())?;
        let (file, opening) = OpenFile::new(handle_id.clone(), path);
        let previous = {
            let mut open = self.lock();
            let previous = open.get(&handle_id);
            if previous.is_some_and(|file| !file.is_closing()) {
                return Err(FsFault::HandleExists(handle_id));
            }
            if previous.is_none() && open.len() >= MAX_FILE_HANDLES {
                return Err(FsFault::TooManyHandles(MAX_FILE_HANDLES));
            }
            open.insert(handle_id.clone(), Arc::clone(&file))
        };
        let mut claim = Claim { handles: self, id: &handle_id, file: Some(Arc::clone(&file)) };
        // What was asked by the same name before comes first.
        if let Some(previous) = previous {
            previous.settled().await;
        }
        file.open(&self.host, mode, policy, opening).await?;
        claim.file = None;
        drop(claim);
        Ok(FsOpenResponse { handle_id })
    }

    /// `fs/readBlock`
    pub async fn read_block(&self, params: FsReadBlockParams) -> Result<FsReadBlockResponse, FsFault> {
        let whole = |block: Block<'_>| block.whole(Vec::new());
        let ((chunk, eof), _) = self.take_block(params, whole).await?;
        Ok(FsReadBlockResponse { chunk: chunk.into(), eof })
    }

    /// The same, as what `take` makes of it, which reads it where it may wait. Of long blocks that were read and still have their permits
    /// there are only as many as may be ahead of the socket.
    pub async fn take_block<T: Send + 'static>(
        &self,
        params: FsReadBlockParams,
        take: impl FnOnce(Block<'_>) -> std::io::Result<T> + Send + 'static,
    ) -> Result<(T, Option<OwnedSemaphorePermit>), FsFault> {
        let file = self.find(&params.handle_id)?;
        if !(1..=MAX_BLOCK_BYTES).contains(&params.len) {
            return Err(FsFault::ReadBlockLength);
        }
        let outcome = file.read(&self.host, (params.offset, params.len), &self.ahead, take).await;
        self.settle(&params.handle_id, &file);
        outcome
    }

    /// Waits for room for a range of so many bytes among the long blocks, and takes it until the permit is dropped.
    pub async fn room(&self, range_bytes: u64) -> Option<OwnedSemaphorePermit> {
        self.ahead.room(range_bytes.min(MAX_BLOCK_BYTES)).await
    }

    /// `fs/writeBlock`
    pub async fn write_block(&self, params: FsWriteBlockParams) -> Result<(), FsFault> {
        let file = self.find(&params.handle_id)?;
        if !(1..=MAX_BLOCK_BYTES).contains(&(params.chunk.len() as u64)) {
            return Err(FsFault::WriteBlockLength);
        }
        let outcome = file.write(&self.host, params.offset, params.chunk.into_bytes()).await;
        self.settle(&params.handle_id, &file);
        outcome
    }

    fn settle(&self, id: &FileHandleId, file: &Arc<OpenFile>) {
        if file.has_failed() {
            self.forget(id, file);
        }
    }

    /// `fs/close`. The name is free at once; what is opened by it then waits for this close.
    pub async fn close(&self, params: FsCloseParams) -> Result<(), FsFault> {
        let Ok(file) = self.find(&params.handle_id) else { return Ok(()) };
        let claim = Claim { handles: self, id: &params.handle_id, file: Some(Arc::clone(&file)) };
        let outcome = file.close(&self.host).await;
        drop(claim);
        outcome
    }

    /// Frees the name; the file is closed as soon as nobody reads or writes it any more.
    pub(super) fn abandon(&self, id: &FileHandleId) {
        self.lock().remove(id);
    }
}

#[cfg(test)]
#[path = "handles_tests.rs"]
mod tests;
