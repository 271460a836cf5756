use std::collections::BTreeMap;

use codex_exec_server_protocol::environment::ShellInfo;
use codex_exec_server_protocol::path_uri::PathUri;

use super::*;

/// A start of `argv` in `scope`, with bash at its usual place as the shell.
fn start(argv: &[&str], scope: &str) -> ProcessStartParams {
    let cwd = PathUri::from_path_bytes(b"/tmp").expect("a path");
    let argv = argv.iter().map(|&word| word.to_owned()).collect();
    let shell = ShellInfo { name: "bash".into(), path: "/bin/bash".into() };
    ProcessStartParams {
        env: BTreeMap::from([("HOME".to_owned(), "/home/me".to_owned())]),
        shell_snapshot: Some(ShellSnapshot { scope_id: scope.to_owned(), shell }),
        ..ProcessStartParams::new("p".into(), argv, cwd)
    }
}

fn want(params: &ProcessStartParams) -> Result<Option<Wanted>, String> {
    let env: Environment = params.env.iter().map(|(name, value)| (name.into(), value.into())).collect();
    wanted(params, &os::Command::new(&params.argv, "/tmp"), &env).map_err(|error| error.to_string())
}

const LOGIN: [&str; 3] = ["/bin/bash", "-lc", "true"];

#[test]
fn only_a_login_shell_with_a_command_by_the_path_that_was_named_is_made_from_a_snapshot() {
    let is_wanted = |argv: &[&str]| want(&start(argv, "s")).expect("it is understood").is_some();
    assert!(is_wanted(&LOGIN) && is_wanted(&["/bin/bash", "-lc", "true", "name", "first"]));
    for argv in [
        &["/bin/bash", "-c", "true"][..],
        &["/bin/bash", "-cl", "true"],
        &["/bin/bash", "-l", "-c", "true"],
        &["/bin/bash", "-lc"],
        &["bash", "-lc", "true"],
        &["/usr/bin/bash", "-lc", "true"],
        &["/bin/true"],
    ] {
        assert!(!is_wanted(argv), "{argv:?}");
    }
}

#[test]
fn a_scope_has_a_name_of_256_bytes_at_most_whatever_is_started() {
    let refusal = Err("shell snapshot scope must be non-empty and at most 256 bytes".to_owned());
    for argv in [&LOGIN[..], &["/bin/true"]] {
        assert_eq!(want(&start(argv, "")), refusal);
        assert_eq!(want(&start(argv, &"é".repeat(129))), refusal);
        want(&start(argv, &"é".repeat(128))).expect("it fits");
    }
}

#[test]
fn a_shell_of_another_kind_is_refused_with_those_that_can_be_named() {
    let mut params = start(&LOGIN, "s");
    params.shell_snapshot.as_mut().expect("it is there").shell.name = "fish".into();
    let refusal = want(&params).expect_err("it is refused");
    assert_eq!(
        refusal,
        "shell snapshots are unsupported for shell `fish`: name bash, zsh or sh, or leave shellSnapshot out"
    );
}

#[test]
fn a_shell_that_would_not_read_what_it_is_told_is_started_as_it_is() {
    let mut params = start(&LOGIN, "s");
    params.arg0 = Some("sh".into());
    assert_eq!(want(&params), Ok(None));
    for name in ["POSIXLY_CORRECT", "SHELLOPTS", "BASH_FUNC_f%%"] {
        let mut params = start(&LOGIN, "s");
        params.env.insert(name.into(), "x".into());
        assert_eq!(want(&params), Ok(None), "{name}");
    }
}

#[test]
fn starts_share_a_snapshot_if_they_would_read_the_same_files_under_the_same_bounds() {
    let key = |change: &dyn Fn(&mut ProcessStartParams)| {
        let mut params = start(&LOGIN, "s");
        change(&mut params);
        want(&params).expect("it is understood").expect("it is wanted").key
    };
    let first = key(&|_| {});
    assert_eq!(key(&|params| params.argv[2] = "false".into()), first);
    assert_eq!(key(&|params| params.tty = true), first);
    assert_eq!(key(&|params| drop(params.env.insert("PATH".into(), "/bin".into()))), first);
    assert_ne!(key(&|params| drop(params.env.insert("HOME".into(), "/home/you".into()))), first);
    assert_ne!(key(&|params| drop(params.env.insert("BASH_ENV".into(), "/etc/x".into()))), first);
    assert_ne!(key(&|params| params.enforce_managed_network = true), first);
    let other = |params: &mut ProcessStartParams| {
        params.shell_snapshot.as_mut().expect("it is there").scope_id = "t".into();
    };
    assert_ne!(key(&other), first);
}
