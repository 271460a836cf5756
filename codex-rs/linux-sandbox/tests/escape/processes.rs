//! 44–57: other processes, and rights that could come back.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::attempt::{Attempt, Ending};
use super::files::path_of;
use super::scene::Profile;

pub(crate) fn attempts() -> Vec<Attempt> {
    let attempt = |number, name, attempt| Attempt::new(number, name, Profile::Workspace, attempt);
    vec![
        attempt(/*number*/ 44, "trace processes, read and write their memory", |_, through| {
            let own = std::process::id().cast_signed();
            // SAFETY: numbers and empty lists.
            unsafe {
                through.must_refuse("traceme", libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0));
                for process in [1, own] {
                    through.must_refuse("attach", libc::ptrace(libc::PTRACE_ATTACH, process, 0, 0));
                    let none = std::ptr::null::<libc::iovec>();
                    through.must_refuse("read", libc::process_vm_readv(process, none, 0, none, 0, 0) as i64);
                    through
                        .must_refuse("write", libc::process_vm_writev(process, none, 0, none, 0, 0) as i64);
                }
            }
            through.must_fail("init's memory", fs::File::open("/proc/1/mem"));
            through.must_fail(
                "init's environment",
                fs::read("/proc/1/environ").and_then(|bytes| {
                    if bytes.is_empty() { Err(std::io::ErrorKind::NotFound.into()) } else { Ok(()) }
                }),
            );
        }),
        attempt(/*number*/ 45, "see processes of the machine", |_, through| {
            let numbers = fs::read_dir("/proc")
                .expect("there is a process table")
                .flatten()
                .filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok())
                .count();
            // Init, this program, and nobody else.
            through.note(format!("{numbers} processes"), numbers > 2);
        }),
        attempt(/*number*/ 46, "signal by number and group", |_, through| {
            let outside = std::env::var("TEST_PARENT").expect("told").parse::<i32>().expect("a number");
            if outside <= 2 {
                // Whoever runs the tests has the number of somebody inside.
                return;
            }
            // SAFETY: numbers; 0 asks only.
            unsafe {
                through.must_refuse("process", i64::from(libc::kill(outside, 0)));
                through.must_refuse("group", i64::from(libc::kill(-outside, 0)));
                through.must_refuse("pidfd", libc::syscall(libc::SYS_pidfd_open, outside, 0));
            }
        }),
        attempt(/*number*/ 47, "signal everybody", |_, through| {
            // SAFETY: asks whether there is anybody else; nobody is init's or the machine's.
            through.must_refuse("everybody", i64::from(unsafe { libc::kill(-1, 0) }));
            // The launcher is in no group that can be named here.
            // SAFETY: a number.
            through.note("parent", unsafe { libc::getppid() } != 0);
        }),
        attempt(/*number*/ 48, "kill init", |_, through| {
            // SAFETY: numbers. Init ignores what it does not expect, even this.
            let _ = unsafe { libc::kill(1, libc::SIGKILL) };
            // SAFETY: asks only. Landlock refuses even that, which tells that there is somebody.
            let asked = unsafe { libc::kill(1, 0) };
            let gone = asked < 0 && std::io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH);
            through.note("init is gone", gone);
        }),
        attempt(/*number*/ 49, "a daemon that outlives its program", |scene, _| leave_daemon(scene))
            .checked(|scene, through| through.note("it lives", !lock(scene, libc::LOCK_EX | libc::LOCK_NB))),
        attempt(/*number*/ 50, "a daemon that outlives a program's end by force", |scene, _| {
            leave_daemon(scene);
        })
        .ending(Ending::Terminated)
        // Whoever dies by force may be dying still; one that lived on would hold this for ever.
        .checked(|scene, through| through.note("it can't be asked for", !lock(scene, libc::LOCK_EX))),
        attempt(/*number*/ 51, "descriptors that were left open", |_, through| {
            for entry in fs::read_dir("/proc/self/fd").expect("it can be listed").flatten() {
                let number = entry.file_name().to_string_lossy().into_owned();
                let target =
                    fs::read_link(entry.path()).map(|path| path.display().to_string()).unwrap_or_default();
                // The listing itself, and what the runtime of this program opens.
                let own =
                    target.starts_with("/proc/") || target.starts_with("anon_inode") || target.is_empty();
                through.note(
                    format!("{number} is {target}"),
                    number.parse::<u32>().is_ok_and(|n| n > 2) && !own,
                );
            }
        }),
        attempt(/*number*/ 52, "type for somebody else", |_, through| {
            for request in [libc::TIOCSTI, 0x541c] {
                let byte = b'x';
                // SAFETY: a byte to read.
                let result = unsafe { libc::ioctl(0, request, &raw const byte) };
                let refused = std::io::Error::last_os_error().raw_os_error();
                through.note(format!("{request:#x}"), result >= 0 || refused != Some(libc::EPERM));
            }
        }),
        attempt(/*number*/ 53, "shared memory of others", |_, through| {
            // SAFETY: a key that the outside has made, no size, no flags.
            through.must_refuse("System V", i64::from(unsafe { libc::shmget(0x0c0d_e9e5, 0, 0) }));
            through.must_fail("POSIX", fs::read(format!("/dev/shm/{}", shared_name())));
            fs::write("/dev/shm/own", "x").expect("own shared memory works");
        })
        .prepared(|_| {
            // SAFETY: a key, a size and flags. It stays; one page for the machine's lifetime at most.
            unsafe { libc::shmget(0x0c0d_e9e5, 4096, libc::IPC_CREAT | 0o600) };
            let _ = fs::write(format!("/dev/shm/{}", shared_name()), "x");
        })
        .checked(|_, through| {
            through.note("own shared memory is the machine's", Path::new("/dev/shm/own").exists());
            let _ = fs::remove_file(format!("/dev/shm/{}", shared_name()));
            // SAFETY: takes the segment away again.
            unsafe {
                let id = libc::shmget(0x0c0d_e9e5, 0, 0);
                libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut());
            }
        }),
        attempt(/*number*/ 54, "keyrings", |_, through| {
            // SAFETY: names of special keyrings.
            unsafe {
                through.must_refuse("get", libc::syscall(libc::SYS_keyctl, 0, -4, 0));
                let (kind, name) = (c"user".as_ptr(), c"x".as_ptr());
                through.must_refuse("add", libc::syscall(libc::SYS_add_key, kind, name, name, 1, -4));
            }
        }),
        attempt(/*number*/ 55, "rights that are left", no_rights),
        Attempt::new(155, "rights that are left, with the network", Profile::WorkspaceOnline, no_rights),
        attempt(/*number*/ 56, "run a file with its owner's rights", |_, through| {
            for program in ["/usr/bin/su", "/usr/bin/passwd", "/usr/bin/mount", "/bin/su"] {
                if !Path::new(program).exists() {
                    continue;
                }
                let status = fs::read_to_string("/proc/self/status").expect("it can be read");
                through.note("new rights", !status.contains("NoNewPrivs:\t1"));
            }
        }),
        attempt(/*number*/ 57, "leave such a file behind", |scene, through| {
            let file = scene.workspace().join("file");
            fs::write(&file, "x").expect("the workspace may be written");
            for mode in [0o4755, 0o2755, 0o6755] {
                through.must_fail("chmod", fs::set_permissions(&file, fs::Permissions::from_mode(mode)));
            }
            let path = path_of(&scene.workspace().join("created"));
            // SAFETY: a path, flags and a mode.
            let opened = unsafe { libc::open(path.as_ptr(), libc::O_CREAT | libc::O_WRONLY, 0o4755) };
            through.must_refuse("create", i64::from(opened));
            // SAFETY: a path, a mode and no device.
            through.must_refuse(
                "mknod",
                i64::from(unsafe { libc::mknod(path.as_ptr(), libc::S_IFREG | 0o4755, 0) }),
            );
        })
        .checked(|scene, through| {
            for entry in fs::read_dir(scene.workspace()).expect("it can be listed").flatten() {
                let mode = entry.metadata().expect("it is there").permissions().mode();
                through
                    .note(format!("{} has its owner's rights", entry.path().display()), mode & 0o6000 != 0);
            }
        }),
        attempt(/*number*/ 110, "a debugger", |_, through| {
            // SAFETY: the copy waits to be killed; numbers otherwise.
            unsafe {
                let child = libc::fork();
                if child == 0 {
                    loop {
                        libc::pause();
                    }
                }
                through.must_refuse("attach", libc::ptrace(libc::PTRACE_ATTACH, child, 0, 0));
                through.must_refuse("seize", libc::ptrace(libc::PTRACE_SEIZE, child, 0, 0));
                libc::kill(child, libc::SIGKILL);
                libc::waitpid(child, std::ptr::null_mut(), 0);
            }
        })
        .ending(Ending::Told("ptrace", "never allowed")),
    ]
}

/// Leaves a process behind in a session of its own, without streams, that holds a lock for as long as it lives.
fn leave_daemon(scene: &super::scene::Scene) {
    assert!(lock(scene, libc::LOCK_EX), "nobody else has it");
    // SAFETY: the copies call what a copy of a program with threads may call, and never return.
    unsafe {
        match libc::fork() {
            0 => {
                libc::setsid();
                if libc::fork() == 0 {
                    for stream in 0..3 {
                        libc::close(stream);
                    }
                    libc::signal(libc::SIGHUP, libc::SIG_IGN);
                    libc::signal(libc::SIGTERM, libc::SIG_IGN);
                    loop {
                        libc::pause();
                    }
                }
                libc::_exit(0)
            }
            between => {
                assert!(between > 0, "a process can be made");
                libc::waitpid(between, std::ptr::null_mut(), 0);
            }
        }
    }
}

/// Takes the lock of the daemon's file, which stays open until this program ends.
fn lock(scene: &super::scene::Scene, how: i32) -> bool {
    let file = fs::File::options().create(true).append(true).open(scene.workspace().join("alive"));
    let file = std::os::fd::IntoRawFd::into_raw_fd(file.expect("the workspace may be written"));
    // SAFETY: a descriptor and flags.
    unsafe { libc::flock(file, how) == 0 }
}

fn no_rights(_: &super::scene::Scene, through: &mut super::attempt::Through) {
    let status = fs::read_to_string("/proc/self/status").expect("it can be read");
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel tells");
        line.trim_start_matches(':').trim().to_owned()
    };
    for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        through.note(name, !field(name).trim_matches('0').is_empty());
    }
    through.note("new rights", field("NoNewPrivs") != "1");
    through.note("no filter", field("Seccomp") != "2");
}

fn shared_name() -> String {
    format!("codex-escape-{}", rustix::process::getuid().as_raw())
}
