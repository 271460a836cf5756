//! 79–86: reaching what runs before the sandbox exists, through what a request says.

use std::fs;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::attempt::{Attempt, Through};
use super::files::write_everyhow;
use super::scene::{Profile, Scene};

pub(crate) fn attempts() -> Vec<Attempt> {
    let attempt = |number, name| Attempt::new(number, name, Profile::Workspace, write_outside);
    vec![
        attempt(/*number*/ 79, "a library that is loaded before every program")
            .missing(no_compiler)
            .prepared(make_evil_library)
            .changed(|scene| json!({ "env": { "LD_PRELOAD": evil_library(scene) } }))
            .controlled(library_was_loaded),
        attempt(/*number*/ 179, "a library that watches every program being loaded")
            .missing(no_compiler)
            .prepared(make_evil_library)
            .changed(|scene| json!({ "env": { "LD_AUDIT": evil_library(scene) } }))
            .controlled(library_was_loaded),
        attempt(/*number*/ 81, "programs by known names in the workspace")
            .prepared(|scene| make_evil_programs(scene, &scene.workspace()))
            .changed(|scene| path_with(&scene.workspace())),
        attempt(/*number*/ 82, "programs by known names elsewhere")
            .prepared(|scene| {
                fs::create_dir(scene.root().join("tools")).expect("a folder");
                make_evil_programs(scene, &scene.root().join("tools"));
            })
            .changed(|scene| path_with(&scene.root().join("tools"))),
        attempt(/*number*/ 83, "a search path that starts where it runs")
            .prepared(|scene| make_evil_programs(scene, &scene.workspace()))
            .changed(|_| json!({ "env": { "PATH": "." } })),
        attempt(/*number*/ 183, "an empty search path")
            .prepared(|scene| make_evil_programs(scene, &scene.workspace()))
            .changed(|_| json!({ "env": { "PATH": "" } })),
        attempt(/*number*/ 84, "folders for temporary files and settings").changed(|scene| {
            let outside = scene.outside();
            json!({ "env": { "TMPDIR": outside, "TMP": outside, "HOME": outside, "XDG_RUNTIME_DIR": outside } })
        }),
        attempt(/*number*/ 85, "arguments that look like flags").changed(|_| {
            let program = super::runner::this_program();
            let program = program.to_str().expect("its path is text");
            let argv = [
                program, "inside", "--exact", "--nocapture", "--test-threads=1", "--", "--bind", "/", "/",
                "--no-sandbox",
            ];
            json!({ "argv": argv, "arg0": "--dangerously-bypass-sandbox" })
        }),
        attempt(/*number*/ 86, "the launcher's own name").changed(|_| json!({ "arg0": "codex-linux-sandbox" })),
        Attempt::new(186, "a launcher with a forged job", Profile::Workspace, |scene, through| {
            // What the launcher reads: a sealed memory file as descriptor 3, a socket as 4.
            // SAFETY: a name, flags, and descriptors that were made here.
            let job = unsafe {
                let made = libc::memfd_create(c"job".as_ptr(), libc::MFD_ALLOW_SEALING);
                assert!(made >= 0, "memory files can be made");
                OwnedFd::from_raw_fd(made)
            };
            let seals = libc::F_SEAL_WRITE | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
            // SAFETY: bytes and their length, then flags.
            unsafe {
                libc::write(job.as_raw_fd(), [0_u8; 64].as_ptr().cast(), 64);
                assert_eq!(libc::fcntl(job.as_raw_fd(), libc::F_ADD_SEALS, seals), 0, "it can be sealed");
            }
            let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("pairs work");
            let (job, status) = (job.as_raw_fd(), theirs.as_raw_fd());
            let mut launcher = Command::new(super::runner::launcher_program());
            launcher.arg0("codex-linux-sandbox");
            // SAFETY: two calls that a copy of a program with threads may make. Neither number is 3 or 4 by chance: copies
            // beyond them are made first.
            unsafe {
                launcher.pre_exec(move || {
                    let (job, status) = (libc::fcntl(job, libc::F_DUPFD, 10), libc::fcntl(status, libc::F_DUPFD, 10));
                    if libc::dup2(job, 3) < 0 || libc::dup2(status, 4) < 0 {
                        return Err(std::io::Error::last_os_error());
                    }
                    Ok(())
                });
            }
            let ran = launcher.status().expect("the launcher can be run");
            through.note("it obeyed", ran.success());
            drop((ours, theirs));
            write_outside(scene, through);
        }),
    ]
}

fn write_outside(scene: &Scene, through: &mut Through) {
    write_everyhow(through, &scene.outside());
    through.must_fail("change", fs::write(scene.outside_file(), "x"));
}

fn path_with(folder: &Path) -> serde_json::Value {
    json!({ "env": { "PATH": format!("{}:/usr/bin:/bin", folder.display()) } })
}

/// Programs that change what lies outside, if anybody runs them there.
fn make_evil_programs(scene: &Scene, folder: &Path) {
    let escaped = scene.outside().join("escaped");
    for name in ["bwrap", "sh", "rg", "env", "true", "codex-linux-sandbox", "codex-exec-server", "newuidmap"]
    {
        let program = folder.join(name);
        fs::write(&program, format!("#!/bin/sh\n: > {}\n", escaped.display())).expect("a program");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("its mode");
    }
    // They do harm where nothing keeps them from it. By way of the shell: a file that somebody else's new process still
    // holds open for writing can't be run itself.
    let ran = Command::new("/bin/sh").arg(folder.join("bwrap")).status();
    assert!(ran.is_ok_and(|ran| ran.success()), "it runs");
    fs::remove_file(escaped).expect("it did its work");
}

pub(crate) fn no_compiler() -> Option<String> {
    let there = Command::new("cc").arg("--version").output().is_ok_and(|ran| ran.status.success());
    (!there).then(|| "there is no C compiler (cc) to make a library with".into())
}

pub(crate) fn evil_library(scene: &Scene) -> String {
    scene.root().join("evil.so").to_str().expect("its path is text").to_owned()
}

/// A library that changes what lies outside, and leaves a trace in the workspace.
pub(crate) fn make_evil_library(scene: &Scene) {
    let source = scene.root().join("evil.c");
    let (outside, trace) = (scene.outside().join("escaped"), scene.workspace().join("loaded"));
    let text = format!(
        "#include <fcntl.h>\n\
         __attribute__((constructor)) static void begin(void) {{\n\
         open(\"{}\", O_CREAT | O_WRONLY, 0600); open(\"{}\", O_CREAT | O_WRONLY, 0600); }}\n\
         unsigned int la_version(unsigned int version) {{ begin(); return version; }}\n",
        outside.display(),
        trace.display()
    );
    fs::write(&source, text).expect("a file");
    let made = Command::new("cc")
        .args(["-shared", "-fPIC", "-w", "-o"])
        .args([Path::new(&evil_library(scene)), &source])
        .output()
        .expect("the compiler runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

pub(crate) fn library_was_loaded(scene: &Scene) {
    assert!(scene.workspace().join("loaded").exists(), "the program itself has it");
}
