//! The program: what it prints, what it exits with, and what it looks at.

mod support;

use std::process::{Command, Output};

use support::Folder;

fn run(folder: &Folder, arguments: &str) -> Output {
    // Its place may be told from where the tests run.
    let program = std::path::absolute(env!("CARGO_BIN_EXE_argument-comment-lint"));
    Command::new(program.expect("there is a current directory"))
        .args(arguments.split_whitespace())
        .current_dir(folder.path())
        .output()
        .expect("it runs")
}

fn printed(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("it is text")
}

/// The files that findings are printed for.
fn files(output: &Output) -> Vec<String> {
    let text = printed(output);
    let file = |line: &str| line.split_once(".rs:").map(|(file, _)| format!("{file}.rs"));
    text.lines().filter_map(file).collect()
}

/// With one finding in every target.
fn folder() -> Folder {
    let folder = Folder::new("pub fn f() { other::walk(\"\", true, x); }\n");
    for target in ["src/main.rs", "tests/run.rs", "tests/run/part.rs", "examples/show.rs", "benches/speed.rs"]
    {
        folder.write(&format!("one/{target}"), "fn main() { other::walk(\"\", true, x); }\n");
    }
    folder.write("other/tests/own.rs", "fn main() { other::walk(\"\", true, x); }\n");
    folder
}

#[test]
fn every_target_of_every_package_is_looked_at_by_default() {
    let output = run(&folder(), "");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        files(&output),
        [
            "one/benches/speed.rs",
            "one/examples/show.rs",
            "one/src/lib.rs",
            "one/src/main.rs",
            "one/tests/run/part.rs",
            "one/tests/run.rs",
            "other/tests/own.rs",
        ]
    );
}

#[test]
fn what_is_forwarded_chooses_packages_and_targets() {
    let folder = folder();
    assert_eq!(files(&run(&folder, "-- -p other")), ["other/tests/own.rs"]);
    assert_eq!(files(&run(&folder, "-- --lib --examples")), ["one/examples/show.rs", "one/src/lib.rs"]);
    // A wrapper's `--`, and the user's.
    assert_eq!(files(&run(&folder, "-- -- --test own")), ["other/tests/own.rs"]);
}

#[test]
fn paths_choose_files() {
    let folder = folder();
    assert_eq!(files(&run(&folder, "one/tests/run.rs other")), ["one/tests/run.rs", "other/tests/own.rs"]);
    assert_eq!(files(&run(&folder, "one -- --tests")), ["one/tests/run/part.rs", "one/tests/run.rs"]);
}

#[test]
fn clean_code_exits_with_0() {
    let output = run(&Folder::new("//! Nothing.\n"), "");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(printed(&output), "argument-comment-lint: 2 files, nothing to say\n");
}

#[test]
fn what_cannot_be_done_exits_with_2_and_says_why() {
    let folder = folder();
    for (arguments, why) in [
        ("-- --locked", "`--locked` after `--` selects nothing"),
        ("-- -p three", "no package `three`"),
        ("Cargo.toml", "no Rust source"),
        ("nowhere", "nowhere"),
        ("--workspace one", "--workspace"),
        ("--what", "--what"),
    ] {
        let output = run(&folder, arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments}: {said}");
        assert!(said.contains(why), "{arguments}: {said}");
    }
    folder.write("one/src/lib.rs", "fn f( {");
    let output = run(&folder, "");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("one/src/lib.rs:1"));
}
