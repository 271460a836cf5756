//! `capabilities/discoverV2`: the plugins and skills that are installed on this machine.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use codex_exec_server_core::error::ServiceError;
use codex_exec_server_protocol::capabilities::{
    CapabilitiesDiscoverParams, CapabilitiesDiscoverResponse, FoundPlugin, FoundSkill, SkillRoot,
};
use codex_exec_server_protocol::error_code::ErrorCode;
use codex_exec_server_protocol::fs::FsReadDirectoryParams;
use tokio::sync::OwnedSemaphorePermit;

use super::bundle::{Bundle, uri};
use super::manifest;
use super::places::Places;
use super::root::plugin_files;
use super::scan::{METADATA, Manifests, scan};
use super::skill;
use crate::env::Environment;
use crate::fs::LocalFileSystem;

/// Answers the request, with the room that reading takes in memory. Everything is looked at anew: what was installed since
/// is found.
pub async fn discover_installed(
    files: &LocalFileSystem,
    environment: &Environment,
    params: CapabilitiesDiscoverParams,
) -> (Result<CapabilitiesDiscoverResponse, ServiceError>, OwnedSemaphorePermit) {
    let bytes = files.limits().discovery.answer_bytes;
    let room = files.room(bytes).await;
    let Some(places) = Places::of(environment) else {
        let error = ServiceError::Configuration("the server's HOME is not set to an absolute path".into());
        return (Err(error), room);
    };
    let (mut answer, mut left) = (CapabilitiesDiscoverResponse::default(), bytes);
    let CapabilitiesDiscoverParams { cwd: _, sandbox } = params;
    let roots = [
        ("codex-home-skills", places.codex_home.join("skills")),
        ("user-agent-skills", places.user_home.join(".agents/skills")),
        ("system-skills", places.system.join("skills")),
    ];
    for (id, root) in roots {
        let mut bundle = Bundle::new(files, sandbox.clone(), &mut left);
        let mut found = skills(&mut bundle, &root, &mut Manifests::default()).await;
        for skill in &mut found {
            skill.discovery_root = uri(&root).map(|path| SkillRoot { id: id.to_owned(), path });
        }
        answer.skills.append(&mut found);
        answer.warnings.append(&mut bundle.warnings);
    }
    let mut bundle = Bundle::new(files, sandbox.clone(), &mut left);
    let versions = versions(&mut bundle, &places.codex_home.join("plugins/cache")).await;
    answer.warnings.append(&mut bundle.warnings);
    for (id, (version, root)) in versions {
        let mut bundle = Bundle::new(files, sandbox.clone(), &mut left);
        answer.plugins.extend(plugin(&mut bundle, id, version, &root).await);
        answer.warnings.append(&mut bundle.warnings);
    }
    (Ok(answer), room)
}

/// Of each plugin, by its id, the version that counts, and where it is.
async fn versions(bundle: &mut Bundle<'_>, cache: &Path) -> BTreeMap<String, (String, PathBuf)> {
    let mut newest: BTreeMap<String, (String, PathBuf)> = BTreeMap::new();
    for market in names(bundle, cache).await {
        for name in names(bundle, &cache.join(&market)).await {
            let folder = cache.join(&market).join(&name);
            let versions = names(bundle, &folder).await;
            let Some(version) = versions.into_iter().max_by(|a, b| compare(a, b)) else { continue };
            let limit = bundle.files.limits().discovery.plugins;
            if newest.len() >= limit {
                bundle.warn(format!("more than {limit} plugins are installed; {name}@{market} is left out"));
                continue;
            }
            let root = folder.join(&version);
            newest.insert(format!("{name}@{market}"), (version, root));
        }
    }
    newest
}

/// The directories in `folder` whose names may be part of an id.
async fn names(bundle: &mut Bundle<'_>, folder: &Path) -> Vec<String> {
    let Some(path) = uri(folder) else { return Vec::new() };
    let sandbox = bundle.sandbox.clone();
    let params = FsReadDirectoryParams { path: path.clone(), max_entries: None, after: None, sandbox };
    let entries = match bundle.files.read_directory(params).await {
        Ok(listed) => listed.entries,
        Err(fault) if fault.code() == ErrorCode::NotFound => return Vec::new(),
        Err(fault) => {
            bundle.warn(format!("failed to list {path}: {fault}"));
            return Vec::new();
        }
    };
    let entries = entries.into_iter().filter(|entry| entry.is_directory);
    let mut names: Vec<String> = entries.map(|entry| entry.file_name).filter(|name| is_name(name)).collect();
    names.sort_unstable();
    names
}

fn is_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'+'))
}

/// The order of versions: numbers as numbers, what comes before a release below it, and what somebody has made here
/// (`local`) above all.
fn compare(a: &str, b: &str) -> Ordering {
    let parsed = (numbers(a), numbers(b));
    let by_text = || a.cmp(b);
    match (a == "local", b == "local", parsed) {
        (true, _, _) | (_, true, _) => (a == "local").cmp(&(b == "local")),
        (_, _, (Some((a, a_rest)), Some((b, b_rest)))) => {
            a.cmp(&b).then_with(|| a_rest.is_empty().cmp(&b_rest.is_empty())).then_with(by_text)
        }
        _ => by_text(),
    }
}

/// The numbers of a version such as `1.2.3-rc1`, and what stands behind them.
fn numbers(version: &str) -> Option<([u64; 3], &str)> {
    let (core, rest) = version.split_at(version.find(['-', '+']).unwrap_or(version.len()));
    let mut parts = core.split('.');
    let mut next = || parts.next()?.parse().ok();
    let numbers = [next()?, next()?, next()?];
    parts.next().is_none().then_some((numbers, rest))
}

async fn plugin(bundle: &mut Bundle<'_>, id: String, version: String, root: &Path) -> Option<FoundPlugin> {
    let path = uri(root)?;
    let mut manifests = Manifests::default();
    let Some(manifest) = manifests.of(bundle, root).await else {
        bundle.warn(format!("plugin {id} has no manifest in {path}"));
        return None;
    };
    let Some(names) = manifest::names(&manifest.contents) else {
        bundle.warn(format!("the manifest of plugin {id} is not a JSON object: {}", manifest.path));
        return None;
    };
    let display_name = names.display_name.or(names.name).unwrap_or_else(|| file_name(root));
    let files = plugin_files(bundle, root, manifest).await;
    let skills = skills(bundle, root, &mut manifests).await;
    Some(FoundPlugin { id, display_name, remote_plugin_id: None, version, root: path, files, skills })
}

/// The skills below `root`, in the order of their paths.
async fn skills(bundle: &mut Bundle<'_>, root: &Path, manifests: &mut Manifests) -> Vec<FoundSkill> {
    let Some(path) = uri(root) else { return Vec::new() };
    match bundle.look(&path).await {
        Ok(found) if found.is_directory => {}
        Ok(_) => return Vec::new(),
        Err(fault) if fault.code() == ErrorCode::NotFound => return Vec::new(),
        Err(fault) => {
            bundle.warn(format!("failed to inspect {path}: {fault}"));
            return Vec::new();
        }
    }
    let mut skills = Vec::new();
    for instructions in scan(bundle, &path).await.instructions {
        skills.extend(skill(bundle, &instructions, manifests).await);
    }
    skills
}

async fn skill(
    bundle: &mut Bundle<'_>,
    instructions: &Path,
    manifests: &mut Manifests,
) -> Option<FoundSkill> {
    let folder = instructions.parent()?;
    let file = bundle.text(instructions).await?;
    // What is told of it is short, so its room can be used again.
    bundle.give_back(&file);
    let front = match skill::front(&file.contents) {
        Ok(front) => front,
        Err(why) => {
            bundle.warn(format!("skill {} is left out: {why}", file.path));
            return None;
        }
    };
    let mut metadata = skill::Metadata::default();
    if let Some(described) = bundle.text(&folder.join(METADATA)).await {
        bundle.give_back(&described);
        match skill::metadata(&described.contents) {
            Ok(read) => metadata = read,
            Err(why) => bundle.warn(format!("{} is left out: {why}", described.path)),
        }
    }
    let name = front.name.unwrap_or_else(|| file_name(folder));
    let name = match manifests.nearest(bundle, folder).await {
        None => name,
        Some((plugin, manifest)) => {
            let names = manifest::names(&manifest.contents);
            let space = names.and_then(|names| names.name).unwrap_or_else(|| file_name(&plugin));
            format!("{space}:{name}")
        }
    };
    Some(FoundSkill {
        name,
        description: front.description,
        short_description: front.short_description,
        path: file.path,
        discovery_root: None,
        dependencies: metadata.dependencies,
        policy: metadata.policy,
    })
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(OsStr::new("")).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_counts_and_one_of_here_more() {
        for (older, newer) in [
            ("1.9.0", "1.10.0"),
            ("2.0.0-beta", "2.0.0"),
            ("1.0.0", "2.0.0-beta"),
            ("9.9.9", "local"),
            ("zzz", "local"),
            ("1.0.0", "abc"),
            ("1.0.0", "v9"),
            ("1.0", "1.0.0"),
        ] {
            assert_eq!(compare(older, newer), Ordering::Less, "{older} {newer}");
            assert_eq!(compare(newer, older), Ordering::Greater, "{newer} {older}");
        }
        assert_eq!(compare("local", "local"), Ordering::Equal);
    }
}
