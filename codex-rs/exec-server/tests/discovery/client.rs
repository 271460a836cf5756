//! Our own client as the one who asks.

use codex_exec_server_client::RequestError;
use codex_exec_server_protocol::capabilities::{
    CapabilitiesDiscoverParams, CapabilityRoot, CapabilityRootsDiscoverParams, EnvironmentConfigReadParams,
};
use codex_exec_server_protocol::path_uri::PathUri;

use crate::machine::Machine;

machine_cases! {
    everywhere {
        our_client_reads_configuration
        our_client_finds_plugins_and_skills_in_directories_that_it_knows
        our_client_finds_what_is_installed
    }
    not_on_reference {
    }
}

const SKILL: &str = "---\nname: knot\ndescription: ties knots\n---\n";

fn parsed(uri: &str) -> PathUri {
    uri.parse().expect("a URI")
}

async fn our_client_reads_configuration(machine: &mut Machine) {
    machine.file(".codex/config.toml", "model = \"m\"\nother = 1\n");
    machine.restart().await;
    let client = machine.our_client().await;
    let cwd = parsed(&machine.folder("work"));
    let config_paths = vec![vec!["model".to_owned()]];
    let params =
        EnvironmentConfigReadParams { cwd: cwd.clone(), config_paths, requirements_paths: Vec::new() };
    let answer = client.read_config(&params).await.expect("it is read");
    assert_eq!(answer.codex_home_dir, parsed(&machine.uri(".codex")));
    let layers: Vec<&str> = answer.config.layers.iter().map(|layer| layer.toml.trim()).collect();
    assert!(layers.contains(&"model = \"m\""), "{layers:?}");

    let nothing =
        EnvironmentConfigReadParams { cwd, config_paths: Vec::new(), requirements_paths: Vec::new() };
    let refused = client.read_config(&nothing).await.expect_err("nothing is asked for");
    assert!(matches!(&refused, RequestError::Refused(error) if error.code == -32602), "{refused:?}");
    client.close().await;
}

async fn our_client_finds_plugins_and_skills_in_directories_that_it_knows(machine: &mut Machine) {
    machine.file("root/skills/knot/SKILL.md", SKILL);
    let path = parsed(&machine.uri("root"));
    let root = |id: &str, path: PathUri| CapabilityRoot { id: id.to_owned(), path, sandbox: None };
    let roots = vec![root("mine", path), root("missing", parsed(&machine.uri("nowhere")))];
    let client = machine.our_client().await;
    let answer = client.discover_roots(&CapabilityRootsDiscoverParams { roots }).await.expect("it looks");
    let [mine, missing] = &answer.roots[..] else { panic!("{answer:?}") };
    assert_eq!((mine.id.as_str(), mine.error.as_deref(), mine.skills.len()), ("mine", None, 1));
    assert_eq!(mine.skills[0].instructions.contents, SKILL);
    assert!(missing.error.is_some(), "{missing:?}");
    client.close().await;
}

async fn our_client_finds_what_is_installed(machine: &mut Machine) {
    machine.file(".codex/skills/knot/SKILL.md", SKILL);
    machine.restart().await;
    let client = machine.our_client().await;
    let params = CapabilitiesDiscoverParams { cwd: parsed(&machine.folder("work")), sandbox: None };
    let answer = client.discover_installed(&params).await.expect("it looks");
    assert!(answer.skills.iter().any(|skill| skill.name == "knot"), "{answer:?}");
    client.close().await;
}
