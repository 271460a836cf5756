//! What a backend says of its machine, and what a process finds there.

use std::collections::BTreeMap;

use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_protocol::process::{EnvInherit, EnvPolicy, ProcessStartParams};

use crate::place::Backend;
use crate::steps::{Seen, shell, start, text};

cases! {
    everywhere {
        a_machine_names_a_shell_that_runs
        a_process_has_exactly_the_environment_it_was_given
        a_policy_inherits_from_the_machine_and_the_request_wins
        a_process_runs_in_its_folder_under_the_name_it_was_given
    }
    not_on_reference {
        a_machine_says_what_it_can_do: "it has no such flags"
    }
}

async fn a_machine_names_a_shell_that_runs(backend: Backend) {
    let info = backend.environment();
    let mut params = shell("p", "");
    params.argv = vec![info.shell.path.clone(), "-c".into(), "echo it runs".into()];
    assert_eq!(text(&Seen::all(&start(&backend, params).await).await.stdout), "it runs\n");
}

async fn a_process_has_exactly_the_environment_it_was_given(backend: Backend) {
    let mut params = shell("p", "");
    params.argv = vec!["/usr/bin/env".into()];
    params.env = BTreeMap::from([("B".into(), "two words".into()), ("A".into(), "=".into())]);
    let seen = Seen::all(&start(&backend, params).await).await;
    let mut lines: Vec<_> = text(&seen.stdout).lines().map(str::to_owned).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["A==", "B=two words"]);
}

async fn a_policy_inherits_from_the_machine_and_the_request_wins(backend: Backend) {
    let policy = EnvPolicy {
        inherit: EnvInherit::Core,
        ignore_default_excludes: false,
        exclude: vec!["HOM?".into()],
        set: BTreeMap::from([("SET".into(), "by policy".into()), ("WINS".into(), "policy".into())]),
        include_only: Vec::new(),
    };
    let mut params = shell("p", "echo ${PATH:+path} ${HOME:-no home} $SET $WINS");
    params.env = BTreeMap::from([("WINS".into(), "request".into())]);
    params.env_policy = Some(policy);
    let seen = Seen::all(&start(&backend, params).await).await;
    assert_eq!(text(&seen.stdout), "path no home by policy request\n");
}

async fn a_process_runs_in_its_folder_under_the_name_it_was_given(backend: Backend) {
    let params = ProcessStartParams {
        cwd: PathUri::from_path_bytes(b"/usr").expect("a path"),
        arg0: Some("another-name".into()),
        ..shell("p", "pwd; tr '\\0' ' ' < /proc/$$/cmdline")
    };
    let seen = Seen::all(&start(&backend, params).await).await;
    let said = text(&seen.stdout);
    assert!(said.starts_with("/usr\nanother-name -c "), "{said}");
}

async fn a_machine_says_what_it_can_do(backend: Backend) {
    let info = backend.environment();
    let flags = &info.capabilities;
    assert!(flags.gap_accounting && flags.output_budget && flags.process_stdin_close && flags.process_resize);
    assert!(flags.process_signals && flags.process_terminate_grace && flags.process_timeout);
    assert!(flags.process_usage && flags.idempotent_requests && flags.process_limits);
    assert_eq!(info.platform_os.as_deref(), Some(std::env::consts::OS));
    assert!(info.cwd.is_some() && info.temp_dir.is_some() && info.executor_version.is_some());
    assert!(info.provider_id.as_ref().is_some_and(|id| id.len() == "sha256:".len() + 64));
}
