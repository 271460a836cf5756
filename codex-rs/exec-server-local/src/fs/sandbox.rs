//! Sandboxes of single calls: which of them confine a call, and how a confined one is done.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::Bytes;
use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_core::service::SearchEnd;
use codex_exec_server_protocol::fs::FsOpenMode;
use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_protocol::sandbox::SandboxContext;
use codex_linux_sandbox::intent::Policy;
use rustix::fs::FileType;
use serde::de::DeserializeOwned;

use super::confined::{Answer, Request, Search};
use super::host::{FsHost, Interest};
use super::metadata::{kind, look_at};

/// A policy that restricts files, and who does operations under it.
#[derive(Debug)]
pub(super) struct Confined {
    host: Arc<FsHost>,
    policy: Policy,
}

impl Confined {
    /// `None` if `sandbox` restricts no files. What restricts the network only has nothing to do with them.
    pub(super) fn new(host: &Arc<FsHost>, sandbox: Option<&SandboxContext>) -> Result<Option<Self>, FsFault> {
        let Some(context) = sandbox else { return Ok(None) };
        let policy = host.helpers.sandbox().file_policy(context)?;
        Ok(policy.map(|policy| Self { host: Arc::clone(host), policy }))
    }

    /// Has something found, and shows it to `put` bit by bit.
    pub(super) fn find<T: DeserializeOwned>(
        &self,
        search: Search,
        interest: &Interest,
        put: impl FnMut(Vec<T>) -> Result<(), FsFault>,
    ) -> Result<SearchEnd, FsFault> {
        self.host.helpers.find(&self.policy, search, interest, self.host.turns(), put)
    }

    /// Opens a file for its handle.
    pub(super) fn open(&self, path: PathUri, mode: FsOpenMode) -> Result<File, FsFault> {
        // An opening is seen through, whoever waits.
        let (interest, _interested) = Interest::new();
        perform(&self.host, Some(self), Request::Open(path, mode), &interest, |reply| reply.file)
    }
}

/// Fails if `sandbox` restricts files, for a watch can't be confined: what the kernel tells of is not looked at first.
pub(super) fn unwatched(host: &FsHost, sandbox: Option<&SandboxContext>) -> Result<(), FsFault> {
    match sandbox.map(|context| host.helpers.sandbox().file_policy(context)).transpose()?.flatten() {
        None => Ok(()),
        Some(_) => Err(FsFault::Sandbox(
            "a watch can't be confined by this server, so nothing is watched; ask fs/statMany or fs/glob now and then instead"
                .to_owned(),
        )),
    }
}

/// What came of a request.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) answer: Answer,
    /// Content that stands beside the answer.
    pub(super) data: Bytes,
    pub(super) file: Option<File>,
}

/// Does `request`, or has it done under `policy`, and waits for it; `take` finds in the reply what was asked for.
pub(super) fn perform<T>(
    host: &Arc<FsHost>,
    policy: Option<&Confined>,
    mut request: Request,
    interest: &Interest,
    take: impl FnOnce(Reply) -> Option<T>,
) -> Result<T, FsFault> {
    let path = request.path().clone();
    let reply = match policy {
        None => {
            let data = request.strip();
            let (answer, data, file) = request.perform(data, host, interest)?;
            Reply { answer, data, file }
        }
        Some(Confined { policy, .. }) => {
            let (answer, data, file) = host.helpers.ask(policy, request, interest, host.turns())?;
            let file = file.map(|file| regular(&path, file)).transpose()?;
            Reply { answer, data, file }
        }
    };
    take(reply).ok_or(FsFault::HelperLost(path))
}

/// What a helper opened is read by the server itself, so the server makes sure that it is a file.
fn regular(path: &PathUri, file: OwnedFd) -> Result<File, FsFault> {
    let stat = look_at(&file).map_err(|error| FsFault::io(path, error))?;
    if kind(&stat) == FileType::RegularFile {
        Ok(file.into())
    } else {
        Err(FsFault::HelperLost(path.clone()))
    }
}
