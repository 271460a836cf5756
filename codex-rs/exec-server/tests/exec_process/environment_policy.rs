//! What `envPolicy` makes of a server's environment: one table for this machine, our program, and the reference's.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use codex_exec_server_core::limits::Limits;
use codex_exec_server_local::LocalBackend;
use codex_exec_server_protocol::process::{EnvInherit, EnvPolicy};
use codex_exec_server_testkit::{PATIENCE, Program};

use crate::place::Backend;
use crate::steps::{Seen, shell, start};
use crate::support::PROGRAM;
use crate::support::places::{behind_reference, connect};

/// The environment of the server.
const OWN: &[(&str, &str)] = &[
    ("PATH", SEARCHED),
    ("HOME", "/tmp"),
    ("SHELL", "/bin/sh"),
    ("LANG", "C.UTF-8"),
    ("LC_ALL", "C"),
    ("LC_CTYPE", "C"),
    ("LC_TIME", "C"),
    ("LOGNAME", "ann"),
    ("USER", "ann"),
    ("USERNAME", "ann"),
    ("TMPDIR", "/tmp"),
    ("TEMP", "/tmp"),
    ("TMP", "/tmp"),
    ("TERM", "dumb"),
    ("PWD", "/x"),
    ("EDITOR", "vi"),
    ("home", "lower"),
    ("path_extra", "x"),
    ("Api_Key", "k"),
    ("MONKEY", "m"),
    ("my_token", "t"),
    ("TOKENS", "t"),
    ("a_secret_b", "s"),
    ("PASSWORD", "p"),
    ("A_B", "1"),
    ("A-B", "2"),
    ("A.B", "3"),
    ("A[B]", "4"),
    ("A{B}", "5"),
    ("A\\B", "6"),
    ("AB", "7"),
    ("ÄB", "8"),
    // What keeps the machine's settings out of tests.
    ("CODEX_EXEC_SERVER_CONFIG", "none"),
];
const SEARCHED: &str = "/usr/bin:/bin";

/// What `core` is.
const CORE: &[&str] = &[
    "HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "SHELL", "TEMP", "TMP", "TMPDIR", "USER", "home",
];
/// What looks like a credential.
const CREDENTIALS: &[&str] = &["Api_Key", "MONKEY", "my_token", "TOKENS", "a_secret_b"];

/// What is left of the server's environment.
#[derive(Debug, Clone, Copy)]
enum Left {
    AllBut(&'static [&'static str]),
    Only(&'static [&'static str]),
}
use Left::{AllBut, Only};

const ALL: Left = AllBut(&[]);
const NOTHING: Left = Only(&[]);

/// One pattern, what it keeps away as an `exclude`, and what it lets through as an `includeOnly`.
const PATTERNS: &[(&[&str], &[&str])] = &[
    // Case means nothing, beyond ASCII as well.
    (&["HOME"], &["HOME", "home"]),
    (&["home"], &["HOME", "home"]),
    (&["a_b"], &["A_B"]),
    (&["ä?"], &["ÄB"]),
    // `*` is any number of characters, `?` is one, and the whole name counts.
    (&["h*"], &["HOME", "home"]),
    (&["LC_*"], &["LC_ALL", "LC_CTYPE", "LC_TIME"]),
    (&["?B"], &["AB", "ÄB"]),
    (&["A?B"], &["A_B", "A-B", "A.B", "A\\B"]),
    (&["A*B"], &["AB", "A_B", "A-B", "A.B", "A\\B", "a_secret_b"]),
    (&["*B"], &["AB", "ÄB", "A_B", "A-B", "A.B", "A\\B", "a_secret_b"]),
    (&["AB "], &[]),
    (&[""], &[]),
    // Nothing else is special.
    (&["A.B"], &["A.B"]),
    (&["A[B]"], &["A[B]"]),
    (&["[A]B"], &[]),
    (&["A[A-Z]"], &[]),
    (&["[!A]B"], &[]),
    (&["!AB"], &[]),
    (&["^A"], &[]),
    (&["A{B}"], &["A{B}"]),
    (&["{AB,A_B}"], &[]),
    (&["A\\B"], &["A\\B"]),
    (&["A\\*"], &["A\\B"]),
    // Each is one pattern, and several add up.
    (&["HOME,PATH"], &[]),
    (&["HOME", "PATH"], &["HOME", "home", "PATH"]),
];

/// A policy, a request's own variables, what is left, and what comes on top.
type Case = (Option<EnvPolicy>, Pairs, Left, Pairs);
type Pairs = &'static [(&'static str, &'static str)];

fn policy(inherit: EnvInherit, ignore_default_excludes: bool) -> EnvPolicy {
    let (exclude, set, include_only) = (Vec::new(), BTreeMap::new(), Vec::new());
    EnvPolicy { inherit, ignore_default_excludes, exclude, set, include_only }
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn cases() -> Vec<Case> {
    use EnvInherit::{All, Core, None as Nobody};
    let with = |base: EnvPolicy, exclude: &[&str], set: Pairs, include_only: &[&str]| {
        let (exclude, set, include_only) = (strings(exclude), pairs(set), strings(include_only));
        Some(EnvPolicy { exclude, set, include_only, ..base })
    };
    let (open, careful) = (/*ignores_default_excludes*/ true, false);
    let mut cases: Vec<Case> = vec![
        (None, &[("A", "1")], NOTHING, &[("A", "1")]),
        (Some(policy(All, open)), &[], ALL, &[]),
        (Some(policy(All, careful)), &[], AllBut(CREDENTIALS), &[]),
        (Some(policy(Core, open)), &[], Only(CORE), &[]),
        (Some(policy(Core, careful)), &[], Only(CORE), &[]),
        (Some(policy(Nobody, open)), &[], NOTHING, &[]),
        (Some(policy(Nobody, careful)), &[], NOTHING, &[]),
        (with(policy(All, open), &["*"], &[], &[]), &[], NOTHING, &[]),
        (with(policy(All, open), &["**"], &[], &[]), &[], NOTHING, &[]),
        (with(policy(All, open), &[], &[], &["*"]), &[], ALL, &[]),
        // What is set passes the excludes, and not the includes.
        (
            with(policy(Nobody, careful), &["X*"], &[("X_KEY", "1"), ("XSECRET", "2")], &[]),
            &[],
            NOTHING,
            &[("X_KEY", "1"), ("XSECRET", "2")],
        ),
        (with(policy(Nobody, open), &[], &[("X", "1"), ("Y", "2")], &["x"]), &[], NOTHING, &[("X", "1")]),
        (with(policy(Nobody, open), &[], &[("E", "")], &[]), &[], NOTHING, &[("E", "")]),
        (
            with(policy(Core, open), &["PATH"], &[("PATH", SEARCHED)], &["PATH", "HOME"]),
            &[],
            Only(&["HOME", "home"]),
            &[("PATH", SEARCHED)],
        ),
        // Names that differ in their case are two.
        (
            with(policy(All, open), &[], &[("EDITOR", "ed"), ("editor", "low")], &[]),
            &[],
            ALL,
            &[("EDITOR", "ed"), ("editor", "low")],
        ),
        (Some(policy(All, open)), &[("Path", "/p")], ALL, &[("Path", "/p")]),
        // What the request says passes everything and wins.
        (
            with(policy(Nobody, careful), &["*"], &[("A", "1")], &["NOTHING"]),
            &[("MY_KEY", "1"), ("A", "2")],
            NOTHING,
            &[("MY_KEY", "1"), ("A", "2")],
        ),
        (
            with(policy(All, careful), &[], &[("A", "1")], &[]),
            &[("A", "2"), ("HOME", "/h")],
            AllBut(CREDENTIALS),
            &[("A", "2"), ("HOME", "/h")],
        ),
        (with(policy(All, open), &[], &[("E", "1")], &[""]), &[("F", "1")], NOTHING, &[("F", "1")]),
    ];
    for &(patterns, matched) in PATTERNS {
        cases.push((with(policy(All, open), patterns, &[], &[]), &[], AllBut(matched), &[]));
        cases.push((with(policy(All, open), &[], &[], patterns), &[], Only(matched), &[]));
    }
    cases
}

fn expected(left: Left, on_top: Pairs) -> BTreeMap<String, String> {
    let is_left = |name: &str| match left {
        AllBut(names) => !names.contains(&name),
        Only(names) => names.contains(&name),
    };
    let mut expected = pairs(OWN);
    expected.retain(|name, _| is_left(name));
    expected.extend(pairs(on_top));
    expected
}

async fn every_case_comes_to_what_the_table_says(backend: Backend) {
    for (number, (policy, env, left, on_top)) in cases().into_iter().enumerate() {
        let mut params = shell(&number.to_string(), "");
        params.argv = vec!["/usr/bin/env".into(), "-0".into()];
        params.env = pairs(env);
        params.env_policy = policy.clone();
        let seen = Seen::all(&start(&backend, params).await).await;
        let said = String::from_utf8(seen.stdout).expect("names and values are text");
        let mut found = BTreeMap::new();
        for line in said.split_terminator('\0') {
            let (name, value) = line.split_once('=').expect("a variable");
            // The reference's server puts a folder of its own before what is searched: `prependPathDirs`.
            let value =
                if name == "PATH" && value.ends_with(&format!(":{SEARCHED}")) { SEARCHED } else { value };
            found.insert(name.to_owned(), value.to_owned());
        }
        assert_eq!(found, expected(left, on_top), "{policy:?}, {env:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_environment_policy_means_the_same_on_this_machine() {
    let environment = OWN.iter().map(|&(name, value)| (name.into(), value.into())).collect();
    let limits = Limits { kill_wait: PATIENCE, ..Limits::default() };
    let backend = Arc::new(LocalBackend::new(environment, limits, /*state_directory*/ None));
    every_case_comes_to_what_the_table_says(Arc::clone(&backend) as Backend).await;
    backend.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_environment_policy_means_the_same_to_our_program() {
    let program = Program::start_in(Path::new(PROGRAM), &[], &environment()).await;
    let client = connect(program.url()).await;
    every_case_comes_to_what_the_table_says(Arc::new(client.clone())).await;
    client.close().await;
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_environment_policy_means_the_same_to_the_reference() {
    behind_reference(Some(&environment()), |client| {
        every_case_comes_to_what_the_table_says(Arc::new(client))
    })
    .await;
}

fn environment() -> Vec<(&'static str, String)> {
    OWN.iter().map(|&(name, value)| (name, value.to_owned())).collect()
}
