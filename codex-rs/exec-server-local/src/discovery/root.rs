//! `capabilityRoots/discoverV1`: what directories hold of plugins and skills.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use codex_exec_server_core::error::ServiceError;
use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_protocol::capabilities::{
    CapabilityRoot, CapabilityRootsDiscoverParams, CapabilityRootsDiscoverResponse, DiscoveredFile,
    DiscoveredPlugin, DiscoveredRoot, DiscoveredSkill, MAX_CAPABILITY_ROOTS,
};
use codex_exec_server_protocol::path_uri::PathUri;
use tokio::sync::OwnedSemaphorePermit;

use super::bundle::Bundle;
use super::manifest::{List, Listed, listed};
use super::scan::{METADATA, Manifests, Scanned, scan};
use crate::fs::{LocalFileSystem, native};

/// Answers the request, with the room that the answer takes in memory. What can't be looked at is said in the answer, root by
/// root.
pub async fn discover_roots(
    files: &LocalFileSystem,
    params: CapabilityRootsDiscoverParams,
) -> (Result<CapabilityRootsDiscoverResponse, ServiceError>, OwnedSemaphorePermit) {
    let room = files.room(files.limits().discovery.answer_bytes).await;
    (discover_all(files, params).await, room)
}

async fn discover_all(
    files: &LocalFileSystem,
    params: CapabilityRootsDiscoverParams,
) -> Result<CapabilityRootsDiscoverResponse, ServiceError> {
    if params.roots.len() > MAX_CAPABILITY_ROOTS {
        let text = format!("capability root discovery accepts at most {MAX_CAPABILITY_ROOTS} roots");
        return Err(ServiceError::WrongState(text));
    }
    let mut left = files.limits().discovery.answer_bytes;
    let mut roots = Vec::with_capacity(params.roots.len());
    for root in params.roots {
        roots.push(discover_root(files, root, &mut left).await);
    }
    Ok(CapabilityRootsDiscoverResponse { roots })
}

async fn discover_root(files: &LocalFileSystem, root: CapabilityRoot, left: &mut usize) -> DiscoveredRoot {
    let CapabilityRoot { id, path, sandbox } = root;
    let mut bundle = Bundle::new(files, sandbox, left);
    let found = search(&mut bundle, &path).await;
    let warnings = std::mem::take(&mut bundle.warnings);
    let (found, error) = match found {
        Ok(found) => (found, None),
        Err(error) => (Found::default(), Some(error)),
    };
    let Found { plugin, skills, namespace_manifests } = found;
    DiscoveredRoot { id, path, plugin, skills, namespace_manifests, warnings, error }
}

#[derive(Default)]
struct Found {
    plugin: Option<DiscoveredPlugin>,
    skills: Vec<DiscoveredSkill>,
    namespace_manifests: Vec<DiscoveredFile>,
}

/// What a root holds, or why it can't be looked at.
async fn search(bundle: &mut Bundle<'_>, path: &PathUri) -> Result<Found, String> {
    let failed = |fault: FsFault| format!("failed to inspect capability root {path}: {fault}");
    if !bundle.look(path).await.map_err(failed)?.is_directory {
        return Err(format!("capability root {path} is not a directory"));
    }
    let root = native(path).map_err(failed)?;
    let mut manifests = Manifests::default();
    let plugin = match manifests.of(bundle, &root).await {
        Some(manifest) => Some(plugin_files(bundle, &root, manifest).await),
        None => None,
    };
    let mut found: BTreeMap<PathBuf, DiscoveredFile> =
        manifests.nearest(bundle, &root).await.into_iter().collect();
    let Scanned { instructions, plugins } = scan(bundle, path).await;
    for folder in plugins {
        if let Some(manifest) = manifests.of(bundle, &folder).await {
            found.insert(folder, manifest);
        }
    }
    let mut skills = Vec::new();
    for instructions in instructions {
        let Some(folder) = instructions.parent() else { continue };
        let Some(instructions) = bundle.text(&instructions).await else { continue };
        let metadata = bundle.text(&folder.join(METADATA)).await;
        skills.push(DiscoveredSkill { instructions, metadata });
    }
    Ok(Found { plugin, skills, namespace_manifests: found.into_values().collect() })
}

/// The files of the plugin at `root`.
pub(super) async fn plugin_files(
    bundle: &mut Bundle<'_>,
    root: &Path,
    manifest: DiscoveredFile,
) -> DiscoveredPlugin {
    let mcp_config = list(bundle, root, &manifest, List::McpServers).await;
    let apps_config = list(bundle, root, &manifest, List::Apps).await;
    DiscoveredPlugin { manifest, mcp_config, apps_config }
}

async fn list(
    bundle: &mut Bundle<'_>,
    root: &Path,
    manifest: &DiscoveredFile,
    list: List,
) -> Option<DiscoveredFile> {
    let path = match listed(&manifest.contents, list) {
        Listed::Inline => return None,
        Listed::In(path) => path,
        Listed::Instead { path, why } => {
            bundle.warn(format!("ignoring {} in {}: {why}", list.member(), manifest.path));
            path
        }
    };
    bundle.text(&root.join(path)).await
}
