//! How a process's spool is written and read: on threads that may wait for a disk, while the process and its readers go on.

use std::sync::Arc;

use codex_exec_server_core::spool::Spill;
use tokio::runtime::Handle;

use super::Process;
use super::follow::{Draw, FollowId};
use super::host::Holding;
use super::reading::Reading;
use crate::os;

/// When a log has let go of so much, and of three quarters of what it had in memory, that is given back to the system.
const FREED_BYTES: u64 = 2 << 20;
/// A file is cut down when it is so much longer than it has to be, or when it is empty.
const EXCESS_BYTES: u64 = 4 << 20;

impl Process {
    /// Changes the log or who reads it, if `change` says so, and sees to everything that follows from that.
    pub(super) fn change_reading(self: &Arc<Self>, change: impl FnOnce(&mut Reading) -> bool) {
        let mut reading = self.reading();
        let before = Holding::of(&reading.log);
        if !change(&mut reading) {
            return;
        }
        reading.settle(&self.host, before);
        let told = reading.tell();
        self.tend(&mut reading);
        drop(reading);
        for (follower, waiting_bytes) in told {
            follower.ready(Arc::clone(self), waiting_bytes);
        }
        self.drained.notify_one();
    }

    /// Takes what is new for the follower `id`, about `max_bytes` of output at most. Nothing if it was replaced.
    pub fn draw(self: &Arc<Self>, id: FollowId, max_bytes: usize) -> Draw {
        loop {
            let (mut draw, mut filed) = (Draw::default(), None);
            self.change_reading(|reading| {
                let Some((follow, log)) = reading.follower(id) else { return false };
                (draw, filed) = follow.draw(log, max_bytes);
                true
            });
            let Some(segment) = filed else { return draw };
            match self.spool.fetch_now(&segment) {
                Ok(stored) => self.change_reading(|reading| {
                    let Some((follow, log)) = reading.follower(id) else { return false };
                    follow.place.fetch(log, &segment, stored);
                    true
                }),
                // The follower goes on when it is there.
                Err(fetch) => {
                    let process = Arc::clone(self);
                    self.crew.tasks.spawn_blocking(move || {
                        let stored = fetch.wait();
                        process.change_reading(|reading| {
                            let Some((follow, log)) = reading.follower(id) else { return false };
                            follow.place.fetch(log, &segment, stored);
                            follow.untell();
                            true
                        });
                    });
                    return draw;
                }
            }
        }
    }

    /// Has the spool's file written to or cut down, if either is due.
    fn tend(self: &Arc<Self>, reading: &mut Reading) {
        if reading.is_tended {
            return;
        }
        // Who lets go of the last handle outside the runtime leaves nothing to be written.
        let Ok(runtime) = Handle::try_current() else { return };
        let spill = self.begin_spill(reading);
        if spill.is_some() || self.is_too_long(reading) {
            reading.is_tended = true;
            let process = Arc::clone(self);
            self.crew.tasks.spawn_blocking_on(move || process.tend_on(spill), &runtime);
        }
    }

    /// What is due to be written. Its place in the file counts from now on.
    fn begin_spill(&self, reading: &mut Reading) -> Option<Spill> {
        let before = Holding::of(&reading.log);
        let spill = reading.log.begin_spill(self.host.means());
        self.host.account(before, Holding::of(&reading.log));
        spill
    }

    fn is_too_long(&self, reading: &Reading) -> bool {
        let (length, needed) = (self.spool.length(), reading.log.file_bytes());
        length > needed && (needed == 0 || length - needed >= EXCESS_BYTES)
    }

    /// Writes `spill` and whatever is due then, and cuts the file down.
    fn tend_on(self: Arc<Self>, mut spill: Option<Spill>) {
        let mut most = 0;
        loop {
            match &spill {
                Some(spill) => {
                    let written = self.spool.write(&self.host.spool, spill);
                    self.change_reading(|reading| {
                        reading.log.finish_spill(written);
                        true
                    });
                }
                None => self.spool.shrink(|| self.reading().log.file_bytes()),
            }
            let mut reading = self.reading();
            let memory = reading.log.memory_bytes();
            most = memory.max(most);
            if most - memory >= FREED_BYTES && memory <= most / 4 {
                // A reader has begun to be behind: what is kept in memory falls from megabytes to what the file is written from.
                most = memory;
                drop(reading);
                os::tidy_heap();
                reading = self.reading();
            }
            spill = self.begin_spill(&mut reading);
            if spill.is_none() && !self.is_too_long(&reading) {
                reading.is_tended = false;
                return;
            }
        }
    }
}
