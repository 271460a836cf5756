//! One helper: a process in a sandbox, and the connections to it.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_core::service::SearchEnd;
use codex_exec_server_protocol::error_code::RpcError;
use codex_linux_sandbox::Held;
use codex_linux_sandbox::intent::Policy;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::super::host::Interest;
use super::frame::{self, Frame};
use super::request::{Answer, Asked};
use super::search::Told;
use crate::os;
use crate::sandbox::{Sandbox, unenforceable};

/// Connections that are kept for the next request when nobody uses them.
const KEPT_CONNECTIONS: usize = 4;

/// What a helper is told at its start.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Settings {
    /// As in [`FileLimits`](codex_exec_server_core::limits::FileLimits).
    pub(super) listed_entries: usize,
}

/// What came back: what was answered, the content beside it, and a descriptor.
pub(super) type Reply = (Result<Answer, RpcError>, Bytes, Option<OwnedFd>);

/// See the module. Dropping it ends the process.
#[derive(Debug)]
pub(super) struct Helper {
    /// Takes connections. `None` when the helper is to end.
    socket: Option<OwnedFd>,
    idle: Mutex<Vec<Arc<OwnedFd>>>,
    process: Option<(os::Child, Held)>,
}

impl Helper {
    /// Starts one for `policy`. Takes milliseconds.
    pub(super) fn start(
        sandbox: &Sandbox,
        policy: &Policy,
        settings: Settings,
        turns: &OwnedFd,
    ) -> Result<Self, FsFault> {
        let settings = serde_json::to_vec(&settings).map_err(|error| failed(&error))?;
        let prepared = sandbox.prepare_file_server(policy, settings)?;
        let (child, server) = os::spawn_file_server(prepared)
            .map_err(|error| FsFault::Sandbox(unenforceable(error).to_string()))?;
        let helper = Self {
            socket: Some(server.socket),
            idle: Mutex::default(),
            process: Some((child, server.started.held)),
        };
        helper.give(turns).map_err(|error| failed(&error))?;
        Ok(helper)
    }

    /// Whether the view that it has is still the machine's. Looks at files.
    pub(super) fn is_current(&self) -> bool {
        self.process.as_ref().is_some_and(|(_, held)| held.is_current())
    }

    /// Whether something stands on the machine for as long as it lives.
    pub(super) fn has_placeholders(&self) -> bool {
        self.process.as_ref().is_some_and(|(_, held)| held.has_placeholders())
    }

    /// Asks, and waits for the answer. Fails where none came: the helper has ended, or `interest` has.
    pub(super) fn ask(&self, request: &Asked, data: &[u8], interest: &Interest) -> io::Result<Reply> {
        let connection = self.connection()?;
        interest.watched_by(&connection);
        frame::write(&*connection, request, data, /*file*/ None)?;
        let answered = frame::read(&*connection)?;
        let Frame { text, data, file } = answered.ok_or(io::ErrorKind::UnexpectedEof)?;
        self.keep(connection, interest);
        Ok((text, data, file))
    }

    /// Has something found, bit by bit, until there is no more of it or `put` fails. Fails as [`Self::ask`] does.
    pub(super) fn find<T: DeserializeOwned>(
        &self,
        search: &Asked,
        interest: &Interest,
        put: &mut impl FnMut(Vec<T>) -> Result<(), FsFault>,
    ) -> io::Result<Result<SearchEnd, FsFault>> {
        let connection = self.connection()?;
        interest.watched_by(&connection);
        frame::write(&*connection, search, &[], /*file*/ None)?;
        let end = loop {
            let told = frame::read::<Result<Told<T>, RpcError>>(&*connection)?;
            match told.ok_or(io::ErrorKind::UnexpectedEof)?.text {
                Ok(Told::Found(found)) => {
                    if let Err(fault) = put(found) {
                        // What it finds next has nowhere to go, which ends it.
                        return Ok(Err(fault));
                    }
                }
                Ok(Told::End { matches, truncated, unreadable }) => {
                    break Ok(SearchEnd { matches, truncated, unreadable });
                }
                Err(error) => break Err(FsFault::Relayed(error)),
            }
        };
        self.keep(connection, interest);
        Ok(end)
    }

    /// Keeps a connection over which everything was said. One that was given up meanwhile is shut, and no good for others.
    fn keep(&self, connection: Arc<OwnedFd>, interest: &Interest) {
        if interest.let_go() {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < KEPT_CONNECTIONS {
                idle.push(connection);
            }
        }
    }

    fn connection(&self) -> io::Result<Arc<OwnedFd>> {
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(connection) = kept {
            return Ok(connection);
        }
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        self.give(&theirs)?;
        Ok(Arc::new(ours))
    }

    fn give(&self, file: &OwnedFd) -> io::Result<()> {
        let socket = self.socket.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        frame::give(socket, file.as_fd())
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // The end of these is the helper's.
        self.socket = None;
        self.idle.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
        let Some((child, held)) = self.process.take() else { return };
        let bury = move || {
            os::wait_for(&child);
            drop(held);
        };
        // Work that hangs keeps it from ending; so whoever drops it does not wait, where there are threads for that.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(bury)),
            Err(_) => bury(),
        }
    }
}

fn failed(error: &dyn std::fmt::Display) -> FsFault {
    FsFault::Sandbox(unenforceable(format!("no process for file operations: {error}")).to_string())
}
