//! A sandbox that is ready to be started: what the launcher needs, and what has to be held meanwhile.

mod networks;
mod standby;
mod zygote;

pub use standby::{Ready, prepare_standby};
pub use zygote::{Born, Zygote, prepare_zygote};

use std::collections::BTreeMap;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;

use codex_exec_server_protocol::sandbox::SandboxNetwork;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType, recvmsg,
    socketpair,
};

use crate::denial::{Denial, REPORT_BYTES, Report};
use crate::file_rules::FileRules;
use crate::intent::{Files, Policy};
use crate::job::{
    Failure, Job, MOST_DESCRIPTORS, MOST_LISTENERS, Program, TOLD_BYTES, Task, Told, Witnessing, Work,
};
use crate::launcher::Launcher;
use crate::placeholder::Placeholder;
use crate::rules::{Access, Origin, Rule, Rules};
use crate::survey::{Sight, SurveyError, survey};
use crate::watched::Watch;
use networks::{Lent, Networks};

/// Why a sandbox can't be made ready. Nothing has run.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The rules can't be kept on this machine.
    #[error(transparent)]
    Survey(#[from] SurveyError),
    /// There is no private loopback to listen on, or too many are to listen there.
    #[error("at most {MOST_LISTENERS} ports can be listened on, and only where the network is closed")]
    Listeners,
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
    suits_standby: bool,
}

/// What is held while a sandboxed process lives.
#[derive(Debug)]
pub struct Running {
    status: OwnedFd,
    /// The rules by the paths where they hold.
    pub rules: Rules,
    placeholders: Vec<Placeholder>,
    sight: Sight,
    /// How many come with the news that the program runs.
    listeners: usize,
    /// Where its network goes if it can be used again.
    networks: Option<Arc<Networks>>,
}

/// A sandboxed program that runs.
#[derive(Debug)]
pub struct Started {
    /// The program's own process, as opposed to the launcher's; leads a session and a process group.
    pub command: OwnedFd,
    /// What must be held until nobody inside lives any more.
    pub held: Held,
    /// What listens on the ports that were asked for, in their order.
    pub listeners: Vec<OwnedFd>,
}

/// See [`Started`]. Letting go of it waits for the kernel, and so takes a moment.
#[derive(Debug)]
pub struct Held {
    /// The rules by the paths where they hold.
    pub rules: Rules,
    /// The mounts inside, which end with this. They go before what they may cover.
    _mounts: Option<OwnedFd>,
    placeholders: Vec<Placeholder>,
    sight: Sight,
    /// Tells what was denied, when the process has ended. `None` where nobody watches.
    report: Option<OwnedFd>,
    /// Its network, if it can be used again.
    network: Option<Lent>,
}

impl Held {
    /// What the process was kept from; to be asked once, when it has ended. `None` if that is not known: the kernel can't
    /// tell, or whoever watched was killed.
    #[must_use]
    pub fn denials(&self) -> Option<Vec<Denial>> {
        let report = self.report.as_ref()?;
        let mut bytes = vec![0; REPORT_BYTES + 1];
        let mut filled = 0;
        while filled < bytes.len() {
            match rustix::io::retry_on_intr(|| rustix::io::read(report, &mut bytes[filled..])) {
                Ok(0) => break,
                Ok(count) => filled += count,
                // Nobody has anything to say any more.
                Err(_) => return None,
            }
        }
        let (is_network_unused, denials) = Report::from_bytes(&bytes[..filled])?;
        if let Some(network) = self.network.as_ref().filter(|_| is_network_unused) {
            network.declare_unused();
        }
        Some(denials)
    }

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

/// What goes with a program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extras {
    /// Whether descriptor 0 is a terminal that is to be the controlling one.
    pub terminal: bool,
    /// Resources and their values, soft and hard alike.
    pub limits: Vec<(u32, u64)>,
    /// Ports of the program's own loopback to listen on, for somebody outside; at most [`MOST_LISTENERS`]. Only a policy
    /// that closes the network has such a loopback.
    pub listen: Vec<u16>,
}

/// Looks at the machine for `policy`, and describes how `program` is to run.
///
/// # Errors
/// [`PrepareError`]
pub fn prepare(
    launcher: &Launcher,
    policy: &Policy,
    program: Program,
    extras: Extras,
) -> Result<Prepared, PrepareError> {
    if extras.listen.len() > MOST_LISTENERS
        || (!extras.listen.is_empty() && policy.network != SandboxNetwork::Restricted)
    {
        return Err(PrepareError::Listeners);
    }
    Prepared::new(launcher, policy, Work::Program(program), extras)
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
    Prepared::with(launcher, &policy, work, Extras::default())
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
    let files = Files::Ruled { rules, globs: Vec::new(), glob_depth: None, within: BTreeMap::new() };
    let policy = Policy { files, network: SandboxNetwork::Restricted };
    Prepared::new(launcher, &policy, Work::Trial, Extras::default())
}

impl Prepared {
    fn new(launcher: &Launcher, policy: &Policy, work: Work, extras: Extras) -> Result<Self, PrepareError> {
        Self::with(launcher, policy, |_| work, extras)
    }

    /// The same for work that has to know the rules by the paths where they hold.
    fn with(
        launcher: &Launcher,
        policy: &Policy,
        work: impl FnOnce(&Rules) -> Work,
        extras: Extras,
    ) -> Result<Self, PrepareError> {
        let Extras { terminal, limits, listen } = extras;
        let listeners = listen.len();
        let survey = survey(policy)?;
        let work = work(&survey.rules);
        let job = Job {
            view: survey.view,
            own_network: policy.network == SandboxNetwork::Restricted,
            listen,
            witness: witnessing(policy, &survey.rules, &work),
            fence: survey.fence,
            limits,
            terminal,
            work,
        };
        let suits_standby = standby::suits(&job);
        let (status, theirs) = status()?;
        Ok(Self {
            launcher: launcher.clone(),
            job: Task::Now(Box::new(job)).to_memfd()?,
            theirs,
            running: Running {
                status,
                rules: survey.rules,
                placeholders: survey.placeholders,
                sight: survey.sight,
                listeners,
                networks: None,
            },
            suits_standby,
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

/// Both ends of what a launcher tells through. Messages stay whole, and the end of the one side is seen by the other.
fn status() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// How denials of a program are noticed.
fn witnessing(policy: &Policy, rules: &Rules, work: &Work) -> Option<Witnessing> {
    let Work::Program(_) = work else { return None };
    let is_ruled = matches!(policy.files, Files::Ruled { .. });
    let denies = |rule: Rule| rule.access == Access::Deny && rule.origin != Origin::Server;
    let watch = Watch {
        changes: is_ruled,
        // Looking at every opening costs time, which is spent only where somebody asked for something to be closed.
        reads: is_ruled && rules.iter().any(|(_, rule)| denies(rule)),
        addresses: policy.network == SandboxNetwork::Restricted,
    };
    Some(Witnessing { watch, rules: FileRules { rules: rules.clone(), globs: Vec::new() } })
}

impl Running {
    /// Of a launcher that has no policy yet.
    fn without_rules(status: OwnedFd) -> Self {
        let (rules, sight) = (Rules::default(), Sight::default());
        Self { status, rules, placeholders: Vec::new(), sight, listeners: 0, networks: None }
    }

    /// Waits until the program runs or certainly does not.
    ///
    /// # Errors
    /// [`Failure`], with an `EPIPE` if the launcher died without a word.
    pub fn wait(self) -> Result<Started, WaitError> {
        let mut told = (false, Vec::new());
        loop {
            match self.receive()? {
                None => break,
                Some((Told::Command { network }, descriptors)) => told = (network, descriptors),
                Some((Told::Failed(failure), _)) => return Err(WaitError::Failed(failure)),
                Some((Told::Trial(_) | Told::Serving | Told::Ready | Told::Born { .. }, _)) => {}
            }
        }
        let (has_network, told) = told;
        Ok(self.started(has_network, told)?.0)
    }

    /// Waits until files are served or certainly are not.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_for_file_server(self) -> Result<FileServer, WaitError> {
        let (mut told, mut serving) = (Vec::new(), false);
        // Two processes tell, in no order.
        while told.is_empty() || !serving {
            match self.receive()? {
                None => return Err(WaitError::Silent),
                Some((Told::Command { .. }, descriptors)) => told = descriptors,
                Some((Told::Serving, _)) => serving = true,
                Some((Told::Failed(failure), _)) => return Err(WaitError::Failed(failure)),
                Some((Told::Trial(_) | Told::Ready | Told::Born { .. }, _)) => {}
            }
        }
        let (started, socket) = self.started(/*has_network*/ false, told)?;
        Ok(FileServer { started, socket })
    }

    /// `told` are the program's process, its mounts, its network if it `has_network`, what listens, and what will tell of
    /// denials.
    fn started(self, has_network: bool, told: Vec<OwnedFd>) -> Result<(Started, OwnedFd), WaitError> {
        let mut told = told.into_iter();
        let command = told.next().ok_or(WaitError::Silent)?;
        let mounts = told.next();
        let network = if has_network { told.next() } else { None };
        let listeners: Vec<OwnedFd> = told.by_ref().take(self.listeners).collect();
        let report = told.next();
        let Self { status, rules, placeholders, sight, networks, .. } = self;
        let network = network.zip(networks).map(|(network, networks)| Lent::new(network, networks));
        let held = Held { rules, _mounts: mounts, placeholders, sight, report, network };
        Ok((Started { command, held, listeners }, status))
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
                Some((Told::Command { .. } | Told::Serving | Told::Ready | Told::Born { .. }, _)) => {}
            }
        }
    }

    fn receive(&self) -> io::Result<Option<(Told, Vec<OwnedFd>)>> {
        let mut bytes = [0; TOLD_BYTES];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
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
        let mut descriptors = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(some) = message {
                descriptors.extend(some);
            }
        }
        let told = postcard::from_bytes(&bytes[..count]).map_err(io::Error::other)?;
        Ok(Some((told, descriptors)))
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
