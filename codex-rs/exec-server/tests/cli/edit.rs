//! `edit`: a file of the machine in an editor, which here is a script.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::files::{text, words};
use crate::home::Home;
use crate::support::{Server, output, stderr};

/// `edit` of `path` with an editor that runs `script`; the copy is `$1`.
fn edit(home: &Home, server: &Server, path: &Path, script: &str) -> Command {
    let editor = home.path().join("editor.sh");
    std::fs::write(&editor, script).expect("it can be written");
    let mut command = home.command(&words("edit", server, &[text(path)]));
    command.env("VISUAL", format!("/bin/sh {}", text(&editor))).env("TMPDIR", home.path());
    command
}

/// What is left of copies.
fn copies(home: &Home) -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(home.path()).expect("it is there").map(|entry| entry.expect("an entry").path());
    entries.filter(|path| text(path).contains("codex-edit-")).collect()
}

#[test]
fn what_the_editor_leaves_is_written_back_with_the_files_permissions() {
    for server in Server::each() {
        let home = Home::new();
        let path = home.path().join("the file.txt");
        std::fs::write(&path, "old\n").expect("it can be written");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o754)).expect("it is ours");
        let script =
            r#"case "$1" in */'the file.txt') ;; *) exit 9 ;; esac; stat -c %a "$1" >&2; echo new >> "$1""#;
        let done = output(edit(&home, &server, &path, script));
        assert!(done.status.success(), "{}", stderr(&done));
        assert_eq!(stderr(&done), "600\n", "the copy is nobody else's");
        assert_eq!(std::fs::read(&path).expect("it is there"), b"old\nnew\n");
        let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o7777, 0o754);
        assert_eq!(copies(&home), [] as [PathBuf; 0]);
    }
}

#[test]
fn a_new_file_is_made_if_it_is_written_at_all() {
    for server in Server::each() {
        let home = Home::new();
        let path = home.path().join("new");
        let done = output(edit(&home, &server, &path, ":"));
        assert!(done.status.success() && stderr(&done).contains("not changed"), "{}", stderr(&done));
        assert!(!path.exists());
        let done = output(edit(&home, &server, &path, r#"printf text > "$1""#));
        assert!(done.status.success(), "{}", stderr(&done));
        assert_eq!(std::fs::read(&path).expect("it is there"), b"text");
    }
}

#[test]
fn who_loses_a_race_keeps_the_copy_and_overwrites_nothing() {
    for server in Server::each() {
        let home = Home::new();
        let path = home.path().join("f");
        std::fs::write(&path, "old").expect("it can be written");
        let script = format!("printf mine > \"$1\"; printf theirs > '{}'", text(&path));
        let done = output(edit(&home, &server, &path, &script));
        let said = stderr(&done);
        assert_eq!(done.status.code(), Some(1), "{said}");
        assert!(said.contains("f: somebody else changed it meanwhile; your copy is /"), "{said}");
        assert_eq!(std::fs::read(&path).expect("it is there"), b"theirs");
        let copy = said.trim().rsplit(' ').next().expect("a path");
        assert_eq!(std::fs::read(copy).expect("it is kept"), b"mine");
    }
}

#[test]
fn nothing_is_written_when_the_editor_fails_and_only_what_it_changed_is_kept() {
    let (home, server) = (Home::new(), Server::Embedded);
    let path = home.path().join("f");
    std::fs::write(&path, "old").expect("it can be written");
    let done = output(edit(&home, &server, &path, "exit 3"));
    let said = stderr(&done);
    assert!(done.status.code() == Some(125) && said.contains("exit status: 3"), "{said}");
    assert_eq!(copies(&home), [] as [PathBuf; 0]);
    let done = output(edit(&home, &server, &path, r#"printf changed > "$1"; exit 3"#));
    assert!(stderr(&done).contains("your copy is "), "{}", stderr(&done));
    assert_eq!(copies(&home).len(), 1);
    assert_eq!(std::fs::read(&path).expect("it is there"), b"old");
}

#[test]
fn what_can_not_be_edited_is_refused_before_the_editor_starts() {
    let (home, server) = (Home::new(), Server::Embedded);
    let large = home.path().join("large");
    std::fs::File::create(&large).and_then(|file| file.set_len((64 << 20) + 1)).expect("it can be made");
    for (path, why) in [(home.path(), "is not a file"), (&large, "is longer than 64 MiB")] {
        let done = output(edit(&home, &server, path, "echo the editor runs >&2"));
        let said = stderr(&done);
        assert!(done.status.code() == Some(1) && said.contains(why) && !said.contains("runs"), "{said}");
    }
}
