//! The tree that a search goes through: directory by directory, files where they are found.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_protocol::fs::{FsSearchScope, MAX_SEARCH_DEPTH};
use codex_exec_server_protocol::path_uri::PathUri;
use rustix::fs::{AtFlags, CWD, FileType};

use super::super::directory::list;
use super::super::globs::Globs;
use super::super::guard;
use super::super::metadata::{device, kind, look};
use super::super::place::native;
use super::ignored::Rules;

/// Directories that are still to be entered, and those that were where links could lead back to them. Some 100 MiB at
/// the very most, with the longest paths that there can be far less likely than memory that is full of something else.
const MAX_DIRECTORIES: usize = 200_000;

/// What was come by.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    /// The whole path, as the search was asked for.
    pub(super) path: &'a Path,
    /// The path from where the search began.
    pub(super) relative: &'a Path,
    pub(super) is_directory: bool,
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Go {
    On,
    /// There is enough.
    Stop,
}

/// A directory that is still to be entered.
struct Ahead {
    relative: PathBuf,
    depth: u32,
    rules: Option<Arc<Rules>>,
}

/// See the module.
pub(super) struct Tree<'a> {
    scope: &'a FsSearchScope,
    exclude: Globs,
    root: PathBuf,
    /// The same, without links: what rules are asked about.
    real_root: PathBuf,
    uri: &'a PathUri,
    ahead: Vec<Ahead>,
    /// By device and inode.
    seen: HashSet<(u64, u64)>,
    /// Files and directories that could not be looked at.
    pub(super) unreadable: u64,
    /// Directories were left out because there were too many.
    pub(super) overflowed: bool,
}

/// What is to be searched.
pub(super) enum Root<'a> {
    Tree(Box<Tree<'a>>),
    /// A single file.
    File(PathBuf),
}

impl<'a> Root<'a> {
    /// Looks at `uri`. A link there is followed.
    pub(super) fn look(uri: &'a PathUri, scope: &'a FsSearchScope) -> Result<Self, FsFault> {
        let exclude = Globs::new(&scope.exclude)?;
        let root = native(uri)?;
        let fault = |error| FsFault::io(uri, error);
        let stat = look(CWD, &root, AtFlags::empty()).map_err(|error| fault(error.into()))?;
        if kind(&stat) != FileType::Directory {
            return Ok(Self::File(root));
        }
        let real_root = std::fs::canonicalize(&root).map_err(fault)?;
        let mut unreadable = 0;
        let rules = if scope.include_ignored { None } else { Rules::above(&real_root, &mut unreadable) };
        let first = Ahead { relative: PathBuf::new(), depth: 0, rules };
        Ok(Self::Tree(Box::new(Tree {
            scope,
            exclude,
            root,
            real_root,
            uri,
            ahead: vec![first],
            seen: HashSet::from([(device(&stat), stat.stx_ino)]),
            unreadable,
            overflowed: false,
        })))
    }
}

impl Tree<'_> {
    /// Shows everything in scope to `visit`, which says when there is enough.
    pub(super) fn walk(
        &mut self,
        mut visit: impl FnMut(&Entry<'_>) -> Result<Go, FsFault>,
    ) -> Result<(), FsFault> {
        while let Some(directory) = self.ahead.pop() {
            if self.enter(directory, &mut visit)? == Go::Stop {
                break;
            }
        }
        Ok(())
    }

    fn enter(
        &mut self,
        Ahead { relative, depth, rules }: Ahead,
        visit: &mut impl FnMut(&Entry<'_>) -> Result<Go, FsFault>,
    ) -> Result<Go, FsFault> {
        let real = self.real_root.join(&relative);
        let rules =
            if self.scope.include_ignored { None } else { Rules::enter(rules, &real, &mut self.unreadable) };
        let path = self.root.join(&relative);
        let mut go = Go::On;
        let listed = list(&path, |name, itself, dir| {
            if go == Go::Stop || (!self.scope.include_hidden && name.as_bytes().starts_with(b".")) {
                return Ok(());
            }
            if guard::hides(&real, name) {
                return Ok(());
            }
            let is_directory = match itself {
                FileType::Directory => true,
                FileType::RegularFile => false,
                FileType::Symlink if self.scope.follow_directory_symlinks => {
                    match look(dir, Path::new(name), AtFlags::empty()) {
                        Ok(stat) if kind(&stat) == FileType::Directory => true,
                        _ => return Ok(()),
                    }
                }
                _ => return Ok(()),
            };
            let relative = relative.join(name);
            if self.exclude.matches(&relative)
                || rules.as_ref().is_some_and(|rules| rules.exclude(&real.join(name), is_directory))
            {
                return Ok(());
            }
            go = visit(&Entry { path: &path.join(name), relative: &relative, is_directory })?;
            if is_directory && go == Go::On && self.may_enter(&path.join(name), depth + 1) {
                self.ahead.push(Ahead { relative, depth: depth + 1, rules: rules.clone() });
            }
            Ok(())
        });
        match listed {
            Ok(outcome) => outcome?,
            Err(error) if depth == 0 => return Err(FsFault::io(self.uri, error)),
            Err(_) => self.unreadable += 1,
        }
        Ok(go)
    }

    fn may_enter(&mut self, path: &Path, depth: u32) -> bool {
        if depth > MAX_SEARCH_DEPTH {
            self.unreadable += 1;
            return false;
        }
        if self.ahead.len() >= MAX_DIRECTORIES || self.seen.len() >= MAX_DIRECTORIES {
            self.overflowed = true;
            return false;
        }
        if !self.scope.follow_directory_symlinks {
            return true;
        }
        match look(CWD, path, AtFlags::empty()) {
            Ok(stat) => self.seen.insert((device(&stat), stat.stx_ino)),
            // To enter it will tell that it can't be.
            Err(_) => true,
        }
    }
}
