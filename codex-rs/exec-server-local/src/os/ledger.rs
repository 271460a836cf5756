//! Which of this process's children are its own, as against orphans that it was handed.
//!
//! Owns the list of live children and of starts in flight, and the lock under which every reaping happens. An
//! adopted orphan and a child of ours look alike to the kernel; without these books a sweeper could take the
//! status of a child whose owner has not asked yet, or whose start has not even returned.

use std::collections::HashSet;
use std::os::fd::AsFd as _;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::sys::{self, Take, Waited};

/// The books of this process. Every `waitid` that reaps runs while they are locked, so a zombie seen
/// under the lock stays one until the lock is let go.
#[derive(Default)]
pub(super) struct Ledger {
    /// Children that were started and not reaped yet.
    live: HashSet<i32>,
    /// Starts in flight, each with its place in the order of all starts.
    in_flight: Vec<(u64, PidfdSlot)>,
    departures: u64,
}

/// Will hold the number of a pidfd, which the kernel stores before the child runs; -1 until then.
type PidfdSlot = Arc<AtomicI32>;

static LEDGER: LazyLock<Mutex<Ledger>> = LazyLock::new(Mutex::default);
/// Told whenever a flight ends.
static LANDING: Condvar = Condvar::new();

/// Opens the books. A holder that panicked has left them whole: each change is a single step.
pub(super) fn lock() -> MutexGuard<'static, Ledger> {
    LEDGER.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ledger {
    /// Whether `zombie`, which must have been seen to be a zombie child under this same lock, is one that
    /// `spawn` made.
    pub(super) fn owns(&self, zombie: i32) -> bool {
        self.live.contains(&zombie)
            || self.in_flight.iter().any(|(_, slot)| {
                // The kernel filled the slot before the child could run, let alone die.
                let pidfd = slot.load(Relaxed);
                pidfd >= 0
                    && sys::wait(Waited::RawPidfd(pidfd), Take::Peek)
                        .is_ok_and(|dead| dead.is_some_and(|dead| dead.os_pid == zombie))
            })
    }

    /// Forgets a child that was reaped, or that nobody will ask for any more.
    pub(super) fn forget(&mut self, os_pid: i32) {
        self.live.remove(&os_pid);
    }
}

/// A child that somebody else has made for this process is in the books from now until it is reaped or forgotten. One that was
/// dead before may have been taken for an orphan.
pub(super) fn adopt(os_pid: i32) {
    lock().live.insert(os_pid);
}

/// A start that has not come to its end. Its pidfd must stay open for as long.
pub(super) struct Flight {
    place: u64,
    slot: PidfdSlot,
}

impl Flight {
    pub(super) fn depart() -> Self {
        let slot = PidfdSlot::new(AtomicI32::new(-1));
        let mut ledger = lock();
        let place = ledger.departures;
        ledger.departures += 1;
        ledger.in_flight.push((place, Arc::clone(&slot)));
        Self { place, slot }
    }

    /// Its place in the order of all starts.
    pub(super) fn place(&self) -> u64 {
        self.place
    }

    /// Where the kernel is to store the pidfd.
    pub(super) fn pidfd_slot(&self) -> &AtomicI32 {
        &self.slot
    }

    /// The start has made a child, which is in the books from now until it is reaped or forgotten.
    pub(super) fn land(self, os_pid: i32) {
        // In this order a sweep in between finds the child in both places. Dropping `self` ends the flight.
        lock().live.insert(os_pid);
    }

    /// The child did not become the program and is on its way out. Waits for its end, which cannot take long,
    /// and reaps it.
    pub(super) fn abort(self, pidfd: OwnedFd) {
        // The sleep is without the lock and the reaping with it. Neither can fail: nobody else reaps this
        // child.
        let dead = sys::wait(Waited::Pidfd(pidfd.as_fd()), Take::PeekBlocking).and_then(|_| {
            let _ledger = lock();
            sys::wait(Waited::Pidfd(pidfd.as_fd()), Take::Reap)
        });
        debug_assert!(dead.is_ok(), "a child in flight is reaped here and nowhere else");
        drop(self);
        drop(pidfd);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        lock().in_flight.retain(|(place, _)| *place != self.place);
        LANDING.notify_all();
    }
}

/// Sleeps until every start before the one at `place` has ended, or for `limit`.
pub(super) fn await_landings_before(place: u64, limit: Duration) {
    let earlier = |ledger: &mut Ledger| ledger.in_flight.iter().any(|(other, _)| *other < place);
    let awaited = LANDING.wait_timeout_while(lock(), limit, earlier);
    drop(awaited.unwrap_or_else(PoisonError::into_inner));
}
