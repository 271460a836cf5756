//! Launchers that stand by: they have made what does not depend on a policy before anybody asks for a sandbox.
//!
//! There are none until the first sandbox, one from then on, and more where starts come faster than they are made. They
//! end when there was no start for a while: each of them holds on to the mounts that it was made with.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use codex_linux_sandbox::Launcher;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};

use crate::os::Standby;

/// More than that never stand by.
const MOST: usize = 3;
/// They wait this long for the next start.
const IDLE: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug)]
pub(super) struct Standbys {
    launcher: Launcher,
    state: Mutex<State>,
    served: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// The oldest first: it is the one that is ready.
    there: Vec<Standby>,
    /// Being started.
    coming: usize,
    /// How many there are to be.
    wanted: usize,
    /// When the last start was.
    used: Option<Instant>,
    /// Whether a task sees to it that they end.
    is_tidied: bool,
}

impl Standbys {
    pub(super) fn new(launcher: Launcher) -> Arc<Self> {
        Arc::new(Self { launcher, state: Mutex::default(), served: AtomicU64::new(0) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change under this lock is whole before the next begins.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One for a start, if one is there.
    pub(super) fn take(&self) -> Option<Standby> {
        let mut state = self.state();
        state.used = Some(Instant::now());
        if state.there.is_empty() {
            state.wanted = (state.wanted + 1).min(MOST);
            return None;
        }
        Some(state.there.remove(0))
    }

    /// One of them has started a process.
    pub(super) fn count(&self) {
        self.served.fetch_add(1, Ordering::Relaxed);
    }

    /// How many processes they have started.
    pub(super) fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    /// Sees to it that there are as many as are wanted, some time. Outside of a runtime there are none.
    pub(super) fn restock(self: &Arc<Self>) {
        let Ok(runtime) = Handle::try_current() else { return };
        let mut state = self.state();
        let lacking = state.wanted.saturating_sub(state.there.len() + state.coming);
        state.coming += lacking;
        if !std::mem::replace(&mut state.is_tidied, /*src*/ true) {
            runtime.spawn(tidy(Arc::downgrade(self)));
        }
        drop(state);
        if lacking > 0 {
            let standbys = Arc::clone(self);
            runtime.spawn_blocking(move || standbys.start(lacking));
        }
    }

    fn start(&self, lacking: usize) {
        for _ in 0..lacking {
            let started = Standby::start(&self.launcher);
            let mut state = self.state();
            state.coming -= 1;
            match started {
                Ok(standby) => state.there.push(standby),
                // The next start does without, and says what is wrong if that concerns it as well.
                Err(error) => tracing::debug!(%error, "no sandbox launcher stands by"),
            }
        }
    }

    /// Lets go of all if they were not needed for their time; when to look again otherwise.
    fn end_idle(&self) -> Option<Instant> {
        let mut state = self.state();
        let until = state.used.map(|used| used + IDLE).filter(|until| *until > Instant::now());
        if until.is_some() {
            return until;
        }
        state.is_tidied = false;
        state.wanted = 0;
        let ended = std::mem::take(&mut state.there);
        drop(state);
        drop(ended);
        None
    }
}

/// Ends those that are idle. Those that come while there is nobody to see to it stay for the next.
async fn tidy(standbys: Weak<Standbys>) {
    loop {
        let ended = match standbys.upgrade() {
            // Ending them blocks for a moment.
            Some(standbys) => tokio::task::spawn_blocking(move || standbys.end_idle()).await,
            None => return,
        };
        let Ok(Some(until)) = ended else { return };
        sleep_until(until).await;
    }
}
