//! 21–31: reading what must not be seen.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use codex_exec_server_protocol::path_uri::PathUri;
use serde_json::{Value, json};

use super::attempt::{Attempt, Through};
use super::scene::{Profile, SECRET, Scene};

pub(crate) fn attempts() -> Vec<Attempt> {
    let attempt = |number, name, attempt| Attempt::new(number, name, Profile::Secrets, attempt);
    vec![
        attempt(/*number*/ 21, "read a denied file, folder and glob", |scene, through| {
            look(through, &scene.secret_file());
            look(through, &scene.secrets().join("file"));
            look(through, &scene.workspace().join("key.pem"));
            look(through, &scene.workspace().join("deep/er/key.pem"));
            through.must_fail(
                "list",
                fs::read_dir(scene.secrets()).and_then(|mut entries| entries.next().transpose()),
            );
        })
        .prepared(|scene| {
            fs::create_dir_all(scene.workspace().join("deep/er")).expect("folders");
            fs::write(scene.workspace().join("deep/er/key.pem"), SECRET).expect("a secret");
        }),
        attempt(/*number*/ 22, "through links, descriptors and /proc", |scene, through| {
            for secret in [scene.secret_file(), scene.secrets().join("file")] {
                let link = scene.workspace().join("link");
                let _ = fs::remove_file(&link);
                symlink(&secret, &link).expect("a link may be made");
                look(through, &link);
                let relative = secret.strip_prefix("/").expect("absolute");
                look(through, &Path::new("/proc/self/root").join(relative));
                look(through, &Path::new("/proc/self/cwd/../..").join(relative));
            }
            // A descriptor that names the file without reading it must not be turned into one that reads.
            let path = super::files::path_of(&scene.secret_file());
            // SAFETY: a path and flags.
            let named = unsafe { libc::open(path.as_ptr(), libc::O_PATH | libc::O_CLOEXEC) };
            if named >= 0 {
                look(through, Path::new(&format!("/proc/self/fd/{named}")));
            }
        }),
        attempt(/*number*/ 23, "by another name that the machine gave it", |scene, through| {
            look(through, &scene.workspace().join("innocent"));
        })
        .prepared(|scene| {
            fs::hard_link(scene.secret_file(), scene.workspace().join("innocent")).expect("a link");
        }),
        attempt(/*number*/ 24, "rename the file, its parent, a folder", |scene, through| {
            through.must_fail("file", fs::rename(scene.secret_file(), scene.workspace().join("open")));
            through.must_fail(
                "parent",
                fs::rename(scene.workspace().join("deep"), scene.workspace().join("flat")),
            );
            through.must_fail("folder", fs::rename(scene.secrets(), scene.workspace().join("open")));
            through.must_fail("remove", fs::remove_file(scene.secret_file()));
        })
        .prepared(|scene| {
            fs::create_dir(scene.workspace().join("deep")).expect("a folder");
            fs::write(scene.workspace().join("deep/key.pem"), SECRET).expect("a secret");
        })
        .checked(|scene, through| {
            through.note(
                "the secret was changed",
                fs::read(scene.secret_file()).ok().as_deref() != Some(SECRET),
            );
        }),
        attempt(/*number*/ 25, "copy it by other means", |scene, through| {
            through.must_fail("copy", fs::copy(scene.secret_file(), scene.workspace().join("copy")));
            for command in [["cp", ".env", "copied"], ["cp", "-al", ".env"], ["tar", "cf", "all.tar"]] {
                let _ = std::process::Command::new(command[0]).args(&command[1..]).arg(".").output();
            }
            for entry in fs::read_dir(scene.workspace()).expect("it can be listed").flatten() {
                look(through, &entry.path());
            }
        }),
        attempt(/*number*/ 27, "a denied path that is made after the start", |scene, through| {
            through.must_fail("make", fs::write(scene.workspace().join("later"), "x"));
            through.must_fail("mkdir", fs::create_dir_all(scene.workspace().join("later/deep")));
            look(through, &scene.workspace().join("later"));
        })
        .checked(|scene, through| {
            through.note("something is left", scene.workspace().join("later").exists());
        }),
        Attempt::new(28, "a denied path that leads through a link", Profile::Workspace, |scene, through| {
            look(through, &scene.secrets().join("file"));
            look(through, &scene.root().join("alias/file"));
        })
        .prepared(|scene| {
            symlink(scene.secrets(), scene.root().join("alias")).expect("a link");
            symlink(scene.secrets(), scene.workspace().join("link")).expect("a link");
        })
        .changed(|scene| entries(&[deny(&scene.root().join("alias"))]))
        .refused(|scene| {
            // What it leads to is in the hands of whoever may write there.
            vec![(entries(&[deny(&scene.workspace().join("link/file"))]), "crosses a writable symlink")]
        }),
        attempt(/*number*/ 29, "words for other mechanisms", |scene, through| {
            look(through, &scene.secret_file());
            look(through, &scene.secrets().join("file"));
            through.must_fail("write outside", fs::write(scene.outside_file(), "x"));
        })
        .changed(|_| {
            let words = json!({
                "windowsSandboxLevel": "elevated",
                "windowsSandboxPrivateDesktop": true,
                "sandboxOverride": "bypassSandboxFirstAttempt",
                "noSuchWord": true,
            });
            json!({ "sandbox": words })
        })
        .refused(|_| {
            vec![
                (json!({ "sandbox": { "useLegacyLandlock": true } }), "useLegacyLandlock can't express"),
                (json!({ "sandbox": { "windowsSandboxLevel": "mxc" } }), "native MXC is unavailable"),
                (json!({ "sandbox": { "windowsSandboxLevel": "none" } }), "unknown variant"),
            ]
        }),
        attempt(/*number*/ 30, "a malformed glob beside good ones", |scene, through| {
            look(through, &scene.secret_file());
            look(through, &scene.workspace().join("key.pem"));
        })
        .refused(|scene| {
            let malformed = |pattern: &str| {
                let path = json!({ "type": "glob_pattern", "pattern": pattern });
                entries(&[deny(&scene.secret_file()), json!({ "path": path, "access": "deny" })])
            };
            vec![
                (malformed("a**b"), "glob `a**b` is malformed"),
                (malformed("../*.pem"), "glob `../*.pem` is malformed"),
            ]
        }),
        Attempt::new(31, "what is not listed", Profile::Minimal, |scene, through| {
            look(through, &scene.outside_file());
            look(through, &scene.secrets().join("file"));
            // What leads to this program, which is listed, is there, with nothing else in it.
            let program = super::runner::this_program();
            for folder in ["/home", "/root", "/var", "/sys", "/run", "/opt"] {
                match fs::read_dir(folder) {
                    Ok(entries) if program.starts_with(folder) => {
                        through.note(format!("more than one way in {folder}"), entries.count() > 1);
                    }
                    found => through.must_fail(folder, found),
                }
            }
        }),
    ]
}

/// A change of the rules: everything may be read, the workspace written, and these.
fn entries(more: &[Value]) -> Value {
    let special = |kind: &str, access: &str| json!({ "path": { "type": "special", "value": { "kind": kind } }, "access": access });
    let all = [&[special("root", "read"), special("project_roots", "write")], more].concat();
    json!({ "sandbox": { "permissions": { "file_system": { "entries": all } } } })
}

fn deny(path: &Path) -> Value {
    let uri = PathUri::try_from(path).expect("an absolute path").to_string();
    json!({ "path": { "type": "path", "path": uri }, "access": "deny" })
}

/// Nobody may find the secret there. That there is something, and that it is empty, may be seen.
pub(crate) fn look(through: &mut Through, path: &Path) {
    let mut bytes = Vec::new();
    if let Ok(file) = File::open(path) {
        // What is no file can't hold it.
        let _ = file.take(1 << 20).read_to_end(&mut bytes);
    }
    let found = bytes.windows(SECRET.len()).any(|window| window == SECRET);
    through.note(format!("read {}", path.display()), found);
}

/// For rows elsewhere that read the scene's secret by name.
pub(crate) fn look_at_secret(scene: &Scene, through: &mut Through) {
    look(through, &scene.secret_file());
}
