//! Descendants whose parents died before them.
//!
//! Owns adopting them (as a child subreaper), so that a tree stays below this server and within its sight,
//! and reaping them when they die. Never touches the status of a child that [`spawn`](super::spawn) made;
//! children made by other means, such as `std::process`, it cannot tell from orphans. So only the binary
//! adopts, as its `main` knows what else runs in the process, and until it has, [`sweep`] does nothing.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rustix::process::{getpid, set_child_subreaper};

use super::ledger;
use super::proc_table::ProcTable;
use super::sys::{self, Take, Waited};

static ADOPTING: AtomicBool = AtomicBool::new(false);

/// Zombies reaped in one sweep at most, so that a fork bomb cannot keep a sweep busy for ever.
const BATCH: usize = 4096;

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sweep {
    /// Orphans reaped.
    pub reaped: usize,
    /// Whether the sweep stopped at its bound, so that another should follow soon.
    pub more: bool,
}

/// From now on, orphaned descendants become children of this process instead of init's. Whoever calls this
/// must also call [`sweep`] whenever SIGCHLD arrives, and must not start children by other means than
/// [`spawn`](super::spawn).
///
/// # Errors
/// None that a supported kernel would give.
pub fn become_subreaper() -> io::Result<()> {
    set_child_subreaper(Some(getpid()))?;
    ADOPTING.store(true, Relaxed);
    Ok(())
}

/// Reaps dead orphans. Never blocks; with nothing to do it costs one or two system calls.
///
/// A zombie child of our own that is not reaped yet hides the rest from the kernel's cheap question, "is any
/// child dead?". Then the table of processes is read instead.
///
/// # Errors
/// When `/proc` is needed and cannot be read.
pub fn sweep() -> io::Result<Sweep> {
    let mut sweep = Sweep { reaped: 0, more: false };
    if !ADOPTING.load(Relaxed) {
        return Ok(sweep);
    }
    while sweep.reaped < BATCH {
        match reap_if_orphan(Waited::Any)? {
            Found::Orphan => sweep.reaped += 1,
            Found::Nobody => return Ok(sweep),
            Found::Ours => {
                for os_pid in ProcTable::open()?.zombie_children_of_this_process()? {
                    if reap_if_orphan(Waited::Pid(os_pid))? == Found::Orphan {
                        sweep.reaped += 1;
                    }
                }
                return Ok(sweep);
            }
        }
    }
    sweep.more = true;
    Ok(sweep)
}

#[derive(PartialEq, Eq)]
enum Found {
    Nobody,
    Ours,
    Orphan,
}

/// Looks and reaps under one lock. Nobody else reaps meanwhile, so the zombie that was looked at is the one
/// that is reaped.
fn reap_if_orphan(whom: Waited<'_>) -> io::Result<Found> {
    let ledger = ledger::lock();
    let zombie = match sys::wait(whom, Take::Peek) {
        Ok(Some(dead)) => dead.os_pid,
        Ok(None) => return Ok(Found::Nobody),
        Err(error) if error.raw_os_error() == Some(libc::ECHILD) => return Ok(Found::Nobody),
        Err(error) => return Err(error),
    };
    if ledger.owns(zombie) {
        return Ok(Found::Ours);
    }
    sys::wait(Waited::Pid(zombie), Take::Reap)?;
    Ok(Found::Orphan)
}
