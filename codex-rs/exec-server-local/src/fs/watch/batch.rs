//! Changes that are told together.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use codex_exec_server_core::service::Changes;
use codex_exec_server_protocol::fs::{FsChange, FsChangeKind};
use codex_exec_server_protocol::path_uri::PathUri;

/// See the module. What happens to one path again and again is told once.
#[derive(Debug, Default)]
pub(super) struct Batch {
    changes: Vec<(PathBuf, FsChangeKind)>,
    /// What was told last of each path.
    last: HashMap<PathBuf, FsChangeKind>,
    pub(super) resync: bool,
    pub(super) ended: bool,
}

impl Batch {
    pub(super) fn len(&self) -> usize {
        self.changes.len()
    }

    pub(super) fn add(&mut self, path: PathBuf, kind: FsChangeKind) {
        use FsChangeKind::{Created, Modified};
        match (self.last.get(&path), kind) {
            // Whoever looks at what is new sees how it is.
            (Some(Created), Created | Modified) | (Some(Modified), Modified) => return,
            (Some(FsChangeKind::Removed), FsChangeKind::Removed) => return,
            _ => {}
        }
        self.last.insert(path.clone(), kind);
        self.changes.push((path, kind));
    }

    /// As it is told, with paths below `root`. Names that can't be told are left out.
    pub(super) fn tell(self, root: &Path) -> Changes {
        let told = |(path, kind): (PathBuf, FsChangeKind)| {
            let whole = if path.as_os_str().is_empty() { root.to_owned() } else { root.join(path) };
            PathUri::try_from(whole.as_path()).ok().map(|path| FsChange { path, kind })
        };
        let changes = self.changes.into_iter().filter_map(told).collect();
        Changes { changes, resync: self.resync, ended: self.ended }
    }
}

#[cfg(test)]
mod tests {
    use FsChangeKind::{Created, Modified, Removed};

    use super::*;

    #[test]
    fn what_happens_to_one_path_in_quick_succession_is_told_once() {
        let mut batch = Batch::default();
        for (path, kind) in [
            ("a", Created),
            ("a", Modified),
            ("b", Modified),
            ("b", Modified),
            ("a", Created),
            ("a", Removed),
            ("a", Removed),
            ("a", Created),
            ("", Modified),
        ] {
            batch.add(path.into(), kind);
        }
        let told = batch.tell(Path::new("/r"));
        let told: Vec<_> = told.changes.iter().map(|change| (change.path.as_str(), change.kind)).collect();
        assert_eq!(
            told,
            [
                ("file:///r/a", Created),
                ("file:///r/b", Modified),
                ("file:///r/a", Removed),
                ("file:///r/a", Created),
                ("file:///r", Modified),
            ]
        );
    }
}
