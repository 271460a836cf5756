use super::*;
use crate::config::keys::{LISTEN, SESSIONS};

fn variables(list: &[(&str, &str)]) -> Variables {
    Variables::of(list.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))))
}

fn paths(locations: &Locations) -> Vec<&str> {
    let files = locations.files.iter().map(|(_, path, _)| path);
    files.chain(&locations.environments).map(|path| path.to_str().expect("text")).collect()
}

#[test]
fn the_users_files_are_where_the_specification_says() {
    let system = "/etc/codex-exec-server/config.toml";
    for (given, folder) in [
        (&[("HOME", "/home/me")][..], Some("/home/me/.config")),
        (&[("HOME", "/home/me"), ("XDG_CONFIG_HOME", "/c")], Some("/c")),
        (&[("HOME", "/home/me"), ("XDG_CONFIG_HOME", "c")], Some("/home/me/.config")),
        (&[("HOME", "/home/me"), ("XDG_CONFIG_HOME", "")], Some("/home/me/.config")),
        (&[("HOME", "")], None),
        (&[], None),
    ] {
        let mut expected = vec![system.to_owned()];
        if let Some(folder) = folder {
            expected.push(format!("{folder}/codex-exec-server/config.toml"));
            expected.push(format!("{folder}/codex-exec-server/environments.toml"));
        }
        assert_eq!(paths(&Locations::of(/*named*/ None, &variables(given))), expected, "{given:?}");
    }
}

#[test]
fn a_named_file_replaces_all_others_and_none_means_none() {
    let variable = variables(&[("HOME", "/home/me"), (CONFIG_VARIABLE, "/v/v.toml")]);
    assert_eq!(paths(&Locations::of(/*named*/ None, &variable)), ["/v/v.toml", "/v/environments.toml"]);
    assert_eq!(paths(&Locations::of(Some("/f/f.toml"), &variable)), ["/f/f.toml", "/f/environments.toml"]);
    assert_eq!(Locations::of(Some("/f/f.toml"), &variable).files[0].2, Absence::Mistake);
    assert!(paths(&Locations::of(Some("none"), &variable)).is_empty());
    assert!(paths(&Locations::of(/*named*/ None, &variables(&[(CONFIG_VARIABLE, "none")]))).is_empty());
}

#[test]
fn flags_win_over_variables_over_the_users_file_over_the_machines() {
    let file = |kind, path: &str, text: &str| (kind, FileText { path: path.into(), text: text.into() });
    let sources = Sources {
        files: vec![
            file(
                LayerKind::SystemFile,
                "/etc/x",
                "[server]\nlisten = \"system\"\n[server.limits]\nsessions = 1",
            ),
            file(LayerKind::UserFile, "/home/x", "[server.limits]\nsessions = 2"),
        ],
        variables: variables(&[("CODEX_EXEC_SERVER_LIMITS_SESSIONS", "3")]),
        environments: None,
    };
    let mut flags = Layer::default();
    flags.set_flag(&LISTEN, Some("flag")).expect("it is good");
    let effective = sources.effective(flags).expect("all is good");
    let sessions = effective.get(&SESSIONS).expect("it is set");
    assert_eq!(
        (sessions.value, sessions.origin.to_string().as_str()),
        (3, "CODEX_EXEC_SERVER_LIMITS_SESSIONS")
    );
    let listen = effective.get(&LISTEN).expect("it is set");
    assert_eq!((listen.value.as_str(), listen.origin.to_string().as_str()), ("flag", "--listen"));
}

#[test]
fn files_that_are_absent_too_large_or_not_text_are_told_apart() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path().join("config.toml");
    assert!(read_file(&path, Absence::Fine).expect("it need not be there").is_none());
    let error = read_file(&path, Absence::Mistake).expect_err("it must be there").to_string();
    assert!(error.contains("config.toml can't be read: No such file"), "{error}");
    std::fs::write(&path, vec![b' '; 1 << 20]).expect("it can be written");
    assert_eq!(read_file(&path, Absence::Fine).expect("it fits").map(|text| text.len()), Some(1 << 20));
    std::fs::write(&path, vec![b' '; (1 << 20) + 1]).expect("it can be written");
    let error = read_file(&path, Absence::Fine).expect_err("it is too large").to_string();
    assert!(error.contains("larger than 1048576 bytes"), "{error}");
    std::fs::write(&path, b"\xff").expect("it can be written");
    let error = read_file(&path, Absence::Fine).expect_err("it is no text").to_string();
    assert!(error.contains("UTF-8"), "{error}");
    let error = read_file(folder.path(), Absence::Fine).expect_err("it is a directory").to_string();
    assert!(error.contains("can't be read"), "{error}");
}
