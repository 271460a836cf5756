//! State directories that are wrong: one that stays so until somebody changes it is refused at the start, with whose it is
//! and what to do; one that may be used later costs nothing but the room.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use codex_exec_server_testkit::is_mapped;
use nix::unistd::{Gid, Uid, chown, geteuid};
use tempfile::TempDir;

use crate::{PROGRAM, line, terminate};

/// Somebody who is neither root nor whoever runs the tests.
const STRANGER: u32 = 65_534;

/// A folder that everybody may look into.
fn open_folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    folder
}

/// The program where a stranger can run it: where it was built, nobody else may be able to go.
fn copy_of_program(folder: &Path) -> PathBuf {
    let copy = folder.join("codex-exec-server");
    // Copied by another process: one that a test beside this one starts meanwhile would have the file open for writing for a
    // moment, if it was written here, and then it can't be run.
    assert!(Command::new("cp").arg(PROGRAM).arg(&copy).status().expect("it runs").success());
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    copy
}

/// Starts a server with this state directory, which has to be refused; what it said.
fn refusal(mut command: Command, directory: &Path) -> String {
    command.env("CODEX_EXEC_SERVER_CONFIG", "none").env("HOME", "/");
    command.arg("--state-dir").arg(directory).stdin(Stdio::null());
    let Output { status, stdout, stderr } = command.output().expect("the program starts");
    let stderr = String::from_utf8(stderr).expect("text");
    assert!(!status.success(), "{stderr}");
    assert_eq!(stdout, b"", "it never said that it listens");
    stderr
}

#[test]
fn a_state_directory_of_another_user_is_refused_with_whose_it_is_and_what_to_do() {
    if !geteuid().is_root() || !is_mapped(STRANGER) {
        println!("skipped: this test can't become another user");
        return;
    }
    let folder = open_folder();
    let program = copy_of_program(folder.path());
    let roots = folder.path().join("roots");
    std::fs::create_dir(&roots).expect("it is made");
    std::fs::set_permissions(&roots, std::fs::Permissions::from_mode(0o700)).expect("it is ours");
    std::fs::write(roots.join("kept"), "theirs").expect("it is written");
    // Also where it would have to be made below one, which nobody else may even look into.
    for directory in [roots.clone(), roots.join("below/it")] {
        let mut command = Command::new(&program);
        command.uid(STRANGER).gid(STRANGER).current_dir("/");
        let said = refusal(command, &directory);
        for part in [
            &format!("state directory {} can't be used", directory.display()),
            &format!("{} belongs to user 0 (mode 700) and this is user {STRANGER}", roots.display()),
            &format!("chown {STRANGER} {}", roots.display()),
            "--state-dir",
        ] {
            assert!(said.contains(part), "{part} is not in {said}");
        }
    }
    let left: Vec<_> = std::fs::read_dir(&roots).expect("it is there").flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");

    // What is theirs by their own is taken.
    chown(&roots, Some(Uid::from_raw(STRANGER)), Some(Gid::from_raw(STRANGER))).expect("root may");
    let mut command = Command::new(&program);
    command.uid(STRANGER).gid(STRANGER).current_dir("/").env("HOME", "/");
    command.env("CODEX_EXEC_SERVER_CONFIG", "none").arg("--state-dir").arg(&roots);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the program starts");
    let (url, _) = line(&mut child);
    assert!(url.starts_with("ws://"), "{url}");
    terminate(&child);
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn a_file_in_place_of_a_state_directory_is_refused() {
    let folder = open_folder();
    let file = folder.path().join("file");
    std::fs::write(&file, "something else").expect("it is written");
    for directory in [file.clone(), file.join("below")] {
        let said = refusal(Command::new(PROGRAM), &directory);
        assert!(said.contains(&format!("{} is no directory: remove it", file.display())), "{said}");
    }
    assert_eq!(std::fs::read_to_string(&file).expect("it is there"), "something else");
}

#[test]
fn a_state_directory_that_may_be_used_later_does_not_keep_a_server_from_its_work() {
    let folder = open_folder();
    // Missing, which is the rule; and nowhere, where the kernel says that there is no such thing rather than that one may not.
    for (directory, warned) in [(folder.path().join("a/b/c"), false), ("/proc/nothing/here".into(), true)] {
        let mut command = Command::new(PROGRAM);
        command.env("CODEX_EXEC_SERVER_CONFIG", "none").arg("--state-dir").arg(&directory);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut server = command.spawn().expect("the program starts");
        let (url, _) = line(&mut server);
        let mut run = Command::new(PROGRAM);
        run.env("CODEX_EXEC_SERVER_CONFIG", "none").args(["run", "--connect", &url, "--", "seq", "1000000"]);
        let ran = run.stdin(Stdio::null()).output().expect("it runs");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let all: usize = (1..=1_000_000_u32).map(|n| n.to_string().len() + 1).sum();
        assert_eq!(ran.stdout.len(), all);
        terminate(&server);
        let mut said = String::new();
        server.stderr.take().expect("it has a pipe").read_to_string(&mut said).expect("text");
        assert!(server.wait().expect("it ends").success());
        assert_eq!(said.contains("until it can, memory alone keeps output"), warned, "{said}");
        assert_eq!(directory.exists(), !warned);
    }
}
