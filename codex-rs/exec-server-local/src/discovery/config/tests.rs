//! Which files are layers, on files.

use std::fs;
use std::path::PathBuf;

use codex_exec_server_protocol::capabilities::ConfigLayers;
use tempfile::TempDir;

use super::*;

struct Machine {
    folder: TempDir,
    places: Places,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let base = fs::canonicalize(folder.path()).expect("it is there");
        let places = Places {
            system: base.join("etc"),
            user_home: base.join("home"),
            codex_home: base.join("home/.codex"),
        };
        Self { folder, places }
    }

    fn path(&self, name: &str) -> PathBuf {
        fs::canonicalize(self.folder.path()).expect("it is there").join(name)
    }

    fn file(&self, name: &str, content: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("it is below")).expect("it can be made");
        fs::write(path, content.replace("BASE", &self.path("").display().to_string()))
            .expect("it can be written");
    }

    fn read(&self, cwd: &str, config: &[&str], requirements: &[&str]) -> Result<[ConfigLayers; 2], String> {
        let keys = |names: &[&str]| {
            let paths: Vec<Vec<String>> = names.iter().map(|&name| vec![name.to_owned()]).collect();
            Keys::of(&paths).expect("they are paths")
        };
        let answer =
            with_deep_stack(|| read(&self.places, &self.path(cwd), &keys(config), &keys(requirements)))?;
        Ok([answer.config, answer.requirements])
    }

    /// The layers with `key` in the configuration, short: where from, and what.
    fn layers(&self, cwd: &str, key: &str) -> Vec<(String, String)> {
        let [config, _] = self.read(cwd, &[key], &[]).expect("it can be read");
        self.short(config)
    }

    fn short(&self, layers: ConfigLayers) -> Vec<(String, String)> {
        let base = format!("{}", self.path("").display());
        let short = |layer: codex_exec_server_protocol::capabilities::ConfigLayer| {
            (layer.source.replace(&base, "/"), layer.toml.trim().to_owned())
        };
        layers.layers.into_iter().map(short).collect()
    }
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs.map(|(a, b)| (a.to_owned(), b.to_owned())).into()
}

#[test]
fn layers_come_in_order_and_without_what_was_not_asked_for() {
    let machine = Machine::new();
    machine.file("etc/config.toml", "a = 1\nb = 1");
    machine.file("home/.codex/config.toml", "a = 2\n[projects.\"BASEp\"]\ntrust_level = \"trusted\"");
    machine.file("p/.git/HEAD", "");
    machine.file("p/.codex/config.toml", "a = 3");
    machine.file("p/q/r/.codex/config.toml", "a = 4");
    machine.file("etc/managed_config.toml", "a = 5");
    let expected = pairs([
        ("system (/etc/config.toml)", "a = 1"),
        ("user (/home/.codex/config.toml)", "a = 2"),
        ("project (/p/.codex/config.toml)", "a = 3"),
        ("project (/p/q/r/.codex/config.toml)", "a = 4"),
        ("legacy managed_config.toml (/etc/managed_config.toml)", "a = 5"),
    ]);
    assert_eq!(machine.layers("p/q/r/s", "a"), expected);
    assert_eq!(machine.layers("p/q/r/s", "b"), pairs([("system (/etc/config.toml)", "b = 1")]));
    let index = |key: &str| machine.read("p", &[key], &[]).expect("it can be read")[0].cloud_insertion_index;
    assert_eq!((index("a"), index("b"), index("projects")), (1, 1, 0));
    assert_eq!(machine.layers("p", "none"), []);
}

#[test]
fn a_project_has_a_say_where_it_is_trusted() {
    let trust = |place: &str| format!("[projects.\"BASE{place}\"]\ntrust_level = \"trusted\"\n");
    let machine = Machine::new();
    for folder in ["p", "p/q", "p/q/r"] {
        machine.file(&format!("{folder}/.codex/config.toml"), &format!("a = '{folder}'\nmodel_provider = 1"));
    }
    machine.file("p/.git/HEAD", "");
    std::os::unix::fs::symlink("p", machine.path("link")).expect("it can be made");
    let named = |user: &str, cwd: &str| {
        machine.file("home/.codex/config.toml", user);
        let layers = machine.layers(cwd, "a").into_iter();
        layers
            .map(|(_, toml)| toml.trim_start_matches("a = ").trim_matches('"').to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(named("", "p/q/r"), [""; 0]);
    assert_eq!(named(&trust("p"), "p/q/r"), ["p", "p/q", "p/q/r"]);
    assert_eq!(named(&trust("p"), "p/q"), ["p", "p/q"]);
    assert_eq!(named(&trust("p"), "link/q"), ["p", "p/q"]);
    assert_eq!(named(&trust("p/q"), "p/q/r"), ["p/q"]);
    assert_eq!(named(&trust(""), "p/q/r"), [""; 0]);
    let but = "[projects.\"BASEp/q\"]\ntrust_level = \"untrusted\"\n";
    assert_eq!(named(&(trust("p") + but), "p/q/r"), ["p", "p/q/r"]);
    // Where a project begins is a matter of its marks; whether it is trusted, also of its repository.
    let marked = "project_root_markers = [\".hg\"]\n".to_owned();
    assert_eq!(named(&(marked.clone() + &trust("p")), "p/q/r"), ["p/q/r"]);
    machine.file("p/q/.hg/x", "");
    assert_eq!(named(&(marked + &trust("p")), "p/q/r"), ["p/q", "p/q/r"]);
    assert_eq!(named(&("project_root_markers = []\n".to_owned() + &trust("p")), "p"), ["p"]);
    // No repository yet.
    fs::remove_file(machine.path("p/.git/HEAD")).expect("it is there");
    assert_eq!(named(&trust("p"), "p/q/r"), [""; 0]);
    assert_eq!(named(&trust("p"), "p"), ["p"]);
    assert_eq!(machine.layers("p", "model_provider"), []);
}

#[test]
fn demands_are_the_administrators_and_those_that_insisting_means() {
    let machine = Machine::new();
    machine.file("home/.codex/requirements.toml", "a = 1");
    machine.file("etc/requirements.toml", "a = 2\nb = 3");
    let demands = |keys: &[&str]| {
        let [_, requirements] = machine.read("", &[], keys).expect("it can be read");
        (requirements.cloud_insertion_index, machine.short(requirements))
    };
    assert_eq!(demands(&["a"]), (1, pairs([("/etc/requirements.toml", "a = 2")])));
    let keys = ["allowed_sandbox_modes", "allowed_approval_policies", "sandbox_mode"];
    for (mode, allowed) in
        [("read-only", "[\"read-only\"]"), ("workspace-write", "[\"read-only\", \"workspace-write\"]")]
    {
        machine.file(
            "etc/managed_config.toml",
            &format!("sandbox_mode = \"{mode}\"\napproval_policy = \"never\""),
        );
        let expected = format!("allowed_approval_policies = [\"never\"]\nallowed_sandbox_modes = {allowed}");
        assert_eq!(demands(&keys), (0, pairs([("/etc/managed_config.toml", &expected)])));
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_only_where_it_counts() {
    let machine = Machine::new();
    machine.file("p/.codex/config.toml", "a =");
    machine.file("p/.git/HEAD", "");
    machine.file("home/.codex/config.toml", "");
    // Nobody trusts it, so nobody reads it.
    assert_eq!(machine.layers("p", "a"), []);
    machine.file("home/.codex/config.toml", "[projects.\"BASEp\"]\ntrust_level = \"trusted\"");
    let error = machine.read("p", &["a"], &[]).expect_err("it is refused");
    let place = format!("{}:1:4: ", machine.path("p/.codex/config.toml").display());
    assert!(error.starts_with(&place), "{error}");
    machine.file("home/.codex/config.toml", "project_root_markers = 3");
    let error = machine.read("p", &["a"], &[]).expect_err("it is refused");
    assert_eq!(error, "project_root_markers must be an array of strings");
    machine.file("home/.codex/config.toml", "b =");
    assert!(machine.read("p", &[], &["a"]).is_ok(), "requirements alone don't need it");
}

#[test]
fn no_document_is_too_deep() {
    let machine = Machine::new();
    let deep = |segments: usize, levels: usize| {
        let key = vec!["a"; segments].join(".");
        format!("{}1{}", format!("{key} = {{ ").repeat(levels) + &key + " = ", " }".repeat(levels))
    };
    machine.file("home/.codex/config.toml", &deep(/*segments*/ 79, /*levels*/ 70));
    let layers = machine.layers("", "a");
    assert_eq!(layers.len(), 1);
    for (segments, levels) in [(100_000, 0), (1, 100_000)] {
        machine.file("home/.codex/config.toml", &deep(segments, levels));
        let error = machine.read("", &["a"], &[]).expect_err("it is refused");
        assert!(error.contains("recurs"), "{error}");
    }
}
