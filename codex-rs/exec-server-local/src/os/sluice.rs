//! Taking what a pipe holds without keeping the program waiting that writes into it.
//!
//! The kernel copies into a pipe and out of it under one lock, so while a flood is being read its program stands still,
//! and the reader spends time waiting for the program. Pages can be moved to another pipe without being copied, which
//! takes next to no time; nobody else uses that one, so they are copied out of it while the program writes on.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

use super::pty::append_output;

/// A pipe of our own that other pipes are emptied through, one after the other.
#[derive(Debug)]
pub struct Sluice {
    entry: OwnedFd,
    exit: OwnedFd,
    /// Taken and not read yet.
    held: usize,
}

impl Sluice {
    /// One that holds whatever a pipe of `bytes` does.
    ///
    /// # Errors
    /// Out of descriptors, or `EPERM` when that is more than this user may have in pipes.
    pub fn new(bytes: usize) -> io::Result<Self> {
        let (exit, entry) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        fcntl_setpipe_size(&entry, bytes)?;
        Ok(Self { entry, exit, held: 0 })
    }

    /// Takes up to `bytes` out of `pipe`, to be read from here. Tells how many; 0 is the end: the last writer is gone.
    ///
    /// # Errors
    /// `WouldBlock` when there is nothing at the moment, and what a `pipe` causes that is none.
    pub fn take(&mut self, pipe: impl AsFd, bytes: usize) -> io::Result<usize> {
        let taken = splice(
            pipe,
            /*off_in*/ None,
            &self.entry,
            /*off_out*/ None,
            bytes,
            SpliceFlags::NONBLOCK,
        )?;
        self.held += taken;
        Ok(taken)
    }

    /// Bytes that were taken and not read.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.held
    }

    /// Reads what was taken into the room that `buffer` has to spare.
    ///
    /// # Errors
    /// None while anything is held.
    pub fn append(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let read = append_output(&self.exit, buffer)?;
        self.held = self.held.saturating_sub(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::write;

    use super::*;

    const PAGE: usize = 4096;

    #[test]
    fn a_pipe_is_emptied_through_it_in_order_and_told_to_have_ended() {
        let (read, written) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).expect("a pipe");
        let mut sluice = Sluice::new(64 << 10).expect("another");
        let text: Vec<u8> = (0..=u8::MAX).cycle().take(3 * PAGE + 100).collect();
        assert_eq!(write(&written, &text), Ok(text.len()));
        drop(written);

        // Not at the end of a page, so that one is in both pipes for a moment.
        let first = PAGE + 7;
        assert_eq!(sluice.take(&read, first).expect("it is there"), first);
        assert_eq!(sluice.held(), first);
        let mut seen = Vec::with_capacity(text.len());
        assert_eq!(sluice.append(&mut seen).expect("it was taken"), first);
        assert_eq!(sluice.held(), 0);

        let rest = text.len() - first;
        assert_eq!(sluice.take(&read, 2 * text.len()).expect("it is there"), rest);
        while sluice.held() > 0 {
            sluice.append(&mut seen).expect("it was taken");
        }
        assert_eq!(seen, text);
        assert_eq!(sluice.take(&read, PAGE).expect("it has ended"), 0);
    }

    #[test]
    fn nothing_to_take_at_the_moment_is_not_the_end() {
        let (read, _written) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).expect("a pipe");
        let mut sluice = Sluice::new(64 << 10).expect("another");
        let nothing = sluice.take(&read, PAGE).expect_err("nobody has written");
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
    }
}
