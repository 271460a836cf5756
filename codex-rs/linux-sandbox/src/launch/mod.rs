//! The launcher: a fresh program between the server and the program that is to run.
//!
//! ```text
//! server ── launcher ─┬─ init      pid 1 inside; holds nothing, collects orphans, and takes everything with it
//!                     └─ command   builds the view, gives up every right, becomes the program
//! ```
//!
//! A launcher may also be started before it is known for what; see [`standby`]. Those are copies of one that only makes
//! them; see [`zygote`].
//!
//! The launcher stays outside the new pid namespace: nobody inside can name it, so nobody inside can stop it from ending
//! everything, and its own end is that of the program, code or signal alike.
//!
//! It is one thread, and copies its memory for nobody who runs a program: a copy of all page tables, and of every page that
//! either of the two writes to, is most of what a process costs. The command does its work in the launcher's memory, while
//! that one waits until it has become the program; init is a few calls there, with a stack of its own. Nobody inside can look
//! into that memory.

mod confine;
mod devices;
mod forks;
mod judge;
mod mounts;
mod namespaces;
mod program;
mod standby;
pub(crate) mod trial;
mod witness;
mod zygote;

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::calls;
use crate::job::{Failure, JOB, Job, MOST_DESCRIPTORS, STATUS, Stage, TOLD_BYTES, Task, Told, Work};
use crate::launcher::Serve;
use forks::{Command, End, Fork, Init};
use mounts::Ground;
use witness::Witness;

/// What a launcher ends with when no program runs; the server has been told why.
const NOT_RUN: i32 = 125;

/// Carries out the job of descriptor 3. Never returns.
///
/// The caller has made sure that descriptors 3 and 4 are what they should be.
pub(crate) fn run(serve: Option<Serve>) -> ! {
    #[allow(unsafe_code)]
    // SAFETY: the server placed these for this program, and nothing else here uses them.
    let (job, status) = unsafe { (OwnedFd::from_raw_fd(JOB), Status(OwnedFd::from_raw_fd(STATUS))) };
    let begun = forks::close_on_exec(status.0.as_fd()).and_then(|()| Task::from_memfd(job));
    let (task, status, network) = match begun {
        Ok(Task::Zygote) => {
            let (status, network) = zygote::serve(status);
            (Task::StandBy, status, Some(network))
        }
        Ok(task) => (task, status, None),
        Err(error) => give_up(&status, at(Stage::Job)(error)),
    };
    match launch(task, network, &status, serve) {
        // Nobody needs it any more.
        Ok(None) => forks::exit(/*code*/ 0),
        Ok(Some(launched)) => {
            // The server takes the socket's end as the news that the program runs.
            drop(status);
            end_as(launched)
        }
        Err(failure) => give_up(&status, failure),
    }
}

/// Tells the server why no program runs, and ends.
fn give_up(status: &Status, failure: Failure) -> ! {
    status.tell(&Told::Failed(failure), &[]);
    forks::exit(NOT_RUN)
}

/// A program that runs, and those around it.
struct Launched {
    init: Init,
    command: Command,
    /// Who watches what it is kept from, and where that is told when it has ended.
    watch: Option<(Witness, OwnedFd)>,
}

/// `network` is the one that it is in, if it is private already.
fn launch(
    task: Task,
    network: Option<OwnedFd>,
    status: &Status,
    serve: Option<Serve>,
) -> Result<Option<Launched>, Failure> {
    // Whoever stands by does so for programs that are watched, in a closed network that nobody listens in.
    let (own_network, is_watched, listen) = match &task {
        Task::Now(job) => (job.own_network, job.witness.is_some(), &job.listen[..]),
        Task::StandBy | Task::Zygote => (true, true, &[][..]),
    };
    // Numbers mean something in this table that they don't in the one inside.
    let processes = if is_watched { watching_place() } else { None };
    namespaces::enter(own_network && network.is_none())?;
    let mounts = namespaces::mounts().map_err(at(Stage::Namespaces))?;
    let listeners = namespaces::listen(listen)?;
    let init = Init::begin().map_err(at(Stage::Fork))?;
    let (command, left) = match task {
        Task::Now(job) if matches!(job.work, Work::Program(_)) => in_this_memory(|left| {
            let built = mounts::build(&job.view, job.terminal);
            left.job = Some(*job);
            become_program(left, built)
        })?,
        // They go on in this very program, so they need memory of their own.
        Task::Now(job) => match forks::fork().map_err(at(Stage::Fork))? {
            Fork::Child => {
                drop((init, listeners, mounts));
                work_on(&job, status, serve)
            }
            Fork::Parent(command) => (command, Left { job: Some(*job), ..Left::default() }),
        },
        Task::StandBy | Task::Zygote => {
            let on_base = network.is_some();
            in_this_memory(|left| stand_by(left, status, on_base))?
        }
    };
    if let Some(failure) = left.failure {
        let _ = command.wait();
        init.end();
        return Err(failure);
    }
    let Some(job) = left.job else {
        // Nobody needs it any more.
        let _ = command.wait();
        init.end();
        return Ok(None);
    };
    forks::close_stdio();
    let table = calls::table(job.network());
    let watch = match (processes, job.witness) {
        (Some(processes), Some(witnessing)) => {
            // There is none where the kernel can't tell.
            left.listener.zip(pipe_with(PipeFlags::CLOEXEC).ok()).map(|(listener, pipe)| {
                (Witness::new(listener, processes, table, witnessing.rules.rules), pipe)
            })
        }
        _ => None,
    };
    let mut told = vec![command.pidfd(), mounts.as_fd()];
    // If nobody watches, nobody can say whether it was used.
    let network = network.filter(|_| watch.is_some());
    told.extend(network.as_ref().map(OwnedFd::as_fd));
    told.extend(listeners.iter().map(OwnedFd::as_fd));
    told.extend(watch.as_ref().map(|(_, (report, _))| report.as_fd()));
    status.tell(&Told::Command { network: network.is_some() }, &told);
    drop((listeners, mounts, network));
    let watch = watch.map(|(witness, (_, report))| (witness, report));
    Ok(Some(Launched { init, command, watch }))
}

/// What a command leaves to its launcher, in whose memory it was made.
#[derive(Default)]
struct Left {
    /// What it was made for; `None` if nobody has asked for anything.
    job: Option<Job>,
    /// Where the kernel asks about its calls.
    listener: Option<OwnedFd>,
    /// Why no program runs.
    failure: Option<Failure>,
}

/// Has a process of its own do `work`, which makes it the program or leaves the reason why not. Returns when it has.
fn in_this_memory(work: impl FnOnce(&mut Left)) -> Result<(Command, Left), Failure> {
    let mut left = Left::default();
    let command = forks::in_this_memory(|| work(&mut left)).map_err(at(Stage::Fork))?;
    Ok((command, left))
}

/// The machine's process table, held open.
fn watching_place() -> Option<OwnedFd> {
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
    rustix::fs::open("/proc", flags, rustix::fs::Mode::empty()).ok()
}

/// Waits for the program, takes away what it left, and ends as it ended.
fn end_as(launched: Launched) -> ! {
    let Launched { init, command, watch } = launched;
    // What is left to do needs no rights. Where they can't be given up, nobody inside gains by it.
    let _ = confine::give_up_capabilities();
    let (mut witness, report) = watch.unzip();
    if let Some(witness) = &mut witness {
        witness.watch(command.pidfd());
    }
    let end = command.wait();
    if let Some((witness, report)) = witness.zip(report) {
        let failed = !matches!(end, Ok(End::Exited(0)));
        // It fits into the pipe, and is there before anybody can see this process end.
        let _ = rustix::io::write(&report, &witness.testimony(failed).to_bytes());
    }
    init.end();
    end.map_or_else(|_| forks::exit(NOT_RUN), End::repeat)
}

/// In the command process of a launcher that stands by; `on_base` if it is a zygote's copy.
fn stand_by(left: &mut Left, status: &Status, on_base: bool) {
    let ground = match Ground::lay_ahead(on_base) {
        Ok(ground) => ground,
        Err(failure) => return left.failure = Some(failure),
    };
    status.tell(&Told::Ready, &[]);
    match standby::receive(&status.0) {
        Ok(Some(mut order)) => {
            let placed = order.place_streams().map_err(at(Stage::Job));
            let built = placed.and_then(|()| ground.build(&order.job.view));
            left.job = Some(order.job);
            become_program(left, built);
        }
        Ok(None) => {}
        Err(error) => left.failure = Some(at(Stage::Job)(error)),
    }
}

/// In the command process, when its view is built: returns only if it did not become the program, with the reason left.
fn become_program(left: &mut Left, built: Result<(), Failure>) {
    let Some(job) = &left.job else { return };
    let Work::Program(program) = &job.work else { return };
    let failure = match built.and_then(|()| prepare(job)) {
        Ok(listener) => {
            left.listener = listener;
            program::execute(program)
        }
        Err(failure) => failure,
    };
    left.failure = Some(failure);
}

/// In a command process that becomes no program.
fn work_on(job: &Job, status: &Status, serve: Option<Serve>) -> ! {
    forks::show_memory();
    let built = mounts::build(&job.view, job.terminal);
    let failure = match built.and_then(|()| prepare(job)) {
        Ok(_) => match &job.work {
            Work::Program(program) => program::execute(program),
            Work::Trial => {
                status.tell(&Told::Trial(trial::run()), &[]);
                forks::exit(/*code*/ 0)
            }
            Work::Serve { rules, settings } => match (serve, status.0.try_clone()) {
                (Some(serve), Ok(socket)) => {
                    status.tell(&Told::Serving, &[]);
                    serve(rules.clone(), settings, socket);
                    forks::exit(/*code*/ 0)
                }
                (None, _) => at(Stage::Serve)(std::io::Error::from_raw_os_error(libc::ENOSYS)),
                (_, Err(error)) => at(Stage::Serve)(error),
            },
        },
        Err(failure) => failure,
    };
    give_up(status, failure)
}

/// Gives up every right. Returns where the kernel asks about calls that can be denied, if anybody is to be asked and it can.
fn prepare(job: &Job) -> Result<Option<OwnedFd>, Failure> {
    forks::new_session(job.terminal).map_err(at(Stage::Terminal))?;
    confine::set_limits(&job.limits).map_err(at(Stage::Limits))?;
    confine::give_up_capabilities().map_err(at(Stage::Capabilities))?;
    if let Work::Program(program) = &job.work {
        program::enter_directory(program).map_err(at(Stage::WorkingDirectory))?;
    }
    forks::default_signals();
    if let Some(fence) = &job.fence {
        confine::landlock(fence)?;
    }
    if let Some(witness) = &job.witness
        && let Ok(listener) = confine::seccomp_listening(calls::witnessed(job.network(), witness.watch))
    {
        return Ok(Some(listener));
    }
    confine::seccomp(calls::filter(job.network())).map_err(at(Stage::Seccomp))?;
    Ok(None)
}

/// The launcher's end of the socket to the server.
struct Status(OwnedFd);

impl Status {
    /// Tells the server. Nothing can be done where that fails: the server sees the end of the socket.
    fn tell(&self, told: &Told, descriptors: &[BorrowedFd<'_>]) {
        match postcard::to_stdvec(told) {
            Ok(bytes) if bytes.len() <= TOLD_BYTES => drop(send(&self.0, &bytes, descriptors)),
            _ => {}
        }
    }
}

/// Sends one message with some descriptors.
fn send(socket: &OwnedFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> rustix::io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL).map(drop)
}

fn at<E: Into<std::io::Error>>(stage: Stage) -> impl Fn(E) -> Failure {
    move |error| {
        let error: std::io::Error = error.into();
        Failure { stage, errno: error.raw_os_error().unwrap_or(libc::EIO), detail: String::new() }
    }
}
