//! How plugins and skills are come upon.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use codex_exec_server_protocol::capabilities::DiscoveredFile;
use codex_exec_server_protocol::fs::{FsEntryKind, FsWalkOptions, FsWalkParams};
use codex_exec_server_protocol::path_uri::PathUri;

use super::bundle::Bundle;
use super::manifest::MANIFESTS;
use crate::fs::native;

/// What makes a directory a skill.
const INSTRUCTIONS: &str = "SKILL.md";

/// What describes a skill to user interfaces.
pub(super) const METADATA: &str = "agents/openai.yaml";

/// What a walk came upon, in the order of the paths.
#[derive(Default)]
pub(super) struct Scanned {
    /// The instructions of skills.
    pub(super) instructions: Vec<PathBuf>,
    /// Directories with a manifest.
    pub(super) plugins: BTreeSet<PathBuf>,
}

/// Looks through everything below `root`. What can't be looked at is said in the warnings.
pub(super) async fn scan(bundle: &mut Bundle<'_>, root: &PathUri) -> Scanned {
    let limits = bundle.files.limits().discovery;
    let options = FsWalkOptions {
        max_depth: limits.depth,
        max_directories: limits.directories,
        max_entries: limits.entries,
        follow_directory_symlinks: true,
        prune_hidden_directories: false,
    };
    let params = FsWalkParams { path: root.clone(), options, sandbox: bundle.sandbox.clone() };
    let walk = match bundle.files.walk(params).await {
        Ok(walk) => walk,
        Err(fault) => {
            bundle.warn(format!("failed to scan capability root {root}: {fault}"));
            return Scanned::default();
        }
    };
    for error in walk.errors {
        bundle.warn(format!("failed to scan capability path {}: {}", error.path, error.message));
    }
    if walk.truncated {
        bundle.warn(format!("capability scan reached its traversal limit (root: {root})"));
    }
    let mut scanned = Scanned::default();
    for entry in walk.entries.into_iter().filter(|entry| entry.kind == FsEntryKind::File) {
        let Ok(path) = native(&entry.path) else { continue };
        if path.file_name() == Some(INSTRUCTIONS.as_ref()) {
            scanned.instructions.push(path);
        } else if MANIFESTS.iter().any(|manifest| path.ends_with(manifest)) {
            scanned.plugins.extend(path.ancestors().nth(2).map(Path::to_owned));
        }
    }
    scanned.instructions.sort_unstable_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
    scanned
}

/// Manifests by the directories that they make a plugin, and directories that are known to be none.
#[derive(Default)]
pub(super) struct Manifests(HashMap<PathBuf, Option<DiscoveredFile>>);

impl Manifests {
    pub(super) async fn of(&mut self, bundle: &mut Bundle<'_>, folder: &Path) -> Option<DiscoveredFile> {
        if let Some(known) = self.0.get(folder) {
            return known.clone();
        }
        let mut found = None;
        for name in MANIFESTS {
            found = bundle.text(&folder.join(name)).await;
            if found.is_some() {
                break;
            }
        }
        self.0.insert(folder.to_owned(), found.clone());
        found
    }

    /// The manifest that gives `folder` its namespace, and its directory: `folder` itself, or the nearest above it.
    pub(super) async fn nearest(
        &mut self,
        bundle: &mut Bundle<'_>,
        folder: &Path,
    ) -> Option<(PathBuf, DiscoveredFile)> {
        for folder in folder.ancestors() {
            if let Some(manifest) = self.of(bundle, folder).await {
                return Some((folder.to_owned(), manifest));
            }
        }
        None
    }
}
