//! The one call that makes a process.
//!
//! Owns the stack the child starts on, the signal mask around the call, and the memory shared while the
//! calling thread sleeps. Leaves what the child does to `birth`, and the books about who is whose child to
//! `ledger`.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use super::birth::{Inherited, Plan, child_main};
use super::error::{SpawnError, Stage};
use super::sys;

/// The child runs a few plain calls; the size is for unoptimised builds with room to spare. Only touched
/// pages cost anything.
const STACK_BYTES: usize = 64 * 1024;
/// Below the stack, never accessible: an overflow faults instead of writing into the server's memory.
const GUARD_BYTES: usize = 64 * 1024;

/// Makes a process that carries out `plan` and sleeps until it runs its program or has given up.
///
/// `pidfd_slot` receives the number of the new pidfd *before* the child first runs, so
/// whoever can see the slot can recognise the child at any moment of its life.
///
/// The answer says only that a process was made; `plan.failure` says whether it became the program.
///
/// # Errors
/// [`SpawnError::Setup`]: [`Stage::Stack`] or [`Stage::Clone`], such as `EAGAIN` at the limit of processes.
pub(super) fn launch(plan: &Plan<'_>, pidfd_slot: &AtomicI32) -> Result<(i32, OwnedFd), SpawnError> {
    let stack = Stack::take()?;
    // From here to the child's first instructions a handler could otherwise run in the child, on shared
    // memory.
    let blocked = sys::BlockedSignals::all();
    let table = match plan.inherited {
        Inherited::Shared { .. } => libc::CLONE_FILES,
        Inherited::Each(_) => 0,
    };
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | table | libc::SIGCHLD;
    // SAFETY: `child_main` gets its `Plan`, on a stack of its own that outlives it: CLONE_VFORK keeps this
    // thread here until the child has left this memory, by `execve` or `_exit`. With CLONE_PIDFD the kernel
    // stores an `int` to the last argument.
    let os_pid = unsafe {
        libc::clone(
            child_main,
            stack.top(),
            flags,
            ptr::from_ref(plan).cast_mut().cast(),
            pidfd_slot.as_ptr(),
        )
    };
    let errno = sys::last_errno();
    drop(blocked);
    stack.put_back();
    if os_pid < 0 {
        return Err(SpawnError::Setup { stage: Stage::Clone, errno });
    }
    // SAFETY: a successful call has stored a new descriptor that nobody else owns.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd_slot.load(Relaxed)) };
    Ok((os_pid, pidfd))
}

/// Stacks kept for later starts. Mapping one and faulting its pages in would be a tenth of the cost of a
/// start.
static SPARE: Mutex<Vec<Stack>> = Mutex::new(Vec::new());
/// As many starts at a time find a stack ready. Each holds two or three touched pages.
const SPARE_LIMIT: usize = 8;

/// A mapping with a guard below; unmapped when dropped.
struct Stack(*mut c_void);

// SAFETY: the mapping belongs to the process, not to a thread, and whoever has the value alone uses it.
unsafe impl Send for Stack {}

impl Stack {
    fn take() -> Result<Self, SpawnError> {
        // The lock ends with this statement.
        let spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        spare.map_or_else(Self::map, Ok)
    }

    fn put_back(self) {
        let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE_LIMIT {
            spare.push(self);
        }
    }

    fn map() -> Result<Self, SpawnError> {
        let failed = || SpawnError::Setup { stage: Stage::Stack, errno: sys::last_errno() };
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base =
            unsafe { libc::mmap(ptr::null_mut(), GUARD_BYTES + STACK_BYTES, libc::PROT_NONE, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(failed());
        }
        let stack = Self(base);
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: the range is the upper part of the mapping just made.
        if unsafe { libc::mprotect(base.byte_add(GUARD_BYTES), STACK_BYTES, access) } < 0 {
            return Err(failed());
        }
        Ok(stack)
    }

    /// Where a stack that grows downwards begins; aligned to a page.
    fn top(&self) -> *mut c_void {
        // SAFETY: one past the end of the mapping.
        unsafe { self.0.byte_add(GUARD_BYTES + STACK_BYTES) }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no process uses it any more.
        unsafe { libc::munmap(self.0, GUARD_BYTES + STACK_BYTES) };
    }
}
