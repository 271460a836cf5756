use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::print::print;

static LISTEN: Key<String> = Key::text("server.listen", "").flag("--listen");
static MODE: Key<String> = Key::choice("server.auth.mode", &["token", "none"], "").flag("--mode");
static TOKEN: Key<PathBuf> = Key::path("server.auth.token_file", "").flag("--token-file");
static ORIGINS: Key<Vec<String>> = Key::list("server.origins", "").flag("--origin");
static SESSIONS: Key<u64> =
    Key::count("server.limits.sessions", /*min*/ 1, /*max*/ 100, "").flag("--sessions");
static PAGE: Key<bool> = Key::switch("server.page", "").flag("--page");
static WAIT: Key<Duration> = Key::seconds("client.wait_sec", /*min*/ 0.5, /*max*/ 60.0, "").flag("--wait");

fn settings() -> [&'static Setting; 7] {
    [
        &LISTEN.setting,
        &ORIGINS.setting,
        &PAGE.setting,
        &MODE.setting,
        &TOKEN.setting,
        &SESSIONS.setting,
        &WAIT.setting,
    ]
}

fn file(text: &str) -> Result<Layer, LayerError> {
    Layer::from_file(&settings(), LayerKind::UserFile, Path::new("/home/me/config.toml"), text)
}

const ALL: &str = "[server]\nlisten = \"ws://h\"\norigins = [\"a\", \"b\"]\npage = true\n[server.auth]\nmode = \"token\"\n\
                   token_file = \"t\"\n[server.limits]\nsessions = 7\n[client]\nwait_sec = 1.5\n";

#[test]
fn a_file_gives_typed_values_with_their_places_and_its_paths_start_beside_it() {
    let effective = Effective::of([file(ALL).expect("it is good")]);
    assert_eq!(effective.value(&LISTEN), Some("ws://h".into()));
    assert_eq!(effective.value(&ORIGINS), Some(vec!["a".into(), "b".into()]));
    assert_eq!(effective.value(&TOKEN), Some(PathBuf::from("/home/me/t")));
    assert_eq!(effective.value(&WAIT), Some(Duration::from_millis(1_500)));
    let sessions = effective.get(&SESSIONS).expect("it is set");
    assert_eq!((sessions.value, sessions.origin.to_string().as_str()), (7, "/home/me/config.toml:9"));
    assert_eq!(effective.value(&PAGE), Some(true));
}

#[test]
fn variables_and_flags_give_the_same_values() {
    let variables = [
        ("CODEX_EXEC_SERVER_LISTEN", "ws://h"),
        ("CODEX_EXEC_SERVER_ORIGINS", "a, b,"),
        ("CODEX_EXEC_SERVER_AUTH_TOKEN_FILE", "t"),
        ("CODEX_EXEC_SERVER_LIMITS_SESSIONS", " 7 "),
        ("CODEX_EXEC_SERVER_WAIT_SEC", "1.5"),
        ("CODEX_EXEC_SERVER_PAGE", "false"),
        ("CODEX_EXEC_SERVER_AUTH_MODE", ""),
        ("HOME", "/"),
    ];
    let effective = Effective::of([Layer::from_variables(&settings(), variables).expect("they are good")]);
    assert_eq!(effective.value(&ORIGINS), Some(vec!["a".into(), "b".into()]));
    assert_eq!(effective.value(&TOKEN), Some(PathBuf::from("t")));
    assert_eq!(effective.value(&WAIT), Some(Duration::from_millis(1_500)));
    assert_eq!(effective.value(&PAGE), Some(false));
    assert_eq!(effective.value(&MODE), None, "empty says nothing");
    let sessions = effective.get(&SESSIONS).expect("it is set");
    assert_eq!(
        (sessions.value, sessions.origin.to_string().as_str()),
        (7, "CODEX_EXEC_SERVER_LIMITS_SESSIONS")
    );
    let mut flags = Layer::default();
    flags.set_flag(&SESSIONS, Some("8")).expect("it is good");
    flags.set_flag(&LISTEN, /*text*/ None).expect("it was not given");
    let effective = Effective::of([flags]);
    assert_eq!(
        effective.get(&SESSIONS).map(|chosen| (chosen.value, chosen.origin)),
        Some((8, &Origin::Flag("--sessions")))
    );
    assert_eq!(effective.value(&LISTEN), None);
}

#[test]
fn mistakes_in_a_file_name_file_line_and_key_and_what_must_be_there() {
    for (text, words) in [
        ("[sevrer]", "/home/me/config.toml:1: `sevrer` is not known here; did you mean `server`?"),
        (
            "[server]\nport = 1",
            "/home/me/config.toml:2: `server.port` is not known here; known are listen, origins, page, auth",
        ),
        (
            "[server.limits]\nsession = 1",
            "`server.limits.session` is not known here; did you mean `sessions`?",
        ),
        (
            "[server.limits]\nsessions = 0",
            "/home/me/config.toml:2: `server.limits.sessions` is 0; it must be a whole number from 1 to 100",
        ),
        ("[server.limits]\nsessions = 101", "is 101; it must be a whole number from 1 to 100"),
        ("[server]\npage = \"yes\"", "`server.page` must be true or false, not a text"),
        ("[server.limits]\nsessions = \"1\"", "must be a whole number of 0 or more, not a text"),
        ("server.limits = 1", "`server.limits` must be a table"),
        (
            "[client]\nwait_sec = 0.4",
            "`client.wait_sec` is 0.4; it must be a number of seconds from 0.5 to 60",
        ),
        ("[client]\nwait_sec = nan", "is NaN; it must be a number of seconds"),
        ("[server.auth]\nmode = \"tokn\"", "`server.auth.mode` is \"tokn\"; it must be one of token, none"),
        (
            "[server.auth]\ntoken_file = \"\"",
            "`server.auth.token_file` is empty; it must be the path of a file",
        ),
    ] {
        let said = file(text).expect_err(text).to_string();
        assert!(said.contains(words), "{text:?} says {said}");
    }
}

#[test]
fn mistakes_in_a_variable_or_flag_name_it() {
    for (name, value, words) in [
        ("CODEX_EXEC_SERVER_LIMITS_SESSIONS", "many", "is \"many\"; it must be a whole number from 1 to 100"),
        ("CODEX_EXEC_SERVER_PAGE", "yes", "is \"yes\"; it must be true or false"),
        ("CODEX_EXEC_SERVER_LIMITS_SESSIONS", "-1", "is \"-1\"; it must be"),
        ("CODEX_EXEC_SERVER_LIMITS_SESSIONS", "0", "is 0; it must be"),
        ("CODEX_EXEC_SERVER_WAIT_SEC", "1m", "is \"1m\"; it must be a number of seconds from 0.5 to 60"),
        ("CODEX_EXEC_SERVER_WAIT_SEC", "inf", "is inf; it must be"),
        ("CODEX_EXEC_SERVER_AUTH_MODE", "x", "is \"x\"; it must be one of token, none"),
    ] {
        let said = Layer::from_variables(&settings(), [(name, value)]).expect_err(value).to_string();
        assert!(said.starts_with(name) && said.contains(words), "{said}");
    }
    let said = Layer::default().set_flag(&SESSIONS, Some("0")).expect_err("it is 0").to_string();
    assert_eq!(said, "--sessions is 0; it must be a whole number from 1 to 100");
}

#[test]
fn a_variable_that_is_none_of_ours_is_noticed_with_what_was_meant() {
    let names = [
        "CODEX_EXEC_SERVER_LISTN",
        "CODEX_EXEC_SERVER_URL",
        "CODEX_EXEC_SERVER_LISTEN",
        "LISTN",
        "CODEX_EXEC_SERVER_QQQ",
    ];
    let stray = stray_variables(&settings(), &["CODEX_EXEC_SERVER_URL"], names);
    let expected =
        [("CODEX_EXEC_SERVER_LISTN", Some("CODEX_EXEC_SERVER_LISTEN")), ("CODEX_EXEC_SERVER_QQQ", None)];
    let seen: Vec<_> = stray.iter().map(|stray| (stray.name.as_str(), stray.suggestion.as_deref())).collect();
    assert_eq!(seen, expected);
}

#[test]
fn what_is_printed_names_the_origin_of_every_value() {
    let mut defaults = Layer::default();
    defaults.set_default(&SESSIONS, 9);
    defaults.set_default(&PAGE, true);
    let variables = [("CODEX_EXEC_SERVER_ORIGINS", "a")];
    let variables = Layer::from_variables(&settings(), variables).expect("they are good");
    let user = file("[server]\nlisten = \"ws://\\\"h\"").expect("it is good");
    let printed = print(&Effective::of([defaults, user, variables]), &settings());
    let expected = "[server]\nlisten = 'ws://\"h'  # /home/me/config.toml:2\norigins = [\"a\"]  # CODEX_EXEC_SERVER_ORIGINS\n\
                    page = true  # default\n\n\
                    [server.auth]\n# mode is not set\n# token_file is not set\n\n\
                    [server.limits]\nsessions = 9  # default\n\n[client]\n# wait_sec is not set\n";
    assert_eq!(printed, expected);
}

/// What one layer says of two keys; `None` is nothing.
type Said = (Option<u64>, Option<String>);

fn layer(index: usize, said: &Said) -> Layer {
    let (sessions, listen) = said;
    match index {
        0 => {
            let mut layer = Layer::default();
            if let Some(sessions) = sessions {
                layer.set_default(&SESSIONS, *sessions);
            }
            if let Some(listen) = listen {
                layer.set_default(&LISTEN, listen.clone());
            }
            layer
        }
        1 | 2 => {
            let mut text = String::new();
            if let Some(listen) = listen {
                text += &format!("server.listen = {:?}\n", listen);
            }
            if let Some(sessions) = sessions {
                text += &format!("server.limits.sessions = {sessions}\n");
            }
            let kind = if index == 1 { LayerKind::SystemFile } else { LayerKind::UserFile };
            Layer::from_file(&settings(), kind, Path::new("/x"), &text).expect("it is good")
        }
        3 => {
            let sessions = sessions.map(|sessions| sessions.to_string()).unwrap_or_default();
            let variables = [
                ("CODEX_EXEC_SERVER_LIMITS_SESSIONS", sessions.as_str()),
                ("CODEX_EXEC_SERVER_LISTEN", listen.as_deref().unwrap_or_default()),
            ];
            Layer::from_variables(&settings(), variables).expect("they are good")
        }
        _ => {
            let mut layer = Layer::default();
            let sessions = sessions.map(|sessions| sessions.to_string());
            layer.set_flag(&SESSIONS, sessions.as_deref()).expect("it is good");
            layer.set_flag(&LISTEN, listen.as_deref()).expect("it is good");
            layer
        }
    }
}

const KINDS: [LayerKind; 5] =
    [LayerKind::Default, LayerKind::SystemFile, LayerKind::UserFile, LayerKind::Variable, LayerKind::Flag];

proptest! {
    #[test]
    fn for_each_key_by_itself_the_last_layer_that_says_something_wins_and_is_told(
        said in prop::collection::vec((prop::option::of(1..=100_u64), prop::option::of("[a-z]{1,8}")), 5..=5)
    ) {
        let said: Vec<Said> = said;
        let effective = Effective::of(said.iter().enumerate().map(|(index, said)| layer(index, said)));
        let last = |says: &dyn Fn(&Said) -> bool| said.iter().rposition(says);
        let sessions = effective.get(&SESSIONS).map(|chosen| (chosen.value, chosen.origin.layer()));
        let expected = last(&|said| said.0.is_some()).map(|at| (said[at].0.unwrap_or_default(), KINDS[at]));
        prop_assert_eq!(sessions, expected);
        let listen = effective.get(&LISTEN).map(|chosen| (chosen.value, chosen.origin.layer()));
        let expected = last(&|said| said.1.is_some()).map(|at| (said[at].1.clone().unwrap_or_default(), KINDS[at]));
        prop_assert_eq!(listen, expected);
    }

    #[test]
    fn what_is_printed_is_a_file_that_says_the_same(
        listen in any::<String>(),
        origins in prop::collection::vec(any::<String>(), 0..4),
        sessions in 1..=100_u64,
        wait_ms in 500..=60_000_u64,
    ) {
        let mut layer = Layer::default();
        layer.set_default(&LISTEN, listen);
        layer.set_default(&ORIGINS, origins);
        layer.set_default(&SESSIONS, sessions);
        layer.set_default(&WAIT, Duration::from_millis(wait_ms));
        let effective = Effective::of([layer]);
        let again = Effective::of([file(&print(&effective, &settings())).expect("it is good")]);
        prop_assert_eq!(again.value(&LISTEN), effective.value(&LISTEN));
        prop_assert_eq!(again.value(&ORIGINS), effective.value(&ORIGINS));
        prop_assert_eq!(again.value(&SESSIONS), effective.value(&SESSIONS));
        prop_assert_eq!(again.value(&WAIT), effective.value(&WAIT));
    }
}
