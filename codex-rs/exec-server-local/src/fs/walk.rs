//! A whole tree in one answer.
//!
//! Breadth first, so that an answer that is cut short still shows what is near; names in order, so that it is the same each
//! time.

use std::collections::{HashSet, VecDeque};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_protocol::fs::{
    FsEntryKind, FsWalkEntry, FsWalkError, FsWalkParams, FsWalkResponse, MAX_WALK_DEPTH,
    MAX_WALK_DIRECTORIES, MAX_WALK_ENTRIES,
};
use codex_exec_server_protocol::path_uri::PathUri;
use rustix::fs::{AtFlags, CWD, FileType};

use super::directory::list;
use super::host::Interest;
use super::metadata::{device, kind, look};
use super::place::native;

/// Paths of one answer together, about; the reference peer's number.
const MAX_PATH_BYTES: usize = 4 << 20;

struct Walk<'a> {
    params: &'a FsWalkParams,
    interest: &'a Interest,
    /// Directories that were seen, by device and inode. Kept only where links could lead back to them.
    seen: HashSet<(u64, u64)>,
    queue: VecDeque<(PathBuf, u64)>,
    path_bytes: usize,
    answer: FsWalkResponse,
}

/// `fs/walk`
pub(super) fn walk(params: &FsWalkParams, interest: &Interest) -> Result<FsWalkResponse, FsFault> {
    let options = &params.options;
    if options.max_depth > MAX_WALK_DEPTH
        || options.max_directories > MAX_WALK_DIRECTORIES
        || options.max_entries > MAX_WALK_ENTRIES
    {
        return Err(FsFault::WalkTooFar);
    }
    if options.max_directories == 0 || options.max_entries == 0 {
        return Err(FsFault::WalkNowhere);
    }
    let root = native(&params.path)?;
    let fault = |error| FsFault::io(&params.path, error);
    let itself = look(CWD, &root, AtFlags::SYMLINK_NOFOLLOW).map_err(fault)?;
    let is_link = kind(&itself) == FileType::Symlink;
    let answer = FsWalkResponse { entries: Vec::new(), errors: Vec::new(), truncated: false };
    if is_link && !options.follow_directory_symlinks {
        return Ok(answer);
    }
    let found = look(CWD, &root, AtFlags::empty()).map_err(fault)?;
    if kind(&found) != FileType::Directory {
        return Ok(answer);
    }
    let mut walk = Walk {
        params,
        interest,
        seen: HashSet::from([(device(&found), found.stx_ino)]),
        queue: VecDeque::from([(root, 0)]),
        path_bytes: 0,
        answer,
    };
    let mut opened = 0;
    while let Some((path, depth)) = walk.queue.pop_front() {
        if opened == options.max_directories {
            walk.answer.truncated = true;
            break;
        }
        opened += 1;
        if !walk.enter(&path, depth)? {
            walk.answer.truncated = true;
            break;
        }
    }
    Ok(walk.answer)
}

impl Walk<'_> {
    /// Lists one directory; false if there is no room for all of it.
    fn enter(&mut self, path: &Path, depth: u64) -> Result<bool, FsFault> {
        let mut entries: Vec<(OsString, FileType)> = Vec::new();
        // More than this can't be told, but the first ones in order have to be found among all.
        let listed = list(path, |name, kind, _| {
            self.interest.check(&self.params.path)?;
            entries.push((name.to_owned(), kind));
            Ok(())
        });
        match listed {
            Ok(outcome) => outcome?,
            Err(error) => {
                self.fail(path, &error.into());
                return Ok(true);
            }
        }
        entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        for (name, kind) in entries {
            self.interest.check(&self.params.path)?;
            if !self.take(path.join(name), kind, depth) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes one entry; false if there is no room for it.
    fn take(&mut self, path: PathBuf, itself: FileType, depth: u64) -> bool {
        let options = &self.params.options;
        let follows = options.follow_directory_symlinks;
        let is_directory = match itself {
            FileType::RegularFile => false,
            FileType::Directory => true,
            FileType::Symlink if follows => match look(CWD, &path, AtFlags::empty()) {
                Ok(stat) if kind(&stat) == FileType::Directory => true,
                _ => return true,
            },
            _ => return true,
        };
        let Ok(uri) = PathUri::try_from(path.as_path()) else { return true };
        let is_full = self.answer.entries.len() as u64 == options.max_entries
            || self.path_bytes + uri.as_str().len() > MAX_PATH_BYTES;
        if is_full {
            return false;
        }
        self.path_bytes += uri.as_str().len();
        let kind = if is_directory { FsEntryKind::Directory } else { FsEntryKind::File };
        self.answer.entries.push(FsWalkEntry { path: uri, kind });
        let is_hidden = path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"."));
        let is_pruned = options.prune_hidden_directories && is_hidden;
        if is_directory && !is_pruned && depth < options.max_depth && self.is_new(&path) {
            self.queue.push_back((path, depth + 1));
        }
        true
    }

    /// Whether a directory was not entered before, by whatever name.
    fn is_new(&mut self, path: &Path) -> bool {
        if !self.params.options.follow_directory_symlinks {
            return true;
        }
        match look(CWD, path, AtFlags::empty()) {
            Ok(stat) => self.seen.insert((device(&stat), stat.stx_ino)),
            // To enter it will tell why.
            Err(_) => true,
        }
    }

    fn fail(&mut self, path: &Path, error: &std::io::Error) {
        let uri = PathUri::try_from(path).unwrap_or_else(|_| self.params.path.clone());
        self.answer.errors.push(FsWalkError { path: uri, message: error.to_string() });
    }
}
