//! A sandbox that is ready to be started: what the launcher needs, and what has to be held meanwhile.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use codex_exec_server_protocol::sandbox::SandboxNetwork;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType, recvmsg,
    socketpair,
};

use crate::calls;
use crate::file_rules::FileRules;
use crate::intent::{Files, Policy};
use crate::job::{Failure, Job, Program, TOLD_BYTES, Told, Work};
use crate::launcher::Launcher;
use crate::placeholder::Placeholder;
use crate::rules::{Access, Origin, Rules};
use crate::survey::{Sight, SurveyError, survey};

/// Why a sandbox can't be made ready. Nothing has run.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The rules can't be kept on this machine.
    #[error(transparent)]
    Survey(#[from] SurveyError),
    /// The system has no room for the job.
    #[error("the sandbox's description: {0}")]
    Io(#[from] io::Error),
}

/// See the module.
#[derive(Debug)]
pub struct Prepared {
    launcher: Launcher,
    job: OwnedFd,
    /// Theirs is gone once the launcher has it.
    theirs: OwnedFd,
    running: Running,
}

/// What is held while a sandboxed process lives.
#[derive(Debug)]
pub struct Running {
    status: OwnedFd,
    /// The rules by the paths where they hold.
    pub rules: Rules,
    placeholders: Vec<Placeholder>,
    sight: Sight,
}

/// A sandboxed program that runs.
#[derive(Debug)]
pub struct Started {
    /// The program's own process, as opposed to the launcher's; leads a session and a process group.
    pub command: OwnedFd,
    /// What must be held until nobody inside lives any more.
    pub held: Held,
}

/// See [`Started`].
#[derive(Debug)]
pub struct Held {
    /// The rules by the paths where they hold.
    pub rules: Rules,
    placeholders: Vec<Placeholder>,
    sight: Sight,
}

impl Held {
    /// Whether something stands on the machine, for as long as this is held, where nothing may be made.
    #[must_use]
    pub fn has_placeholders(&self) -> bool {
        !self.placeholders.is_empty()
    }

    /// Whether what the rules name is still what they named at the start. Looks at files, and so may block.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.sight.is_current()
    }
}

/// A process that serves files in a sandbox.
#[derive(Debug)]
pub struct FileServer {
    /// The serving process.
    pub started: Started,
    /// What it is asked through. It ends when this is closed, and this is closed when it has ended.
    pub socket: OwnedFd,
}

/// Looks at the machine for `policy`, and describes how `program` is to run. `limits` are resources and their values, soft and
/// hard alike.
///
/// # Errors
/// [`PrepareError`]
pub fn prepare(
    launcher: &Launcher,
    policy: &Policy,
    program: Program,
    terminal: bool,
    limits: Vec<(u32, u64)>,
) -> Result<Prepared, PrepareError> {
    Prepared::new(launcher, policy, Work::Program(program), terminal, limits)
}

/// Looks at the machine for `policy`, and describes a process that serves files by it; `settings` are for that process. The network
/// is closed whatever the policy says.
///
/// # Errors
/// [`PrepareError`]
pub fn prepare_file_server(
    launcher: &Launcher,
    policy: &Policy,
    settings: Vec<u8>,
) -> Result<Prepared, PrepareError> {
    let globs = match &policy.files {
        Files::All => Vec::new(),
        Files::Ruled { globs, .. } => globs.clone(),
    };
    let policy = Policy { files: policy.files.clone(), network: SandboxNetwork::Restricted };
    let work = |rules: &Rules| Work::Serve { rules: FileRules { rules: rules.clone(), globs }, settings };
    Prepared::with(launcher, &policy, work, /*terminal*/ false, Vec::new())
}

/// What is tried in a trial: all of it must fail.
pub fn trial_names() -> impl Iterator<Item = &'static str> {
    crate::launch::trial::names()
}

/// A sandbox in which the launcher tries what must fail.
///
/// # Errors
/// [`PrepareError`]
pub fn prepare_trial(launcher: &Launcher) -> Result<Prepared, PrepareError> {
    let mut rules = Rules::default();
    rules.add("/".into(), Access::Read, Origin::Asked);
    let files = Files::Ruled { rules, globs: Vec::new(), glob_depth: None };
    let policy = Policy { files, network: SandboxNetwork::Restricted };
    Prepared::new(launcher, &policy, Work::Trial, /*terminal*/ false, Vec::new())
}

impl Prepared {
    fn new(
        launcher: &Launcher,
        policy: &Policy,
        work: Work,
        terminal: bool,
        limits: Vec<(u32, u64)>,
    ) -> Result<Self, PrepareError> {
        Self::with(launcher, policy, |_| work, terminal, limits)
    }

    /// The same for work that has to know the rules by the paths where they hold.
    fn with(
        launcher: &Launcher,
        policy: &Policy,
        work: impl FnOnce(&Rules) -> Work,
        terminal: bool,
        limits: Vec<(u32, u64)>,
    ) -> Result<Self, PrepareError> {
        let survey = survey(policy)?;
        let job = Job {
            view: survey.view,
            own_network: policy.network == SandboxNetwork::Restricted,
            filter: calls::filter(policy.network),
            fence: survey.fence,
            limits,
            terminal,
            work: work(&survey.rules),
        };
        // Messages stay whole, and the end of the one side is seen by the other.
        let (status, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .map_err(io::Error::from)?;
        Ok(Self {
            launcher: launcher.clone(),
            job: job.to_memfd()?,
            theirs,
            running: Running {
                status,
                rules: survey.rules,
                placeholders: survey.placeholders,
                sight: survey.sight,
            },
        })
    }

    /// The program to start.
    #[must_use]
    pub fn launcher(&self) -> BorrowedFd<'_> {
        self.launcher.as_fd()
    }

    /// What it is to have as descriptors [`JOB`](crate::JOB) and [`STATUS`](crate::STATUS).
    #[must_use]
    pub fn descriptors(&self) -> [BorrowedFd<'_>; 2] {
        [self.job.as_fd(), self.theirs.as_fd()]
    }

    /// The launcher was started: only it may hold its end of the socket now.
    #[must_use]
    pub fn launched(self) -> Running {
        self.running
    }
}

impl Running {
    /// Waits until the program runs or certainly does not.
    ///
    /// # Errors
    /// [`Failure`], with an `EPIPE` if the launcher died without a word.
    pub fn wait(self) -> Result<Started, WaitError> {
        let mut command = None;
        loop {
            match self.receive()? {
                None => break,
                Some((Told::Command, descriptor)) => command = descriptor,
                Some((Told::Failed(failure), _)) => return Err(WaitError::Failed(failure)),
                Some((Told::Trial(_) | Told::Serving, _)) => {}
            }
        }
        let command = command.ok_or(WaitError::Silent)?;
        Ok(self.started(command).0)
    }

    /// Waits until files are served or certainly are not.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_for_file_server(self) -> Result<FileServer, WaitError> {
        let (mut command, mut serving) = (None, false);
        // Two processes tell, in no order.
        while command.is_none() || !serving {
            match self.receive()? {
                None => return Err(WaitError::Silent),
                Some((Told::Command, descriptor)) => command = descriptor,
                Some((Told::Serving, _)) => serving = true,
                Some((Told::Failed(failure), _)) => return Err(WaitError::Failed(failure)),
                Some((Told::Trial(_), _)) => {}
            }
        }
        let command = command.ok_or(WaitError::Silent)?;
        let (started, socket) = self.started(command);
        Ok(FileServer { started, socket })
    }

    fn started(self, command: OwnedFd) -> (Started, OwnedFd) {
        let held = Held { rules: self.rules, placeholders: self.placeholders, sight: self.sight };
        (Started { command, held }, self.status)
    }

    /// Waits for the outcome of a trial: the names of attempts that got through.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_for_trial(self) -> Result<Vec<String>, WaitError> {
        loop {
            match self.receive()? {
                None => return Err(WaitError::Silent),
                Some((Told::Trial(through), _)) => return Ok(through),
                Some((Told::Failed(failure), _)) => return Err(WaitError::Failed(failure)),
                Some((Told::Command | Told::Serving, _)) => {}
            }
        }
    }

    fn receive(&self) -> io::Result<Option<(Told, Option<OwnedFd>)>> {
        let mut bytes = [0; TOLD_BYTES];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = rustix::io::retry_on_intr(|| {
            recvmsg(&self.status, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC)
        });
        let count = match received {
            Ok(received) => received.bytes,
            // A launcher that was killed before it read what it was sent.
            Err(rustix::io::Errno::CONNRESET) => 0,
            Err(error) => return Err(error.into()),
        };
        if count == 0 {
            return Ok(None);
        }
        let descriptor = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        let told = postcard::from_bytes(&bytes[..count]).map_err(io::Error::other)?;
        Ok(Some((told, descriptor)))
    }
}

/// Why a launched program does not run.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// A step failed.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The launcher ended without saying why: it was killed, or is no launcher.
    #[error("the launcher ended without a word")]
    Silent,
    /// Its words can't be read.
    #[error("the launcher can't be heard: {0}")]
    Io(#[from] io::Error),
}
