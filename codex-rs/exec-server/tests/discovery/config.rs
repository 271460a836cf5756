//! `environmentConfig/read`

use serde_json::{Value, json};
use toml::Table;

use crate::machine::Machine;

machine_cases! {
    everywhere {
        layers_are_the_users_and_those_of_a_trusted_project
        of_each_layer_the_keys_of_interest_are_handed_over
        a_request_without_a_key_is_refused
        what_is_wrong_in_a_file_is_said_with_its_place
        a_machine_without_configuration_has_no_layers
    }
    not_on_reference {
        an_endless_or_special_file_is_refused: "it has no such bound"
    }
}

async fn read(machine: &mut Machine, cwd: &str, keys: Value) -> Value {
    let params = json!({"cwd": machine.uri(cwd), "configPaths": keys, "requirementsPaths": []});
    machine.client.done("environmentConfig/read", params).await
}

/// Layers that are in the home: where each comes from, and what it says.
fn layers(machine: &Machine, answer: &Value) -> Vec<(String, Table)> {
    let home = machine.path("").display().to_string();
    let home = home.trim_end_matches('/');
    let mut found = Vec::new();
    for layer in answer["config"]["layers"].as_array().expect("a list") {
        let text = |member: &str| layer[member].as_str().expect("text");
        if text("source").contains(home) {
            found.push((text("source").replace(home, ""), text("toml").parse().expect("it is TOML")));
        }
    }
    found
}

fn table(text: &str) -> Table {
    text.parse().expect("it is TOML")
}

fn trust(machine: &Machine, folder: &str) -> String {
    format!("[projects.\"{}\"]\ntrust_level = \"trusted\"\n", machine.path(folder).display())
}

async fn layers_are_the_users_and_those_of_a_trusted_project(machine: &mut Machine) {
    machine.file("p/.git/HEAD", "ref: refs/heads/main\n");
    let all = "a = 1\nmodel_provider = 1\nmodel_providers = 1\nnotify = 1\nopenai_base_url = 1\nprofile = 1\n\
               profiles = 1\notel = 1\nchatgpt_base_url = 1\nexperimental_realtime_ws_base_url = 1\n";
    for folder in ["p", "p/q", "p/q/r"] {
        machine.file(&format!("{folder}/.codex/config.toml"), all);
    }
    machine.folder("p/q/r/s");
    machine.link("p", "link");
    let said = |machine: &Machine, extra: &str, folder: &str| {
        let trust = trust(machine, folder);
        machine.file(".codex/config.toml", format!("a = 0\n{extra}\n{trust}"));
    };
    let keys: Vec<[&str; 1]> =
        all.lines().map(|line| [line.split_once(' ').expect("a key and a value").0]).collect();
    for (extra, trusted, cwd, expected) in [
        ("", "p", "p/q/r/s", &["p", "p/q", "p/q/r"][..]),
        ("", "p", "p/q", &["p", "p/q"]),
        ("", "p", "link/q", &["link", "link/q"]),
        ("", "p/q", "p/q/r", &["p/q"]),
        ("", "", "p/q", &[]),
        ("", "elsewhere", "p", &[]),
        ("project_root_markers = [\".hg\"]", "p", "p/q/r", &["p/q/r"]),
        ("project_root_markers = []", "p", "p/q", &["p/q"]),
    ] {
        said(machine, extra, trusted);
        let answer = read(machine, cwd, json!(keys)).await;
        let mut wanted = vec![("user (/.codex/config.toml)".to_owned(), table("a = 0"))];
        let project = |folder: &&str| (format!("project (/{folder}/.codex/config.toml)"), table("a = 1"));
        wanted.extend(expected.iter().map(project));
        assert_eq!(layers(machine, &answer), wanted, "{extra} {trusted} {cwd}");
    }
    let answer = read(machine, "p", json!([["a"]])).await;
    // What comes from elsewhere goes between the administrator's and the user's.
    let before = answer["config"]["cloudInsertionIndex"].as_u64().expect("a number");
    let user = &answer["config"]["layers"][usize::try_from(before).expect("there are few")];
    assert_eq!(user["baseDir"], json!(machine.uri(".codex")));
}

async fn of_each_layer_the_keys_of_interest_are_handed_over(machine: &mut Machine) {
    machine.file(
        ".codex/config.toml",
        "a = { b = 1, c = 2 }\nd = [1, { e = 1979-05-27T07:32:00Z }]\n[f.\"g h\"]\ni = 1.5\n[f.j]\n[[k]]\nl = \"\"\"\nm\n\"\"\"\n",
    );
    for (keys, expected) in [
        (json!([["a"]]), "a = { b = 1, c = 2 }"),
        (json!([["a", "b"], ["f", "j"]]), "a = { b = 1 }\nf = { j = {} }"),
        (json!([["f", "g h", "i"], ["f", "none"]]), "f = { \"g h\" = { i = 1.5 } }"),
        (json!([["a", "none", "x"]]), "a = {}"),
        (json!([["d", "0"]]), "d = [1, { e = 1979-05-27T07:32:00Z }]"),
        (json!([["k"], ["k"], ["k", "l"]]), "k = [{ l = \"m\\n\" }]"),
    ] {
        let answer = read(machine, "", keys.clone()).await;
        let found = layers(machine, &answer);
        assert_eq!(found, [("user (/.codex/config.toml)".to_owned(), table(expected))], "{keys}");
    }
    let answer = read(machine, "", json!([["none"], [""]])).await;
    assert_eq!(layers(machine, &answer), []);
}

async fn a_request_without_a_key_is_refused(machine: &mut Machine) {
    for (config, requirements, message) in [
        (json!([]), json!([]), "at least one config or requirements path is required"),
        (json!([[]]), json!([]), "TOML paths must contain at least one key segment"),
        (json!([["a"]]), json!([[]]), "TOML paths must contain at least one key segment"),
    ] {
        let params =
            json!({"cwd": machine.uri(""), "configPaths": config, "requirementsPaths": requirements});
        let error = machine.client.refused("environmentConfig/read", params).await;
        assert_eq!((error.code, error.message.as_str()), (-32602, message));
    }
    let params = json!({"cwd": "file:///C:/x", "configPaths": [["a"]], "requirementsPaths": []});
    let error = machine.client.refused("environmentConfig/read", params).await;
    assert_eq!((error.code, error.message.as_str()), (-32602, "'file:///C:/x' is invalid on 'linux'"));
}

async fn what_is_wrong_in_a_file_is_said_with_its_place(machine: &mut Machine) {
    let params = json!({"cwd": machine.uri("p"), "configPaths": [["a"]], "requirementsPaths": []});
    machine.file(".codex/config.toml", "a = 1\nb =\n");
    let error = machine.client.refused("environmentConfig/read", params.clone()).await;
    let place = format!("{}:2:4: ", machine.path(".codex/config.toml").display());
    assert_eq!(error.code, -32603);
    let rest = error.message.strip_prefix("failed to load executor-local config: ").expect("it says so");
    assert!(rest.starts_with(&place), "{rest}");
    machine.file(".codex/config.toml", trust(machine, "p"));
    machine.file("p/.codex/config.toml", b"a = \"\xff\"");
    let error = machine.client.refused("environmentConfig/read", params).await;
    assert_eq!(error.code, -32603);
    assert!(error.message.contains("p/.codex/config.toml"), "{error}");
}

async fn a_machine_without_configuration_has_no_layers(machine: &mut Machine) {
    let answer = read(machine, "none", json!([["a"]])).await;
    assert_eq!(layers(machine, &answer), []);
    assert_eq!(answer["userHomeDir"], json!(machine.uri("").trim_end_matches('/')));
    assert_eq!(answer["codexHomeDir"], json!(machine.uri(".codex")));
    assert!(answer["hostname"].as_str().is_some_and(|name| !name.is_empty()), "{answer}");
}

async fn an_endless_or_special_file_is_refused(machine: &mut Machine) {
    let params = json!({"cwd": machine.uri(""), "configPaths": [["a"]], "requirementsPaths": []});
    machine.folder(".codex");
    machine.link("/dev/zero", ".codex/config.toml");
    let error = machine.client.refused("environmentConfig/read", params).await;
    assert!(error.message.ends_with("it is no regular file"), "{error}");
}
