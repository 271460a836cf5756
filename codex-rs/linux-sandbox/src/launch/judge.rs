//! Whether a policy stands against what a call is about to do to a path.
//!
//! The kernel decides by itself; this says the same in advance, for the report. It looks at the files as the process sees
//! them: what fails without a policy as well, because something is missing or its permissions are against it, is no denial.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Access as Rights, AtFlags, CWD, accessat};
use rustix::io::Errno;

use crate::denial::words;
use crate::placeholder;
use crate::rules::{Access, Rules};

/// What is to be done, by what it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intention {
    /// To read what is there.
    Read,
    /// To change what is there.
    Change,
    /// To make something where nothing is.
    Make,
    /// Either of them.
    ChangeOrMake,
}

/// Why it will be denied, in words; `None` if it will not be, or not by the policy. `path` is absolute.
pub(super) fn judge(rules: &Rules, path: &Path, intention: Intention, follow: bool) -> Option<String> {
    let path = resolve(path, follow);
    // These are the process's own.
    if path.starts_with("/dev") {
        return None;
    }
    let decided = rules.decide(&path);
    let access = decided.map_or(Access::Deny, |(_, rule)| rule.access);
    let there = path.symlink_metadata().ok();
    match intention {
        Intention::Read => {
            // What no rule speaks of is not there for the process, and programs look for much that is not there.
            let is_denied = decided.is_some() && access == Access::Deny && there.is_some();
            is_denied.then(|| words(decided))
        }
        _ if access == Access::Write => None,
        Intention::Make | Intention::ChangeOrMake if there.is_none() => {
            may_make(path.parent()?).then(|| words(decided))
        }
        Intention::Make => {
            // It exists, as far as the process can tell, only to be in the way.
            there.as_ref().is_some_and(placeholder::looks_like_one).then(|| words(decided))
        }
        Intention::Change | Intention::ChangeOrMake => {
            let there = there?;
            (access == Access::Deny
                || there.is_symlink()
                || may_change(&path)
                || placeholder::looks_like_one(&there))
            .then(|| words(decided))
        }
    }
}

/// Whether permissions alone would let something be made in a folder.
fn may_make(folder: &Path) -> bool {
    folder.is_dir() && allowed(folder, Rights::WRITE_OK | Rights::EXEC_OK)
}

/// Whether permissions alone would let a file be changed, or the folder around it.
fn may_change(path: &Path) -> bool {
    let owns = path.metadata().is_ok_and(|there| there.uid() == rustix::process::geteuid().as_raw());
    owns || allowed(path, Rights::WRITE_OK) || path.parent().is_some_and(may_make)
}

fn allowed(path: &Path, rights: Rights) -> bool {
    // Permissions are asked first, whether the file system may be written afterwards.
    matches!(accessat(CWD, path, rights, AtFlags::EACCESS), Ok(()) | Err(Errno::ROFS))
}

/// The path without links, as far as there is something; what is beyond that stays as it is.
fn resolve(path: &Path, follow: bool) -> PathBuf {
    /// As many as the kernel follows.
    const LINKS: usize = 40;
    let mut rest: VecDeque<OsString> = names(path);
    let mut at = PathBuf::from("/");
    let mut links = 0;
    while let Some(name) = rest.pop_front() {
        if name == ".." {
            at.pop();
            continue;
        }
        let next = at.join(&name);
        let may_follow = (follow || !rest.is_empty()) && links < LINKS;
        match std::fs::read_link(&next) {
            Ok(target) if may_follow => {
                links += 1;
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                for name in names(&target).into_iter().rev() {
                    rest.push_front(name);
                }
            }
            _ => at = next,
        }
    }
    at
}

fn names(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::rules::Origin;

    #[test]
    fn what_fails_anyway_is_no_denial_and_links_are_followed_to_where_they_lead() {
        let folder = tempfile::tempdir_in("/tmp").expect("a folder");
        let root = folder.path().canonicalize().expect("it is there");
        for name in ["w/.git", "out", "closed"] {
            fs::create_dir_all(root.join(name)).expect("a folder");
        }
        fs::write(root.join("out/file"), "x").expect("a file");
        fs::write(root.join("closed/file"), "x").expect("a file");
        symlink(root.join("out/file"), root.join("w/link")).expect("a link");
        let mut rules = Rules::default();
        rules.add("/".into(), Access::Read, Origin::Asked);
        rules.add(root.join("w"), Access::Write, Origin::Asked);
        rules.add(root.join("w/.git"), Access::Read, Origin::Protected);
        rules.add(root.join("closed"), Access::Deny, Origin::Asked);
        let told = |name: &str, intention| judge(&rules, &root.join(name), intention, /*follow*/ true);
        use Intention::{Change, ChangeOrMake, Make, Read};
        for (name, intention) in [
            ("w/new", Make),
            ("w/link2", ChangeOrMake),
            ("out/none", Change),
            ("out/none/x", Make),
            ("out/file", Make),
            ("out/file", Read),
            ("out/none", Read),
        ] {
            assert_eq!(told(name, intention), None, "{name} {intention:?}");
        }
        assert_eq!(told("out/new", Make).as_deref(), Some("read /"));
        assert_eq!(told("out/file", Change).as_deref(), Some("read /"));
        assert_eq!(told("w/link", ChangeOrMake).as_deref(), Some("read /"));
        assert_eq!(judge(&rules, &root.join("w/link"), Change, /*follow*/ false), None);
        assert_eq!(told("w/../out/file", Change).as_deref(), Some("read /"));
        let protected = format!("protected {}", root.join("w/.git").display());
        assert_eq!(told("w/.git/config", ChangeOrMake), Some(protected));
        let closed = format!("deny {}", root.join("closed").display());
        assert_eq!(told("closed/file", Read), Some(closed));
        assert_eq!(judge(&rules, Path::new("/dev/null"), ChangeOrMake, /*follow*/ true), None);
    }
}
