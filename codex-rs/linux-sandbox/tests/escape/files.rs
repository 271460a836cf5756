//! 1–14: writing where nothing may be written.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::attempt::{Attempt, Through};
use super::scene::{Profile, Scene};

pub(crate) fn attempts() -> Vec<Attempt> {
    let workspace = |number, name, attempt| Attempt::new(number, name, Profile::Workspace, attempt);
    vec![
        workspace(/*number*/ 1, "open, append and mkdir outside", |scene, through| {
            write_everyhow(through, &scene.outside())
        }),
        workspace(/*number*/ 2, "write to the system", |_, through| {
            for folder in ["/etc", "/usr", "/var/tmp", "/", "/dev", "/proc", "/sys"] {
                write_everyhow(through, Path::new(folder));
            }
        }),
        workspace(/*number*/ 3, "unlink, truncate and rename outside", |scene, through| {
            let file = scene.outside_file();
            through.must_fail("unlink", fs::remove_file(&file));
            through.must_fail("truncate", OpenOptions::new().write(true).truncate(true).open(&file));
            through.must_refuse("truncate by path", i64::from(unsafe_truncate(&file)));
            through.must_fail("rename", fs::rename(&file, scene.outside().join("other")));
            through.must_fail("remove folder", fs::remove_dir_all(scene.outside()));
        }),
        workspace(/*number*/ 4, "chmod, chown, utime and xattr outside", |scene, through| {
            let file = scene.outside_file();
            through.must_fail("chmod", fs::set_permissions(&file, fs::Permissions::from_mode(0o777)));
            through.must_fail(
                "chown",
                std::os::unix::fs::chown(&file, Some(rustix::process::getuid().as_raw()), None),
            );
            let path = path_of(&file);
            // SAFETY: a path, no times (now), no flags.
            let utime = unsafe { libc::utimensat(libc::AT_FDCWD, path.as_ptr(), std::ptr::null(), 0) };
            through.must_refuse("utime", i64::from(utime));
            // SAFETY: a path, a name, a value and its length.
            let xattr =
                unsafe { libc::setxattr(path.as_ptr(), c"user.x".as_ptr(), c"v".as_ptr().cast(), 1, 0) };
            through.must_refuse("xattr", i64::from(xattr));
        }),
        workspace(/*number*/ 5, "through a link to a file", |scene, through| {
            let link = scene.workspace().join("link");
            symlink(scene.outside_file(), &link).expect("a link may be made");
            through.must_fail("write", fs::write(&link, "x"));
            through.must_fail("append", OpenOptions::new().append(true).open(&link));
            symlink(scene.outside().join("new"), scene.workspace().join("dangling"))
                .expect("a link may be made");
            through.must_fail("create", fs::write(scene.workspace().join("dangling"), "x"));
        }),
        workspace(/*number*/ 6, "through a link to a folder", |scene, through| {
            let link = scene.workspace().join("link");
            symlink(scene.outside(), &link).expect("a link may be made");
            write_everyhow(through, &link);
            through.must_fail("remove", fs::remove_file(link.join("file")));
        }),
        workspace(/*number*/ 7, "through a link that is swapped while it is used", swapped_link),
        workspace(/*number*/ 8, "hard links in either direction", |scene, through| {
            let inside = scene.workspace().join("inside");
            fs::write(&inside, "x").expect("the workspace may be written");
            through.must_fail(
                "out to in",
                fs::hard_link(scene.outside_file(), scene.workspace().join("linked")),
            );
            through.must_fail("in to out", fs::hard_link(&inside, scene.outside().join("linked")));
        }),
        workspace(/*number*/ 9, "rename across", |scene, through| {
            let inside = scene.workspace().join("inside");
            fs::write(&inside, "x").expect("the workspace may be written");
            through.must_fail("in to out", fs::rename(&inside, scene.outside().join("inside")));
            through.must_fail("out to in", fs::rename(scene.outside_file(), scene.workspace().join("file")));
            through.must_fail("over", fs::rename(&inside, scene.outside_file()));
        }),
        workspace(/*number*/ 10, "by way of /proc/self", |scene, through| {
            for way in ["root", "cwd/../../../../../../..", "task/self/root"] {
                let around = Path::new("/proc/self").join(way);
                let relative = scene.outside();
                write_everyhow(through, &around.join(relative.strip_prefix("/").expect("absolute")));
            }
        }),
        workspace(/*number*/ 11, "by way of every process that is seen", |scene, through| {
            for process in fs::read_dir("/proc").expect("there is a process table").flatten() {
                for way in ["root", "cwd"] {
                    let root = process.path().join(way);
                    let outside = scene.outside();
                    write_everyhow(through, &root.join(outside.strip_prefix("/").expect("absolute")));
                }
            }
        }),
        workspace(/*number*/ 12, "with a working directory outside", |scene, through| {
            std::env::set_current_dir(scene.outside()).expect("it may be entered");
            write_everyhow(through, Path::new("."));
            through.must_fail("write", fs::write("file", "x"));
            let link = scene.workspace().join("link");
            symlink(scene.outside(), &link).expect("a link may be made");
            std::env::set_current_dir(&link).expect("it may be entered");
            write_everyhow(through, Path::new("."));
        }),
        workspace(/*number*/ 13, "upwards", |scene, through| {
            write_everyhow(through, &scene.workspace().join(".."));
            write_everyhow(through, &scene.workspace().join("../outside"));
            write_everyhow(through, Path::new("../outside"));
        }),
        Attempt::new(14, "write anywhere under a read-only profile", Profile::ReadOnly, |scene, through| {
            let temp = std::env::temp_dir();
            for folder in [scene.workspace(), scene.outside(), scene.root().to_owned(), temp, "/tmp".into()] {
                write_everyhow(through, &folder);
            }
        }),
    ]
}

/// Makes and changes things in a folder, in every way there is.
pub(crate) fn write_everyhow(through: &mut Through, folder: &Path) {
    let at = |name: &str| folder.join(name);
    let name = |what: &str| format!("{what} in {}", folder.display());
    through.must_fail(name("create"), File::create(at("escaped")));
    through.must_fail(name("append"), OpenOptions::new().append(true).create(true).open(at("escaped")));
    through.must_fail(name("mkdir"), fs::create_dir(at("escaped-folder")));
    through.must_fail(name("symlink"), symlink("/", at("escaped-link")));
    let fifo = path_of(&at("escaped-fifo"));
    // SAFETY: a path and a mode.
    through.must_refuse(name("mkfifo"), i64::from(unsafe { libc::mkfifo(fifo.as_ptr(), 0o600) }));
    let folder_path = path_of(folder);
    // SAFETY: a path, flags and a mode.
    let unnamed = unsafe { libc::open(folder_path.as_ptr(), libc::O_TMPFILE | libc::O_RDWR, 0o600) };
    through.must_refuse(name("unnamed file"), i64::from(unnamed));
}

fn unsafe_truncate(path: &Path) -> i32 {
    // SAFETY: a path and a length.
    unsafe { libc::truncate(path_of(path).as_ptr(), 0) }
}

pub(crate) fn path_of(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("no NUL in a path")
}

/// One thread swaps a folder and a link to outside, the other writes through the name.
fn swapped_link(scene: &Scene, through: &mut Through) {
    const ROUNDS: usize = 3000;
    let (folder, link): (PathBuf, PathBuf) = (scene.workspace().join("a"), scene.workspace().join("b"));
    fs::create_dir(&folder).expect("a folder may be made");
    symlink(scene.outside(), &link).expect("a link may be made");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (a, b) = (path_of(&folder), path_of(&link));
            for _ in 0..ROUNDS {
                // SAFETY: two paths and a flag.
                unsafe {
                    libc::syscall(
                        libc::SYS_renameat2,
                        libc::AT_FDCWD,
                        a.as_ptr(),
                        libc::AT_FDCWD,
                        b.as_ptr(),
                        libc::RENAME_EXCHANGE,
                    )
                };
            }
        });
        for round in 0..ROUNDS {
            // Whether it hits the folder or the link is a matter of luck; the check outside tells.
            let _ = fs::write(folder.join("escaped"), "x");
            let _ = fs::remove_file(folder.join(if round % 2 == 0 { "escaped" } else { "file" }));
        }
    });
    through.note("outside changed", !scene.outside_is_as_it_was());
}
