//! Many starts at the same time.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::thread;

use codex_exec_server_local::os::{Command, Size, Stdin, Stdio};

use crate::support::run;

#[test]
fn starts_from_eight_threads_do_not_leak_descriptors_into_each_other() {
    let start = |index: usize| {
        let mut command = Command::new(["/bin/ls", "-C", "-w0", "/proc/self/fd"], "/");
        command.stdio = match index % 3 {
            0 => Stdio::Pipes { stdin: Stdin::Null },
            1 => Stdio::Pipes { stdin: Stdin::Pipe },
            _ => Stdio::Pty(Size::default()),
        };
        assert_eq!(run(&command).stdout.trim(), "0  1  2  3");
    };
    thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || (0..30).for_each(|index| start(thread + index)));
        }
    });
}

#[test]
fn a_program_just_written_is_not_busy_because_others_are_being_started() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    thread::scope(|scope| {
        for thread in 0..4 {
            let directory = directory.path();
            scope.spawn(move || {
                for index in 0..50 {
                    let path = directory.join(format!("{thread}-{index}"));
                    let mut file = std::fs::OpenOptions::new()
                        .write(true)
                        .create_new(true)
                        .mode(0o755)
                        .open(&path)
                        .expect("a new file");
                    file.write_all(b"#!/bin/sh\necho written\n").expect("it is written");
                    drop(file);
                    assert_eq!(run(&Command::new([&path], "/")).stdout, "written\n");
                }
            });
        }
    });
}
