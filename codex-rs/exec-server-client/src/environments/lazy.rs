//! A client that is made when it is first needed, once for all who need it then.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use codex_exec_server_core::service::ServiceFuture;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::error::EnvironmentError;
use crate::client::Client;
use crate::state::Status;

/// What an attempt comes to.
pub(super) type Outcome = Result<Client, EnvironmentError>;
/// Makes one attempt. Tasks that outlive it belong to the tracker.
pub(super) type Connect = Box<dyn Fn(TaskTracker) -> ServiceFuture<'static, Outcome> + Send + Sync>;

/// See the module. Dropping it ends an attempt that is under way.
pub(super) struct LazyClient {
    shared: Arc<Shared>,
    _last: DropGuard,
}

struct Shared {
    connect: Connect,
    /// What whoever is told finds when it is closed.
    closed: EnvironmentError,
    slot: Mutex<Slot>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

enum Slot {
    Empty,
    /// Somebody's attempt is under way; all who come meanwhile wait for it.
    Connecting(watch::Receiver<Option<Outcome>>),
    Ready(Client),
}

impl LazyClient {
    pub(super) fn new(connect: Connect, closed: EnvironmentError) -> Self {
        let stop = CancellationToken::new();
        let shared = Shared {
            connect,
            closed,
            slot: Mutex::new(Slot::Empty),
            tasks: TaskTracker::new(),
            stop: stop.clone(),
        };
        Self { shared: Arc::new(shared), _last: stop.drop_guard() }
    }

    /// The present client; otherwise the one that an attempt makes, this caller's or that of one who came before. Who
    /// stops waiting does not stop the attempt. One that failed is told to all who waited, and the next to ask makes
    /// another.
    pub(super) async fn client(&self) -> Outcome {
        let mut told = match self.shared.present() {
            Ok(client) => return Ok(client),
            Err(told) => told,
        };
        match told.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or_else(|| Err(self.shared.closed.clone())),
            // Only an attempt that never ended lets go without a word.
            Err(_) => Err(self.shared.closed.clone()),
        }
    }

    /// The client as it is, if there is a good one; makes no attempt.
    pub(super) fn present(&self) -> Option<Client> {
        match &*self.shared.lock() {
            Slot::Ready(client) if is_good(client) => Some(client.clone()),
            Slot::Ready(_) | Slot::Connecting(_) | Slot::Empty => None,
        }
    }

    /// Ends the attempt that is under way and the client, and waits for what they started.
    pub(super) async fn close(&self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        let slot = std::mem::replace(&mut *self.shared.lock(), Slot::Empty);
        if let Slot::Ready(client) = slot {
            client.close().await;
        }
        self.shared.tasks.wait().await;
    }
}

impl fmt::Debug for LazyClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slot = match &*self.shared.lock() {
            Slot::Empty => "Empty",
            Slot::Connecting(_) => "Connecting",
            Slot::Ready(_) => "Ready",
        };
        write!(f, "LazyClient({slot})")
    }
}

/// Whether it may still be of use. One that has failed won't come back.
fn is_good(client: &Client) -> bool {
    !matches!(client.status().now(), Status::Failed(_))
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Slot> {
        // Every change under this lock is a single assignment.
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The present client, or who will tell of the next.
    fn present(self: &Arc<Self>) -> Result<Client, watch::Receiver<Option<Outcome>>> {
        let mut slot = self.lock();
        match &*slot {
            Slot::Ready(client) if is_good(client) => return Ok(client.clone()),
            // An attempt that panicked will never tell.
            Slot::Connecting(told) if told.has_changed().is_ok() => return Err(told.clone()),
            Slot::Empty | Slot::Ready(_) | Slot::Connecting(_) => {}
        }
        let (tell, told) = watch::channel(None);
        *slot = Slot::Connecting(told.clone());
        self.tasks.spawn(Arc::clone(self).attempt(tell));
        Err(told)
    }

    async fn attempt(self: Arc<Self>, tell: watch::Sender<Option<Outcome>>) {
        let outcome = tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(self.closed.clone()),
            outcome = (self.connect)(self.tasks.clone()) => outcome,
        };
        // In this order: who is told of a failure and asks again must not find this attempt.
        *self.lock() = match &outcome {
            Ok(client) if !self.stop.is_cancelled() => Slot::Ready(client.clone()),
            Ok(_) | Err(_) => Slot::Empty,
        };
        tell.send_replace(Some(outcome));
    }
}
