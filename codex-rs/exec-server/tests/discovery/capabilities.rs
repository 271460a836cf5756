//! `capabilities/discoverV2`

use serde_json::{Value, json};

use crate::machine::Machine;

machine_cases! {
    everywhere {
        a_machine_with_nothing_has_nothing
        skills_of_the_user_are_described
        plugins_are_listed_in_their_newest_version
        a_skill_of_a_plugin_has_its_namespace
        what_a_skill_needs_is_told
        what_can_not_be_described_is_left_out_and_said
    }
    not_on_reference {
        what_was_installed_since_is_found: "it remembers its first answer"
        a_manifest_that_can_not_be_read_is_named: "it says that something is wrong"
    }
}

const FRONT: &str = "---\nname: n\ndescription: d\n---\n";

/// What a server that starts now finds.
async fn discover(machine: &mut Machine) -> Value {
    machine.restart().await;
    discover_now(machine).await
}

async fn discover_now(machine: &mut Machine) -> Value {
    let cwd = machine.uri("");
    let mut answer = machine.client.done("capabilities/discoverV2", json!({"cwd": cwd})).await;
    // What an administrator has installed is on every machine another.
    let skills = answer["skills"].as_array_mut().expect("a list");
    skills.retain(|skill| skill["discoveryRoot"]["id"] != json!("system-skills"));
    answer
}

fn plugin(machine: &Machine, place: &str, manifest: &str) {
    machine.file(&format!(".codex/plugins/cache/{place}/.codex-plugin/plugin.json"), manifest);
}

/// One member of each item.
fn each(list: &Value, member: &str) -> Vec<String> {
    let items = list.as_array().expect("a list").iter();
    items.map(|item| item[member].as_str().expect("text").to_owned()).collect()
}

async fn a_machine_with_nothing_has_nothing(machine: &mut Machine) {
    assert_eq!(discover(machine).await, json!({"plugins": [], "skills": [], "warnings": []}));
    for params in [json!({}), json!({"cwd": "relative"}), json!({"cwd": "file:///", "sandbox": 3})] {
        assert_eq!(machine.client.refused("capabilities/discoverV2", params).await.code, -32602);
    }
}

async fn skills_of_the_user_are_described(machine: &mut Machine) {
    machine.file(".agents/skills/b/SKILL.md", "---\nname: 'b  c'\ndescription: >\n  folded\n  text\n---\n");
    machine.file(".codex/skills/z/SKILL.md", "---\ndescription: d\nmetadata:\n  short-description: s\n---\n");
    machine.file(".codex/skills/.system/a/SKILL.md", FRONT);
    let skill = |name: &str, description: &str, short: Option<&str>, place: &str, id: &str, root: &str| {
        json!({
            "name": name, "description": description, "shortDescription": short,
            "path": machine.uri(&format!("{place}/SKILL.md")),
            "discoveryRoot": {"id": id, "path": machine.uri(root)},
            "dependencies": null, "policy": null,
        })
    };
    let (codex, agents) = ("codex-home-skills", "user-agent-skills");
    let expected = json!([
        skill("n", "d", /*short*/ None, ".codex/skills/.system/a", codex, ".codex/skills"),
        skill("z", "d", Some("s"), ".codex/skills/z", codex, ".codex/skills"),
        skill("b c", "folded text", /*short*/ None, ".agents/skills/b", agents, ".agents/skills"),
    ]);
    let answer = discover(machine).await;
    assert_eq!((&answer["skills"], &answer["warnings"]), (&expected, &json!([])));
}

async fn plugins_are_listed_in_their_newest_version(machine: &mut Machine) {
    for (place, manifest) in [
        ("m/a/1.9.0", r#"{"name":"old"}"#),
        ("m/a/1.10.0", r#"{"name":"n","version":"7","interface":{"displayName":"A"}}"#),
        ("m/b/9.9.9", "{}"),
        ("m/b/local", "{}"),
        ("m/c.d/2.0.0-rc1", r#"{"name":"c"}"#),
        ("l/a/x", r#"{"name":""}"#),
        ("m/not a name/1", "{}"),
    ] {
        plugin(machine, place, manifest);
    }
    machine.file(".codex/plugins/cache/m/a/1.10.0/.mcp.json", "mcp");
    machine.file(".codex/plugins/cache/m/file", "");
    let answer = discover(machine).await;
    let root = machine.uri(".codex/plugins/cache/m/a/1.10.0");
    let file = |name: &str, contents: &str| json!({"path": format!("{root}/{name}"), "contents": contents});
    let manifest = r#"{"name":"n","version":"7","interface":{"displayName":"A"}}"#;
    let expected = json!({
        "id": "a@m",
        "displayName": "A",
        "remotePluginId": null,
        "version": "1.10.0",
        "root": root,
        "files": {
            "manifest": file(".codex-plugin/plugin.json", manifest),
            "mcpConfig": file(".mcp.json", "mcp"),
            "appsConfig": null,
        },
        "skills": [],
    });
    assert_eq!(each(&answer["plugins"], "id"), ["a@l", "a@m", "b@m", "c.d@m"]);
    assert_eq!(each(&answer["plugins"], "displayName"), ["x", "A", "local", "c"]);
    assert_eq!(answer["plugins"][1], expected);
    assert_eq!(answer["warnings"], json!([]));
}

async fn a_skill_of_a_plugin_has_its_namespace(machine: &mut Machine) {
    plugin(machine, "m/a/1", r#"{"name":"outer"}"#);
    plugin(machine, "m/a/1/in", r#"{"name":"inner"}"#);
    plugin(machine, "m/b/1", "{}");
    for place in ["a/1/skills/x", "a/1/in/y", "b/1/z"] {
        machine.file(&format!(".codex/plugins/cache/m/{place}/SKILL.md"), FRONT);
    }
    let answer = discover(machine).await;
    assert_eq!(each(&answer["plugins"][0]["skills"], "name"), ["inner:n", "outer:n"]);
    assert_eq!(each(&answer["plugins"][1]["skills"], "name"), ["1:n"]);
    let skill = answer["plugins"][1]["skills"][0].as_object().expect("an object");
    assert!(!skill.contains_key("discoveryRoot"), "{skill:?}");
}

async fn what_a_skill_needs_is_told(machine: &mut Machine) {
    machine.file(".codex/skills/a/SKILL.md", FRONT);
    let metadata = "dependencies:\n  tools:\n  - type: mcp\n    value: v\n    url: u\npolicy:\n  \
                    allow_implicit_invocation: false\n  products: [codex]\n";
    machine.file(".codex/skills/a/agents/openai.yaml", metadata);
    machine.file(".codex/skills/b/SKILL.md", FRONT);
    machine.file(".codex/skills/b/agents/openai.yaml", "a: [");
    let answer = discover(machine).await;
    let tool = json!({
        "type": "mcp", "value": "v", "description": null, "transport": null, "command": null, "url": "u",
        "oauthCallbackPort": null,
    });
    let skill = &answer["skills"][0];
    assert_eq!(skill["dependencies"], json!({"tools": [tool]}));
    assert_eq!(skill["policy"], json!({"allowImplicitInvocation": false, "products": ["codex"]}));
    let skill = &answer["skills"][1];
    assert_eq!((&skill["dependencies"], &skill["policy"]), (&json!(null), &json!(null)));
}

async fn what_can_not_be_described_is_left_out_and_said(machine: &mut Machine) {
    for (folder, text) in [
        ("none", "text"),
        ("open", "---\nname: a\ndescription: d\n"),
        ("undescribed", "---\nname: a\n---\n"),
        ("twice", "---\nname: a\nname: b\ndescription: d\n---\n"),
        ("fine", "---\nname: use: me\ndescription: it says: so\n---\n"),
    ] {
        machine.file(&format!(".codex/skills/{folder}/SKILL.md"), text);
    }
    machine.file(".codex/skills/long/SKILL.md", FRONT.replace(": n\n", &format!(": {}\n", "x".repeat(65))));
    machine.file(".codex/skills/bytes/SKILL.md", b"---\nname: \xff\ndescription: d\n---\n");
    plugin(machine, "m/bad/1", "no JSON");
    machine.folder(".codex/plugins/cache/m/empty/1");
    let answer = discover(machine).await;
    assert_eq!(each(&answer["skills"], "name"), ["use: me"]);
    assert_eq!(each(&answer["skills"], "description"), ["it says: so"]);
    assert_eq!(answer["plugins"], json!([]));
    assert_ne!(answer["warnings"], json!([]));
}

async fn a_manifest_that_can_not_be_read_is_named(machine: &mut Machine) {
    plugin(machine, "m/bad/1", "no JSON");
    machine.file(".codex/skills/x/SKILL.md", "text");
    let answer = discover(machine).await;
    let expected = json!([
        format!(
            "skill {} is left out: there is no front matter between two lines of `---`",
            machine.uri(".codex/skills/x/SKILL.md")
        ),
        format!(
            "the manifest of plugin bad@m is not a JSON object: {}",
            machine.uri(".codex/plugins/cache/m/bad/1/.codex-plugin/plugin.json")
        ),
    ]);
    assert_eq!(answer["warnings"], expected);
}

async fn what_was_installed_since_is_found(machine: &mut Machine) {
    assert_eq!(discover_now(machine).await["skills"], json!([]));
    machine.file(".codex/skills/a/SKILL.md", FRONT);
    assert_eq!(each(&discover_now(machine).await["skills"], "name"), ["n"]);
}
