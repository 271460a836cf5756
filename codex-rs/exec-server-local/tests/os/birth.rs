//! What a child is born with.

use std::os::fd::AsFd;

use codex_exec_server_local::os::{Carried, Command, Limit, LimitKind, Output, Status, Stdin, Stdio, spawn};
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::{FdFlags, fcntl_getfd};

use crate::support::{finish, read_line, run, shell, shell_with_stdin, stdout_of};

#[test]
fn arg0_is_what_the_child_believes_its_name_to_be() {
    let mut command = shell("echo $0");
    assert_eq!(run(&command).stdout, "/bin/sh\n");
    command.arg0 = Some("another name".into());
    assert_eq!(run(&command).stdout, "another name\n");
}

#[test]
fn a_variable_without_a_name_or_with_an_odd_one_is_passed_on() {
    let mut command = Command::new(["/usr/bin/env"], "/");
    command.env = vec![("".into(), "x".into()), ("A=B".into(), "y".into())];
    assert_eq!(run(&command).stdout, "=x\nA=B=y\n");
}

#[test]
fn the_environment_is_exact() {
    let mut command = Command::new(["/usr/bin/env"], "/");
    assert_eq!(run(&command).stdout, "");
    command.env = vec![("B".into(), "two words = 2".into()), ("A".into(), "".into())];
    assert_eq!(run(&command).stdout, "B=two words = 2\nA=\n");
}

#[test]
fn a_bare_name_is_searched_in_the_path_of_the_child() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = directory.path().join("only-here");
    std::os::unix::fs::symlink("/bin/echo", &program).expect("a link");
    let mut command = Command::new(["only-here", "found"], "/");
    let path = format!("/nonexistent:/etc/passwd:{}", directory.path().display());
    command.env = vec![("PATH".into(), path.into())];
    assert_eq!(run(&command).stdout, "found\n");
}

#[test]
fn without_a_path_the_usual_directories_are_searched() {
    assert_eq!(run(&Command::new(["sh", "-c", "echo found"], "/")).stdout, "found\n");
}

#[test]
fn an_empty_part_of_the_path_and_a_relative_program_mean_the_working_directory() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::os::unix::fs::symlink("/bin/echo", directory.path().join("here")).expect("a link");
    for (program, path) in [("here", "/nonexistent:"), ("here", ""), ("./here", "/nonexistent")] {
        let mut command = Command::new([program, "found"], directory.path());
        command.env = vec![("PATH".into(), path.into())];
        assert_eq!(run(&command).stdout, "found\n", "{program} with PATH={path}");
    }
}

#[test]
fn nothing_beyond_the_first_three_descriptors_is_inherited() {
    // Not close-on-exec, as libraries and careless parents leave them.
    let _careless = rustix::io::dup(std::io::stdin().as_fd()).expect("a descriptor");
    // The fourth is the directory that `ls` itself has open.
    assert_eq!(run(&Command::new(["/bin/ls", "/proc/self/fd"], "/")).stdout, "0\n1\n2\n3\n");
}

#[test]
fn the_child_leads_its_own_session_and_group() {
    for command in [shell("cat /proc/$$/stat"), crate::support::shell_on_terminal("cat /proc/$$/stat")] {
        let spawned = spawn(&command).expect("starts");
        let os_pid = spawned.child.os_pid().to_string();
        let stat = finish(spawned).stdout;
        let fields: Vec<&str> = stat.split_ascii_whitespace().collect();
        // Number, process group and session.
        assert_eq!([fields[0], fields[4], fields[5]], [os_pid.as_str(); 3]);
    }
}

#[test]
fn core_dumps_are_off_for_good() {
    assert_eq!(run(&shell("ulimit -S -c; ulimit -H -c")).stdout, "0\n0\n");
}

#[test]
fn limits_are_set_as_asked() {
    let mut command = shell("ulimit -S -n; ulimit -H -n; ulimit -S -t");
    command.limits = vec![
        Limit { kind: LimitKind::OpenFiles, value: 17 },
        Limit { kind: LimitKind::CpuSeconds, value: 1000 },
    ];
    assert_eq!(run(&command).stdout, "17\n17\n1000\n");
}

#[test]
fn signals_are_neither_blocked_nor_ignored() {
    // Rust's runtime ignores SIGPIPE in this very process, and this thread blocks one more.
    let mut blocked = nix::sys::signal::SigSet::empty();
    blocked.add(nix::sys::signal::Signal::SIGUSR1);
    blocked.thread_block().expect("a signal can be blocked");
    // `cat` sets no handlers of its own, unlike a shell.
    let status = run(&Command::new(["/bin/cat", "/proc/self/status"], "/")).stdout;
    let signals: Vec<&str> = status
        .lines()
        .filter(|line| ["SigBlk", "SigIgn", "SigCgt"].iter().any(|name| line.starts_with(name)))
        .collect();
    let still_blocked = nix::sys::signal::SigSet::thread_get_mask().expect("the mask can be read");
    blocked.thread_unblock().expect("and unblocked");
    let none = ["SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000", "SigCgt:\t0000000000000000"];
    assert_eq!(signals, none);
    assert!(still_blocked.contains(nix::sys::signal::Signal::SIGUSR1), "the caller's mask is put back");
}

#[test]
fn a_child_that_writes_to_a_closed_pipe_dies_of_it() {
    let spawned = spawn(&shell_with_stdin("read line; exec yes")).expect("starts");
    let Output::Pipes { stdout, stderr } = spawned.output else { panic!("pipes were asked for") };
    drop((stdout, stderr));
    rustix::io::write(spawned.stdin.as_ref().expect("a pipe was asked for"), b"go\n").expect("it reads");
    assert_eq!(crate::support::wait(&spawned.child).status, Status::Signalled(13));
}

#[test]
fn stdin_is_empty_unless_a_pipe_is_asked_for() {
    assert_eq!(run(&Command::new(["/bin/cat"], "/")).stdout, "");
    let mut command = Command::new(["/bin/cat"], "/");
    command.stdio = Stdio::Pipes { stdin: Stdin::Pipe };
    let spawned = spawn(&command).expect("starts");
    rustix::io::write(spawned.stdin.as_ref().expect("a pipe was asked for"), b"line\n").expect("it reads");
    assert_eq!(read_line(stdout_of(&spawned)), "line\n");
    // Closing our end is the end of the child's input.
    let finished = finish(spawned);
    assert_eq!((finished.stdout.as_str(), finished.exit.status), ("", Status::Exited(0)));
}

#[test]
fn stdout_and_stderr_are_apart() {
    let finished = run(&shell("echo out; echo err >&2"));
    assert_eq!((finished.stdout.as_str(), finished.stderr.as_str()), ("out\n", "err\n"));
}

#[test]
fn the_umask_is_the_servers() {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let own = status.lines().find_map(|line| line.strip_prefix("Umask:")).expect("it has a umask");
    assert_eq!(run(&shell("umask")).stdout.trim(), own.trim());
}

#[test]
fn our_ends_do_not_block_and_are_not_inherited_while_the_childs_block() {
    for command in [shell_with_stdin("cat"), crate::support::shell_on_terminal("cat")] {
        let spawned = spawn(&command).expect("starts");
        let mut ours = vec![spawned.child.as_fd()];
        ours.extend(spawned.stdin.as_ref().map(AsFd::as_fd));
        match &spawned.output {
            Output::Pipes { stdout, stderr } => ours.extend([stdout.as_fd(), stderr.as_fd()]),
            Output::Pty { master } => ours.push(master.as_fd()),
        }
        for (index, descriptor) in ours.iter().enumerate() {
            assert!(fcntl_getfd(descriptor).expect("open").contains(FdFlags::CLOEXEC));
            let flags = fcntl_getfl(descriptor).expect("open");
            // The first is the pidfd, which is never read.
            assert!(index == 0 || flags.contains(OFlags::NONBLOCK));
        }
        spawned.child.signal(codex_exec_server_local::os::Signal::KILL).expect("may be signalled");
        finish(spawned);
    }
    let flags = "for fd in 0 1 2; do grep flags /proc/self/fdinfo/$fd; done";
    for line in run(&shell_with_stdin(flags)).stdout.lines() {
        let flags = u32::from_str_radix(line.trim_start_matches("flags:").trim(), 8).expect("octal");
        assert_eq!(flags & OFlags::NONBLOCK.bits(), 0, "{line}");
    }
}

#[test]
fn what_a_child_carries_is_open_beside_its_streams_and_nothing_else_is() {
    let content = "line\n".repeat(40_000);
    let mut command = shell("ls -1 /proc/self/fd; cksum < /dev/fd/3; wc -c < /dev/fd/3");
    let carried = Carried::new(content.as_bytes()).expect("there is memory");
    assert_eq!(carried.bytes().expect("it can be read"), content.as_bytes());
    command.carried = Some(carried);
    let seen = run(&command);
    // The fifth is the directory that `ls` itself has open.
    let lines: Vec<&str> = seen.stdout.lines().collect();
    assert_eq!(lines[..5], ["0", "1", "2", "3", "4"], "{}", seen.stderr);
    assert_eq!((lines[6], lines.len()), ("200000", 7));
    // Each child has it from its beginning, on a terminal as well.
    command.stdio = Stdio::Pty(codex_exec_server_local::os::Size::default());
    assert_eq!(run(&command).stdout.lines().collect::<Vec<_>>(), lines);
}

#[test]
fn what_is_carried_can_be_changed_by_nobody() {
    let carried = Carried::new(b"as it was").expect("there is memory");
    let mut command = shell("echo x 2>/dev/null >&3; echo y 2>/dev/null > /dev/fd/3; cat /dev/fd/3");
    command.carried = Some(carried.clone());
    assert!(run(&command).stdout.ends_with("as it was"));
    assert_eq!(carried.bytes().expect("it can be read"), b"as it was");
}

#[test]
fn a_child_of_a_server_with_many_files_open_carries_its_file_all_the_same() {
    let many: Vec<_> = (0..300).map(|_| rustix::io::dup(std::io::stdin()).expect("a number")).collect();
    let mut command = shell("cat /dev/fd/3; ls /proc/self/fd | wc -l");
    command.carried = Some(Carried::new(b"carried\n").expect("there is memory"));
    drop(many);
    // The file was made while low numbers were taken.
    assert_eq!(run(&command).stdout.split_whitespace().collect::<Vec<_>>(), ["carried", "5"]);
}
