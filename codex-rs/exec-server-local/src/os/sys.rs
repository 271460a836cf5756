//! Thin, safe faces of system calls that no crate of ours wraps in the form needed here.
//!
//! Owns the `unsafe` of those calls and nothing else: no policy, no state beyond one probe of the kernel.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, BorrowedFd, RawFd};
use std::ptr;
use std::sync::OnceLock;

use rustix::process::Signal;

/// The error number of the last failed C library call of this thread.
pub(super) fn last_errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Every signal blocked in this thread, until dropped.
pub(super) struct BlockedSignals(u64);

impl BlockedSignals {
    /// Blocks all, including the two that the C library keeps for itself and would not let itself be asked to
    /// block: their handlers would be as wrong in a child as any other.
    pub(super) fn all() -> Self {
        let mut before = 0_u64;
        // SAFETY: both masks are 64 bits, as the size says. The call cannot fail with these arguments.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigprocmask,
                libc::SIG_SETMASK,
                &raw const ALL_SIGNALS,
                &raw mut before,
                size_of::<u64>(),
            )
        };
        Self(before)
    }
}

static ALL_SIGNALS: u64 = u64::MAX;

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        let none = ptr::null_mut::<u64>();
        // SAFETY: as above.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigprocmask,
                libc::SIG_SETMASK,
                &raw const self.0,
                none,
                size_of::<u64>(),
            )
        };
    }
}

/// If SIGCHLD is ignored, which a process inherits from whoever started it, the kernel throws exit statuses
/// away. Puts the default action in place of that and of nothing else.
pub(super) fn keep_exit_statuses() {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: reads the present action into a buffer of the right type, and writes one that is valid when all
    // zero.
    unsafe {
        if libc::sigaction(libc::SIGCHLD, ptr::null(), action.as_mut_ptr()) == 0 {
            let action = action.assume_init_mut();
            if action.sa_sigaction == libc::SIG_IGN {
                action.sa_sigaction = libc::SIG_DFL;
                action.sa_flags = 0;
                libc::sigaction(libc::SIGCHLD, action, ptr::null_mut());
            }
        }
    }
}

/// The number of a resource whose use can be limited, as the C library at hand takes it.
#[cfg(target_env = "gnu")]
pub(super) type Resource = libc::__rlimit_resource_t;
/// The number of a resource whose use can be limited, as the C library at hand takes it.
#[cfg(not(target_env = "gnu"))]
pub(super) type Resource = std::ffi::c_int;

/// Soft and hard limit of `resource` in process `os_pid`; 0 is the caller.
///
/// # Errors
/// `ESRCH` when there is no such process, `EPERM` when it belongs to another user.
pub(super) fn limits_of(os_pid: i32, resource: Resource) -> io::Result<(u64, u64)> {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: reads into a structure of the right type.
    check(unsafe { libc::prlimit64(os_pid, resource, ptr::null(), &raw mut limit) })?;
    Ok((limit.rlim_cur, limit.rlim_max))
}

/// The session of a process; argument 0 is the caller. The answer is `Some(0)` for a kernel thread and for a
/// session whose leader is in an outer pid namespace, and `None` when there is no such process.
pub(super) fn session_of(os_pid: i32) -> Option<i32> {
    // SAFETY: passes a number and returns one.
    let session = unsafe { libc::getsid(os_pid) };
    (session >= 0).then_some(session)
}

/// Highest resident set that this process has had, in bytes.
pub(super) fn own_peak_rss_bytes() -> u64 {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: fills a structure of the right type, which is valid when all zero.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    kibibytes(usage.ru_maxrss)
}

/// The kernel counts resident sets in KiB.
pub(super) fn kibibytes(count: libc::c_long) -> u64 {
    u64::try_from(count).unwrap_or(0).saturating_mul(1024)
}

/// Whom to wait for.
#[derive(Clone, Copy)]
pub(super) enum Waited<'a> {
    /// Any child of this process.
    Any,
    /// The child with this number.
    Pid(i32),
    /// The child that this pidfd names.
    Pidfd(BorrowedFd<'a>),
    /// The same, for a number that may be stale; then the call fails with `EBADF` or `EINVAL`.
    RawPidfd(RawFd),
}

/// What happens to the status of a dead child.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Take {
    /// It is left for a later call.
    Peek,
    /// The same, after sleeping until it is dead.
    PeekBlocking,
    /// The child is gone for good and its number may be used again. Only under the ledger's lock.
    Reap,
}

/// A dead child.
pub(super) struct Dead {
    pub(super) os_pid: i32,
    /// `CLD_EXITED`, `CLD_KILLED` or `CLD_DUMPED`.
    pub(super) how: i32,
    /// Exit code or signal number.
    pub(super) status: i32,
    pub(super) usage: libc::rusage,
}

/// Looks for a dead child. `None` when those asked for are alive.
///
/// # Errors
/// `ECHILD` when there is no such child.
pub(super) fn wait(whom: Waited<'_>, take: Take) -> io::Result<Option<Dead>> {
    let (kind, id) = match whom {
        Waited::Any => (libc::P_ALL, 0),
        Waited::Pid(os_pid) => (libc::P_PID, os_pid),
        Waited::Pidfd(pidfd) => (libc::P_PIDFD, pidfd.as_raw_fd()),
        Waited::RawPidfd(pidfd) => (libc::P_PIDFD, pidfd),
    };
    let options = match take {
        Take::Peek => libc::WEXITED | libc::WNOHANG | libc::WNOWAIT,
        Take::PeekBlocking => libc::WEXITED | libc::WNOWAIT,
        Take::Reap => libc::WEXITED | libc::WNOHANG,
    };
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    loop {
        // The raw call, because the C library's `waitid` has no place for the usage.
        // SAFETY: both structures have the kernel's layout and outlive the call.
        let result = check(unsafe {
            libc::syscall(libc::SYS_waitid, kind, id, info.as_mut_ptr(), options, usage.as_mut_ptr())
        });
        match result {
            Ok(()) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    // SAFETY: both are valid when all zero, and the kernel has filled them in if it found a child: the fields
    // read are those of a child's death.
    unsafe {
        let (info, usage) = (info.assume_init(), usage.assume_init());
        let dead = Dead { os_pid: info.si_pid(), how: info.si_code, status: info.si_status(), usage };
        Ok((dead.os_pid != 0).then_some(dead))
    }
}

/// Whether a signal found somebody.
///
/// # Errors
/// `EPERM` when all whom it found belong to other users.
fn found(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Sends `signal`, or with `None` only asks whether the process is there. `false` once it has been reaped; a
/// zombie is there.
///
/// # Errors
/// `EPERM` when it belongs to another user.
pub(super) fn signal_process(pidfd: BorrowedFd<'_>, signal: Option<Signal>) -> io::Result<bool> {
    pidfd_send_signal(pidfd, signal, /*flags*/ 0)
}

/// Sends `signal` to the process group whose first leader `pidfd` names. `false` when it has no member any
/// more.
///
/// # Errors
/// `EINVAL` before Linux 6.9; `EPERM` when all members belong to other users.
pub(super) fn signal_group(pidfd: BorrowedFd<'_>, signal: Signal) -> io::Result<bool> {
    /// `PIDFD_SIGNAL_PROCESS_GROUP`.
    const PROCESS_GROUP: u32 = 1 << 2;
    pidfd_send_signal(pidfd, Some(signal), PROCESS_GROUP)
}

fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: Option<Signal>, flags: u32) -> io::Result<bool> {
    let signal = signal.map_or(0, Signal::as_raw);
    let no_info = ptr::null::<libc::siginfo_t>();
    // SAFETY: passes numbers and a null pointer, which the call allows.
    found(check(unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, no_info, flags)
    }))
}

/// Whether the kernel has `close_range`, asked once. It may also be kept from us by a seccomp filter.
pub(super) fn has_close_range() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    // SAFETY: the range holds no descriptor, as none has such a number.
    *ANSWER.get_or_init(|| unsafe { libc::syscall(libc::SYS_close_range, u32::MAX, u32::MAX, 0) == 0 })
}

fn check<N: Into<i64>>(result: N) -> io::Result<()> {
    if result.into() < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Whether `descriptor` is open and not close-on-exec.
pub(super) fn survives_exec(descriptor: RawFd) -> bool {
    // SAFETY: reads the flags of whatever the number names, if anything.
    let flags = unsafe { libc::fcntl(descriptor, libc::F_GETFD) };
    flags >= 0 && flags & libc::FD_CLOEXEC == 0
}
