//! Where notifications go: each to the inbox of its process.
//!
//! Outlives connections, so that a process keeps its inbox whatever carries its events.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use codex_exec_server_protocol::ids::ProcessId;
use codex_exec_server_protocol::methods::ServerNotification;

use crate::error::ClientError;
use crate::event::Exit;
use crate::inbox::Inbox;
use crate::timeline::Entry;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Router {
    routes: Mutex<HashMap<ProcessId, Arc<Inbox>>>,
}

impl Router {
    fn lock(&self) -> MutexGuard<'_, HashMap<ProcessId, Arc<Inbox>>> {
        // Every change under this lock is a single insertion or removal.
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a process. False, changing nothing, if there is one of that id.
    pub(crate) fn add(&self, id: ProcessId, inbox: Arc<Inbox>) -> bool {
        let mut routes = self.lock();
        let free = !routes.contains_key(&id);
        if free {
            routes.insert(id, inbox);
        }
        free
    }

    pub(crate) fn remove(&self, id: &ProcessId) {
        self.lock().remove(id);
    }

    /// Takes a notification to where it belongs. Returns when the connection may go on reading: a process may hold it up
    /// while its caller has not taken what is there, if that was asked for; see [`Lag`](crate::Lag).
    ///
    /// What belongs to nobody is dropped: its process was given up, or is of a kind that this client has no use for.
    pub(crate) async fn deliver(&self, notification: ServerNotification) {
        let (id, seq, entry) = match notification {
            ServerNotification::ProcessOutput(output) => {
                let bytes = output.chunk.into_bytes();
                let entry = Entry::Output { stream: output.stream, bytes, offset: output.offset };
                (output.process_id, output.seq, entry)
            }
            ServerNotification::ProcessExited(exited) => {
                let exit = Exit {
                    code: exited.exit_code,
                    sandbox_denied: exited.sandbox_denied,
                    reason: exited.reason,
                    signal: exited.signal,
                    usage: exited.usage,
                };
                (exited.process_id, exited.seq, Entry::Exited(exit))
            }
            ServerNotification::ProcessClosed(closed) => {
                let entry = Entry::Closed { output_bytes: closed.output_bytes, crc32c: closed.crc32c };
                (closed.process_id, closed.seq, entry)
            }
            _ => return,
        };
        let inbox = self.lock().get(&id).cloned();
        if let Some(inbox) = inbox {
            inbox.push(seq, entry);
            inbox.room().await;
        }
    }

    /// A new connection took the place of a lost one: what was pushed in between has to be read.
    pub(crate) fn reconnected(&self) {
        for inbox in self.lock().values() {
            inbox.reconnected();
        }
    }

    /// There is no connection any more.
    pub(crate) fn fail(&self, error: &ClientError) {
        for (_, inbox) in self.lock().drain() {
            inbox.fail(error.clone().into());
        }
    }
}
