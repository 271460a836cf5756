//! The helpers of a server: one per policy, made when it is first needed, replaced when it has died or shows what is not
//! there any more, ended when nobody has needed it for a while.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_core::limits::FileLimits;
use codex_exec_server_core::service::SearchEnd;
use codex_linux_sandbox::intent::Policy;
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};

use super::super::host::Interest;
use super::helper::{Helper, Settings};
use super::request::{Answer, Asked, Request};
use super::search::Search;
use crate::sandbox::Sandbox;

/// See the module.
#[derive(Debug)]
pub(in crate::fs) struct Helpers {
    sandbox: Sandbox,
    limits: FileLimits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// At most as many as the limits say; those that are still busy when they are taken out end by themselves.
    known: Vec<Known>,
    /// Whether a task sees to those that are idle.
    is_tidied: bool,
}

#[derive(Debug)]
struct Known {
    policy: Policy,
    place: Arc<Place>,
    used: Instant,
    idle: Duration,
}

/// Where the helper of one policy is. Whoever starts it holds the lock meanwhile.
type Place = Mutex<Option<Arc<Helper>>>;

impl Helpers {
    pub(in crate::fs) fn new(sandbox: Sandbox, limits: FileLimits) -> Arc<Self> {
        Arc::new(Self { sandbox, limits, state: Mutex::default() })
    }

    /// What this machine can enforce.
    pub(in crate::fs) fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change under this lock is whole before the next begins.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has `request` done under `policy`, and waits for it; `turns` keeps writers apart. What only looks is asked once more when
    /// a helper dies over it.
    pub(in crate::fs) fn ask(
        self: &Arc<Self>,
        policy: &Policy,
        mut request: Request,
        interest: &Interest,
        turns: Option<&OwnedFd>,
    ) -> Result<(Answer, Bytes, Option<OwnedFd>), FsFault> {
        let about = request.path().clone();
        let turns = turns.ok_or_else(|| FsFault::io(&about, rustix::io::Errno::NFILE))?;
        let data = request.strip();
        let mut may_repeat = request.only_looks();
        let request = Asked::Do(request);
        loop {
            let (place, helper) = self.helper(policy, turns)?;
            match helper.ask(&request, &data, interest) {
                Ok((answer, data, file)) => {
                    return Ok((answer.map_err(FsFault::Relayed)?, data, file));
                }
                Err(error) => {
                    interest.check(&about)?;
                    tracing::warn!(%error, path = %about, "a process for file operations ended over a request");
                    forget(&place, &helper);
                    if !may_repeat {
                        return Err(FsFault::HelperLost(about));
                    }
                    may_repeat = false;
                }
            }
        }
    }

    /// Has something found under `policy`, and shows it to `put` bit by bit. Begins once more when a helper dies before anything
    /// was found.
    pub(in crate::fs) fn find<T: DeserializeOwned>(
        self: &Arc<Self>,
        policy: &Policy,
        mut search: Search,
        interest: &Interest,
        turns: Option<&OwnedFd>,
        mut put: impl FnMut(Vec<T>) -> Result<(), FsFault>,
    ) -> Result<SearchEnd, FsFault> {
        let about = search.path().clone();
        let turns = turns.ok_or_else(|| FsFault::io(&about, rustix::io::Errno::NFILE))?;
        search.strip();
        let search = Asked::Find(search);
        let mut may_repeat = true;
        loop {
            let (place, helper) = self.helper(policy, turns)?;
            let mut found_any = false;
            let mut put = |found| {
                found_any = true;
                put(found)
            };
            match helper.find(&search, interest, &mut put) {
                Ok(end) => return end,
                Err(error) => {
                    interest.check(&about)?;
                    tracing::warn!(%error, path = %about, "a process for file operations ended over a search");
                    forget(&place, &helper);
                    if found_any || !may_repeat {
                        return Err(FsFault::HelperLost(about));
                    }
                    may_repeat = false;
                }
            }
        }
    }

    /// The helper of `policy`, started if need be.
    fn helper(
        self: &Arc<Self>,
        policy: &Policy,
        turns: &OwnedFd,
    ) -> Result<(Arc<Place>, Arc<Helper>), FsFault> {
        let (place, crowded_out) = self.place(policy);
        drop(crowded_out);
        let mut found = place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(helper) = &*found
            && helper.is_current()
        {
            let helper = Arc::clone(helper);
            drop(found);
            return Ok((place, helper));
        }
        // What the old one holds on the machine would be taken for the machine's own.
        drop(found.take());
        let settings = Settings { listed_entries: self.limits.listed_entries };
        let helper = Arc::new(Helper::start(&self.sandbox, policy, settings, turns)?);
        *found = Some(Arc::clone(&helper));
        drop(found);
        if helper.has_placeholders() {
            let mut state = self.state();
            if let Some(known) = state.known.iter_mut().find(|known| Arc::ptr_eq(&known.place, &place)) {
                known.idle = self.limits.helper_idle_with_placeholders;
            }
        }
        Ok((place, helper))
    }

    /// Where the helper of `policy` is or will be, and what had to go to make room.
    fn place(self: &Arc<Self>, policy: &Policy) -> (Arc<Place>, Option<Known>) {
        let mut state = self.state();
        let now = Instant::now();
        let found = state.known.iter_mut().find(|known| known.policy == *policy);
        if let Some(known) = found {
            known.used = now;
            return (Arc::clone(&known.place), None);
        }
        let place = Arc::new(Mutex::new(None));
        let mut crowded_out = None;
        if state.known.len() >= self.limits.helpers.max(1) {
            let oldest = (0..state.known.len()).min_by_key(|&at| state.known[at].used);
            crowded_out = oldest.map(|at| state.known.swap_remove(at));
        }
        state.known.push(Known {
            policy: policy.clone(),
            place: Arc::clone(&place),
            used: now,
            idle: self.limits.helper_idle,
        });
        if !state.is_tidied
            && let Ok(runtime) = Handle::try_current()
        {
            state.is_tidied = true;
            runtime.spawn(tidy(Arc::downgrade(self)));
        }
        (place, crowded_out)
    }

    /// Lets go of those that were not needed for their time; when to look again, if any is left.
    fn end_idle(&self) -> Option<Instant> {
        let mut state = self.state();
        let now = Instant::now();
        let (kept, ended) = std::mem::take(&mut state.known)
            .into_iter()
            .partition::<Vec<Known>, _>(|known| known.used + known.idle > now);
        state.known = kept;
        let next = state.known.iter().map(|known| known.used + known.idle).min();
        state.is_tidied = next.is_some();
        drop(state);
        drop(ended);
        next.map(|next| next.min(now + self.limits.helper_idle_with_placeholders))
    }

    /// Ends all of them.
    pub(in crate::fs) fn end_all(&self) {
        let ended = std::mem::take(&mut self.state().known);
        drop(ended);
    }
}

/// Takes a helper that is no good out of its place, unless another is there by now.
fn forget(place: &Place, helper: &Arc<Helper>) {
    let mut found = place.lock().unwrap_or_else(PoisonError::into_inner);
    if found.as_ref().is_some_and(|there| Arc::ptr_eq(there, helper)) {
        drop(found.take());
    }
}

/// Ends idle helpers, until there are none or nobody needs any more.
async fn tidy(helpers: Weak<Helpers>) {
    loop {
        let Some(next) = helpers.upgrade().and_then(|helpers| helpers.end_idle()) else { return };
        // One that comes meanwhile may have less time.
        sleep_until(next).await;
    }
}
