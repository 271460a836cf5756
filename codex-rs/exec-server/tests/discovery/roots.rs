//! `capabilityRoots/discoverV1`

use serde_json::{Value, json};

use crate::machine::Machine;

machine_cases! {
    everywhere {
        a_plugin_and_its_skills_are_handed_over_as_they_are
        a_manifest_says_where_its_lists_are
        namespaces_are_those_of_the_manifests_inside_and_the_nearest_above
        skills_are_found_wherever_a_walk_leads
        what_is_no_text_or_too_long_is_left_out_and_said
        a_root_that_is_none_says_so
        roots_have_a_bound
    }
    not_on_reference {
        a_policy_confines_the_look: "it looks for a helper that is not there"
    }
}

/// What is found at each of `roots`.
async fn discover(machine: &mut Machine, roots: &[String]) -> Vec<Value> {
    let roots: Vec<Value> = roots.iter().map(|path| json!({"id": path, "path": path})).collect();
    let answer = machine.client.done("capabilityRoots/discoverV1", json!({"roots": roots})).await;
    let mut roots = answer["roots"].as_array().expect("a list").clone();
    for root in &mut roots {
        // One of the servers says some of it twice.
        let warnings = root["warnings"].as_array_mut().expect("a list");
        warnings.dedup();
    }
    roots
}

async fn one(machine: &mut Machine, root: &str) -> Value {
    let root = machine.uri(root);
    discover(machine, &[root]).await.remove(0)
}

/// A plugin in `folder`, with a skill.
fn plugin(machine: &Machine, folder: &str, manifest: &str) {
    machine.file(&format!("{folder}/.codex-plugin/plugin.json"), manifest);
    machine.file(&format!("{folder}/.mcp.json"), "mcp");
    machine.file(&format!("{folder}/.app.json"), "apps");
}

/// Where skills are, below the home.
fn skills(machine: &Machine, root: &Value) -> Vec<String> {
    let skills = root["skills"].as_array().expect("a list");
    skills.iter().map(|skill| below(machine, &skill["instructions"])).collect()
}

fn below(machine: &Machine, file: &Value) -> String {
    let path = file["path"].as_str().expect("a path");
    path.strip_prefix(&machine.uri("")).expect("it is below").to_owned()
}

async fn a_plugin_and_its_skills_are_handed_over_as_they_are(machine: &mut Machine) {
    plugin(machine, "p", "{}");
    machine.file("p/skills/one/SKILL.md", "---\nname: one\n---\nö\n");
    machine.file("p/skills/one/agents/openai.yaml", "a: b\n");
    machine.file("p/skills/one/other.md", "");
    machine.file("p/two/SKILL.md", "");
    let file = |name: &str, contents: &str| json!({"path": machine.uri(name), "contents": contents});
    let manifest = file("p/.codex-plugin/plugin.json", "{}");
    let expected = json!({
        "id": machine.uri("p"),
        "path": machine.uri("p"),
        "plugin": {
            "manifest": manifest,
            "mcpConfig": file("p/.mcp.json", "mcp"),
            "appsConfig": file("p/.app.json", "apps"),
        },
        "skills": [
            {
                "instructions": file("p/skills/one/SKILL.md", "---\nname: one\n---\nö\n"),
                "metadata": file("p/skills/one/agents/openai.yaml", "a: b\n"),
            },
            {"instructions": file("p/two/SKILL.md", ""), "metadata": null},
        ],
        "namespaceManifests": [manifest],
        "warnings": [],
        "error": null,
    });
    assert_eq!(one(machine, "p").await, expected);
}

async fn a_manifest_says_where_its_lists_are(machine: &mut Machine) {
    let cases = [
        ("{}", json!("mcp"), json!("apps"), &[][..]),
        ("no JSON", json!("mcp"), json!("apps"), &[]),
        (r#"{"mcpServers":"./lists//m.json","apps":"./lists/./none.json"}"#, json!("mine"), json!(null), &[]),
        (r#"{"mcpServers":{},"apps":{}}"#, json!(null), json!("apps"), &[]),
        (
            r#"{"mcpServers":"lists/m.json","apps":"./../x"}"#,
            json!("mcp"),
            json!("apps"),
            &[
                "ignoring mcpServers in MANIFEST: path must start with `./`",
                "ignoring apps in MANIFEST: path must remain below the capability root",
            ],
        ),
    ];
    machine.file("p/lists/m.json", "mine");
    for (manifest, mcp, apps, warnings) in cases {
        plugin(machine, "p", manifest);
        let root = one(machine, "p").await;
        let found = (&root["plugin"]["mcpConfig"], &root["plugin"]["appsConfig"]);
        let contents = |file: &Value| file.get("contents").cloned().unwrap_or_default();
        assert_eq!((contents(found.0), contents(found.1)), (mcp, apps), "{manifest}");
        let path = machine.uri("p/.codex-plugin/plugin.json");
        let expected: Vec<String> = warnings.iter().map(|text| text.replace("MANIFEST", &path)).collect();
        assert_eq!(root["warnings"], json!(expected), "{manifest}");
    }
    // Others' manifests count where there is none of this kind.
    for (kind, other) in [("claude", "cursor"), ("cursor", "codex")] {
        machine.file(&format!("{kind}/.{kind}-plugin/plugin.json"), "mine");
        let name = if other == "codex" { "no-plugin" } else { other };
        machine.file(&format!("{kind}/.{name}-plugin/plugin.json"), "other");
        assert_eq!(one(machine, kind).await["plugin"]["manifest"]["contents"], json!("mine"));
    }
}

async fn namespaces_are_those_of_the_manifests_inside_and_the_nearest_above(machine: &mut Machine) {
    for manifest in ["a/.codex-plugin", "a/b/.claude-plugin", "a/b/.codex-plugin", "a/none/.codex-plugin"] {
        machine.file(&format!("{manifest}/plugin.json"), "{}");
    }
    for skill in ["a/x", "a/b/c/y", "z"] {
        machine.file(&format!("{skill}/SKILL.md"), "");
    }
    machine.folder("a/b/empty");
    for (root, expected) in [
        ("a", &["a/.codex-plugin", "a/b/.codex-plugin", "a/none/.codex-plugin"][..]),
        ("a/x", &["a/.codex-plugin"]),
        ("a/b/c/y", &["a/b/.codex-plugin"]),
        ("a/b/empty", &["a/b/.codex-plugin"]),
        ("z", &[]),
    ] {
        let found = one(machine, root).await;
        let manifests = found["namespaceManifests"].as_array().expect("a list");
        let manifests: Vec<String> = manifests.iter().map(|file| below(machine, file)).collect();
        let expected: Vec<String> = expected.iter().map(|folder| format!("{folder}/plugin.json")).collect();
        assert_eq!(manifests, expected, "{root}");
    }
}

async fn skills_are_found_wherever_a_walk_leads(machine: &mut Machine) {
    machine.file("elsewhere/SKILL.md", "");
    for folder in ["", "/.hidden", "/a", "/a-b", "/1/2/3/4/5/6", "/1/2/3/4/5/6/7", "/lower"] {
        let name = if folder == "/lower" { "skill.md" } else { "SKILL.md" };
        machine.file(&format!("r{folder}/{name}"), "");
    }
    machine.link("../elsewhere", "r/link");
    machine.link("..", "r/a/up");
    machine.link("nowhere", "r/broken");
    machine.folder("r/folder/SKILL.md");
    let root = one(machine, "r").await;
    let expected =
        [".hidden/", "1/2/3/4/5/6/", "", "a-b/", "a/", "link/"].map(|folder| format!("r/{folder}SKILL.md"));
    assert_eq!(skills(machine, &root), expected);
    assert_eq!(root["warnings"], json!([]));
    assert_eq!(root["plugin"], json!(null));
}

async fn what_is_no_text_or_too_long_is_left_out_and_said(machine: &mut Machine) {
    let bytes = machine.file("r/bytes/SKILL.md", b"a\xff");
    let long = machine.file("r/long/SKILL.md", vec![b'a'; (1 << 20) + 1]);
    machine.file("r/most/SKILL.md", vec![b'a'; 1 << 20]);
    let metadata = machine.file("r/ok/agents/openai.yaml", vec![b'a'; (1 << 20) + 1]);
    machine.file("r/ok/SKILL.md", "");
    let root = one(machine, "r").await;
    assert_eq!(skills(machine, &root), ["r/most/SKILL.md", "r/ok/SKILL.md"]);
    assert_eq!(root["skills"][1]["metadata"], json!(null));
    let expected = [
        format!("capability file {bytes} is not UTF-8: invalid utf-8 sequence of 1 bytes from index 1"),
        format!("capability file {long} exceeds the 1048576-byte limit"),
        format!("capability file {metadata} exceeds the 1048576-byte limit"),
    ];
    assert_eq!(root["warnings"], json!(expected));
    // All together, 16 MiB.
    for number in 0..18 {
        machine.file(&format!("many/{number:02}/SKILL.md"), vec![b'a'; 1 << 20]);
    }
    let many = one(machine, "many").await;
    assert_eq!(skills(machine, &many).len(), 16);
    assert_eq!(many["warnings"], json!(["capability root bundle exceeds the 16777216-byte limit"]));
}

async fn a_root_that_is_none_says_so(machine: &mut Machine) {
    let roots =
        [machine.file("file", ""), machine.uri("none"), "file:///C:/x".into(), machine.folder("empty")];
    let found = discover(machine, &roots).await;
    let expected = [
        json!(format!("capability root {} is not a directory", roots[0])),
        json!(format!(
            "failed to inspect capability root {}: No such file or directory (os error 2)",
            roots[1]
        )),
        json!("failed to inspect capability root file:///C:/x: 'file:///C:/x' is invalid on 'linux'"),
        json!(null),
    ];
    for ((root, found), error) in roots.iter().zip(&found).zip(expected) {
        assert_eq!((&found["path"], &found["error"]), (&json!(root), &error));
        assert_eq!((&found["plugin"], &found["skills"]), (&json!(null), &json!([])));
    }
}

async fn roots_have_a_bound(machine: &mut Machine) {
    let missing = machine.uri("none");
    for count in [0, 128] {
        assert_eq!(discover(machine, &vec![missing.clone(); count]).await.len(), count);
    }
    let roots = vec![json!({"id": "a", "path": missing}); 129];
    let error = machine.client.refused("capabilityRoots/discoverV1", json!({"roots": roots})).await;
    let expected = (-32600, "capability root discovery accepts at most 128 roots");
    assert_eq!((error.code, error.message.as_str()), expected);
    for roots in [json!([{"id": "a"}]), json!([{"id": 3, "path": "file:///"}]), json!(null)] {
        let error = machine.client.refused("capabilityRoots/discoverV1", json!({"roots": roots})).await;
        assert_eq!(error.code, -32602);
    }
}

/// A policy of a machine that can't enforce it is refused, and nothing is looked at.
async fn a_policy_confines_the_look(machine: &mut Machine) {
    machine.file("open/SKILL.md", "open");
    machine.file("secret/SKILL.md", "secret");
    let entries = [("open", "read"), ("secret", "deny")]
        .map(|(name, access)| json!({"path": {"type": "path", "path": machine.uri(name)}, "access": access}));
    let files = json!({"type": "restricted", "entries": entries});
    let permissions = json!({"type": "managed", "file_system": files, "network": "restricted"});
    let sandbox =
        json!({"permissions": permissions, "windowsSandboxLevel": "disabled", "cwd": machine.uri("")});
    let root = |name: &str| json!({"id": name, "path": machine.uri(name), "sandbox": sandbox});
    let params = json!({"roots": [root("open"), root("secret")]});
    let answer = machine.client.done("capabilityRoots/discoverV1", params).await;
    let [open, secret] = [&answer["roots"][0], &answer["roots"][1]];
    assert_eq!(secret["skills"], json!([]), "{secret}");
    let info = machine.client.done("environment/info", json!({})).await;
    if info["sandbox"]["processes"] == json!(true) {
        assert_eq!(open["skills"][0]["instructions"]["contents"], json!("open"), "{open}");
    } else {
        assert_ne!(open["error"], json!(null), "{open}");
    }
}
