use serde::de::DeserializeOwned;
use serde_json::{Value, from_value, json, to_value};

use super::*;

/// Decodes, and encodes to exactly what came in.
fn same<T: Serialize + DeserializeOwned>(wire: Value) -> T {
    let decoded: T = from_value(wire.clone()).unwrap_or_else(|error| panic!("{wire}: {error}"));
    assert_eq!(to_value(&decoded).unwrap(), wire);
    decoded
}

/// Why it does not decode.
fn fault<T: DeserializeOwned>(wire: &Value) -> String {
    match from_value::<T>(wire.clone()) {
        Ok(_) => panic!("{wire} was accepted"),
        Err(error) => error.to_string(),
    }
}

fn uri(path: &str) -> PathUri {
    format!("file://{path}").parse().unwrap()
}

#[test]
fn configuration_travels_as_peers_write_it() {
    assert_eq!(
        same::<EnvironmentConfigReadParams>(json!({
            "cwd": "file:///w", "configPaths": [["model"], ["tools", "a"]], "requirementsPaths": [],
        })),
        EnvironmentConfigReadParams {
            cwd: uri("/w"),
            config_paths: vec![vec!["model".into()], vec!["tools".into(), "a".into()]],
            requirements_paths: vec![],
        }
    );
    assert_eq!(
        same::<EnvironmentConfigReadResponse>(json!({
            "userHomeDir": "file:///home/me", "codexHomeDir": "file:///home/me/.codex", "hostname": "vm",
            "config": {"layers": [
                {"source": "user (/home/me/.codex/config.toml)", "baseDir": "file:///home/me/.codex", "toml": "a = 1\n"},
            ], "cloudInsertionIndex": 0},
            "requirements": {"layers": [], "cloudInsertionIndex": 0},
        })),
        EnvironmentConfigReadResponse {
            user_home_dir: uri("/home/me"),
            codex_home_dir: uri("/home/me/.codex"),
            hostname: "vm".into(),
            config: ConfigLayers {
                layers: vec![ConfigLayer {
                    source: "user (/home/me/.codex/config.toml)".into(),
                    base_dir: Some(uri("/home/me/.codex")),
                    toml: "a = 1\n".into(),
                }],
                cloud_insertion_index: 0,
            },
            requirements: ConfigLayers::default(),
        }
    );
}

#[test]
fn every_parameter_of_a_configuration_is_required() {
    for (wire, expected) in [
        (json!({"configPaths": [], "requirementsPaths": []}), "missing field `cwd`"),
        (json!({"cwd": "file:///", "requirementsPaths": []}), "missing field `configPaths`"),
        (json!({"cwd": "file:///", "configPaths": []}), "missing field `requirementsPaths`"),
        (
            json!({"cwd": "file:///", "configPaths": null, "requirementsPaths": []}),
            "invalid type: null, expected a sequence",
        ),
    ] {
        assert_eq!(fault::<EnvironmentConfigReadParams>(&wire), expected);
    }
}

#[test]
fn a_root_travels_as_peers_write_it() {
    let root = CapabilityRoot { id: "a".into(), path: uri("/r"), sandbox: None };
    assert_eq!(
        same::<CapabilityRootsDiscoverParams>(json!({"roots": [{"id": "a", "path": "file:///r"}]})),
        CapabilityRootsDiscoverParams { roots: vec![root.clone()] }
    );
    assert_eq!(
        from_value::<CapabilityRoot>(json!({"id": "a", "path": "file:///r", "sandbox": null, "kind": 7}))
            .unwrap(),
        root
    );
    assert_eq!(fault::<CapabilityRoot>(&json!({})), "missing field `id`");
    assert_eq!(fault::<CapabilityRoot>(&json!({"id": "a"})), "missing field `path`");
}

#[test]
fn what_a_root_holds_travels_as_peers_write_it() {
    let file = |path: &str, contents: &str| DiscoveredFile { path: uri(path), contents: contents.into() };
    assert_eq!(
        same::<CapabilityRootsDiscoverResponse>(json!({"roots": [{
            "id": "a", "path": "file:///r",
            "plugin": {
                "manifest": {"path": "file:///r/.codex-plugin/plugin.json", "contents": "{}"},
                "mcpConfig": null, "appsConfig": null,
            },
            "skills": [{
                "instructions": {"path": "file:///r/skills/s/SKILL.md", "contents": "---\n"}, "metadata": null,
            }],
            "namespaceManifests": [{"path": "file:///r/.codex-plugin/plugin.json", "contents": "{}"}],
            "warnings": ["failed to scan"], "error": null,
        }]})),
        CapabilityRootsDiscoverResponse {
            roots: vec![DiscoveredRoot {
                id: "a".into(),
                path: uri("/r"),
                plugin: Some(DiscoveredPlugin {
                    manifest: file("/r/.codex-plugin/plugin.json", "{}"),
                    mcp_config: None,
                    apps_config: None,
                }),
                skills: vec![DiscoveredSkill {
                    instructions: file("/r/skills/s/SKILL.md", "---\n"),
                    metadata: None
                }],
                namespace_manifests: vec![file("/r/.codex-plugin/plugin.json", "{}")],
                warnings: vec!["failed to scan".into()],
                error: None,
            }],
        }
    );
    same::<DiscoveredRoot>(json!({
        "id": "a", "path": "file:///r", "plugin": null, "skills": [], "namespaceManifests": [], "warnings": [],
        "error": "failed to inspect capability root file:///r: No such file or directory (os error 2)",
    }));
}

#[test]
fn discovery_around_a_directory_travels_as_peers_write_it() {
    assert_eq!(
        same::<CapabilitiesDiscoverParams>(json!({"cwd": "file:///w"})),
        CapabilitiesDiscoverParams { cwd: uri("/w"), sandbox: None }
    );
    assert_eq!(
        same::<CapabilitiesDiscoverResponse>(json!({"plugins": [], "skills": [], "warnings": []})),
        CapabilitiesDiscoverResponse::default()
    );
    same::<CapabilitiesDiscoverResponse>(json!({
        "plugins": [{
            "id": "p@m", "displayName": "P", "remotePluginId": null, "version": "1.0.0", "root": "file:///p",
            "files": {
                "manifest": {"path": "file:///p/.codex-plugin/plugin.json", "contents": "{}"},
                "mcpConfig": null, "appsConfig": null,
            },
            "skills": [{
                "name": "p:s", "description": "d", "shortDescription": "s", "path": "file:///p/s/SKILL.md",
                "dependencies": {"tools": [{
                    "type": "mcp", "value": "v", "description": null, "transport": null, "command": null, "url": null,
                    "oauthCallbackPort": null,
                }]},
                "policy": {"allowImplicitInvocation": null, "products": ["codex"]},
            }],
        }],
        "skills": [{
            "name": "s", "description": "d", "shortDescription": null, "path": "file:///s/SKILL.md",
            "discoveryRoot": {"id": "user-agent-skills", "path": "file:///s"}, "dependencies": null, "policy": null,
        }],
        "warnings": [],
    }));
    assert_eq!(fault::<CapabilitiesDiscoverParams>(&json!({})), "missing field `cwd`");
}
