use std::time::Duration;

use codex_exec_server_client::environments::{DefaultEnvironment, DisabledBy};
use codex_exec_server_settings::LayerKind;

use super::*;
use crate::config::keys::{SETTINGS, defaults};

fn effective(text: &str) -> Effective {
    let layer = Layer::from_file(SETTINGS, LayerKind::UserFile, Path::new("/home/c.toml"), text);
    Effective::of([defaults(), layer.expect("it is good")])
}

fn two() -> FileText {
    let text = "default = \"box\"\n[[environments]]\nid = \"box\"\nurl = \"ws://h\"\n\
                [[environments]]\nid = \"ssh\"\nprogram = \"ssh\"";
    FileText { path: "/home/environments.toml".into(), text: text.into() }
}

fn default(settings: &ClientSettings) -> &str {
    match &settings.environments.default {
        DefaultEnvironment::Is(id) => id.as_str(),
        DefaultEnvironment::Disabled(_) => "none",
    }
}

#[test]
fn without_a_word_it_is_the_default_client_on_this_machine() {
    let settings =
        ClientSettings::of(&effective(""), /*file*/ None, /*url_variable*/ None).expect("it is good");
    assert_eq!(settings.client, ClientConfig::default());
    assert_eq!(settings.environments, EnvironmentsConfig::local_only());
}

#[test]
fn its_patience_arrives() {
    let text = "[client]\nconnect_timeout_sec = 1\ninitialize_timeout_sec = 2.5\nrecovery_timeout_sec = 0";
    let settings =
        ClientSettings::of(&effective(text), /*file*/ None, /*url_variable*/ None).expect("it is good");
    let expected = ClientConfig {
        connect_timeout: Duration::from_secs(1),
        initialize_timeout: Duration::from_millis(2_500),
        recovery_deadline: Duration::ZERO,
        ..ClientConfig::default()
    };
    assert_eq!(settings.client, expected);
}

#[test]
fn the_file_replaces_the_variable_which_counts_without_it() {
    let settings = ClientSettings::of(&effective(""), Some(&two()), Some("none")).expect("it is good");
    assert_eq!(settings.environments.ids().collect::<Vec<_>>(), ["local", "box", "ssh"]);
    let settings = ClientSettings::of(&effective(""), Some(&two()), Some("nonsense")).expect("nobody looks");
    assert_eq!(default(&settings), "box");
    let settings = ClientSettings::of(&effective(""), /*file*/ None, Some("ws://h")).expect("it is good");
    assert_eq!(settings.environments.ids().collect::<Vec<_>>(), ["remote"]);
    let error =
        ClientSettings::of(&effective(""), /*file*/ None, Some("nonsense")).expect_err("it is no address");
    assert!(error.to_string().starts_with("CODEX_EXEC_SERVER_URL=\"nonsense\""), "{error}");
}

#[test]
fn the_default_of_the_settings_wins_over_that_of_the_file_and_must_be_there() {
    for (name, is) in [("ssh", "ssh"), ("local", "local"), ("None", "none")] {
        let effective = effective(&format!("[client]\ndefault_environment = \"{name}\""));
        let settings = ClientSettings::of(&effective, Some(&two()), /*url_variable*/ None).expect(name);
        assert_eq!(default(&settings), is, "{name}");
    }
    let effective = effective("[client]\ndefault_environment = \"bix\"");
    let error = ClientSettings::of(&effective, Some(&two()), /*url_variable*/ None)
        .expect_err("there is none")
        .to_string();
    for words in ["/home/c.toml:2: `client.default_environment`", "\"bix\"", "did you mean \"box\"?"] {
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn execution_that_a_variable_disabled_stays_so_without_a_default() {
    let settings = ClientSettings::of(&effective(""), /*file*/ None, Some("NONE")).expect("it is good");
    assert_eq!(settings.environments.default, DefaultEnvironment::Disabled(DisabledBy::Variable));
    let manager = settings.manager(/*local*/ None);
    assert!(manager.find(/*id*/ None).is_err() && manager.find(Some("local")).is_err());
}

#[test]
fn a_file_that_is_named_must_be_there_and_the_usual_one_need_not() {
    let usual = Path::new("/usual/environments.toml");
    assert_eq!(environments_file(&effective(""), Some(usual)), (Some(usual.to_owned()), Absence::Fine));
    let named = effective("[client]\nenvironments = \"mine.toml\"");
    assert_eq!(environments_file(&named, Some(usual)), (Some("/home/mine.toml".into()), Absence::Mistake));
}
