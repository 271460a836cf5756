//! Thousands of descriptors, at no cost to the next child.
//!
//! A child begins with the server's own table of descriptors and at once takes a copy of its lower part (see `birth`): a
//! copy of all of it, and closing what is in it, costs ten times as much as the rest of a start when 5,000 processes
//! live. So what is to be its 0, 1 and 2, and what it carries, must have low numbers. [`expect_many`] occupies some while the server is young,
//! and they are lent to one start after the other.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Mutex, OnceLock, PoisonError};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::{DupFlags, dup3, fcntl_dupfd_cloexec};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::carried::Carried;
use super::wiring::ChildEnds;

/// Numbers below this are low: to copy so many takes no time.
const LOW: RawFd = 160;
/// Starts that find low numbers at the same time; more of them copy more.
const SETS: usize = 32;

/// See the module. Present once [`expect_many`] was called.
struct Kept {
    /// What a number names while nobody uses it.
    nothing: OwnedFd,
    free: Mutex<Vec<Set>>,
}

/// Low numbers for the descriptors of one child: the first three, and one that it carries.
type Set = [OwnedFd; 4];

static KEPT: OnceLock<Kept> = OnceLock::new();
/// How many files this process was to open before it was allowed more; its children are still to have that.
static OPEN_FILES_BEFORE: OnceLock<Rlimit> = OnceLock::new();

/// Prepares this process to have thousands of children: it may open as many files as it can be allowed to, and keeps low
/// numbers for theirs. To be called early, while low numbers are free, by whoever speaks for the whole program. The
/// limit of the children stays what it was.
///
/// # Errors
/// When descriptors can't be had. Children can be started even so.
pub fn expect_many() -> io::Result<()> {
    let before = getrlimit(Resource::Nofile);
    let allowed = Rlimit { current: before.maximum, ..before };
    if before.current != before.maximum && setrlimit(Resource::Nofile, allowed).is_ok() {
        // Only the first call finds the limit as it was.
        let _ = OPEN_FILES_BEFORE.set(before);
    }
    if KEPT.get().is_some() {
        return Ok(());
    }
    // Any file would do; this one is everywhere.
    let nothing = open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    // What is carried must not have the number yet at which the child finds it.
    let lowest = || fcntl_dupfd_cloexec(&nothing, Carried::NUMBER + 1);
    let mut free = Vec::with_capacity(SETS);
    for _ in 0..SETS {
        free.push([lowest()?, lowest()?, lowest()?, lowest()?]);
    }
    // Whoever lost a race with another call gives its numbers back.
    let _ = KEPT.set(Kept { nothing, free: Mutex::new(free) });
    Ok(())
}

/// Soft and hard limit of open files that children are to have, where the server's own was raised.
pub(super) fn open_files_of_children() -> Option<(u64, u64)> {
    let Rlimit { current, maximum } = *OPEN_FILES_BEFORE.get()?;
    Some((current.unwrap_or(u64::MAX), maximum.unwrap_or(u64::MAX)))
}

/// What a child is to have as 0, 1 and 2, and what it carries, by the lowest numbers at hand. Each is 3 or higher, and what
/// it carries is higher.
pub(super) struct LowEnds {
    /// `None` for `/dev/null`.
    pub(super) stdin: Option<RawFd>,
    pub(super) stdout: RawFd,
    pub(super) stderr: RawFd,
    pub(super) carried: Option<RawFd>,
    lent: Option<Set>,
}

impl LowEnds {
    pub(super) fn of(ends: &ChildEnds, carried: Option<BorrowedFd<'_>>) -> Self {
        let (stdin, stdout, stderr) = ends.by_number();
        let as_they_are = Self {
            stdin: stdin.map(|end| end.as_raw_fd()),
            stdout: stdout.as_raw_fd(),
            stderr: stderr.as_raw_fd(),
            carried: carried.map(|file| file.as_raw_fd()),
            lent: None,
        };
        if as_they_are.bound() <= LOW {
            return as_they_are;
        }
        Self::lend([stdin, Some(stdout), Some(stderr), carried]).unwrap_or(as_they_are)
    }

    /// `None` where there are no low numbers.
    fn lend(ends: [Option<BorrowedFd<'_>>; 4]) -> Option<Self> {
        let kept = KEPT.get()?;
        let mut lent = kept.free.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
        for (end, number) in ends.into_iter().zip(&mut lent) {
            if let Some(end) = end
                && dup3(end, number, DupFlags::CLOEXEC).is_err()
            {
                give_back(lent);
                return None;
            }
        }
        let [stdin, stdout, stderr, carried] = lent.each_ref().map(|number| number.as_raw_fd());
        Some(Self {
            stdin: ends[0].map(|_| stdin),
            stdout,
            stderr,
            carried: ends[3].map(|_| carried),
            lent: Some(lent),
        })
    }

    /// The lowest number above all of them.
    pub(super) fn bound(&self) -> RawFd {
        let others = self.stdin.unwrap_or(0).max(self.carried.unwrap_or(0));
        others.max(self.stdout).max(self.stderr) + 1
    }
}

impl Drop for LowEnds {
    /// The child has them by now, or never will.
    fn drop(&mut self) {
        if let Some(lent) = self.lent.take() {
            give_back(lent);
        }
    }
}

/// Makes the numbers name nothing again: a pipe that stayed open here would never end.
fn give_back(mut lent: Set) {
    let Some(kept) = KEPT.get() else { return };
    for number in &mut lent {
        if dup3(&kept.nothing, number, DupFlags::CLOEXEC).is_err() {
            // Out of memory. Closing it loses the number, which is better than keeping the pipe.
            return;
        }
    }
    kept.free.lock().unwrap_or_else(PoisonError::into_inner).push(lent);
}

#[cfg(test)]
mod tests {
    use rustix::pipe::{PipeFlags, pipe_with};

    use super::*;
    use crate::os::command::{Stdin, Stdio};
    use crate::os::wiring::Wiring;

    /// A pipe whose ends have high numbers.
    fn high_pipe() -> (OwnedFd, OwnedFd) {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).expect("a pipe");
        let high = |end| fcntl_dupfd_cloexec(end, 300).expect("a number");
        (high(read), high(write))
    }

    #[test]
    fn high_ends_are_lent_low_numbers_which_let_go_of_them_afterwards() {
        expect_many().expect("descriptors can be had");
        let (stdout, child_stdout) = high_pipe();
        let (_stderr, child_stderr) = high_pipe();
        let ends = ChildEnds::Pipes { stdin: None, stdout: child_stdout, stderr: child_stderr };
        let low = LowEnds::of(&ends, /*carried*/ None);
        assert_eq!(low.stdin, None);
        assert!(low.bound() <= LOW, "{}", low.bound());
        drop(ends);
        // Somebody still has the other end.
        assert_eq!(rustix::io::read(&stdout, &mut [0; 1]), Err(rustix::io::Errno::AGAIN));
        drop(low);
        assert_eq!(rustix::io::read(&stdout, &mut [0; 1]), Ok(0));
    }

    #[test]
    fn low_ends_stay_as_they_are() {
        let wiring = Wiring::open(Stdio::Pipes { stdin: Stdin::Pipe }).expect("pipes");
        let low = LowEnds::of(&wiring.child, /*carried*/ None);
        let (stdin, stdout, stderr) = wiring.child.by_number();
        let numbers = (stdin.map(|end| end.as_raw_fd()), stdout.as_raw_fd(), stderr.as_raw_fd());
        // Tests beside this one may have taken what is low.
        if numbers.0.into_iter().chain([numbers.1, numbers.2]).all(|number| number < LOW) {
            assert_eq!((low.stdin, low.stdout, low.stderr), numbers);
        }
    }
}
