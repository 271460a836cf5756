//! What is checked in is what the types say, and the program can tell when it is not.

use std::fs;

use codex_exec_server_schema_gen::{Stale, checkout, generate};

#[test]
fn what_is_checked_in_is_what_the_types_say() {
    let stale = generate().stale(&checkout()).unwrap();
    let list: Vec<String> = stale.iter().map(Stale::to_string).collect();
    assert!(list.is_empty(), "run `just gen`:\n{}", list.join("\n"));
}

#[test]
fn generating_twice_gives_the_same() {
    assert_eq!(generate(), generate());
}

#[test]
fn missing_changed_and_left_over_files_are_found_and_mended() {
    let root = tempfile::tempdir().unwrap();
    let tree = generate();
    let missing = tree.write(root.path()).unwrap();
    assert!(missing.iter().all(|file| matches!(file, Stale::Missing(_))));
    assert_eq!(tree.stale(root.path()).unwrap(), []);

    let types = "sdk-ts/src/generated/types.ts".to_owned();
    let bundle = "schema/json/codex-exec-server.schema.json".to_owned();
    let old = "schema/json/client/process.old.params.json".to_owned();
    fs::write(root.path().join(&types), "// By hand.\n").unwrap();
    fs::remove_file(root.path().join(&bundle)).unwrap();
    fs::write(root.path().join(&old), "{}\n").unwrap();
    let expected = [Stale::Missing(bundle), Stale::Differs(types), Stale::LeftOver(old)];
    assert_eq!(tree.stale(root.path()).unwrap(), expected);
    assert_eq!(tree.write(root.path()).unwrap(), expected);
    assert_eq!(tree.stale(root.path()).unwrap(), []);
}
