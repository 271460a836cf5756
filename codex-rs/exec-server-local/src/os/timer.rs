//! Timers finer than the runtime's, which counts in milliseconds.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

/// A timer that is not running. It becomes readable when it has run out.
///
/// # Errors
/// Out of descriptors or memory.
pub fn timer() -> io::Result<OwnedFd> {
    Ok(timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?)
}

/// Lets `timer` run out once, in `after` from now, whether it is running or has run out. Zero stops it.
///
/// # Errors
/// When `timer` is none.
pub fn arm_timer(timer: impl AsFd, after: Duration) -> io::Result<()> {
    let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
    let tv_sec = i64::try_from(after.as_secs()).unwrap_or(i64::MAX);
    let it_value = Timespec { tv_sec, tv_nsec: i64::from(after.subsec_nanos()) };
    timerfd_settime(timer, TimerfdTimerFlags::empty(), &Itimerspec { it_interval: zero, it_value })?;
    Ok(())
}
