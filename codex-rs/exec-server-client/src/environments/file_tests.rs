use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::environments::id::MAX_ID_CHARS;

fn read(text: &str) -> Result<EnvironmentsConfig, EnvironmentsFileError> {
    parse(Path::new("/home/me/.config/x/environments.toml"), text)
}

#[test]
fn every_key_of_both_kinds_arrives() {
    let config = read(
        r#"
        default = " ssh "
        include_local = false

        [[environments]]
        id = "box"
        url = " ws://127.0.0.1:8765 "
        auth_bearer_token = " secret "
        connect_timeout_sec = 2.5
        initialize_timeout_sec = 3
        skills = { required = ["build"] }

        [[environments]]
        id = "ssh"
        program = "ssh"
        args = ["host", "codex-exec-server --listen stdio"]
        cwd = "keys"
        initialize_timeout_sec = 20.0
        [environments.env]
        SSH_AUTH_SOCK = "/run/agent"
        "#,
    )
    .expect("it is good");
    let id = |text| EnvironmentId::new(text).expect("it is good");
    let expected = EnvironmentsConfig {
        default: DefaultEnvironment::Is(id("ssh")),
        include_local: false,
        remotes: vec![
            EnvironmentConfig {
                id: id("box"),
                transport: TransportConfig::Url {
                    url: ServerUrl::parse("ws://127.0.0.1:8765").expect("it is good"),
                    bearer_token: BearerToken::new("secret"),
                    connect_timeout: Some(Duration::from_millis(2_500)),
                },
                initialize_timeout: Some(Duration::from_secs(3)),
                required_skills: vec!["build".into()],
            },
            EnvironmentConfig {
                id: id("ssh"),
                transport: TransportConfig::Program(ProgramConfig {
                    program: "ssh".into(),
                    args: vec!["host".into(), "codex-exec-server --listen stdio".into()],
                    env: BTreeMap::from([("SSH_AUTH_SOCK".into(), "/run/agent".into())]),
                    cwd: Some(PathBuf::from("/home/me/.config/x/keys")),
                }),
                initialize_timeout: Some(Duration::from_secs(20)),
                required_skills: Vec::new(),
            },
        ],
    };
    assert_eq!(config, expected);
    assert!(!format!("{config:?}").contains("secret"), "the token can be seen");
}

#[test]
fn the_default_is_what_is_said_or_this_machine_or_nothing() {
    let named = |id: &str| DefaultEnvironment::Is(EnvironmentId::new(id).expect("it is good"));
    let disabled = DefaultEnvironment::Disabled;
    let a = "[[environments]]\nid = \"a\"\nurl = \"ws://h\"\n";
    for (text, default) in [
        (String::new(), named("local")),
        ("environments = []".into(), named("local")),
        (a.into(), named("local")),
        (format!("default = \"a\"\n{a}"), named("a")),
        (format!("default = \"local\"\n{a}"), named("local")),
        ("default = \"None\"".into(), disabled(DisabledBy::DefaultNone)),
        (format!("include_local = false\n{a}"), disabled(DisabledBy::LocalExcluded)),
    ] {
        assert_eq!(read(&text).expect(&text).default, default, "{text}");
    }
}

#[test]
fn tokens_go_where_nobody_can_read_along() {
    for url in ["wss://example.org", "ws://localhost:1", "ws://127.9.9.9:1", "ws://[::1]:1", "unix:///run/x"]
    {
        let text = format!("[[environments]]\nid = \"a\"\nurl = \"{url}\"\nauth_bearer_token = \"t\"");
        read(&text).expect(url);
    }
}

/// One file per rule, each breaking that one alone; what the error says, and where.
#[test]
fn every_rule_has_its_error_which_names_the_place_and_says_what_to_do() {
    let long = "x".repeat(MAX_ID_CHARS + 1);
    let id = |id: &str| format!("[[environments]]\nid = \"{id}\"\nurl = \"ws://h\"");
    let url = |more: &str| format!("[[environments]]\nid = \"a\"\nurl = \"ws://h\"\n{more}");
    let at = |url: &str, more: &str| format!("[[environments]]\nid = \"a\"\nurl = \"{url}\"\n{more}");
    let program = |more: &str| format!("[[environments]]\nid = \"a\"\nprogram = \"p\"\n{more}");
    let cases: Vec<(String, usize, &str, &str)> = vec![
        ("default = ".into(), 1, "", "quoted"),
        ("defualt = \"a\"".into(), 1, "`defualt`", "did you mean `default`?"),
        (url("tokne = \"t\""), 4, "`environments.tokne`", "known are id, skills, url"),
        (url("auth_token = \"t\""), 4, "`environments.auth_token`", "is not known here"),
        (url("skills = { x = 1 }"), 4, "`environments.skills.x`", "known are required"),
        (url("skills = 5"), 4, "`environments.skills`", "must be a table"),
        (url("skills = { required = \"x\" }"), 4, "`environments.skills.required`", "a list of texts"),
        ("default = 5".into(), 1, "`default`", "a text in quotes"),
        ("include_local = \"no\"".into(), 1, "`include_local`", "true or false"),
        ("environments = {}".into(), 1, "`environments`", "a list of tables"),
        ("\n[[environments]]\nurl = \"ws://h\"".into(), 2, "`environments`", "add id = "),
        (id(""), 2, "`environments.id`", "is empty"),
        (id(&long), 2, "`environments.id`", "longer than 64"),
        (id("a b"), 2, "`environments.id`", "holds ' '"),
        (id("é"), 2, "`environments.id`", "holds 'é'"),
        (id("local"), 2, "`environments.id`", "is reserved"),
        (id("NONE"), 2, "`environments.id`", "is reserved"),
        (format!("{}\n{}", id("a"), id("a")), 5, "`environments.id`", "line 2; choose another name"),
        ("[[environments]]\nid = \"a\"".into(), 1, "`environments`", "needs url = "),
        (url("program = \"p\""), 4, "`environments.program`", "both url and program"),
        (at("", ""), 3, "`environments.url`", "is empty"),
        (at("http://h", ""), 3, "`environments.url`", "only ws://, wss://"),
        (at("h:1", ""), 3, "`environments.url`", "ws://"),
        (at("ws://me@h", ""), 3, "`environments.url`", "show a token instead"),
        (
            "[[environments]]\nid = \"a\"\nprogram = \" \"".into(),
            3,
            "`environments.program`",
            "name a program",
        ),
        ("[[environments]]\nid = \"a\"\nprogram = \"\\u0000\"".into(), 3, "`environments.program`", "NUL"),
        (url("args = []"), 4, "`environments.args`", "no effect with url"),
        (url("env = {}"), 4, "`environments.env`", "no effect with url"),
        (url("cwd = \"/\""), 4, "`environments.cwd`", "no effect with url"),
        (
            program("connect_timeout_sec = 1.0"),
            4,
            "`environments.connect_timeout_sec`",
            "no effect with program",
        ),
        (
            program("auth_bearer_token = \"t\""),
            4,
            "`environments.auth_bearer_token`",
            "no effect with program",
        ),
        (program("args = [1]"), 4, "`environments.args`", "a list of texts"),
        (program("args = [\"\\u0000\"]"), 4, "`environments.args`", "NUL"),
        (program("cwd = \"\\u0000\""), 4, "`environments.cwd`", "NUL"),
        (program("env = { A = 1 }"), 4, "`environments.env.A`", "a text in quotes"),
        (program("env = { \"A=B\" = \"\" }"), 4, "`environments.env.A=B`", "hold no `=`"),
        (program("env = { A = \"\\u0000\" }"), 4, "`environments.env.A`", "NUL"),
        (url("auth_bearer_token = \"t\""), 4, "`environments.auth_bearer_token`", "use wss://, or a tunnel"),
        (at("wss://h", "auth_bearer_token = \" \""), 4, "`environments.auth_bearer_token`", "is empty"),
        (at("wss://h", "auth_bearer_token = \"a\\nb\""), 4, "`environments.auth_bearer_token`", "characters"),
        (
            url("connect_timeout_sec = 0"),
            4,
            "`environments.connect_timeout_sec`",
            "more than 0 and at most 86400",
        ),
        (url("connect_timeout_sec = -1.5"), 4, "`environments.connect_timeout_sec`", "is -1.5"),
        (url("connect_timeout_sec = \"1\""), 4, "`environments.connect_timeout_sec`", "a number"),
        (url("initialize_timeout_sec = nan"), 4, "`environments.initialize_timeout_sec`", "is NaN"),
        (url("initialize_timeout_sec = inf"), 4, "`environments.initialize_timeout_sec`", "is inf"),
        (url("initialize_timeout_sec = 86401"), 4, "`environments.initialize_timeout_sec`", "at most 86400"),
        (format!("default = \"b\"\n{}", id("a")), 1, "`default`", "there is local, a"),
        (format!("default = \"bix\"\n{}", id("box")), 1, "`default`", "did you mean \"box\"?"),
        ("default = \"\"".into(), 1, "`default`", "there is no environment \"\""),
        ("default = \"local\"\ninclude_local = false".into(), 1, "`default`", "this machine is left out"),
    ];
    for (text, line, key, words) in cases {
        let error = read(&text).expect_err(&text).to_string();
        let place = format!("/home/me/.config/x/environments.toml:{line}:");
        assert!(error.starts_with(&place), "{text:?} says {error}");
        assert!(error.contains(key) && error.contains(words), "{text:?} says {error}");
    }
}

/// Lines as people write them, right and wrong.
fn line() -> impl Strategy<Value = String> {
    let keys = KEYS.iter().chain(ENVIRONMENT_KEYS).copied().chain(["x", "", "a.b"]).collect::<Vec<_>>();
    let values = prop_oneof![
        Just("true".to_owned()),
        Just("[]".to_owned()),
        Just("{}".to_owned()),
        Just("\"ws://h\"".to_owned()),
        Just("\"box\"".to_owned()),
        any::<f64>().prop_map(|number| number.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<String>().prop_map(|text| format!("{text:?}")),
        any::<String>(),
    ];
    prop_oneof![
        Just("[[environments]]".to_owned()),
        Just("[environments.env]".to_owned()),
        (prop::sample::select(keys), values).prop_map(|(key, value)| format!("{key} = {value}")),
    ]
}

proptest! {
    #[test]
    fn whatever_is_written_is_answered_and_every_complaint_names_the_file_and_a_line_of_it(
        lines in prop::collection::vec(line(), 0..8)
    ) {
        let text = lines.join("\n");
        if let Err(error) = read(&text) {
            let said = error.to_string();
            let place = said.strip_prefix("/home/me/.config/x/environments.toml:");
            let number: String = place.unwrap_or_default().chars().take_while(char::is_ascii_digit).collect();
            let line: usize = number.parse().unwrap_or_default();
            prop_assert!((1..=text.split('\n').count().max(1)).contains(&line), "{said}");
        }
    }

    #[test]
    fn a_file_is_good_exactly_if_its_ids_are_free_and_its_default_is_there(
        ids in prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "d", "local", "None"]), 0..4),
        include_local in any::<bool>(),
        default in prop::option::of(prop::sample::select(vec!["a", "b", "local", "NONE", "x"])),
    ) {
        let mut text = format!("include_local = {include_local}\n");
        if let Some(default) = default {
            text += &format!("default = \"{default}\"\n");
        }
        for id in &ids {
            text += &format!("[[environments]]\nid = \"{id}\"\nurl = \"ws://h\"\n");
        }
        let ids_are_free = ids.iter().enumerate().all(|(at, id)| !ids[..at].contains(id))
            && !ids.contains(&"local")
            && !ids.contains(&"None");
        let there = |id| ids.contains(&id) || (id == "local" && include_local);
        let is_good = ids_are_free && default.is_none_or(|id| id == "NONE" || there(id));
        let expected = match default {
            Some("NONE") => DefaultEnvironment::Disabled(DisabledBy::DefaultNone),
            None if !include_local => DefaultEnvironment::Disabled(DisabledBy::LocalExcluded),
            id => DefaultEnvironment::Is(EnvironmentId::new(id.unwrap_or("local")).expect("it is good")),
        };
        prop_assert_eq!(read(&text).ok().map(|config| config.default), is_good.then_some(expected));
    }
}
