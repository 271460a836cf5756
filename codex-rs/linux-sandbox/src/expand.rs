//! Which files globs match now, and which other names denied files have.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::glob::Glob;

/// Matches of all globs together, at most.
pub(crate) const MATCHES: usize = 8192;
/// Entries that are looked at for one process, at most.
pub(crate) const ENTRIES: usize = 500_000;

/// Why the files were not found.
#[derive(Debug, thiserror::Error)]
pub enum ExpandError {
    /// Too many matches.
    #[error("deny globs match more than {MATCHES} files; name folders instead")]
    TooManyMatches,
    /// Too much to look at.
    #[error("looking for denied files below {} takes more than {ENTRIES} entries; narrow the glob, set glob_scan_max_depth, or deny folders instead", .0.display())]
    TooManyEntries(PathBuf),
}

/// What is left of [`ENTRIES`] and what was found.
pub(crate) struct Expansion {
    pub(crate) found: Vec<PathBuf>,
    left: usize,
}

impl Expansion {
    pub(crate) fn new() -> Self {
        Self { found: Vec::new(), left: ENTRIES }
    }

    /// Finds what `glob` matches. Links are not followed, but match by their own name. One that starts at the root would
    /// look at the whole machine, so it says nothing.
    pub(crate) fn add(&mut self, glob: &Glob, max_depth: Option<usize>) -> Result<(), ExpandError> {
        let prefix = glob.prefix();
        if glob.is_plain() {
            self.found.push(prefix.to_owned());
            return Ok(());
        }
        if prefix == Path::new("/") {
            return Ok(());
        }
        let depth = [glob.depth(), max_depth].into_iter().flatten().min();
        let mut matches = Vec::new();
        self.walk(prefix, depth, &mut |path, _| {
            if glob.matches(path) {
                matches.push(path.to_owned());
            }
            matches.len() <= MATCHES
        })?;
        self.found.append(&mut matches);
        if self.found.len() > MATCHES { Err(ExpandError::TooManyMatches) } else { Ok(()) }
    }

    /// Finds every name below `root` of the files with these devices and inodes.
    pub(crate) fn add_links(&mut self, root: &Path, of: &[(u64, u64)]) -> Result<(), ExpandError> {
        let mut matches = Vec::new();
        self.walk(root, /*depth*/ None, &mut |path, entry| {
            if entry.file_type().is_ok_and(|kind| kind.is_file())
                && entry.metadata().is_ok_and(|metadata| of.contains(&(metadata.dev(), metadata.ino())))
            {
                matches.push(path.to_owned());
            }
            matches.len() <= MATCHES
        })?;
        self.found.append(&mut matches);
        if self.found.len() > MATCHES { Err(ExpandError::TooManyMatches) } else { Ok(()) }
    }

    /// Calls `see` with everything below `root`, until it answers `false`. What can't be read now can't be read inside.
    fn walk(
        &mut self,
        root: &Path,
        depth: Option<usize>,
        see: &mut dyn FnMut(&Path, &std::fs::DirEntry) -> bool,
    ) -> Result<(), ExpandError> {
        let mut folders = vec![(root.to_owned(), 1)];
        while let Some((folder, level)) = folders.pop() {
            if depth.is_some_and(|depth| level > depth) {
                continue;
            }
            let entries: io::Result<std::fs::ReadDir> = std::fs::read_dir(&folder);
            for entry in entries.into_iter().flatten().flatten() {
                self.left =
                    self.left.checked_sub(1).ok_or_else(|| ExpandError::TooManyEntries(root.to_owned()))?;
                let path = entry.path();
                if !see(&path, &entry) {
                    return Ok(());
                }
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push((path, level + 1));
                }
            }
        }
        Ok(())
    }
}
