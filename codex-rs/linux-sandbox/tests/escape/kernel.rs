//! 32–43: reaching around the view, or into the kernel.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::ptr::null;

use super::attempt::Attempt;
use super::files::{path_of, write_everyhow};
use super::scene::Profile;
use super::secrets::look_at_secret;

pub(crate) fn attempts() -> Vec<Attempt> {
    let attempt = |number, name, attempt| Attempt::new(number, name, Profile::Workspace, attempt);
    vec![
        Attempt::new(32, "mount and unmount", Profile::Secrets, |scene, through| {
            let place = path_of(&scene.workspace());
            let secret = path_of(&scene.secret_file());
            // SAFETY: paths, names, flags and null pointers where they are allowed.
            unsafe {
                for flags in
                    [0, libc::MS_BIND, libc::MS_REMOUNT | libc::MS_BIND, libc::MS_MOVE, libc::MS_PRIVATE]
                {
                    let mounted =
                        libc::mount(place.as_ptr(), place.as_ptr(), c"tmpfs".as_ptr(), flags, null());
                    through.must_refuse(format!("mount {flags}"), i64::from(mounted));
                }
                for path in [&secret, &path_of(Path::new("/proc")), &path_of(Path::new("/"))] {
                    through.must_refuse("unmount", i64::from(libc::umount2(path.as_ptr(), libc::MNT_DETACH)));
                }
                through.must_refuse(
                    "open_tree",
                    libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, place.as_ptr(), 1),
                );
                through.must_refuse("fsopen", libc::syscall(libc::SYS_fsopen, c"tmpfs".as_ptr(), 0));
                let attr = [0_u64; 4];
                through.must_refuse(
                    "mount_setattr",
                    libc::syscall(
                        libc::SYS_mount_setattr,
                        libc::AT_FDCWD,
                        place.as_ptr(),
                        0,
                        attr.as_ptr(),
                        32,
                    ),
                );
                through.must_refuse(
                    "pivot_root",
                    libc::syscall(libc::SYS_pivot_root, place.as_ptr(), place.as_ptr()),
                );
            }
            look_at_secret(scene, through);
        }),
        Attempt::new(33, "a user namespace within, to unmask", Profile::Secrets, |scene, through| {
            let script = "umount .env; cat .env; mount --bind / mnt";
            for program in ["/usr/bin/unshare", "/bin/unshare"] {
                let ran = std::process::Command::new(program).args(["-Urm", "sh", "-c", script]).output();
                through.note("a shell in a new namespace", ran.is_ok_and(|ran| ran.status.success()));
            }
            look_at_secret(scene, through);
        }),
        attempt(/*number*/ 34, "climb out of a root of one's own", |scene, through| {
            let folder = path_of(&scene.workspace());
            // SAFETY: a path.
            through.must_refuse("chroot", i64::from(unsafe { libc::chroot(folder.as_ptr()) }));
        }),
        attempt(/*number*/ 35, "enter namespaces of others", |_, through| {
            for process in ["self", "1"] {
                for kind in ["mnt", "user", "pid", "net", "ipc", "uts", "cgroup"] {
                    if let Ok(file) = fs::File::open(format!("/proc/{process}/ns/{kind}")) {
                        let descriptor = std::os::fd::AsRawFd::as_raw_fd(&file);
                        // SAFETY: a descriptor and no kind.
                        through.must_refuse(
                            format!("setns {kind}"),
                            i64::from(unsafe { libc::setns(descriptor, 0) }),
                        );
                    }
                }
            }
        }),
        attempt(/*number*/ 36, "open by handle", |_, through| {
            let handle = [0_u8; 136];
            // SAFETY: a handle that names nothing.
            through.must_refuse("open_by_handle_at", unsafe {
                libc::syscall(libc::SYS_open_by_handle_at, libc::AT_FDCWD, handle.as_ptr(), libc::O_RDONLY)
            });
            let refused = std::io::Error::last_os_error().raw_os_error();
            through.note("it was looked at", refused != Some(libc::EPERM));
        }),
        attempt(/*number*/ 37, "make and open devices", |scene, through| {
            for (name, kind, device) in
                [("disk", libc::S_IFBLK, libc::makedev(8, 0)), ("memory", libc::S_IFCHR, libc::makedev(1, 1))]
            {
                let path = path_of(&scene.workspace().join(name));
                // SAFETY: a path, a mode and a number.
                through.must_refuse(
                    name,
                    i64::from(unsafe { libc::mknod(path.as_ptr(), kind | 0o666, device) }),
                );
            }
            for name in
                ["mem", "kmsg", "sda", "vda", "nvme0n1", "kvm", "fuse", "net/tun", "port", "mapper/control"]
            {
                through.must_fail(name, OpenOptions::new().read(true).open(Path::new("/dev").join(name)));
            }
        }),
        attempt(/*number*/ 38, "kernel settings", |_, through| {
            for name in
                ["sys/kernel/core_pattern", "sys/kernel/hostname", "sys/vm/drop_caches", "sysrq-trigger"]
            {
                let opened = OpenOptions::new().write(true).open(Path::new("/proc").join(name));
                // What is opened must lead nowhere.
                through.must_fail(name, opened.and_then(|mut file| file.write_all(b"x")));
            }
            write_everyhow(through, Path::new("/proc/self"));
        }),
        attempt(/*number*/ 39, "control groups", |_, through| {
            write_everyhow(through, Path::new("/sys/fs/cgroup"));
            for name in ["cgroup.procs", "release_agent", "memory/release_agent", "unified/cgroup.procs"] {
                let path = Path::new("/sys/fs/cgroup").join(name);
                through.must_fail(name, OpenOptions::new().write(true).open(path));
            }
        }),
        attempt(/*number*/ 40, "overwrite programs that run", |_, through| {
            for process in fs::read_dir("/proc").expect("there is a process table").flatten() {
                let program = process.path().join("exe");
                through.must_fail(
                    format!("{}", program.display()),
                    OpenOptions::new().write(true).open(&program),
                );
            }
            let own = super::runner::this_program();
            through.must_fail("own program", OpenOptions::new().append(true).open(own));
        }),
        attempt(/*number*/ 41, "fragile parts of the kernel", |_, through| {
            let zeroes = [0_u64; 64];
            let calls: &[(&str, libc::c_long)] = &[
                ("bpf", libc::SYS_bpf),
                ("perf_event_open", libc::SYS_perf_event_open),
                ("userfaultfd", libc::SYS_userfaultfd),
                ("io_uring_setup", libc::SYS_io_uring_setup),
                ("kexec_load", libc::SYS_kexec_load),
                ("init_module", libc::SYS_init_module),
                ("finit_module", libc::SYS_finit_module),
                ("delete_module", libc::SYS_delete_module),
                ("swapon", libc::SYS_swapon),
                ("acct", libc::SYS_acct),
                ("reboot", libc::SYS_reboot),
                ("syslog", libc::SYS_syslog),
            ];
            for &(name, call) in calls {
                // SAFETY: zeroes are valid for each of them, and mean nothing to any.
                let result = unsafe { libc::syscall(call, 0, zeroes.as_ptr(), 0, 0, 0) };
                let refused = std::io::Error::last_os_error().raw_os_error();
                through.note(name, result >= 0 || refused != Some(libc::EPERM));
            }
        }),
        #[cfg(target_arch = "x86_64")]
        attempt(/*number*/ 42, "calls of other architectures", |_, through| {
            for program in ["x32", "int 0x80"] {
                through.note(program, !dies_of_bad_call(program == "x32"));
            }
        }),
        attempt(/*number*/ 43, "a user namespace at all", |_, through| {
            // SAFETY: flags.
            unsafe {
                for flags in [libc::CLONE_NEWUSER, libc::CLONE_NEWNS, libc::CLONE_NEWPID, libc::CLONE_NEWNET]
                {
                    through.must_refuse("unshare", i64::from(libc::unshare(flags)));
                }
                let flags = libc::CLONE_NEWUSER | libc::SIGCHLD;
                let child = libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0);
                if child == 0 {
                    libc::_exit(0);
                }
                through.must_refuse("clone", child);
                through.must_refuse("clone3", libc::syscall(libc::SYS_clone3, null::<u8>(), 0));
                let refused = std::io::Error::last_os_error().raw_os_error();
                through.note("clone3 is looked at", refused != Some(libc::ENOSYS));
            }
        }),
    ]
}

/// Whether a child that makes such a call is killed for it.
#[cfg(target_arch = "x86_64")]
fn dies_of_bad_call(x32: bool) -> bool {
    // SAFETY: the child makes one call and ends, without touching what threads share.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            if x32 {
                libc::syscall(0x4000_0000 | libc::SYS_getpid);
            } else {
                std::arch::asm!("int 0x80", inlateout("rax") 20_i64 => _);
            }
            libc::_exit(0);
        }
        let mut status = 0;
        libc::waitpid(child, &raw mut status, 0);
        libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGSYS
    }
}
