//! Sessions and the processes they own: what outlives a connection.
//!
//! Who holds a session is decided by [`codex_exec_server_core::sessions`]; this adds the processes, the clock, and
//! the task that ends what has expired.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use codex_exec_server_core::error::ServiceError;
use codex_exec_server_core::sessions::{ConnectionId, IfAttached, Sessions};
use codex_exec_server_local::fs::{FsHost, LocalFileSystem};
use codex_exec_server_local::http::{KeyedHttp, LocalHttp};
use codex_exec_server_local::process::{ProcessHost, ProcessTable};
use codex_exec_server_protocol::ids::SessionId;
use codex_exec_server_transport::Presence;
use tokio::sync::{Notify, SetOnce};
use tokio::time::{Instant, sleep_until};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// A session: a namespace of processes, and a memory of requests.
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) processes: Arc<ProcessTable>,
    pub(crate) files: Arc<LocalFileSystem>,
    pub(crate) http: Arc<KeyedHttp>,
}

impl Session {
    /// Ends its processes, and the requests that go on by themselves; returns when all is done.
    async fn end(&self) {
        tokio::join!(self.processes.shut_down(), self.http.shut_down());
    }
}

/// How a connection learns that it has lost its session.
pub(crate) type Displaced = Arc<SetOnce<Loss>>;

/// How a connection lost its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Another one has it.
    TakenOver,
    /// It is over, and was observed.
    Ended,
}

impl Loss {
    /// What a request is told that waited.
    pub(crate) const fn error(self) -> ServiceError {
        match self {
            Self::TakenOver => ServiceError::Displaced,
            Self::Ended => ServiceError::SessionEnded,
        }
    }
}

/// A connection that holds or observes a session, as others see it.
#[derive(Debug, Clone)]
pub(crate) struct Holder {
    pub(crate) displaced: Displaced,
    pub(crate) presence: Presence,
}

/// All sessions of a server.
pub(crate) struct SessionRegistry {
    host: Arc<ProcessHost>,
    http: Arc<LocalHttp>,
    files: Arc<FsHost>,
    request_keys: usize,
    inner: Mutex<Inner>,
    /// The earliest expiry may have changed.
    changed: Notify,
    endings: TaskTracker,
}

struct Inner {
    rules: Sessions,
    sessions: HashMap<SessionId, Arc<Session>>,
    /// How those who hold a session, and those who observe one, learn that they have lost it.
    holders: HashMap<ConnectionId, Holder>,
}

impl SessionRegistry {
    /// Sessions that remember `request_keys` HTTP requests each.
    pub(crate) fn new(
        host: Arc<ProcessHost>,
        http: Arc<LocalHttp>,
        files: Arc<FsHost>,
        request_keys: usize,
        rules: Sessions,
    ) -> Self {
        let inner = Inner { rules, sessions: HashMap::new(), holders: HashMap::new() };
        Self {
            host,
            http,
            files,
            request_keys,
            inner: Mutex::new(inner),
            changed: Notify::new(),
            endings: TaskTracker::new(),
        }
    }

    /// What all file services share.
    pub(crate) const fn files(&self) -> &Arc<FsHost> {
        &self.files
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // The maps are changed together in short sections that don't panic halfway.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new session, held by `by`, which is told through `holder` if it loses it. Returns as well how long it waits
    /// whenever it is detached.
    pub(crate) fn open(
        &self,
        by: ConnectionId,
        holder: Holder,
        lifetime: Option<Duration>,
    ) -> Result<(Arc<Session>, Duration), ServiceError> {
        let id = SessionId::from(Uuid::new_v4().to_string());
        let mut inner = self.lock();
        let lifetime = inner.rules.open(id.clone(), by, lifetime)?;
        let session = Arc::new(Session {
            id: id.clone(),
            processes: ProcessTable::new(Arc::clone(&self.host)),
            files: Arc::new(LocalFileSystem::new(Arc::clone(&self.files), self.request_keys)),
            http: KeyedHttp::new(Arc::clone(&self.http), self.request_keys),
        });
        session.processes.keep_closed_for(lifetime);
        inner.sessions.insert(id, Arc::clone(&session));
        inner.holders.insert(by, holder);
        Ok((session, lifetime))
    }

    /// An existing session, from now on held by `by`. Returns as well how long it waits whenever it is detached.
    pub(crate) fn resume(
        &self,
        id: &SessionId,
        by: ConnectionId,
        holder: Holder,
        if_attached: IfAttached,
        lifetime: Option<Duration>,
    ) -> Result<(Arc<Session>, Duration), ServiceError> {
        let mut inner = self.lock();
        // A client that has gone may not have been seen to go yet, and whoever comes after it, as the next command of a
        // script does, is not to be refused for that.
        let has_left = |holder: &Holder| holder.presence.has_ended();
        let is_free = inner.rules.holder(id).and_then(|by| inner.holders.get(&by)).is_some_and(has_left);
        let if_attached = if is_free { IfAttached::TakeOver } else { if_attached };
        let resumed = inner.rules.resume(Instant::now().into_std(), id, by, if_attached, lifetime)?;
        if let Some(loser) = resumed.displaced.and_then(|loser| inner.holders.remove(&loser)) {
            // It may have been told already, by a third.
            let _ = loser.displaced.set(Loss::TakenOver);
        }
        inner.holders.insert(by, holder);
        let session = inner.sessions.get(id).cloned();
        let session =
            session.ok_or_else(|| ServiceError::Internal(format!("session {id} has no processes")))?;
        session.processes.keep_closed_for(resumed.lifetime);
        Ok((session, resumed.lifetime))
    }

    /// An existing session, from now on observed by `by`, which is told through `observer` when it is over.
    pub(crate) fn observe(
        &self,
        id: &SessionId,
        by: ConnectionId,
        observer: Holder,
    ) -> Result<Arc<Session>, ServiceError> {
        let mut inner = self.lock();
        inner.rules.observe(Instant::now().into_std(), id, by)?;
        inner.holders.insert(by, observer);
        let session = inner.sessions.get(id).cloned();
        session.ok_or_else(|| ServiceError::Internal(format!("session {id} has no processes")))
    }

    /// `by` is gone, which observed.
    pub(crate) fn stop_observing(&self, id: &SessionId, by: ConnectionId) {
        let mut inner = self.lock();
        inner.holders.remove(&by);
        inner.rules.stop_observing(id, by);
    }

    /// `by` is gone. Returns whether it still held the session.
    pub(crate) fn detach(&self, id: &SessionId, by: ConnectionId) -> bool {
        let mut inner = self.lock();
        inner.holders.remove(&by);
        let next = inner.rules.poll_timeout();
        let held = inner.rules.detach(Instant::now().into_std(), id, by);
        let is_next = inner.rules.poll_timeout() != next;
        drop(inner);
        if is_next {
            self.changed.notify_one();
        }
        held
    }

    /// Ends sessions whose time has run out, for as long as it is polled.
    pub(crate) async fn expire(&self) {
        loop {
            let changed = self.changed.notified();
            let due = self.lock().rules.poll_timeout();
            match due {
                Some(due) => tokio::select! {
                    () = sleep_until(due.into()) => {}
                    () = changed => continue,
                },
                None => {
                    changed.await;
                    continue;
                }
            }
            let mut expired = Vec::new();
            {
                let mut inner = self.lock();
                for (id, observers) in inner.rules.expire(Instant::now().into_std()) {
                    let observers: Vec<_> =
                        observers.iter().filter_map(|observer| inner.holders.remove(observer)).collect();
                    expired.extend(inner.sessions.remove(&id).map(|session| (session, observers)));
                }
            }
            for (session, observers) in expired {
                tracing::info!(session = %session.id, "session expired");
                self.endings.spawn(async move {
                    session.end().await;
                    for observer in observers {
                        // Nobody else can have told it.
                        let _ = observer.displaced.set(Loss::Ended);
                    }
                });
            }
        }
    }

    /// Ends every session and its processes; returns when all is done.
    pub(crate) async fn shut_down(&self) {
        let sessions: Vec<_> = self.lock().sessions.drain().map(|(_, session)| session).collect();
        for session in sessions {
            self.endings.spawn(async move { session.end().await });
        }
        self.endings.close();
        self.endings.wait().await;
        self.files.end_helpers();
    }
}
