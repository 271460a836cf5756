//! Starting a program.
//!
//! Owns the order of the steps, and what a caller gets: a process that runs its program, or an error and no
//! process. Each step is a file of its own: `image` (strings), `wiring` (descriptors), `launch` (the call),
//! `birth` (the child).

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::sync::Once;
use std::time::Duration;

use super::birth::{Failed, Failure, HeldProgram, Inherited, Plan, Step};
use super::child::Child;
use super::command::{Command, LimitKind};
use super::error::{SpawnError, Stage};
use super::groups::Group;
use super::image::Image;
use super::launch::launch;
use super::ledger::{self, Flight};
use super::low::{self, LowEnds};
use super::mark::{self, Mark};
use super::sys;
use super::wiring::{Output, Wiring};

/// How long at most a program that is "busy" is given until it is tried again.
const BUSY_LIMIT: Duration = Duration::from_secs(1);

/// A running program and our ends of its descriptors, all close-on-exec and not blocking.
#[derive(Debug)]
pub struct Spawned {
    /// The process.
    pub child: Child,
    /// Where the child's stdin comes from, when it is a pipe.
    pub stdin: Option<OwnedFd>,
    /// Where its output arrives.
    pub output: Output,
}

/// Starts `command`. When this returns, the program runs: `execve` has succeeded.
///
/// The child leads a session and process group of its own, has no descriptor beyond 2 but what it carries, default signal
/// actions, no signal blocked, no core dumps, and the server's umask. The calling thread sleeps meanwhile,
/// usually for less than a millisecond, but as long as it takes where the program lies on a slow file system.
/// Threads may call this at the same time.
///
/// # Errors
/// See [`SpawnError`]. There is no child then, and no descriptor either.
pub fn spawn(command: &Command) -> Result<Spawned, SpawnError> {
    spawn_held(command, /*held*/ None, Mark::fresh())
}

/// The same, with `held` in place of the program that `command` names, and with this mark.
pub(super) fn spawn_held(
    command: &Command,
    held: Option<HeldProgram>,
    mark: Mark,
) -> Result<Spawned, SpawnError> {
    static KEEP_EXIT_STATUSES: Once = Once::new();
    KEEP_EXIT_STATUSES.call_once(sys::keep_exit_statuses);

    let image = Image::new(command)?;
    let wiring = Wiring::open(command.stdio)?;
    let limits = kernel_limits(command, mark);
    let inherited = inherited().map_err(|errno| SpawnError::Setup { stage: Stage::Descriptors, errno })?;

    let birth = Birth { command, image: &image, wiring: &wiring, limits: &limits, held, mark };
    let flight = Flight::depart();
    let place = flight.place();
    let mut result = attempt(flight, &birth, inherited.as_deref());
    // Between its `clone` and its first steps, a child started by another thread may hold a copy of our
    // descriptors. If one of these is open for writing on this very program, just written and closed by us,
    // the kernel calls it busy. Only starts before this one can hold such a copy, and they let go of it
    // before they end (without `close_range`, within microseconds after). So after them, one more attempt
    // tells whether the program is really being written.
    if matches!(result, Err(SpawnError::Program { errno: libc::ETXTBSY, .. })) {
        ledger::await_landings_before(place, BUSY_LIMIT);
        result = attempt(Flight::depart(), &birth, inherited.as_deref());
    }
    result.map(|child| Spawned { child, stdin: wiring.stdin, output: wiring.output })
}

/// What a start is made of; the same for every attempt.
struct Birth<'a> {
    command: &'a Command,
    image: &'a Image,
    wiring: &'a Wiring,
    limits: &'a [(c_int, libc::rlimit64)],
    held: Option<HeldProgram>,
    mark: Mark,
}

/// One process made; either it runs the program or it is gone again.
fn attempt(flight: Flight, birth: &Birth<'_>, inherited: Option<&[RawFd]>) -> Result<Child, SpawnError> {
    let Birth { command, image, wiring, limits, held, mark } = birth;
    let ends = LowEnds::of(&wiring.child, command.carried.as_ref().map(AsFd::as_fd));
    let bound = ends.bound().max(held.map_or(0, HeldProgram::bound));
    let shared = Inherited::Shared { copied_below: bound };
    let plan = Plan {
        stdin: ends.stdin,
        stdout: ends.stdout,
        stderr: ends.stderr,
        carried: ends.carried,
        // What is held takes the terminal for the program that it runs, not for itself.
        controlling_terminal: wiring.is_terminal() && held.is_none(),
        inherited: inherited.map_or(shared, Inherited::Each),
        held: *held,
        group: command.group.as_ref().map(Group::door),
        limits,
        cwd: image.cwd(),
        candidates: image.candidates(),
        argv: image.argv(),
        envp: image.envp(),
        failure: Failure::default(),
    };
    let (os_pid, pidfd) = launch(&plan, flight.pidfd_slot())?;
    let Some(Failed { step, errno, candidate }) = plan.failure.take() else {
        flight.land(os_pid);
        return Ok(Child::new(os_pid, pidfd, *mark).bounded_by(command.group.clone()));
    };
    flight.abort(pidfd);
    Err(match step {
        Step::Setup(stage) => SpawnError::Setup { stage, errno },
        Step::WorkingDirectory => SpawnError::WorkingDirectory { path: command.cwd.clone(), errno },
        Step::Program => SpawnError::Program { path: image.blame(candidate, errno), errno },
    })
}

fn kernel_limits(command: &Command, mark: Mark) -> Vec<(c_int, libc::rlimit64)> {
    let no_core = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    let mut limits = vec![(resource(libc::RLIMIT_CORE), no_core)];
    limits.extend(mark.limit().map(|limit| (resource(mark::RESOURCE), limit)));
    limits.extend(
        low::open_files_of_children().map(|(rlim_cur, rlim_max)| {
            (resource(libc::RLIMIT_NOFILE), libc::rlimit64 { rlim_cur, rlim_max })
        }),
    );
    limits.extend(command.limits.iter().map(|limit| {
        let value = libc::rlimit64 { rlim_cur: limit.value, rlim_max: limit.value };
        (resource(resource_of(limit.kind)), value)
    }));
    limits
}

/// The kernel's name of what is limited.
pub(super) fn resource_of(kind: LimitKind) -> sys::Resource {
    match kind {
        LimitKind::MemoryBytes => libc::RLIMIT_AS,
        LimitKind::Processes => libc::RLIMIT_NPROC,
        LimitKind::CpuSeconds => libc::RLIMIT_CPU,
        LimitKind::OpenFiles => libc::RLIMIT_NOFILE,
        LimitKind::FileBytes => libc::RLIMIT_FSIZE,
    }
}

/// C libraries disagree on the type of these small constants; the kernel takes an `int`.
#[allow(clippy::cast_possible_wrap, reason = "the constants are below 16")]
fn resource(constant: sys::Resource) -> c_int {
    constant as c_int
}

/// Without `close_range`: the descriptors that would survive `execve`. `None` where the child can close them
/// all itself.
///
/// What other threads open meanwhile is close-on-exec, so the list cannot miss any of ours.
fn inherited() -> Result<Option<Vec<RawFd>>, i32> {
    if sys::has_close_range() {
        return Ok(None);
    }
    let errno = |error: io::Error| error.raw_os_error().unwrap_or(libc::EIO);
    inheritable_descriptors().map(Some).map_err(errno)
}

fn inheritable_descriptors() -> io::Result<Vec<RawFd>> {
    let mut descriptors = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        if let Some(number) = entry?.file_name().to_str().and_then(|name| name.parse().ok())
            && number > 2
            && sys::survives_exec(number)
        {
            descriptors.push(number);
        }
    }
    Ok(descriptors)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use rustix::event::{PollFd, PollFlags, poll};

    use super::*;
    use crate::os::read_output;

    #[test]
    fn without_close_range_the_child_closes_what_it_would_inherit() {
        let careless = rustix::io::dup(std::io::stdin().as_fd()).expect("a descriptor");
        let inherited = inheritable_descriptors().expect("/proc is mounted");
        assert!(inherited.contains(&careless.as_raw_fd()));

        let command = Command::new(["/bin/ls", "/proc/self/fd"], "/");
        let image = Image::new(&command).expect("valid");
        let wiring = Wiring::open(command.stdio).expect("pipes");
        let birth = Birth {
            command: &command,
            image: &image,
            wiring: &wiring,
            limits: &[],
            held: None,
            mark: Mark::fresh(),
        };
        let child = attempt(Flight::depart(), &birth, Some(&inherited)).expect("starts");
        poll(&mut [PollFd::new(&child, PollFlags::IN)], None).expect("it ends");
        assert_eq!(child.try_wait().expect("it is ours").map(|exit| exit.code()), Some(0));

        let Output::Pipes { stdout, .. } = wiring.output else { panic!("pipes were asked for") };
        let mut text = [0; 64];
        let count = read_output(&stdout, &mut text).expect("it has written");
        // The fourth is the directory that `ls` itself has open.
        assert_eq!(&text[..count], b"0\n1\n2\n3\n");
    }
}
