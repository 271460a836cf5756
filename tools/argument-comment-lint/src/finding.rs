//! An argument that should be written differently, and the change that mends it.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

/// See the module. Ordered by place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, below the workspace's folder as that was given.
    pub path: PathBuf,
    /// The line of the argument, from 1.
    pub line: usize,
    /// The column of the argument in characters, from 1.
    pub column: usize,
    /// What is wrong, and what to write instead.
    pub text: String,
    /// The change that mends it; `None` where only a person can choose.
    pub edit: Option<Edit>,
}

/// A replacement in the text of one file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edit {
    /// Where it begins, in bytes.
    pub start: usize,
    /// Where it ends; `start` for an insertion.
    pub end: usize,
    /// What stands there afterwards.
    pub text: String,
}

impl Edit {
    pub(crate) fn new(range: Range<usize>, text: String) -> Self {
        Self { start: range.start, end: range.end, text }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.path.display(), self.line, self.column, self.text)
    }
}
