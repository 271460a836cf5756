//! Adopted orphans are reaped, and nobody's status is taken.
//!
//! A program of its own, because adopting concerns the whole process: children that other tests start by
//! other means would be taken for orphans. For the same reason the tests here run one at a time.

use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use codex_exec_server_local::os::{
    Child, Command, Exit, Output, Size, SpawnError, Spawned, Stdin, Stdio, become_subreaper, read_output,
    spawn, sweep,
};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitOptions, pidfd_open, wait as wait_for_any};

/// Waits for the turn, and then until nothing is left of the tests before: orphans may die after their test.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    become_subreaper().expect("any process can adopt");
    while !matches!(wait_for_any(WaitOptions::empty()), Err(Errno::CHILD)) {}
    turn
}

fn shell(script: &str) -> Command {
    let mut command = Command::new(["/bin/sh", "-c", script], "/");
    command.env = vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())];
    command
}

fn readable(descriptor: impl AsFd) {
    let mut polled = [PollFd::new(&descriptor, PollFlags::IN)];
    rustix::io::retry_on_intr(|| poll(&mut polled, None)).expect("poll works");
}

fn wait(child: &Child) -> Exit {
    readable(child);
    child.try_wait().expect("nobody else reaps it").expect("a readable pidfd means dead")
}

/// A child whose child reads the pipe to its end and so lives until this is dropped.
fn spawn_with_descendant() -> (Spawned, OwnedFd) {
    let mut command = shell("exec 3<&0; cat <&3 >/dev/null 2>&1 & echo $!; exit 5");
    command.stdio = Stdio::Pipes { stdin: Stdin::Pipe };
    let spawned = spawn(&command).expect("starts");
    let Output::Pipes { stdout, .. } = &spawned.output else { panic!("pipes were asked for") };
    readable(stdout);
    let mut line = [0; 16];
    let count = read_output(stdout, &mut line).expect("it is readable");
    let number = std::str::from_utf8(&line[..count]).expect("a number").trim().parse().expect("a number");
    let descendant = Pid::from_raw(number).expect("a process number");
    let pidfd = pidfd_open(descendant, PidfdFlags::empty()).expect("it lives until its stdin ends");
    (spawned, pidfd)
}

/// Whether a zombie of the process is left.
fn is_reaped(pidfd: impl AsFd) -> bool {
    rustix::process::pidfd_send_signal(pidfd, rustix::process::Signal::CONT) == Err(Errno::SRCH)
}

#[test]
fn a_dead_orphan_is_reaped_and_a_living_one_is_not() {
    let _turn = alone();
    let (mut spawned, descendant) = spawn_with_descendant();
    assert_eq!(wait(&spawned.child).code(), 5);
    assert_eq!(sweep().expect("/proc is mounted").reaped, 0);
    drop(spawned.stdin.take());
    readable(&descendant);
    assert!(!is_reaped(&descendant));
    assert_eq!(sweep().expect("/proc is mounted").reaped, 1);
    assert!(is_reaped(&descendant));
}

#[test]
fn an_orphan_is_found_behind_a_dead_child_whose_owner_has_not_asked_yet() {
    let _turn = alone();
    let unasked = spawn(&shell("exit 9")).expect("starts").child;
    readable(&unasked);
    let (mut spawned, descendant) = spawn_with_descendant();
    readable(&spawned.child);
    drop(spawned.stdin.take());
    readable(&descendant);
    assert_eq!(sweep().expect("/proc is mounted").reaped, 1);
    assert_eq!(wait(&unasked).code(), 9);
    assert_eq!(wait(&spawned.child).code(), 5);
}

#[test]
fn a_child_whose_owner_has_let_go_is_swept_too() {
    let _turn = alone();
    let child = spawn(&shell("exit 0")).expect("starts").child;
    let pidfd = child.as_fd().try_clone_to_owned().expect("a descriptor");
    readable(&pidfd);
    drop(child);
    assert_eq!(sweep().expect("/proc is mounted").reaped, 1);
    assert!(is_reaped(&pidfd));
}

#[test]
fn no_status_is_stolen_however_often_and_early_a_sweep_comes() {
    let _turn = alone();
    let (stop, reaped) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let sweeper = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                reaped.fetch_add(sweep().expect("/proc is mounted").reaped, Ordering::Relaxed);
            }
        });
        let starters: Vec<_> = (0..4).map(|thread| scope.spawn(move || start_many(thread))).collect();
        for starter in starters {
            starter.join().expect("no status was stolen");
        }
        stop.store(true, Ordering::Relaxed);
        sweeper.join().expect("sweeping works");
    });
    assert!(reaped.load(Ordering::Relaxed) > 0, "there were orphans, and they were reaped");
}

fn start_many(thread: i32) {
    for index in 0..150 {
        let code = (thread * 31 + index) % 256;
        // Some leave an orphan behind, some die of a signal, some never run.
        match index % 5 {
            0 => {
                let child = spawn(&shell(&format!("true & exit {code}"))).expect("starts").child;
                assert_eq!(wait(&child).code(), code);
            }
            1 => {
                let child = spawn(&shell("kill -9 $$")).expect("starts").child;
                assert_eq!(wait(&child).code(), 137);
            }
            2 => {
                let missing = spawn(&Command::new(["/nonexistent"], "/"));
                assert!(matches!(missing, Err(SpawnError::Program { errno: libc::ENOENT, .. })));
            }
            _ => {
                let child = spawn(&Command::new(["/bin/false"], "/")).expect("starts").child;
                assert_eq!(wait(&child).code(), 1);
            }
        }
    }
}

#[test]
fn neither_success_nor_failure_leaves_a_descriptor_or_a_zombie_behind() {
    let _turn = alone();
    let count = || std::fs::read_dir("/proc/self/fd").expect("/proc is mounted").count();
    let before = count();
    for _ in 0..20 {
        for stdio in [Stdio::Pipes { stdin: Stdin::Pipe }, Stdio::Pty(Size::default())] {
            for (program, cwd) in [("/bin/true", "/"), ("/nonexistent", "/"), ("/bin/true", "/nonexistent")] {
                let command = Command { stdio, ..Command::new([program], cwd) };
                if let Ok(spawned) = spawn(&command) {
                    wait(&spawned.child);
                }
            }
        }
    }
    assert_eq!(count(), before);
    assert_eq!(sweep().expect("/proc is mounted").reaped, 0);
}
