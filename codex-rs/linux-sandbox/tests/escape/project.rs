//! 15–20: folders of a project that decide what others run later.

use std::fs;
use std::os::unix::fs::symlink;

use super::attempt::{Attempt, Through, nothing_changed};
use super::files::{path_of, write_everyhow};
use super::scene::{Profile, Scene};

const NAMES: [&str; 4] = [".git", ".codex", ".agents", ".aws"];

pub(crate) fn attempts() -> Vec<Attempt> {
    let attempt = |number, name, attempt| Attempt::new(number, name, Profile::Workspace, attempt);
    vec![
        attempt(/*number*/ 15, "make protected folders", |scene, through| {
            for name in NAMES {
                let path = scene.workspace().join(name);
                through.must_fail(format!("mkdir {name}"), fs::create_dir(&path));
                write_everyhow(through, &path);
                through.must_fail(format!("rmdir {name}"), fs::remove_dir(&path));
            }
        })
        .checked(nothing_is_left),
        attempt(/*number*/ 16, "the same names as files or links", |scene, through| {
            for name in NAMES {
                let path = scene.workspace().join(name);
                through.must_fail(format!("{name} as a file"), fs::write(&path, "gitdir: /tmp"));
                through.must_fail(format!("{name} as a link"), symlink("/tmp", &path));
                let other = scene.workspace().join("other");
                fs::write(&other, "x").expect("the workspace may be written");
                through.must_fail(format!("rename to {name}"), fs::rename(&other, &path));
            }
        })
        .checked(nothing_is_left),
        attempt(/*number*/ 17, "write hook, config and HEAD", |scene, through| {
            let git = scene.workspace().join(".git");
            for name in ["hooks/pre-commit", "config", "HEAD"] {
                through.must_fail(name, fs::write(git.join(name), "x"));
                through.must_fail(format!("remove {name}"), fs::remove_file(git.join(name)));
            }
            assert_eq!(fs::read(git.join("HEAD")).expect("history can be read"), b"ref");
        })
        .prepared(with_history)
        .checked(history_is_as_it_was),
        attempt(/*number*/ 18, "rename, exchange or remove the history", |scene, through| {
            let git = scene.workspace().join(".git");
            let other = scene.workspace().join("other");
            through.must_fail("rename", fs::rename(&git, scene.workspace().join("moved")));
            fs::create_dir(&other).expect("the workspace may be written");
            let (a, b) = (path_of(&git), path_of(&other));
            // SAFETY: two paths and a flag.
            let exchanged = unsafe {
                libc::syscall(
                    libc::SYS_renameat2,
                    libc::AT_FDCWD,
                    a.as_ptr(),
                    libc::AT_FDCWD,
                    b.as_ptr(),
                    libc::RENAME_EXCHANGE,
                )
            };
            through.must_refuse("exchange", exchanged);
            through.must_fail("remove", fs::remove_dir_all(&git));
        })
        .prepared(with_history)
        .checked(history_is_as_it_was),
        attempt(/*number*/ 19, "rename the workspace", |scene, through| {
            through.must_fail("rename", fs::rename(scene.workspace(), scene.root().join("moved")));
            through.must_fail("remove", fs::remove_dir(scene.workspace()));
        }),
        attempt(/*number*/ 20, "write what a .git file leads to", |scene, through| {
            write_everyhow(through, &scene.workspace().join("elsewhere"));
            through.must_fail("file", fs::write(scene.workspace().join(".git"), "gitdir: /"));
        })
        .prepared(|scene| {
            fs::create_dir(scene.workspace().join("elsewhere")).expect("a folder");
            fs::write(scene.workspace().join(".git"), "gitdir: elsewhere\n").expect("a file");
        })
        .checked(|scene, through| {
            let empty = fs::read_dir(scene.workspace().join("elsewhere"))
                .is_ok_and(|mut entries| entries.next().is_none());
            through.note("its folder was changed", !empty);
        }),
    ]
}

/// What stood there for as long as the process lived is gone.
fn nothing_is_left(scene: &Scene, through: &mut Through) {
    for name in NAMES {
        through.note(format!("{name} is left"), scene.workspace().join(name).symlink_metadata().is_ok());
    }
    nothing_changed(scene, through);
}

fn with_history(scene: &Scene) {
    let git = scene.workspace().join(".git");
    fs::create_dir_all(git.join("hooks")).expect("folders");
    fs::write(git.join("hooks/pre-commit"), "hook").expect("a file");
    fs::write(git.join("config"), "config").expect("a file");
    fs::write(git.join("HEAD"), "ref").expect("a file");
}

fn history_is_as_it_was(scene: &Scene, through: &mut Through) {
    for (name, text) in [("hooks/pre-commit", "hook"), ("config", "config"), ("HEAD", "ref")] {
        let same =
            fs::read(scene.workspace().join(".git").join(name)).is_ok_and(|bytes| bytes == text.as_bytes());
        through.note(format!("{name} was changed"), !same);
    }
}
