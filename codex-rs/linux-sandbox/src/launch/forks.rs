//! Processes of the launcher: making them, waiting for them, and ending with them.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::io::FdFlags;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    DumpableBehavior, Pid, PidfdFlags, WaitId, WaitIdOptions, WaitIdStatus, pidfd_open,
    set_dumpable_behavior, setsid, waitid,
};
use rustix::thread::futex;

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
    // SAFETY: this program has one thread that does anything but wait, so the copy is complete: no lock is held by one that is
    // not copied.
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

/// Has a process of its own do `work`, in this one's memory and with its descriptors, while this one waits: until it has
/// become a program, which has its own of both, or has ended. It ends when `work` returns. What it leaves in memory is there
/// afterwards.
pub(super) fn in_this_memory<F: FnOnce()>(work: F) -> io::Result<Command> {
    extern "C" fn enter<F: FnOnce()>(work: *mut c_void) -> c_int {
        // SAFETY: the one below, whose owner waits.
        if let Some(work) = unsafe { &mut *work.cast::<Option<F>>() }.take() {
            work();
        }
        super::NOT_RUN
    }
    let mut work = Some(work);
    // The kernel makes it 0, and wakes whoever waits for that, when the process lets go of the memory. Waiting so, and not as
    // after `vfork`, can be interrupted, and does not count as load.
    let is_there = AtomicU32::new(1);
    let flags = libc::CLONE_VM | libc::CLONE_FILES | libc::CLONE_CHILD_CLEARTID;
    let command = begin(WORK_STACK, flags, enter::<F>, (&raw mut work).cast(), &is_there)?;
    while is_there.load(Ordering::Acquire) != 0 {
        // A call of the kernel's and nothing else, `errno` neither: that one belongs to the other as well.
        let _ = futex::wait(&is_there, futex::Flags::empty(), 1, None);
    }
    Ok(command)
}

/// Room for what makes a view.
const WORK_STACK: usize = 256 * 1024;
const INIT_STACK: usize = 16 * 1024;

/// Begins a process in this one's memory, with a stack of its own.
fn begin(
    stack_bytes: usize,
    flags: c_int,
    enter: extern "C" fn(*mut c_void) -> c_int,
    argument: *mut c_void,
    is_there: &AtomicU32,
) -> io::Result<Command> {
    let stack = stack(stack_bytes)?;
    let flags = flags | libc::CLONE_PIDFD | libc::SIGCHLD;
    let mut process: c_int = -1;
    let none = std::ptr::null_mut::<c_void>();
    // SAFETY: the stack is nobody else's and stays; the kernel stores the new descriptor to `process`, and to `is_there` what
    // its flag asks for. Both processes keep out of each other's way: see those who call this.
    let os_pid =
        unsafe { libc::clone(enter, stack, flags, argument, &raw mut process, none, is_there.as_ptr()) };
    if os_pid < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: nobody else has the descriptor.
    Ok(Command { pidfd: unsafe { OwnedFd::from_raw_fd(process) } })
}

/// The upper end of a new stack. What runs beyond the other end meets no memory.
fn stack(bytes: usize) -> io::Result<*mut c_void> {
    const GUARD: usize = 64 * 1024;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
    // SAFETY: asks for memory that nobody has yet, and opens its upper part.
    unsafe {
        let lower = libc::mmap(std::ptr::null_mut(), GUARD + bytes, libc::PROT_NONE, flags, -1, 0);
        if lower == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        if libc::mprotect(lower.add(GUARD), bytes, libc::PROT_READ | libc::PROT_WRITE) < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(lower.add(GUARD + bytes))
    }
}

/// Nobody inside may look into this memory: somebody inside is in it.
fn hide_memory() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// A copy holds nothing that whoever works in it must not see.
pub(super) fn show_memory() {
    // Where it fails, less can be seen.
    let _ = set_dumpable_behavior(DumpableBehavior::Dumpable);
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
    /// It has a table of descriptors of its own, and shares this one's memory.
    pub(super) fn begin() -> io::Result<Self> {
        hide_memory()?;
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        let lease = read.as_raw_fd() as usize as *mut c_void;
        let command = begin(INIT_STACK, libc::CLONE_VM, serve, lease, &AtomicU32::new(0))?;
        Ok(Self { command, lease: write })
    }

    /// Ends everybody inside, and returns when they are dead.
    pub(super) fn end(self) {
        drop(self.lease);
        // Whether it is waited for or not, nobody is left when it is dead.
        let _ = self.command.wait();
    }
}

/// What init does: calls of the kernel's alone, on a few bytes of its own stack. It runs beside the launcher in one memory, so
/// it must neither allocate nor touch what belongs to a thread, such as `errno`, which calls that succeed leave alone.
extern "C" fn serve(lease: *mut c_void) -> c_int {
    let lease = lease as usize as c_int;
    // SAFETY: ignoring the signal makes the kernel collect the dead. Closing everything but the lease lets go of the streams,
    // whose end others await.
    unsafe {
        libc::signal(libc::SIGCHLD, libc::SIG_IGN);
        libc::prctl(libc::PR_SET_NAME, c"init".as_ptr());
        if libc::dup2(lease, 0) < 0 {
            return super::NOT_RUN;
        }
        if libc::syscall(libc::SYS_close_range, 1, u32::MAX, 0) < 0 {
            return super::NOT_RUN;
        }
    }
    if super::confine::give_up_capabilities().is_err() {
        return super::NOT_RUN;
    }
    // SAFETY: descriptor 0 is the lease, for as long as this process lives.
    let lease = unsafe { BorrowedFd::borrow_raw(0) };
    let mut byte = [0_u8; 1];
    // Nothing is ever written to it.
    while rustix::io::read(lease, &mut byte) != Ok(0) {}
    0
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
