//! The checkout keeps its own rules, and a crate that breaks one is told where.

use std::fs;
use std::path::{Path, PathBuf};

use codex_exec_server_tidy::check;

/// Where the checkout lies; a build that runs tests elsewhere says so.
fn checkout() -> PathBuf {
    std::env::var_os("CODEX_EXEC_SERVER_CHECKOUT")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."), PathBuf::from)
}

#[test]
fn this_checkout_keeps_its_rules() {
    let (files, findings) = check(&checkout()).expect("it can be read");
    let list: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(list.is_empty(), "{}", list.join("\n"));
    assert!(files > 100, "{files} files are not the whole checkout");
}

#[test]
fn a_rule_broken_on_purpose_is_told_with_its_place() {
    let root = tempfile::tempdir().expect("a folder");
    let core = root.path().join("codex-rs/exec-server-core");
    fs::create_dir_all(core.join("src")).expect("a folder");
    fs::create_dir_all(root.path().join("tools")).expect("a folder");
    fs::write(core.join("Cargo.toml"), "[dependencies]\ncodex-exec-server-local.workspace = true\n")
        .expect("a file");
    fs::write(core.join("src/lib.rs"), "//! Rules.\nuse std::fs;\n").expect("a file");
    let (_, findings) = check(root.path()).expect("it can be read");
    let places: Vec<String> =
        findings.iter().map(|finding| format!("{}:{}", finding.path.display(), finding.line)).collect();
    assert_eq!(places, ["codex-rs/exec-server-core/Cargo.toml:1", "codex-rs/exec-server-core/src/lib.rs:2"]);
}

#[test]
fn a_folder_without_crates_is_refused_with_advice() {
    let root = tempfile::tempdir().expect("a folder");
    for folder in ["codex-rs", "tools"] {
        fs::create_dir(root.path().join(folder)).expect("a folder");
    }
    let error = check(root.path()).expect_err("there is nothing");
    assert!(error.to_string().contains("--root"), "{error}");
}
