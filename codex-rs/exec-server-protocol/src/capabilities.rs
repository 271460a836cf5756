//! What a client may find out about the machine it works on: layers of configuration, and the plugins and skills that
//! lie in its directories.
//!
//! The server hands over files as they are; what they mean is for the client. A server that has nothing of the kind
//! answers with empty lists.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::path_uri::PathUri;
use crate::sandbox::SandboxContext;

/// Parameters of `environmentConfig/read`. There must be one key path at least, and none may be empty: -32602.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentConfigReadParams {
    /// Where the client works; layers of the project are looked for from here.
    pub cwd: PathUri,
    /// TOML keys of interest in the configuration, each as its list of segments.
    pub config_paths: Vec<Vec<String>>,
    /// TOML keys of interest in the requirements.
    pub requirements_paths: Vec<Vec<String>>,
}

/// Result of `environmentConfig/read`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentConfigReadResponse {
    /// Home of the server's user.
    pub user_home_dir: PathUri,
    /// Where the user's configuration lies.
    pub codex_home_dir: PathUri,
    /// Name of the machine.
    pub hostname: String,
    /// The configuration.
    pub config: ConfigLayers,
    /// What an administrator demands of it.
    pub requirements: ConfigLayers,
}

/// Layers of one configuration, in the server's order of precedence.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct ConfigLayers {
    /// The layers that hold one of the keys.
    pub layers: Vec<ConfigLayer>,
    /// Position in `layers` at which the client puts a layer of its own.
    #[ts(type = "number")]
    pub cloud_insertion_index: u64,
}

/// One layer, reduced to the keys of interest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct ConfigLayer {
    /// Where it comes from, for people.
    pub source: String,
    /// What relative paths in it refer to.
    #[serde(default)]
    pub base_dir: Option<PathUri>,
    /// A TOML document.
    pub toml: String,
}

/// Roots of one `capabilityRoots/discoverV1`; more are -32600.
pub const MAX_CAPABILITY_ROOTS: usize = 128;

/// Parameters of `capabilityRoots/discoverV1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct CapabilityRootsDiscoverParams {
    /// The directories to look into.
    pub roots: Vec<CapabilityRoot>,
}

/// A directory that may hold a plugin or skills.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct CapabilityRoot {
    /// Chosen by the client; comes back in the answer.
    pub id: String,
    /// The directory.
    pub path: PathUri,
    /// Confines the look into this root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sandbox: Option<SandboxContext>,
}

/// Result of `capabilityRoots/discoverV1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct CapabilityRootsDiscoverResponse {
    /// One for each root, in the order of the request.
    pub roots: Vec<DiscoveredRoot>,
}

/// What one root holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct DiscoveredRoot {
    /// As in the request.
    pub id: String,
    /// As in the request.
    pub path: PathUri,
    /// The plugin, if the root is one.
    pub plugin: Option<DiscoveredPlugin>,
    /// Skills anywhere below.
    pub skills: Vec<DiscoveredSkill>,
    /// Plugin manifests, in the root or above it, that give the skills their namespace.
    pub namespace_manifests: Vec<DiscoveredFile>,
    /// What could not be looked at.
    pub warnings: Vec<String>,
    /// Why the root as a whole could not be looked at.
    pub error: Option<String>,
}

/// A plugin's own files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct DiscoveredPlugin {
    /// Its manifest.
    pub manifest: DiscoveredFile,
    /// Its list of MCP servers.
    pub mcp_config: Option<DiscoveredFile>,
    /// Its list of apps.
    pub apps_config: Option<DiscoveredFile>,
}

/// A skill's own files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct DiscoveredSkill {
    /// Its `SKILL.md`.
    pub instructions: DiscoveredFile,
    /// What describes it to user interfaces.
    pub metadata: Option<DiscoveredFile>,
}

/// A file and what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct DiscoveredFile {
    /// Where it is.
    pub path: PathUri,
    /// The whole file, which is text.
    pub contents: String,
}

/// Parameters of `capabilities/discoverV2`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct CapabilitiesDiscoverParams {
    /// Where the client works. What is installed on a machine does not depend on it.
    pub cwd: PathUri,
    /// Confines the look around.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sandbox: Option<SandboxContext>,
}

/// Result of `capabilities/discoverV2`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct CapabilitiesDiscoverResponse {
    /// Plugins that are installed, by their ids.
    pub plugins: Vec<FoundPlugin>,
    /// Skills that belong to no plugin.
    pub skills: Vec<FoundSkill>,
    /// What could not be looked at, or does not say what it is.
    pub warnings: Vec<String>,
}

/// A plugin in the version that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FoundPlugin {
    /// Its name and where it was got: `NAME@MARKET`.
    pub id: String,
    /// For people.
    pub display_name: String,
    /// Peers were only ever seen to send none.
    pub remote_plugin_id: Option<String>,
    /// The name of its directory.
    pub version: String,
    /// Where it lies.
    pub root: PathUri,
    /// Its own files.
    pub files: DiscoveredPlugin,
    /// Its skills.
    pub skills: Vec<FoundSkill>,
}

/// A skill as it describes itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct FoundSkill {
    /// What it is called; `PLUGIN:NAME` in a plugin.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The same in short.
    pub short_description: Option<String>,
    /// Its instructions.
    pub path: PathUri,
    /// Where it was found; absent in a plugin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub discovery_root: Option<SkillRoot>,
    /// What it needs.
    pub dependencies: Option<SkillDependencies>,
    /// When it may be used.
    pub policy: Option<SkillPolicy>,
}

/// A directory in which skills are looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct SkillRoot {
    /// `codex-home-skills`, `user-agent-skills` or `system-skills`.
    pub id: String,
    /// The directory.
    pub path: PathUri,
}

/// What a skill needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct SkillDependencies {
    /// At least one.
    pub tools: Vec<SkillTool>,
}

/// A tool that a skill needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct SkillTool {
    /// What it is, such as `mcp`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Which one.
    pub value: String,
    /// For people.
    pub description: Option<String>,
    /// How it is spoken to.
    pub transport: Option<String>,
    /// What starts it.
    pub command: Option<String>,
    /// Where it is.
    pub url: Option<String>,
    /// Peers were only ever seen to send none.
    pub oauth_callback_port: Option<u16>,
}

/// When a skill may be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct SkillPolicy {
    /// Whether it may be used without being named.
    pub allow_implicit_invocation: Option<bool>,
    /// Products that it is for: `codex`, `chatgpt`, `atlas`; all if there is none.
    pub products: Vec<String>,
}

#[cfg(test)]
#[path = "capabilities_tests.rs"]
mod tests;
