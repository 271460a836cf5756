//! How the C library's allocator is to behave in a server.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// From this length on memory is asked for in large pages. Twice their length, so that at least one fits.
const LONG_BYTES: usize = 4 << 20;
/// What the system counts memory in, at least.
const PAGE_BYTES: usize = 4 << 10;
/// Giving memory back holds up whoever allocates meanwhile, by milliseconds in a large server; so it is done no more often.
const TIDY_EVERY: Duration = Duration::from_secs(1);

/// The system's allocator, whose long pieces are made of large pages where the system has them: for the program's
/// `#[global_allocator]`.
///
/// A message with a whole file in it is memory that is written once and given back. The kernel hands that out page by page as
/// it is touched, which takes several times as long as the copying; of large pages there are 512 times fewer.
#[derive(Debug, Clone, Copy)]
pub struct Heap;

// SAFETY: everything is done by the system's allocator; what is added changes no content and no length.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are passed on.
        in_large_pages(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are passed on.
        in_large_pages(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // SAFETY: the caller's promises are passed on.
        in_large_pages(unsafe { System.realloc(memory, layout, bytes) }, bytes)
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// Advises the kernel about the pages that lie within `memory` as a whole, if it is long. Returns it.
fn in_large_pages(memory: *mut u8, bytes: usize) -> *mut u8 {
    if bytes >= LONG_BYTES && !memory.is_null() {
        let skipped = memory.align_offset(PAGE_BYTES).min(bytes);
        // SAFETY: the range lies within memory that was just allocated, and advice of this kind leaves content alone. A kernel
        // that does not take it changes nothing.
        unsafe {
            let _ = libc::madvise(
                memory.add(skipped).cast(),
                (bytes - skipped) & !(PAGE_BYTES - 1),
                libc::MADV_HUGEPAGE,
            );
        }
    }
    memory
}

/// Lets all threads allocate from one heap; to be called before there is a second thread.
///
/// By default glibc gives each thread a heap of its own, and memory goes back to the heap it came from. Output is
/// allocated by whichever thread reads and freed by whichever sends, so each of those heaps grows to what one would
/// need. One heap nearly halves what a flood takes; small allocations don't notice, since threads keep their own stock
/// of those.
pub fn share_heap() {
    // SAFETY: `mallopt` takes two numbers and touches the allocator's own settings only.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Gives memory back to the system that was freed, as far as the allocator would keep it: pages between pieces that are still
/// in use. For whoever has just freed megabytes of small pieces, on a thread that may take its time. Does nothing within a
/// second of the last time.
pub fn tidy_heap() {
    static LAST: Mutex<Option<Instant>> = Mutex::new(None);
    let now = Instant::now();
    {
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| now < last + TIDY_EVERY) {
            return;
        }
        *last = Some(now);
    }
    // SAFETY: `malloc_trim` takes a number and touches what is free only.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}
