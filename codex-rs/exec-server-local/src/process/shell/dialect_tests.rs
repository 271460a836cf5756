use super::*;

fn env(entries: &[(&str, &str)]) -> Environment {
    entries.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn state(dialect: Dialect, answer: &str) -> Option<(String, Environment)> {
    let State { script, env, .. } = dialect.state(answer.as_bytes())?;
    Some((String::from_utf8(script).expect("it is text"), env))
}

#[test]
fn bash_is_told_patterns_then_functions_then_aliases_and_its_options_last() {
    let answer = "set -o errexit\n\0shopt -s extglob\nshopt -s login_shell\n\0umask 0027\n\0f () \n{ \n    :\n}\n\0\
                  [[ -v x ]] || declare -- x=\"1\"\n\0alias ll='ls -l'\n\0A=1\0PWD=/x\0SHLVL=1\0BASH_FUNC_f%%=() { :\n}\0_=/bin/env\0";
    let (script, told) = state(Dialect::Bash, answer).expect("it is understood");
    let (_, rest) = script.split_once("else unset BASH_ENV; fi\n").expect("that comes first");
    let lines: Vec<&str> = rest.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(
        lines,
        [
            "shopt -s extglob",
            "umask 0027",
            "f () ",
            "{ ",
            "    :",
            "}",
            "[[ -v x ]] || declare -- x=\"1\"",
            "alias ll='ls -l'",
            "set -o errexit",
        ]
    );
    assert_eq!(told, env(&[("A", "1")]));
}

#[test]
fn zsh_is_not_told_what_kind_of_shell_it_is() {
    let answer = "extendedglob\nlogin\nnohashdirs\n\0umask 022\n\0fpath=( '/a b' )\n\0f () {\n\t:\n}\n\0alias -g G=grep\n\0A=1\nB\0";
    let (script, told) = state(Dialect::Zsh, answer).expect("it is understood");
    assert!(!script.contains("login"), "{script}");
    assert!(script.contains("fpath=( '/a b' )\n\nf () {"), "{script}");
    assert!(
        script.ends_with("alias -g G=grep\n\nsetopt rcs\nsetopt extendedglob\nsetopt nohashdirs\n"),
        "{script}"
    );
    assert_eq!(told, env(&[("A", "1\nB")]));
}

#[test]
fn a_posix_shell_is_told_each_alias_by_itself_however_many_lines_it_has() {
    let answer = "set -o noglob\nset -o interactive\nset +o xtrace\n\0umask 0022\n\0a='it'\"'\"'s\nb=x'\nc='d'\nalias e='f'\n\0A=1\0";
    let (script, told) = state(Dialect::Posix, answer).expect("it is understood");
    let wanted = "exec 3<&-\numask 0022\n\nalias a='it'\"'\"'s\nb=x'\nalias c='d'\nalias e='f'\nset -o noglob\nset +o xtrace\n";
    assert_eq!(script, wanted);
    assert_eq!(told, env(&[("A", "1")]));
}

#[test]
fn an_answer_with_too_little_in_it_is_none() {
    for dialect in [Dialect::Bash, Dialect::Zsh, Dialect::Posix] {
        assert_eq!(state(dialect, ""), None, "{dialect:?}");
        assert_eq!(state(dialect, "set -o errexit"), None, "{dialect:?}");
    }
    assert_eq!(state(Dialect::Posix, "\0umask 0022\n\0\0no variable\0"), None);
}

#[test]
fn a_bash_keeps_its_command_and_gets_back_the_bash_env_that_was_meant() {
    let mut argv = ["/bin/bash", "-lc", "echo $0", "name"].map(OsString::from);
    let mut environment = env(&[("BASH_ENV", "/etc/mine")]);
    Dialect::Bash.restore(&mut argv, &mut environment, /*has_aliases*/ false);
    assert_eq!(argv, ["/bin/bash", "-c", "echo $0", "name"].map(OsString::from));
    assert_eq!(environment, env(&[("BASH_ENV", "/dev/fd/3"), (SAVED_BASH_ENV, "/etc/mine")]));
}

#[test]
fn other_shells_read_what_they_carry_before_the_command() {
    for (dialect, has_aliases, flags, command) in [
        (Dialect::Zsh, false, "-fc", ". /dev/fd/3; echo 'it'"),
        (Dialect::Zsh, true, "-fc", r". /dev/fd/3; \builtin eval 'echo '\''it'\'''"),
        (Dialect::Posix, false, "-c", ". /dev/fd/3\necho 'it'"),
    ] {
        let mut argv = ["/bin/it", "-lc", "echo 'it'", "name"].map(OsString::from);
        let mut environment = Environment::new();
        dialect.restore(&mut argv, &mut environment, has_aliases);
        assert_eq!(argv, ["/bin/it", flags, command, "name"].map(OsString::from));
        assert_eq!(environment, Environment::new());
    }
}

#[test]
fn aliases_that_every_zsh_has_are_no_reason_to_read_a_command_twice() {
    let has_aliases = |aliases: &str| {
        let answer = format!("\0umask 022\n\0fpath=( )\n\0\0{aliases}\0A=1\0");
        Dialect::Zsh.state(answer.as_bytes()).expect("it is understood").has_aliases
    };
    assert!(!has_aliases("alias run-help=man\nalias which-command=whence\n"));
    assert!(!has_aliases(""));
    assert!(has_aliases("alias run-help=man\nalias which-command=type\n"));
    assert!(has_aliases("alias -g G='| grep'\n"));
}
