//! What the launcher is told, through a sealed memory file, and what it tells back, through a socket.
//!
//! Nothing of this is in anybody's arguments or environment: neither can be read inside, and nothing in a request's
//! environment can change what the launcher does.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use codex_exec_server_protocol::sandbox::SandboxNetwork;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, memfd_create};
use serde::{Deserialize, Serialize};

use crate::file_rules::FileRules;
use crate::view::View;
use crate::watched::Watch;

/// Descriptors of the launcher beside the first three.
pub const JOB: i32 = 3;
/// See [`JOB`]. The socket that it tells back through.
pub const STATUS: i32 = 4;
/// Where a program finds the file that it carries. The launcher's job is gone by then.
pub const CARRIED: i32 = 3;

/// Ports that can be listened on for one process.
pub const MOST_LISTENERS: usize = 8;
/// Descriptors that come with one message: the program's process, its mounts and network, those listeners, and a report.
pub(crate) const MOST_DESCRIPTORS: usize = MOST_LISTENERS + 4;

/// What a launcher is started for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Task {
    Now(Box<Job>),
    /// To make what does not depend on the job, and to wait for one; see `standby`.
    StandBy,
    /// To make others that stand by; see `zygote`.
    Zygote,
}

/// What a zygote is asked for. The socket of the new launcher comes with it, and a network that it is to use if there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Birth {
    /// Resource, soft and hard limit that the new one begins with.
    pub(crate) limit: Option<(u32, u64, u64)>,
}

/// Everything that the launcher needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) view: View,
    /// Whether the process gets a network namespace of its own, with nothing but a loopback.
    pub(crate) own_network: bool,
    /// Ports of its loopback that are listened on for whoever asked; at most [`MOST_LISTENERS`].
    pub(crate) listen: Vec<u16>,
    /// How denials are to be noticed, where the kernel can tell of them.
    pub(crate) witness: Option<Witnessing>,
    /// `None` where the kernel has no Landlock, or everything may be written.
    pub(crate) fence: Option<Fence>,
    /// Resource and value, soft and hard alike.
    pub(crate) limits: Vec<(u32, u64)>,
    /// Whether descriptor 0 is a terminal that is to be the controlling one.
    pub(crate) terminal: bool,
    pub(crate) work: Work,
}

impl Job {
    /// What it may reach.
    pub(crate) fn network(&self) -> SandboxNetwork {
        if self.own_network { SandboxNetwork::Restricted } else { SandboxNetwork::Enabled }
    }
}

/// See [`Job::witness`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Witnessing {
    /// What is looked at.
    pub(crate) watch: Watch,
    /// By the paths where they hold; no globs.
    pub(crate) rules: FileRules,
}

/// What Landlock is to hold, behind everything else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fence {
    /// Where files may be changed.
    pub(crate) writable: Vec<Vec<u8>>,
}

/// What runs inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Work {
    Program(Program),
    /// The launcher itself tries what must fail; see `trial`.
    Trial,
    /// The launcher itself serves files; see [`Serve`](crate::Serve).
    Serve {
        rules: FileRules,
        /// For whoever serves; means nothing here.
        settings: Vec<u8>,
    },
}

/// What to run, laid out for `execve`. No string holds a NUL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Files to try in turn.
    pub candidates: Vec<Vec<u8>>,
    /// Arguments, the first being what the program believes its name to be.
    pub argv: Vec<Vec<u8>>,
    /// `NAME=value`.
    pub envp: Vec<Vec<u8>>,
    /// Working directory.
    pub cwd: Vec<u8>,
    /// What a file holds that it finds open, sealed, as descriptor [`CARRIED`].
    pub carried: Option<Vec<u8>>,
}

/// A step on the way to a running program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Reading what to do.
    Job,
    /// Making namespaces.
    Namespaces,
    /// Mapping the user.
    UserMap,
    /// The loopback of the private network, and what listens there.
    Loopback,
    /// Making processes.
    Fork,
    /// Building the view of the file system.
    View,
    /// Taking the terminal.
    Terminal,
    /// Resource limits.
    Limits,
    /// Giving up capabilities.
    Capabilities,
    /// Landlock.
    Landlock,
    /// Seccomp.
    Seccomp,
    /// Entering the working directory; holds no detail, since the caller knows it.
    WorkingDirectory,
    /// Running the program; the detail is the candidate's number.
    Program,
    /// Serving files, which not every launcher can.
    Serve,
}

impl Stage {
    /// What it does.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Job => "read the sandbox's description",
            Self::Namespaces => "create namespaces",
            Self::UserMap => "map the user",
            Self::Loopback => "bring up the loopback",
            Self::Fork => "create processes",
            Self::View => "build the view of the file system",
            Self::Terminal => "take the terminal",
            Self::Limits => "set resource limits",
            Self::Capabilities => "give up capabilities",
            Self::Landlock => "apply Landlock",
            Self::Seccomp => "apply seccomp",
            Self::WorkingDirectory => "enter the working directory",
            Self::Program => "run the program",
            Self::Serve => "serve files: this launcher can't",
        }
    }
}

/// Why no program runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}{}{detail}: {}", stage.describe(), if detail.is_empty() { "" } else { " at " }, io::Error::from_raw_os_error(*errno))]
pub struct Failure {
    /// What was being done.
    pub stage: Stage,
    /// The system's reason.
    pub errno: i32,
    /// Where, if that says more.
    pub detail: String,
}

/// What the launcher tells back. The socket's end without a [`Told::Failed`] means that the program runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Told {
    /// Descriptors of the program's process and of its mounts come with this, of its network if that may be used again, those
    /// of the job's listeners, and one of a pipe that will tell what was denied, if anybody watches.
    Command {
        network: bool,
    },
    Failed(Failure),
    /// What came of [`Work::Trial`]: the names of attempts that got through.
    Trial(Vec<String>),
    /// From here on the socket belongs to whoever serves files.
    Serving,
    /// Whoever stands by waits for a job.
    Ready,
    /// A zygote has made a launcher of this number. A descriptor of the process comes with this.
    Born {
        os_pid: i32,
    },
}

/// The longest message; one attempt's name or one path with some words.
pub(crate) const TOLD_BYTES: usize = 16 * 1024;

impl Task {
    /// The sealed file that the launcher reads.
    pub(crate) fn to_memfd(&self) -> io::Result<OwnedFd> {
        sealed("sandbox", &postcard::to_stdvec(self).map_err(io::Error::other)?)
    }

    /// The other end of [`to_memfd`](Self::to_memfd).
    pub(crate) fn from_memfd(file: impl AsFd) -> io::Result<Self> {
        let length = usize::try_from(fstat(&file)?.st_size).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while filled < length {
            let offset = filled as u64;
            match rustix::io::retry_on_intr(|| rustix::io::pread(&file, &mut bytes[filled..], offset))? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => filled += count,
            }
        }
        postcard::from_bytes(&bytes).map_err(io::Error::other)
    }
}

/// A file in memory that nobody can change any more.
pub(crate) fn sealed(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let file = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut rest = bytes;
    while !rest.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::write(&file, rest))?;
        rest = &rest[written..];
    }
    fcntl_add_seals(&file, SEALS)?;
    Ok(file)
}

const SEALS: SealFlags =
    SealFlags::WRITE.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::SEAL);

/// Whether a descriptor is such a file: nobody starts a launcher by accident.
pub(crate) fn is_job(file: impl AsFd) -> bool {
    fcntl_get_seals(file).is_ok_and(|seals| seals.contains(SEALS))
}
