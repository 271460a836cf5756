//! What `.gitignore`, `.ignore` and `.git/info/exclude` exclude.
//!
//! They are read here rather than by the library that understands them, since a file of such a name may be a pipe that
//! nobody writes, or longer than memory. Of two rules the deeper one counts, and any of an `.ignore` before any of git's;
//! git's end at the root of a repository.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, openat};

use super::super::guard;
use super::super::metadata::{kind, look, look_at};

/// A longer list counts as unreadable.
const MAX_LIST_BYTES: u64 = 1 << 20;

/// The rules that hold in one directory: its own, and those of the directories above it.
#[derive(Debug)]
pub(super) struct Rules {
    above: Option<Arc<Self>>,
    git: Option<Gitignore>,
    ours: Option<Gitignore>,
    /// Git's rules end here.
    is_repository: bool,
}

impl Rules {
    /// Those of `directory`, which must be the path that is asked about later. A list that can't be read is counted in
    /// `unreadable`.
    pub(super) fn enter(
        above: Option<Arc<Self>>,
        directory: &Path,
        unreadable: &mut u64,
    ) -> Option<Arc<Self>> {
        let is_repository = look(CWD, &directory.join(".git"), AtFlags::empty()).is_ok();
        let mut list = |names: &[&str]| {
            let mut builder = GitignoreBuilder::new(directory);
            let mut has_rules = false;
            for name in names {
                let Some(text) = read(&directory.join(name), unreadable) else { continue };
                for line in text.lines() {
                    // A rule that can't be understood is none, as for git.
                    has_rules |= builder.add_line(/*from*/ None, line).is_ok();
                }
            }
            if has_rules { builder.build().ok() } else { None }
        };
        // Of several rules the last one counts.
        let git = list(if is_repository { &[".git/info/exclude", ".gitignore"] } else { &[".gitignore"] });
        let ours = list(&[".ignore"]);
        if git.is_none() && ours.is_none() && !is_repository {
            return above;
        }
        Some(Arc::new(Self { above, git, ours, is_repository }))
    }

    /// Those that hold in `directory` because of where it lies, without its own.
    pub(super) fn above(directory: &Path, unreadable: &mut u64) -> Option<Arc<Self>> {
        let parents: Vec<PathBuf> = directory.ancestors().skip(1).map(Path::to_owned).collect();
        parents.iter().rev().fold(None, |above, parent| Self::enter(above, parent, unreadable))
    }

    /// Whether a path in the directory is excluded.
    pub(super) fn exclude(&self, path: &Path, is_directory: bool) -> bool {
        let ours = self.up().find_map(|rules| verdict(rules.ours.as_ref(), path, is_directory));
        let git = || {
            let mut inside = true;
            let here = self.up().take_while(|rules| {
                let counts = inside;
                inside &= !rules.is_repository;
                counts
            });
            here.into_iter().find_map(|rules| verdict(rules.git.as_ref(), path, is_directory))
        };
        ours.or_else(git).unwrap_or(false)
    }

    fn up(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |rules| rules.above.as_deref())
    }
}

/// What a list says of a path, if anything.
fn verdict(list: Option<&Gitignore>, path: &Path, is_directory: bool) -> Option<bool> {
    match list?.matched(path, is_directory) {
        Match::None => None,
        Match::Ignore(_) => Some(true),
        Match::Whitelist(_) => Some(false),
    }
}

/// The text of a list; `None` where there is none.
fn read(path: &Path, unreadable: &mut u64) -> Option<String> {
    match look(CWD, path, AtFlags::empty()) {
        Ok(stat) if kind(&stat) == FileType::RegularFile => {}
        _ => return None,
    }
    let text = open(path).and_then(|file| {
        let mut text = Vec::new();
        file.take(MAX_LIST_BYTES + 1).read_to_end(&mut text)?;
        if text.len() as u64 > MAX_LIST_BYTES {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        Ok(text)
    });
    match text {
        Ok(text) => {
            let text = String::from_utf8_lossy(&text);
            Some(text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned())
        }
        Err(_) => {
            *unreadable += 1;
            None
        }
    }
}

/// Opens a regular file for reading, without waiting for whoever might be at its other end.
pub(super) fn open(path: &Path) -> std::io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = openat(CWD, path, flags, Mode::empty())?;
    // It may have been replaced since it was looked at.
    if kind(&look_at(&file)?) != FileType::RegularFile {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    guard::may_read(&file)?;
    Ok(file.into())
}
