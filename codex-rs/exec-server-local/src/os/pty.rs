//! Pseudo-terminals.
//!
//! Owns opening, sizing and the one quirk of reading them. Leaves the child's side of the work (session,
//! controlling terminal) to `birth`.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// Size of a terminal in characters. The default is 24 × 80.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub cols: u16,
}

impl Default for Size {
    fn default() -> Self {
        Self { rows: 24, cols: 80 }
    }
}

/// A master (not blocking) and its slave (blocking), both close-on-exec and of the given size.
///
/// The slave is opened through the master and not by its path, so that a `/dev/pts` of another mount
/// namespace cannot get in between.
pub(super) fn open(size: Size) -> io::Result<(OwnedFd, OwnedFd)> {
    let common = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(common | OpenptFlags::from_bits_retain(libc::O_NONBLOCK.cast_unsigned()))?;
    unlockpt(&master)?;
    let slave = ioctl_tiocgptpeer(&master, common)?;
    resize(&master, size)?;
    Ok((master, slave))
}

/// Gives the terminal another size. The foreground process group gets SIGWINCH if it differs from the present
/// one.
///
/// # Errors
/// `ENOTTY` when `master` is not a terminal.
pub fn resize(master: impl AsFd, size: Size) -> io::Result<()> {
    let size = Winsize { ws_row: size.rows, ws_col: size.cols, ws_xpixel: 0, ws_ypixel: 0 };
    Ok(tcsetwinsize(master, size)?)
}

/// Reads output of a pipe or of a master. 0 is the end: the last writer is gone.
///
/// A master tells that with `EIO`, after everything that was written has been read, and would take writers
/// again if someone opened the slave anew. A pipe never answers `EIO`.
///
/// # Errors
/// `WouldBlock` when there is nothing at the moment.
pub fn read_output(output: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    end_as_zero(rustix::io::read(output, buffer))
}

/// As [`read_output`], into the room that `buffer` has to spare.
///
/// # Errors
/// As [`read_output`].
pub fn append_output(output: impl AsFd, buffer: &mut Vec<u8>) -> io::Result<usize> {
    end_as_zero(rustix::io::read(output, spare_capacity(buffer)))
}

fn end_as_zero(read: rustix::io::Result<usize>) -> io::Result<usize> {
    match read {
        Ok(count) => Ok(count),
        Err(rustix::io::Errno::IO) => Ok(0),
        Err(error) => Err(error.into()),
    }
}
