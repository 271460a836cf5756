//! What to run, as plain data.
//!
//! Owns the shape of a request to the kernel. Leaves environment policy, path decoding and sandbox
//! wrapping to those who fill it in: nothing is added to or taken from what stands here.

use std::ffi::OsString;
use std::path::PathBuf;

use super::carried::Carried;
use super::groups::Group;
use super::pty::Size;

/// One program to start, completely described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Program and arguments. A program without a slash is searched in the `PATH` of [`env`](Self::env), or
    /// in `/usr/local/bin:/usr/bin:/bin` when that has none; one with a slash is relative to
    /// [`cwd`](Self::cwd).
    pub argv: Vec<OsString>,
    /// What the child sees as its `argv[0]`, when that is to differ from the program.
    pub arg0: Option<OsString>,
    /// Working directory of the child.
    pub cwd: PathBuf,
    /// The child's exact environment, in this order.
    pub env: Vec<(OsString, OsString)>,
    /// What descriptors 0, 1 and 2 are.
    pub stdio: Stdio,
    /// What it finds open as descriptor [`Carried::NUMBER`].
    pub carried: Option<Carried>,
    /// Limits on top of those inherited from the server. Core dumps are always off.
    pub limits: Vec<Limit>,
    /// What bounds it together with everybody below it.
    pub group: Option<Group>,
}

impl Command {
    /// A program with an empty environment, no stdin, and pipes for its output.
    pub fn new(argv: impl IntoIterator<Item = impl Into<OsString>>, cwd: impl Into<PathBuf>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            arg0: None,
            cwd: cwd.into(),
            env: Vec::new(),
            stdio: Stdio::Pipes { stdin: Stdin::Null },
            carried: None,
            limits: Vec::new(),
            group: None,
        }
    }
}

/// What the child's first three descriptors are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdio {
    /// A pipe each for stdout and stderr.
    Pipes {
        /// Where the child reads from.
        stdin: Stdin,
    },
    /// A pseudo-terminal for all three, which is also the child's controlling terminal.
    Pty(Size),
}

/// Where a child without a terminal reads from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdin {
    /// `/dev/null`.
    Null,
    /// A pipe that the server writes to.
    Pipe,
}

/// One resource limit of the child, soft and hard alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// What is limited.
    pub kind: LimitKind,
    /// The bound, in the unit of the kind. Above the server's own hard limit the start fails for
    /// want of permission unless the server is privileged.
    pub value: u64,
}

/// The resources that can be limited. Each limit holds per process, except where noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitKind {
    /// Address space, in bytes.
    MemoryBytes,
    /// Processes and threads of the child's user (not of this tree), a count. Root is not bound by it.
    Processes,
    /// CPU time, in whole seconds; the child is killed when it has used that much.
    CpuSeconds,
    /// Open descriptors, a count.
    OpenFiles,
    /// Size of a file that the child writes, in bytes.
    FileBytes,
}
