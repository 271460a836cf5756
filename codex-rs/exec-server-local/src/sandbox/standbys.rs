//! Launchers that stand by: they have made what does not depend on a policy before anybody asks for a sandbox.
//!
//! There are none until the first sandbox, one from then on, and more where starts come before they are ready. A zygote makes
//! them; where there is none, or it does not answer, each is started by itself. All end when there was no start for a while:
//! each of them holds on to the mounts that it was made with.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use codex_linux_sandbox::Launcher;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};

use crate::os::{SpawnError, Standby, Zygote};

/// More than that never stand by.
const MOST: usize = 3;
/// They wait this long for the next start.
const IDLE: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug)]
pub(super) struct Standbys {
    launcher: Launcher,
    state: Mutex<State>,
    /// Held while it is asked, which takes a moment.
    zygote: Mutex<Option<Zygote>>,
    served: AtomicU64,
    missed: AtomicU64,
}

/// How launchers stand by at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// How many there are.
    pub there: usize,
    /// How many of these would begin at once.
    pub ready: usize,
    /// The process that makes them, if there is one and it is not being asked for one more.
    pub zygote: Option<i32>,
    /// How many processes they have started.
    pub served: u64,
    /// How many starts that they could have served found none ready.
    pub missed: u64,
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
        Arc::new(Self {
            launcher,
            state: Mutex::default(),
            zygote: Mutex::default(),
            served: AtomicU64::new(0),
            missed: AtomicU64::new(0),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change under this lock is whole before the next begins.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One for a start, if one is there or can be had at once.
    pub(super) fn take(&self) -> Option<Standby> {
        let mut state = self.state();
        state.used = Some(Instant::now());
        if let Some(ready) = state.there.iter().position(Standby::is_ready) {
            return Some(state.there.remove(ready));
        }
        self.missed.fetch_add(1, Ordering::Relaxed);
        state.wanted = (state.wanted + 1).min(MOST);
        if !state.there.is_empty() {
            // It is on its way, and so nearer than any other.
            return Some(state.there.remove(0));
        }
        drop(state);
        // Where somebody else asks it just now, waiting for that would gain nothing.
        let mut zygote = self.zygote.try_lock().ok()?;
        bear(&mut zygote).ok()
    }

    /// One of them has started a process.
    pub(super) fn count(&self) {
        self.served.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn standing(&self) -> Standing {
        // Whoever makes one just now holds it for a moment, which is not waited for.
        let zygote = self.zygote.try_lock().ok().and_then(|zygote| zygote.as_ref().map(Zygote::os_pid));
        let state = self.state();
        Standing {
            there: state.there.len(),
            ready: state.there.iter().filter(|standby| standby.is_ready()).count(),
            zygote,
            served: self.served.load(Ordering::Relaxed),
            missed: self.missed.load(Ordering::Relaxed),
        }
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
            let started = self.make();
            let mut state = self.state();
            state.coming -= 1;
            match started {
                Ok(standby) => state.there.push(standby),
                // The next start does without, and says what is wrong if that concerns it as well.
                Err(error) => tracing::debug!(%error, "no sandbox launcher stands by"),
            }
        }
    }

    /// One more, by the zygote if there can be one.
    fn make(&self) -> Result<Standby, SpawnError> {
        let mut zygote = self.zygote.lock().unwrap_or_else(PoisonError::into_inner);
        if zygote.is_none() {
            *zygote = Zygote::start(&self.launcher).inspect_err(log).ok();
        }
        bear(&mut zygote).or_else(|_| Standby::start(&self.launcher))
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
        drop(self.zygote.lock().unwrap_or_else(PoisonError::into_inner).take());
        None
    }
}

/// One more by the zygote, which is let go of where it makes none; the next one is another.
fn bear(zygote: &mut Option<Zygote>) -> Result<Standby, SpawnError> {
    let born = match zygote {
        Some(zygote) => zygote.bear(),
        None => Err(SpawnError::Confinement("there is no zygote".into())),
    };
    born.inspect_err(|error| {
        if zygote.take().is_some() {
            log(error);
        }
    })
}

fn log(error: &SpawnError) {
    tracing::debug!(%error, "no zygote makes sandbox launchers");
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
