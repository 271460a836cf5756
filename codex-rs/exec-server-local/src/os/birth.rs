//! The child between `clone` and `execve`.
//!
//! Owns the few system calls that turn a copy of the server into a process of its own. The child shares the
//! server's memory while one server thread sleeps, so this code allocates nothing, takes no lock, cannot
//! panic, and writes only to its own stack and to [`Failure`]. Everything it needs was prepared in a
//! [`Plan`].
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, c_void};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering::Relaxed};

use super::carried::Carried;
use super::error::Stage;

/// What the child is to do, in the order in which it does it.
pub(super) struct Plan<'a> {
    /// Descriptor for 0, or `None` for `/dev/null`. This and the next two are 3 or higher, so
    /// that placing one cannot overwrite another.
    pub(super) stdin: Option<RawFd>,
    pub(super) stdout: RawFd,
    pub(super) stderr: RawFd,
    /// Whether `stdin` is a terminal that the child is to take as its controlling one.
    pub(super) controlling_terminal: bool,
    pub(super) inherited: Inherited<'a>,
    /// What is to be descriptor [`Carried::NUMBER`], which it must not be yet.
    pub(super) carried: Option<RawFd>,
    /// The program, when it is held open instead of being looked for.
    pub(super) held: Option<HeldProgram>,
    /// What is to be told `0` to be in a control group.
    pub(super) group: Option<RawFd>,
    /// Resource and value, applied in order.
    pub(super) limits: &'a [(c_int, libc::rlimit64)],
    pub(super) cwd: *const c_char,
    /// Null-terminated, tried in order.
    pub(super) candidates: *const *const c_char,
    pub(super) argv: *const *const c_char,
    pub(super) envp: *const *const c_char,
    pub(super) failure: Failure,
}

/// A program that is run by its descriptor, and what it gets beside the first three: `extra` become 3 and so on. All
/// numbers lie beyond those.
#[derive(Clone, Copy)]
pub(super) struct HeldProgram {
    pub(super) program: RawFd,
    pub(super) extra: [RawFd; EXTRA],
}

impl HeldProgram {
    /// The lowest number above all of them.
    pub(super) fn bound(self) -> RawFd {
        self.extra.into_iter().fold(self.program, RawFd::max) + 1
    }
}

/// How many descriptors a [`HeldProgram`] gets.
pub(super) const EXTRA: usize = 2;
/// The first descriptor behind those, where the program itself is held until it runs.
pub(super) const FIRST_FREE: RawFd = 3 + EXTRA as RawFd;

/// How the child gets rid of descriptors that are the server's.
pub(super) enum Inherited<'a> {
    /// It shares the server's table of descriptors, and takes a copy of those below this number by `close_range`, Linux
    /// 5.9. Without a copy of its own it touches none.
    Shared { copied_below: RawFd },
    /// It was born with a copy. The list of those that would survive `execve`. All others are close-on-exec by the rule of this crate.
    Each(&'a [RawFd]),
}

/// Where the child leaves word of what went wrong. The server reads it after the child is gone or
/// runs the program, and `vfork` orders the two, so relaxed accesses are enough.
#[derive(Default)]
pub(super) struct Failure {
    step: AtomicI32,
    errno: AtomicI32,
    candidate: AtomicUsize,
}

/// A failure as the server reads it.
pub(super) struct Failed {
    pub(super) step: Step,
    pub(super) errno: i32,
    /// Index of the candidate that `errno` belongs to, for [`Step::Program`].
    pub(super) candidate: usize,
}

/// The step that failed.
pub(super) enum Step {
    Setup(Stage),
    WorkingDirectory,
    Program,
}

const SESSION: i32 = 1;
const CONTROLLING_TERMINAL: i32 = 2;
const STDIO: i32 = 3;
const DESCRIPTORS: i32 = 4;
const LIMITS: i32 = 5;
const WORKING_DIRECTORY: i32 = 6;
const PROGRAM: i32 = 7;
const CONTROL_GROUP: i32 = 8;

impl Failure {
    pub(super) fn take(&self) -> Option<Failed> {
        let step = match self.step.load(Relaxed) {
            0 => return None,
            SESSION => Step::Setup(Stage::Session),
            CONTROLLING_TERMINAL => Step::Setup(Stage::ControllingTerminal),
            STDIO => Step::Setup(Stage::Stdio),
            DESCRIPTORS => Step::Setup(Stage::Descriptors),
            LIMITS => Step::Setup(Stage::Limits),
            CONTROL_GROUP => Step::Setup(Stage::ControlGroup),
            WORKING_DIRECTORY => Step::WorkingDirectory,
            _ => Step::Program,
        };
        Some(Failed { step, errno: self.errno.load(Relaxed), candidate: self.candidate.load(Relaxed) })
    }
}

/// Entry point of the child, on its own stack. `plan` points to a [`Plan`]. Ends in the new program or in
/// `_exit`.
pub(super) extern "C" fn child_main(plan: *mut c_void) -> c_int {
    // SAFETY: `launch` passes a pointer to a `Plan` that it keeps borrowed until this process has left its
    // memory, and the pointers within it are valid for as long.
    let (step, errno) = unsafe {
        let plan = &*plan.cast::<Plan<'_>>();
        let (step, errno) = become_program(plan);
        plan.failure.errno.store(errno, Relaxed);
        plan.failure.step.store(step, Relaxed);
        (step, errno)
    };
    // SAFETY: ends this process alone, without running exit handlers that belong to the server.
    unsafe { libc::_exit(if step == PROGRAM && errno == libc::ENOENT { 127 } else { 126 }) }
}

/// Returns only on failure, with the step and the error number.
///
/// # Safety
/// As for [`child_main`]. All signals are blocked.
unsafe fn become_program(plan: &Plan<'_>) -> (i32, i32) {
    // SAFETY: all calls are async-signal-safe, and their pointers come from the plan or the stack.
    unsafe {
        // While the descriptor has its number. Before anything counts that this process does.
        if let Some(group) = plan.group
            && libc::write(group, c"0".as_ptr().cast(), 1) != 1
        {
            return (CONTROL_GROUP, errno());
        }
        // This comes early: until it is done, this process has every descriptor of the server.
        if let Inherited::Shared { copied_below } = plan.inherited
            && libc::syscall(libc::SYS_close_range, copied_below, u32::MAX, libc::CLOSE_RANGE_UNSHARE) < 0
        {
            return (DESCRIPTORS, errno());
        }
        if libc::setsid() < 0 {
            return (SESSION, errno());
        }
        if plan.controlling_terminal
            && let Some(terminal) = plan.stdin
            && libc::ioctl(terminal, libc::TIOCSCTTY, 0) < 0
        {
            return (CONTROLLING_TERMINAL, errno());
        }
        if !place_stdio(plan) {
            return (STDIO, errno());
        }
        // This comes early: until it is done, this process may hold a copy of a descriptor that is open for writing on
        // a program that another thread is about to start.
        if !close_inherited(plan) {
            return (DESCRIPTORS, errno());
        }
        for (resource, limit) in plan.limits {
            let none = std::ptr::null_mut::<libc::rlimit64>();
            if libc::syscall(libc::SYS_prlimit64, 0, *resource, limit, none) < 0 {
                return (LIMITS, errno());
            }
        }
        if libc::chdir(plan.cwd) < 0 {
            return (WORKING_DIRECTORY, errno());
        }
        default_signals();
        (PROGRAM, execute(plan))
    }
}

/// # Safety
/// As for [`become_program`].
unsafe fn place_stdio(plan: &Plan<'_>) -> bool {
    // SAFETY: as for the caller.
    unsafe {
        match plan.stdin {
            Some(stdin) => {
                if libc::dup2(stdin, 0) < 0 {
                    return false;
                }
            }
            None => {
                let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY);
                if null < 0 || libc::dup2(null, 0) < 0 {
                    return false;
                }
                // When 1 or 2 were closed in the server, `null` took one of these and is overwritten below.
                if null > 2 {
                    libc::close(null);
                }
            }
        }
        libc::dup2(plan.stdout, 1) >= 0 && libc::dup2(plan.stderr, 2) >= 0
    }
}

/// # Safety
/// As for [`become_program`]; 0, 1 and 2 are in place.
unsafe fn close_inherited(plan: &Plan<'_>) -> bool {
    // SAFETY: the child needs no descriptor any more beyond 2 and those that are placed here, and its table is its own
    // copy.
    unsafe {
        let Some(held) = &plan.held else {
            return match plan.carried {
                None => close_from(/*first*/ 3, &plan.inherited),
                Some(carried) => carry(carried, &plan.inherited),
            };
        };
        // A list of those to close could name the places of the extra ones, so these come after it; a range is closed
        // behind them.
        let range = matches!(plan.inherited, Inherited::Shared { .. });
        if !range && !close_from(/*first*/ 3, &plan.inherited) {
            return false;
        }
        let mut place: RawFd = 3;
        for &extra in &held.extra {
            if libc::dup2(extra, place) < 0 {
                return false;
            }
            place = place.wrapping_add(1);
        }
        if libc::dup3(held.program, FIRST_FREE, libc::O_CLOEXEC) < 0 {
            return false;
        }
        !range || close_from(FIRST_FREE.wrapping_add(1), &plan.inherited)
    }
}

/// Puts `carried` in its place, and closes all others.
///
/// # Safety
/// As for [`close_inherited`].
unsafe fn carry(carried: RawFd, inherited: &Inherited<'_>) -> bool {
    // SAFETY: as for the caller.
    unsafe {
        // A list of those to close could name this place, so the file comes after it; a range is closed behind it.
        let range = matches!(inherited, Inherited::Shared { .. });
        if !range && !close_from(/*first*/ 3, inherited) {
            return false;
        }
        libc::dup2(carried, Carried::NUMBER) >= 0
            && (!range || close_from(Carried::NUMBER.wrapping_add(1), inherited))
    }
}

/// # Safety
/// As for [`close_inherited`].
unsafe fn close_from(first: RawFd, inherited: &Inherited<'_>) -> bool {
    // SAFETY: as for the caller.
    unsafe {
        match inherited {
            Inherited::Shared { .. } => libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) == 0,
            Inherited::Each(descriptors) => {
                for &descriptor in *descriptors {
                    // The list was made in the server, where another thread may have closed one since.
                    if libc::close(descriptor) < 0 && errno() != libc::EBADF {
                        return false;
                    }
                }
                true
            }
        }
    }
}

/// Default action for every signal, none blocked.
///
/// A handler of the server must never run here, on shared memory, so the actions are reset before the mask.
/// `execve` itself would reset handlers but keep ignored signals ignored: SIGPIPE from Rust's runtime, SIGHUP
/// from `nohup`.
///
/// # Safety
/// As for [`become_program`].
unsafe fn default_signals() {
    /// The kernel's own layout, all zero: default action, no flags, empty mask.
    const DEFAULT_ACTION: [u64; 4] = [0; 4];
    static EMPTY: u64 = 0;
    // SAFETY: raw calls, because the C library hides two signals of its own. Both structures are large enough
    // for the kernel's layouts on 64-bit machines. The table of actions is this process's own copy, as it was
    // not cloned with CLONE_SIGHAND. Failures are for SIGKILL and SIGSTOP, which are at their default by
    // nature.
    unsafe {
        let none = std::ptr::null_mut::<c_void>();
        let mut signal: c_int = 1;
        while signal <= 64 {
            libc::syscall(libc::SYS_rt_sigaction, signal, DEFAULT_ACTION.as_ptr(), none, size_of::<u64>());
            signal = signal.wrapping_add(1);
        }
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const EMPTY, none, size_of::<u64>());
    }
}

/// `execvpe` over prepared candidates, but without its fallback to a shell for a file of unknown format.
/// Returns the error number: that of a refusal if there was one, else that of the last candidate.
///
/// # Safety
/// As for [`become_program`].
unsafe fn execute(plan: &Plan<'_>) -> i32 {
    // SAFETY: the arrays are null-terminated and hold NUL-terminated strings.
    unsafe {
        if plan.held.is_some() {
            let (argv, envp) = (plan.argv, plan.envp);
            let flags = libc::AT_EMPTY_PATH;
            libc::syscall(libc::SYS_execveat, FIRST_FREE, c"".as_ptr(), argv, envp, flags);
            return errno();
        }
        let mut refused = false;
        let mut candidate = plan.candidates;
        let mut index: usize = 0;
        while !(*candidate).is_null() {
            libc::execve(*candidate, plan.argv, plan.envp);
            match errno() {
                libc::EACCES => {
                    if !refused {
                        plan.failure.candidate.store(index, Relaxed);
                    }
                    refused = true;
                }
                // Not in this directory, or the directory itself is not there or not a directory.
                libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT => {}
                errno => {
                    plan.failure.candidate.store(index, Relaxed);
                    return errno;
                }
            }
            candidate = candidate.wrapping_add(1);
            index = index.wrapping_add(1);
        }
        // A single candidate keeps its exact error; of a search, "not found" is the sum.
        match (refused, index) {
            (true, _) => libc::EACCES,
            (false, 1) => errno(),
            (false, _) => libc::ENOENT,
        }
    }
}

/// # Safety
/// Reads the thread-local of the sleeping server thread, which the child shares.
unsafe fn errno() -> i32 {
    // SAFETY: always a valid pointer.
    unsafe { *libc::__errno_location() }
}
