//! The launcher: a fresh program between the server and the program that is to run.
//!
//! ```text
//! server ── launcher ─┬─ init      pid 1 inside; holds nothing, collects orphans, and takes everything with it
//!                     └─ command   builds the view, gives up every right, becomes the program
//! ```
//!
//! The launcher stays outside the new pid namespace: nobody inside can name it, so nobody inside can stop it from ending
//! everything, and its own end is that of the program, code or signal alike. It is one thread from beginning to end, so
//! the processes that it forks may do whatever it may.

mod confine;
mod devices;
mod forks;
mod mounts;
mod namespaces;
mod program;
pub(crate) mod trial;

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use crate::job::{Failure, JOB, Job, STATUS, Stage, TOLD_BYTES, Told, Work};
use crate::launcher::Serve;
use forks::{Command, End, Fork, Init};

/// What a launcher ends with when no program runs; the server has been told why.
const NOT_RUN: i32 = 125;

/// Carries out the job of descriptor 3. Never returns.
///
/// The caller has made sure that descriptors 3 and 4 are what they should be.
pub(crate) fn run(serve: Option<Serve>) -> ! {
    #[allow(unsafe_code)]
    // SAFETY: the server placed these for this program, and nothing else here uses them.
    let (job, status) = unsafe { (OwnedFd::from_raw_fd(JOB), Status(OwnedFd::from_raw_fd(STATUS))) };
    match launch(job, &status, serve) {
        Ok((init, command)) => {
            // The server takes the socket's end as the news that the program runs.
            drop(status);
            end_as(&command, init)
        }
        Err(failure) => {
            status.tell(&Told::Failed(failure), None);
            forks::exit(NOT_RUN)
        }
    }
}

fn launch(job: OwnedFd, status: &Status, serve: Option<Serve>) -> Result<(Init, Command), Failure> {
    forks::close_on_exec(status.0.as_fd()).map_err(at(Stage::Job))?;
    let task = Job::from_memfd(&job).map_err(at(Stage::Job))?;
    drop(job);
    namespaces::enter(task.own_network)?;
    let init = Init::fork().map_err(at(Stage::Fork))?;
    let command = match forks::fork().map_err(at(Stage::Fork))? {
        Fork::Child => {
            drop(init);
            become_command(task, status, serve)
        }
        Fork::Parent(command) => command,
    };
    forks::close_stdio();
    status.tell(&Told::Command, Some(command.pidfd()));
    Ok((init, command))
}

/// Waits for the program, takes away what it left, and ends as it ended.
fn end_as(command: &Command, init: Init) -> ! {
    // What is left to do needs no rights. Where they can't be given up, nobody inside gains by it.
    let _ = confine::give_up_capabilities();
    let end = command.wait();
    init.end();
    end.map_or_else(|_| forks::exit(NOT_RUN), End::repeat)
}

/// In the command process: either it is the program then, or the server has been told why not.
fn become_command(job: Job, status: &Status, serve: Option<Serve>) -> ! {
    let failure = match prepare(&job) {
        Ok(()) => match job.work {
            Work::Program(program) => program::execute(&program),
            Work::Trial => {
                status.tell(&Told::Trial(trial::run()), /*descriptor*/ None);
                forks::exit(/*code*/ 0)
            }
            Work::Serve { rules, settings } => match (serve, status.0.try_clone()) {
                (Some(serve), Ok(socket)) => {
                    status.tell(&Told::Serving, /*descriptor*/ None);
                    serve(rules, &settings, socket);
                    forks::exit(/*code*/ 0)
                }
                (None, _) => at(Stage::Serve)(std::io::Error::from_raw_os_error(libc::ENOSYS)),
                (_, Err(error)) => at(Stage::Serve)(error),
            },
        },
        Err(failure) => failure,
    };
    status.tell(&Told::Failed(failure), /*descriptor*/ None);
    forks::exit(NOT_RUN)
}

fn prepare(job: &Job) -> Result<(), Failure> {
    mounts::build(&job.view, job.terminal)?;
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
    confine::seccomp(&job.filter).map_err(at(Stage::Seccomp))
}

/// The launcher's end of the socket to the server.
struct Status(OwnedFd);

impl Status {
    /// Tells the server. Nothing can be done where that fails: the server sees the end of the socket.
    fn tell(&self, told: &Told, descriptor: Option<BorrowedFd<'_>>) {
        let mut buffer = [0; TOLD_BYTES];
        let Ok(bytes) = postcard::to_slice(told, &mut buffer) else { return };
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let descriptors: Vec<BorrowedFd<'_>> = descriptor.into_iter().collect();
        if !descriptors.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(&descriptors));
        }
        let _ = sendmsg(&self.0, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL);
    }
}

fn at<E: Into<std::io::Error>>(stage: Stage) -> impl Fn(E) -> Failure {
    move |error| {
        let error: std::io::Error = error.into();
        Failure { stage, errno: error.raw_os_error().unwrap_or(libc::EIO), detail: String::new() }
    }
}
