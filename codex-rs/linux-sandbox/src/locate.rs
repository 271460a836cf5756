//! Where a path really leads on this machine, and which links it crosses.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use crate::view::Identity;

/// As many links as the kernel follows.
const LINKS: usize = 40;

/// A path without links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Located {
    /// Free of links as far as something is there.
    pub(crate) path: PathBuf,
    pub(crate) found: Found,
    /// Links on the way and what they hold, each by its own place.
    pub(crate) links: Vec<(PathBuf, PathBuf)>,
}

/// What is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    Something(Identity),
    /// Nothing; the path of the first component that is missing, below a folder that is there.
    Nothing {
        first_missing: PathBuf,
    },
    /// A component is a file, or may not be looked into. Whoever asks can't get there, and no more can the process.
    OutOfReach,
}

/// Follows `path` as the kernel would, and notes the links.
pub(crate) fn locate(path: &Path) -> io::Result<Located> {
    let mut rest: VecDeque<OsString> = names(path).collect();
    let mut at = PathBuf::from("/");
    let mut links = Vec::new();
    let mut last = std::fs::symlink_metadata("/")?;
    while let Some(name) = rest.pop_front() {
        if name == ".." {
            at.pop();
            last = std::fs::symlink_metadata(&at)?;
            continue;
        }
        let next = at.join(&name);
        let metadata = match std::fs::symlink_metadata(&next) {
            Ok(metadata) => metadata,
            Err(error) => {
                let found = match error.kind() {
                    io::ErrorKind::NotFound => Found::Nothing { first_missing: next.clone() },
                    io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied => Found::OutOfReach,
                    _ => return Err(error),
                };
                let path = rest.iter().fold(next, |path, name| path.join(name));
                return Ok(Located { path, found, links });
            }
        };
        if metadata.is_symlink() {
            if links.len() == LINKS {
                return Err(io::Error::from_raw_os_error(libc::ELOOP));
            }
            let target = std::fs::read_link(&next)?;
            for name in names(&target).collect::<Vec<_>>().into_iter().rev() {
                rest.push_front(name);
            }
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            links.push((next, target));
        } else {
            at = next;
        }
        last = metadata;
    }
    if last.is_symlink() {
        last = std::fs::symlink_metadata(&at)?;
    }
    let identity = Identity { device: last.dev(), inode: last.ino(), directory: last.is_dir() };
    Ok(Located { path: at, found: Found::Something(identity), links })
}

fn names(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

/// Where the history of a project lies whose `.git` is a file.
pub(crate) fn git_dir(file: &Path) -> Option<PathBuf> {
    /// Longer ones are no such file.
    const LONGEST: u64 = 4096;
    let metadata = std::fs::symlink_metadata(file).ok()?;
    if !metadata.is_file() || metadata.len() > LONGEST {
        return None;
    }
    let text = std::fs::read(file).ok()?;
    let named = text.strip_prefix(b"gitdir:")?.trim_ascii();
    if named.is_empty() || named.contains(&0) {
        return None;
    }
    Some(file.parent()?.join(OsStr::from_bytes(named)))
}
