//! Which files are layers, in which order, and what of each a client gets.

use std::path::{Path, PathBuf};

use codex_exec_server_protocol::capabilities::{ConfigLayer, ConfigLayers};
use toml::{Table, Value};

use super::super::places::Places;
use super::file::load;
use super::keys::Keys;
use super::{project, told};

/// What a project may not set, even one that is trusted: where requests go, with whose credentials, and what runs beside the
/// client.
const NOT_OF_PROJECTS: [&str; 9] = [
    "chatgpt_base_url",
    "experimental_realtime_ws_base_url",
    "model_provider",
    "model_providers",
    "notify",
    "openai_base_url",
    "otel",
    "profile",
    "profiles",
];

/// The configuration: the administrator's defaults, then what comes from elsewhere, the user's, the project's, and what
/// the administrator insists on.
pub(super) fn config(places: &Places, cwd: &Path, keys: &Keys) -> Result<ConfigLayers, String> {
    if keys.is_empty() {
        return Ok(ConfigLayers::default());
    }
    let system = File::load(places.system.join("config.toml"))?;
    let user = File::load(places.codex_home.join("config.toml"))?;
    let managed = File::load(places.system.join("managed_config.toml"))?;
    let said = [&managed, &user, &system];
    let said: Vec<&Table> = said.into_iter().flatten().map(|file| &file.document).collect();
    let mut projects = Vec::new();
    for folder in project::trusted(cwd, &said)? {
        let folder = folder.join(".codex");
        if folder == places.codex_home {
            continue;
        }
        if let Some(mut file) = File::load(folder.join("config.toml"))? {
            file.document.retain(|key, _| !NOT_OF_PROJECTS.contains(&key));
            projects.push(file);
        }
    }
    let mut layers = Vec::new();
    system.map(|file| file.tell("system", keys, &mut layers)).transpose()?;
    let cloud_insertion_index = layers.len() as u64;
    user.map(|file| file.tell("user", keys, &mut layers)).transpose()?;
    for file in projects {
        file.tell("project", keys, &mut layers)?;
    }
    managed.map(|file| file.tell("legacy managed_config.toml", keys, &mut layers)).transpose()?;
    Ok(ConfigLayers { layers, cloud_insertion_index })
}

/// What the administrator demands of it.
pub(super) fn requirements(places: &Places, keys: &Keys) -> Result<ConfigLayers, String> {
    if keys.is_empty() {
        return Ok(ConfigLayers::default());
    }
    let demanded = File::load(places.system.join("requirements.toml"))?;
    let managed = File::load(places.system.join("managed_config.toml"))?;
    let mut layers = Vec::new();
    demanded.map(|file| file.tell("", keys, &mut layers)).transpose()?;
    let cloud_insertion_index = layers.len() as u64;
    let managed = managed.map(|File { path, document }| File { path, document: demands(document) });
    managed.map(|file| file.tell("", keys, &mut layers)).transpose()?;
    Ok(ConfigLayers { layers, cloud_insertion_index })
}

/// What a configuration that is insisted on means as demands: the one value that it has is the one that is allowed. To read
/// is allowed always.
fn demands(managed: Table) -> Table {
    let demand = |(key, value): (String, Value)| match key.as_str() {
        "approval_policy" => Some(("allowed_approval_policies", vec![value])),
        "approvals_reviewer" => Some(("allowed_approvals_reviewers", vec![value])),
        "sandbox_mode" if value.as_str() == Some(READ_ONLY) => Some(("allowed_sandbox_modes", vec![value])),
        "sandbox_mode" => Some(("allowed_sandbox_modes", vec![READ_ONLY.into(), value])),
        _ => None,
    };
    managed.into_iter().filter_map(demand).map(|(key, values)| (key.to_owned(), values.into())).collect()
}

const READ_ONLY: &str = "read-only";

/// A file that is there.
struct File {
    path: PathBuf,
    document: Table,
}

impl File {
    fn load(path: PathBuf) -> Result<Option<Self>, String> {
        Ok(load(&path)?.map(|document| Self { path, document }))
    }

    /// Adds what of it is wanted to `layers`, if that is anything.
    fn tell(self, kind: &str, keys: &Keys, layers: &mut Vec<ConfigLayer>) -> Result<(), String> {
        let wanted = keys.select(self.document);
        if wanted.is_empty() {
            return Ok(());
        }
        let path = self.path.display();
        let source = if kind.is_empty() { path.to_string() } else { format!("{kind} ({path})") };
        let toml = toml::to_string(&wanted).map_err(|error| format!("{path}: {error}"))?;
        let base_dir = self.path.parent().map(told).transpose()?;
        layers.push(ConfigLayer { source, base_dir, toml });
        Ok(())
    }
}
