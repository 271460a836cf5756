//! Processes of the launcher: making them, waiting for them, and ending with them.
#![allow(unsafe_code)]

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::io::FdFlags;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, WaitIdStatus, pidfd_open, setsid, waitid};

/// Which of the two one is.
pub(super) enum Fork {
    Child,
    Parent(Command),
}

/// A child by its descriptor.
pub(super) struct Command {
    pidfd: OwnedFd,
}

/// How a child ended.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    Exited(i32),
    Signalled(i32),
}

/// Copies this process.
pub(super) fn fork() -> io::Result<Fork> {
    // SAFETY: this program has one thread, so the copy is complete: no lock is held by a thread that is not copied.
    match unsafe { libc::fork() } {
        0 => Ok(Fork::Child),
        pid if pid > 0 => {
            let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidData)?;
            // Not reaped before this descriptor exists, so the number is still its own.
            Ok(Fork::Parent(Command { pidfd: pidfd_open(pid, PidfdFlags::empty())? }))
        }
        _ => Err(io::Error::last_os_error()),
    }
}

impl Command {
    pub(super) fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Waits until it is dead.
    pub(super) fn wait(&self) -> io::Result<End> {
        loop {
            match waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED) {
                Ok(Some(status)) => return Ok(End::of(&status)),
                Ok(None) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl End {
    fn of(status: &WaitIdStatus) -> Self {
        match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Self::Exited(code),
            (None, Some(signal)) => Self::Signalled(signal),
            (None, None) => Self::Exited(super::NOT_RUN),
        }
    }

    /// Ends this process in the same way.
    pub(super) fn repeat(self) -> ! {
        match self {
            Self::Exited(code) => exit(code),
            Self::Signalled(signal) => {
                // SAFETY: the default action and an empty mask; then a signal to this very process.
                unsafe {
                    libc::signal(signal, libc::SIG_DFL);
                    let mut none: libc::sigset_t = std::mem::zeroed();
                    libc::sigemptyset(&raw mut none);
                    libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
                    libc::kill(libc::getpid(), signal);
                }
                // Not reached: every signal that ended the one ends the other.
                exit(128 + signal)
            }
        }
    }
}

/// The first process of the pid namespace. It collects orphans, and everybody inside ends when it does.
pub(super) struct Init {
    command: Command,
    /// While this is open, init lives: should the launcher die, whatever the reason, the kernel closes it.
    lease: OwnedFd,
}

impl Init {
    pub(super) fn fork() -> io::Result<Self> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        match fork()? {
            Fork::Parent(command) => Ok(Self { command, lease: write }),
            Fork::Child => {
                drop(write);
                match serve(read) {
                    Ok(never) => match never {},
                    Err(_) => exit(super::NOT_RUN),
                }
            }
        }
    }

    /// Ends everybody inside, and returns when they are dead.
    pub(super) fn end(self) {
        drop(self.lease);
        // Whether it is waited for or not, nobody is left when it is dead.
        let _ = self.command.wait();
    }
}

/// What init does.
fn serve(lease: OwnedFd) -> io::Result<Infallible> {
    // SAFETY: ignoring the signal makes the kernel collect the dead. Not being dumpable keeps this memory, a copy of the
    // launcher's, from everybody inside. Closing everything but the lease lets go of the streams, whose end others await.
    unsafe {
        libc::signal(libc::SIGCHLD, libc::SIG_IGN);
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
        libc::prctl(libc::PR_SET_NAME, c"init".as_ptr());
        let kept = std::os::fd::AsRawFd::as_raw_fd(&lease).cast_unsigned();
        if libc::dup2(kept.cast_signed(), 0) < 0 {
            return Err(io::Error::last_os_error());
        }
        if libc::syscall(libc::SYS_close_range, 1, u32::MAX, 0) < 0 {
            for descriptor in 1..1024 {
                libc::close(descriptor);
            }
        }
        std::mem::forget(lease);
    }
    super::confine::give_up_capabilities()?;
    let mut byte = [0_u8; 1];
    loop {
        // SAFETY: descriptor 0 is the lease; nothing is ever written to it.
        let count = unsafe { libc::read(0, byte.as_mut_ptr().cast(), 1) };
        if count == 0 {
            exit(/*code*/ 0);
        }
    }
}

/// Ends this process at once, without exit handlers: those of a copy would be the original's.
pub(super) fn exit(code: i32) -> ! {
    // SAFETY: ends this process alone.
    unsafe { libc::_exit(code) }
}

pub(super) fn close_on_exec(descriptor: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::io::fcntl_setfd(descriptor, FdFlags::CLOEXEC)?)
}

/// The streams are the program's: as long as the launcher held them, their readers would wait for it.
pub(super) fn close_stdio() {
    // SAFETY: nothing here uses them any more.
    unsafe {
        for descriptor in 0..3 {
            libc::close(descriptor);
        }
    }
}

/// A session of the program's own, on descriptor 0 as its terminal if it is one.
pub(super) fn new_session(terminal: bool) -> io::Result<()> {
    setsid()?;
    if terminal {
        // SAFETY: descriptor 0 is the terminal, which no session has yet.
        if unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Rust's runtime ignores one signal; a program expects all at their defaults.
pub(super) fn default_signals() {
    // SAFETY: sets the default action.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
}
