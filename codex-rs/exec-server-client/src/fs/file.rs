//! An open file of the server's machine.
//!
//! It belongs to the connection on which it was opened. When that is lost, so is the file: no later connection knows it,
//! and to open it again would be to read another content, or to empty what was written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use codex_exec_server_core::reconnect::Repeat;
use codex_exec_server_core::service::{FileHandle, FsError, ServiceFuture};
use codex_exec_server_protocol::error_code::{ErrorCode, RpcError};
use codex_exec_server_protocol::fs::{
    FileHandleId, FsCloseParams, FsOpenMode, FsOpenParams, FsReadBlockParams, FsReadBlockResponse,
    FsWriteBlockParams, MAX_FILE_HANDLE_ID_BYTES,
};
use codex_exec_server_protocol::methods::{FsClose, FsOpen, FsReadBlock, FsWriteBlock, Method};
use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_protocol::sandbox::SandboxContext;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::client::Client;
use crate::error::{Outcome, RequestError};
use crate::session::Attached;

/// See the module.
#[derive(Debug)]
struct RemoteFile {
    client: Client,
    /// Where it was opened.
    attached: Arc<Attached>,
    id: FileHandleId,
    /// Held while a request is handed on, so that requests leave in the order of the calls.
    turn: Mutex<()>,
    closed: AtomicBool,
}

/// Opens a file.
pub(super) async fn open(
    client: &Client,
    path: PathUri,
    mode: FsOpenMode,
    sandbox: Option<SandboxContext>,
) -> Result<Arc<dyn FileHandle>, FsError> {
    if mode == FsOpenMode::Replace {
        let flag = client.inner.require("fileWriteStreaming", |flags| flags.file_write_streaming);
        flag.map_err(RequestError::from)?;
    }
    let mut id = Uuid::new_v4().simple().to_string();
    id.truncate(MAX_FILE_HANDLE_ID_BYTES);
    let id = FileHandleId(id);
    let params = FsOpenParams { handle_id: id.clone(), path, mode, sandbox };
    // To empty a file a second time does harm only to what somebody wrote into it meanwhile.
    let repeat = if mode == FsOpenMode::Read { Repeat::Always } else { Repeat::IfUnsent };
    let mut connections = client.inner.connections();
    loop {
        let attached = connections.next().await.map_err(RequestError::from)?;
        let file = RemoteFile {
            client: client.clone(),
            attached,
            id: id.clone(),
            turn: Mutex::default(),
            closed: AtomicBool::new(false),
        };
        match file.attached.link.call::<FsOpen>(&params).await.map_err(Outcome::from) {
            Ok(_) => return Ok(Arc::new(file)),
            Err(Outcome::Refused(error)) => return Err(error.into()),
            Err(Outcome::Lost { sent }) if sent && repeat == Repeat::IfUnsent => {
                return Err(FsError::OutcomeUnknown);
            }
            Err(Outcome::Lost { .. }) => {}
        }
    }
}

impl RemoteFile {
    async fn call<M: Method>(&self, params: &M::Params) -> Result<M::Response, FsError>
    where
        M::Response: Send + 'static,
    {
        let begun = {
            let _turn = self.turn.lock().await;
            self.attached.link.begin::<M>(params).await
        };
        let outcome = match begun {
            Ok(pending) => pending.answer().await,
            Err(lost) => Err(lost.into()),
        };
        match outcome.map_err(Outcome::from) {
            Ok(response) => Ok(response),
            Err(Outcome::Refused(error)) => Err(error.into()),
            Err(Outcome::Lost { .. }) => {
                let text = format!("file handle `{}` was closed when its connection was lost", self.id.0);
                Err(FsError::NotFound(RpcError::new(ErrorCode::NotFound, text)))
            }
        }
    }
}

impl FileHandle for RemoteFile {
    fn read(&self, offset: u64, len: u64) -> ServiceFuture<'_, Result<FsReadBlockResponse, FsError>> {
        Box::pin(async move {
            let params = FsReadBlockParams { handle_id: self.id.clone(), offset, len };
            self.call::<FsReadBlock>(&params).await
        })
    }

    fn write(&self, offset: u64, bytes: Bytes) -> ServiceFuture<'_, Result<(), FsError>> {
        Box::pin(async move {
            let params = FsWriteBlockParams { handle_id: self.id.clone(), offset, chunk: bytes.into() };
            self.call::<FsWriteBlock>(&params).await.map(drop)
        })
    }

    fn close(&self) -> ServiceFuture<'_, Result<(), FsError>> {
        Box::pin(async move {
            let params = FsCloseParams { handle_id: self.id.clone() };
            self.closed.store(true, Ordering::Relaxed);
            match self.call::<FsClose>(&params).await {
                // It is closed, in whichever way.
                Ok(_) | Err(FsError::NotFound(_)) => Ok(()),
                Err(error) => Err(error),
            }
        })
    }
}

impl Drop for RemoteFile {
    fn drop(&mut self) {
        // Without a runtime there is no connection to say it on either.
        if *self.closed.get_mut() || tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let (attached, id) = (Arc::clone(&self.attached), self.id.clone());
        // Closing one that is closed already is fine.
        self.client.inner.tasks.spawn(async move {
            let params = FsCloseParams { handle_id: id };
            let _ = attached.link.call::<FsClose>(&params).await;
        });
    }
}
