//! Why a program could not be started.
//!
//! Owns the difference between failures that the kernel reports with one and the same number: a missing
//! program, a missing working directory, and a step of the set-up. Leaves wire codes to the callers.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// A failed [`spawn`](super::spawn). No process is left behind by any of these.
///
/// Variants with an `errno` end their text with the system's own words, such as
/// `No such file or directory (os error 2)`; [`os_error`](Self::os_error) gives those words alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpawnError {
    /// `argv` is empty or its first word is.
    #[error("missing program for {} spawn", if *.terminal { "PTY" } else { "pipe" })]
    MissingProgram {
        /// Whether a terminal was asked for.
        terminal: bool,
    },
    /// The program was not found or the kernel would not run it.
    #[error("{}: {}", path.display(), io::Error::from_raw_os_error(*errno))]
    Program {
        /// The file that was refused, or the bare name when no directory of the search path has it.
        path: PathBuf,
        /// Error number of `execve`.
        errno: i32,
    },
    /// The working directory could not be entered.
    #[error("working directory {}: {}", path.display(), io::Error::from_raw_os_error(*errno))]
    WorkingDirectory {
        /// The directory that was asked for.
        path: PathBuf,
        /// Error number of `chdir`.
        errno: i32,
    },
    /// A string has a NUL byte inside, which no program can be given.
    #[error("nul byte in {what}")]
    NulByte {
        /// Which part of the command: `argv`, `arg0`, `cwd`, `env name` or `env value`.
        what: &'static str,
    },
    /// The sandbox could not be built, so nothing runs in it. Says which step failed, and how.
    #[error("{0}")]
    Confinement(String),
    /// A step before the program failed.
    #[error("{stage}: {}", io::Error::from_raw_os_error(*errno))]
    Setup {
        /// The step.
        stage: Stage,
        /// Error number of the call that failed.
        errno: i32,
    },
}

impl SpawnError {
    /// The kernel's error number, where the kernel is what refused.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Program { errno, .. }
            | Self::WorkingDirectory { errno, .. }
            | Self::Setup { errno, .. } => Some(*errno),
            Self::MissingProgram { .. } | Self::NulByte { .. } | Self::Confinement(_) => None,
        }
    }

    /// The kernel's error alone; its text is `No such file or directory (os error 2)` and the like.
    #[must_use]
    pub fn os_error(&self) -> Option<io::Error> {
        self.errno().map(io::Error::from_raw_os_error)
    }
}

/// A step on the way to a running program, named by what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Making the pipes.
    Pipe,
    /// Making the pseudo-terminal and setting its size.
    Terminal,
    /// Making the stack that the child starts on.
    Stack,
    /// Making the process.
    Clone,
    /// Entering a session of its own.
    Session,
    /// Entering the control group that bounds it.
    ControlGroup,
    /// Lowering resource limits.
    Limits,
    /// Taking the terminal as the controlling one.
    ControllingTerminal,
    /// Placing descriptors 0, 1 and 2.
    Stdio,
    /// Closing every other descriptor.
    Descriptors,
}

impl fmt::Display for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Pipe => "create pipe",
            Self::Terminal => "create terminal",
            Self::Stack => "map child stack",
            Self::Clone => "create process",
            Self::Session => "create session",
            Self::ControlGroup => "enter control group",
            Self::Limits => "set resource limits",
            Self::ControllingTerminal => "take controlling terminal",
            Self::Stdio => "set up stdio",
            Self::Descriptors => "close inherited descriptors",
        })
    }
}
