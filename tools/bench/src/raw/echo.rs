//! The raw side of a keystroke: a local pseudo-terminal with the same program behind it.

use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};

use super::spawn::{Program, reap};
use crate::error::BenchError;
use crate::lanes::Probe;

/// A program that does not echo within this time is stuck.
const LIMIT: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// Microseconds from writing a byte to reading it back. Dropping it kills the program.
pub(crate) struct RawEcho {
    terminal: OwnedFd,
    pid: Pid,
}

/// A new terminal: our side, and the program's.
pub(crate) fn open_terminal() -> Result<(OwnedFd, OwnedFd), BenchError> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let terminal = openpt(flags).map_err(BenchError::raw("openpt"))?;
    grantpt(&terminal).map_err(BenchError::raw("grantpt"))?;
    unlockpt(&terminal).map_err(BenchError::raw("unlockpt"))?;
    let child_side = ioctl_tiocgptpeer(&terminal, flags).map_err(BenchError::raw("open the terminal"))?;
    Ok((terminal, child_side))
}

impl RawEcho {
    /// Runs `argv` on a new terminal and waits until it prints `ready`.
    pub(crate) fn open(argv: &[&str], ready: &[u8]) -> Result<Self, BenchError> {
        let (terminal, child_side) = open_terminal()?;
        let pid = Program::new(argv)?.with_path().spawn_on(&child_side)?;
        drop(child_side);
        let echo = Self { terminal, pid };
        let mut seen = Vec::new();
        while !seen.ends_with(ready) {
            echo.read(&mut seen)?;
        }
        Ok(echo)
    }

    /// Waits for bytes and appends them.
    fn read(&self, seen: &mut Vec<u8>) -> Result<(), BenchError> {
        if poll(&mut [PollFd::new(&self.terminal, PollFlags::IN)], Some(&LIMIT))
            .map_err(BenchError::raw("poll"))?
            == 0
        {
            return Err(BenchError::Silent { seconds: LIMIT.tv_sec as u64 });
        }
        let mut buffer = [0; 256];
        let count = rustix::io::read(&self.terminal, &mut buffer).map_err(BenchError::raw("read"))?;
        seen.extend_from_slice(&buffer[..count]);
        Ok(())
    }
}

impl Probe for RawEcho {
    fn sample(&mut self) -> Result<f64, BenchError> {
        let mut seen = Vec::with_capacity(1);
        let started = Instant::now();
        rustix::io::write(&self.terminal, b"x").map_err(BenchError::raw("write"))?;
        while seen != b"x" {
            self.read(&mut seen)?;
        }
        Ok(started.elapsed().as_secs_f64() * 1e6)
    }
}

impl Drop for RawEcho {
    fn drop(&mut self) {
        // An error means that it has ended already, and then the wait returns at once.
        let _ = kill_process(self.pid, Signal::KILL);
        let _ = reap(self.pid);
    }
}
