//! How the C library's allocator is to behave in a server.
#![allow(unsafe_code)]

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
